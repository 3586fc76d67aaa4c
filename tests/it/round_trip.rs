//! Policies round-trip: what is written as a policy, by the importer or by anybody, loads as the policy that was meant, and
//! written again it is the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use scopegate::config::policy::{self, LoadedPolicy};
use scopegate::import::{Options, openapi};
use scopegate::policy::scope::Vocabulary;
use scopegate::policy::{Access, Route};

/// Loads the text of a policy.
fn loaded(text: &str, vocabulary: &Vocabulary) -> LoadedPolicy {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, text).expect("the policy");
    policy::load(&path, vocabulary).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

/// Asserts that neither policy asks for anything that the other does not.
fn assert_same(one: &str, other: &str) {
    let vocabulary = Vocabulary::new();
    let (one_policy, other_policy) = (loaded(one, &vocabulary).policy, loaded(other, &vocabulary).policy);
    assert_eq!(one_policy.differences(&other_policy), [], "\n{one}\n{other}");
    assert!(one_policy.option_differences(&other_policy).is_empty(), "\n{one}\n{other}");
    assert_eq!(asks(&one_policy), asks(&other_policy), "\n{one}\n{other}");
}

/// All that a policy asks for, whatever the lines that it stands on.
fn asks(policy: &scopegate::policy::Policy) -> Vec<String> {
    let label = |id| policy.route(id).map_or("", Route::label).to_owned();
    let mut asks: Vec<String> = policy
        .asks()
        .iter()
        .map(|ask| {
            let routes: Vec<String> = ask.routes.iter().map(|id| label(*id)).collect();
            format!("{:?} {:?} {routes:?}", ask.part, ask.scopes)
        })
        .collect();
    asks.sort();
    asks
}

/// What a route of a random policy asks for.
#[derive(Clone, Debug)]
enum Asked {
    Anyone,
    Key,
    Nobody,
    Scopes { all_of: Vec<String>, any_of: Vec<Vec<String>> },
}

/// A random route: its path, its methods, who may call it, which members its query may have.
#[derive(Clone, Debug)]
struct Written {
    path: String,
    method: &'static str,
    asked: Asked,
    members: BTreeMap<String, Option<String>>,
}

/// Scopes, some of which YAML would take for something other than text.
const SCOPES: [&str; 8] = ["profiles:read", "no", "1e3", "null", "0x1f", "a#b", "~", "on"];
const MEMBERS: [&str; 5] = ["lists", "yes", "12", "a.b", "- x"];
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "ANY"];

fn scope() -> impl Strategy<Value = String> {
    prop::sample::select(&SCOPES[..]).prop_map(str::to_owned)
}

fn asked() -> impl Strategy<Value = Asked> {
    let scopes = || prop::collection::vec(scope(), 1..3);
    prop_oneof![
        Just(Asked::Anyone),
        Just(Asked::Key),
        Just(Asked::Nobody),
        scopes().prop_map(|all_of| Asked::Scopes { all_of, any_of: Vec::new() }),
        (prop::collection::vec(scope(), 0..2), prop::collection::vec(scopes(), 1..3))
            .prop_map(|(all_of, any_of)| Asked::Scopes { all_of, any_of }),
    ]
}

fn route() -> impl Strategy<Value = Written> {
    let segment = prop::sample::select(&["a", "b", "{id}", "caf%C3%A9", "100%25", "x:y", "null", "~"][..]);
    let path = prop::collection::vec(segment, 1..4).prop_map(|segments| {
        let mut path = String::new();
        for (at, segment) in segments.iter().enumerate() {
            let _ = write!(path, "/{}", segment.replace("{id}", &format!("{{id{at}}}")));
        }
        path
    });
    let member = (prop::sample::select(&MEMBERS[..]).prop_map(str::to_owned), prop::option::of(scope()));
    let members = prop::collection::btree_map(member.0, member.1, 0..3);
    (path, prop::sample::select(&METHODS[..]), asked(), members).prop_map(|(path, method, asked, members)| Written {
        path,
        method,
        asked,
        members,
    })
}

/// How a text is written: bare where this test is sure of it, or in either quotes.
fn quoted(text: &str, style: usize) -> String {
    match style % 3 {
        0 => serde_json::Value::from(text).to_string(),
        1 => format!("'{}'", text.replace('\'', "''")),
        _ if text != "null" && text.chars().all(|c| c.is_ascii_lowercase() || c == ':') => text.to_owned(),
        _ => format!("'{}'", text.replace('\'', "''")),
    }
}

/// The routes as a policy, in block style or in flow style, each text in one of the ways to write it.
fn rendered(routes: &[Written], style: usize) -> String {
    let q = |text: &str| quoted(text, style);
    let list = |names: &[String]| match names {
        [only] if style % 2 == 1 => q(only),
        several => format!("[{}]", several.iter().map(|name| q(name)).collect::<Vec<_>>().join(", ")),
    };
    let mut out = String::from("version: 1\nparameters: { include: { list: comma } }\nroutes:\n");
    for Written { path, method, asked, members } in routes {
        let mut fields = match asked {
            Asked::Anyone => vec!["auth: anyone".to_owned()],
            Asked::Key => vec!["auth: key".to_owned()],
            Asked::Nobody => vec!["auth: deny".to_owned()],
            Asked::Scopes { all_of, any_of } => {
                let any: Vec<String> = any_of.iter().map(|names| list(names)).collect();
                let all_of = (!all_of.is_empty()).then(|| format!("scopes: {}", list(all_of)));
                let any_of = (!any.is_empty()).then(|| format!("any_of: [{}]", any.join(", ")));
                all_of.into_iter().chain(any_of).collect()
            }
        };
        if !members.is_empty() && !matches!(asked, Asked::Anyone | Asked::Nobody) {
            let rule = |scope: &Option<String>| scope.as_ref().map_or("allow".to_owned(), |scope| q(scope));
            let members: Vec<String> =
                members.iter().map(|(name, scope)| format!("{}: {}", q(name), rule(scope))).collect();
            fields.push(format!("query: {{ include: {{ {} }} }}", members.join(", ")));
        }
        let label = q(&format!("{method} {path}"));
        let _ = match style % 4 {
            0 | 1 => writeln!(out, "  {label}: {{ {} }}", fields.join(", ")),
            _ => writeln!(out, "  {label}:\n    {}", fields.join("\n    ")),
        };
    }
    out
}

/// Routes that no two of which are the same.
fn routes() -> impl Strategy<Value = Vec<Written>> {
    prop::collection::vec(route(), 1..8).prop_map(|routes| {
        let mut seen = BTreeMap::new();
        for route in routes {
            seen.entry((route.method, route.path.clone())).or_insert(route);
        }
        seen.into_values().collect()
    })
}

/// The operations of a random document: what each asks for by `security`.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let alternatives = prop::collection::vec(prop::collection::vec(scope(), 1..3), 1..3);
    let operation = (
        prop::sample::select(&["get", "post", "put", "patch", "delete"][..]),
        prop::sample::select(&["/a", "/a/{id}", "/b", "/b/{id}/c", "/~", "/null", "/x:y"][..]),
        prop::option::of(alternatives),
    );
    prop::collection::vec(operation, 1..10).prop_map(|operations| {
        let mut paths = serde_json::json!({});
        for (method, path, alternatives) in operations {
            let security: Option<Vec<_>> = alternatives
                .map(|lists| lists.into_iter().map(|scopes| serde_json::json!({ "oauth": scopes })).collect());
            paths[path][method] =
                security.map_or(serde_json::json!({}), |security| serde_json::json!({ "security": security }));
        }
        serde_json::json!({ "openapi": "3.1.0", "info": { "title": "a: b #c", "version": "~" }, "paths": paths })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_policy_means_the_same_however_it_is_written(routes in routes(), one in 0..12_usize, other in 0..12_usize) {
        let text = rendered(&routes, one);
        assert_same(&text, &rendered(&routes, other));
        let policy = loaded(&text, &Vocabulary::new()).policy;
        prop_assert_eq!(policy.routes().len(), routes.len());
        for Written { path, method, asked, members } in &routes {
            let label = format!("{method} {path}");
            let route = policy.routes().iter().find(|route| route.label() == label).expect("the route");
            let expected = match asked {
                Asked::Anyone => Access::Anyone,
                Asked::Key => Access::Key,
                Asked::Nobody => Access::Deny,
                Asked::Scopes { .. } => Access::Scopes,
            };
            prop_assert_eq!(route.access(), expected);
            let named: Vec<&str> = policy.scopes().map(|(name, _)| name).collect();
            if let Asked::Scopes { all_of, any_of } = asked {
                for scope in all_of.iter().chain(any_of.iter().flatten()) {
                    prop_assert!(named.contains(&scope.as_str()), "{scope} in {named:?}");
                }
                for scope in members.values().flatten() {
                    prop_assert!(named.contains(&scope.as_str()), "{scope} in {named:?}");
                }
            }
        }
    }

    #[test]
    fn what_the_importer_writes_loads_as_what_the_document_asks_for_and_is_written_again_the_same(document in document()) {
        let text = document.to_string();
        let first = openapi(&text, &Options::default(), &|_| Err(String::new())).expect("a policy");
        let policy = loaded(&first.policy, &Vocabulary::new()).policy;
        let drift = first.drift(&policy);
        prop_assert!(drift.is_empty(), "{}\n{}", drift.render(), first.policy);
        let second = openapi(&text, &Options::default(), &|_| Err(String::new())).expect("a policy");
        prop_assert_eq!(&first.policy, &second.policy);
        prop_assert_eq!(policy.routes().len(), first.report.routes);
        assert_same(&first.policy, &second.policy);
    }
}
