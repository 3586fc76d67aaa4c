use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::Denial;
use super::reference;
use super::scenarios::{Asked, Level, policies, requests};

const CASES: u32 = 10_000;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn every_decision_is_that_of_the_reference_model(mut policy in policies(), asked in vec(requests(), 4)) {
        let gate = policy.build();
        for asked in asked {
            let asked = asked.along(&policy);
            prop_assert_eq!(asked.decide(&gate), reference::answer(&policy, &asked), "{:?}", asked);
        }
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn adding_or_repeating_query_parameters_never_gains_anything(
        mut policy in policies(), asked in vec(requests(), 4), more in requests(),
    ) {
        let gate = policy.build();
        for asked in asked {
            let asked = asked.along(&policy);
            let own = names_and_values(&asked.query);
            let more = names_and_values(&more.query);
            let added = format!("?{own}&{}", if more.is_empty() { own } else { more });
            gains_nothing(&gate, &asked, &Asked { query: added, ..asked.clone() })?;
        }
    }

    #[test]
    fn reordering_query_parameters_changes_nothing(
        mut policy in policies(), asked in vec(requests(), 4), turn in any::<Index>(),
    ) {
        let gate = policy.build();
        for asked in asked {
            let asked = asked.along(&policy);
            let mut pairs: Vec<&str> = names_and_values(&asked.query).split('&').collect();
            let by = turn.index(pairs.len());
            pairs.rotate_left(by);
            let query = asked.query.strip_prefix('?').map_or(String::new(), |_| format!("?{}", pairs.join("&")));
            let (own, other) = (asked.decide(&gate), Asked { query, ..asked.clone() }.decide(&gate));
            // Which fault comes first may change, and with it what was added up before; never whether there is one.
            prop_assert_eq!(own.0 == "allow", other.0 == "allow", "{:?}", asked);
        }
    }

    #[test]
    fn no_server_reads_what_was_allowed_as_what_would_be_denied(
        mut policy in policies(), asked in vec(requests(), 4),
    ) {
        // A binding compares bytes, and what a server makes of them may be another account's by its own choice.
        policy.bound = false;
        let gate = policy.build();
        for asked in asked {
            let asked = asked.along(&policy);
            if asked.decide(&gate).0 != "allow" {
                continue;
            }
            for (server, path, query) in readings(&asked) {
                let read = Asked { path, query, ..asked.clone() };
                // What takes all the rest says nothing of any path, so an encoded slash may lead past it.
                let taken = gate.label_of(read.method, &read.path);
                if server == DECODES_FIRST && taken.is_some_and(|label| label.ends_with(" /{*rest}")) {
                    continue;
                }
                let code = read.decide(&gate).0;
                // A path that is no route of the policy's is none of the server's that the policy speaks of.
                prop_assert!(["allow", "route_not_allowed"].contains(&code), "{}: {:?} as {:?}", server, asked, read);
            }
        }
    }

    #[test]
    fn percent_encoding_never_gains_anything(
        mut policy in policies(), asked in vec(requests(), 4), at in any::<Index>(), times in 1..3usize,
    ) {
        let gate = policy.build();
        for asked in asked {
            let asked = asked.along(&policy);
            let encode = |text: &str| (0..times).fold(text.to_owned(), |text, _| encode_one(&text, at));
            // What is encoded more often than anything decodes it is another name, and encoding the sign of a malformed
            // escape mends it: what was ambiguous, or read as `_method` by some server, may become sound.
            let code = asked.decide(&gate).0;
            if !code.starts_with("ambiguous") && code != "method_override" {
                gains_nothing(&gate, &asked, &Asked { path: encode(&asked.path), ..asked.clone() })?;
                gains_nothing(&gate, &asked, &Asked { query: encode(&asked.query), ..asked.clone() })?;
            }
        }
    }

    #[test]
    fn changing_letter_case_never_gains_anything(
        mut policy in policies(), asked in vec(requests(), 4), at in any::<Index>(),
    ) {
        // All literals and members of the scenarios are in lower case. A binding compares bytes, so that a path in
        // capitals may rightly be another account's.
        policy.bound = false;
        let gate = policy.build();
        for asked in asked {
            let mut asked = asked.along(&policy);
            asked.path = asked.path.to_lowercase();
            asked.query = asked.query.to_lowercase();
            let raised = |text: &str| raise_one(text, at);
            gains_nothing(&gate, &asked, &Asked { path: raised(&asked.path), ..asked.clone() })?;
            gains_nothing(&gate, &asked, &Asked { query: raised(&asked.query), ..asked.clone() })?;
        }
    }

    #[test]
    fn brackets_nul_and_dots_in_a_name_never_gain_anything(
        mut policy in policies(), asked in vec(requests(), 4), at in any::<Index>(), spelling in 0..SPELLINGS.len(),
    ) {
        let gate = policy.build();
        for asked in asked {
            let asked = asked.along(&policy);
            let pairs: Vec<&str> = names_and_values(&asked.query).split('&').collect();
            let place = at.index(pairs.len());
            let ruled = |pair: &str| pair.split('=').next() == Some("include");
            if ruled(pairs[place]) {
                let (_, value) = pairs[place].split_once('=').unwrap_or((pairs[place], ""));
                let respelled = format!("{}={value}", SPELLINGS[spelling]);
                let changed: Vec<&str> =
                    pairs.iter().enumerate().map(|(at, pair)| if at == place { &respelled } else { *pair }).collect();
                gains_nothing(&gate, &asked, &Asked { query: format!("?{}", changed.join("&")), ..asked.clone() })?;
            }
        }
    }

    #[test]
    fn a_final_slash_more_or_less_never_leads_to_a_less_specific_route(
        mut policy in policies(), asked in vec(requests(), 4),
    ) {
        let gate = policy.build();
        for asked in asked {
            let asked = asked.along(&policy);
            let changed = match asked.path.strip_suffix('/') {
                Some("") => continue,
                Some(without) => without.to_owned(),
                None => format!("{}/", asked.path),
            };
            let wild = |asked: &Asked| {
                let label = gate.label_of(asked.method, &asked.path);
                label.filter(|label| !label.ends_with("{*rest}")).map(|label| label.trim_end_matches('/').to_owned())
            };
            let changed = Asked { path: changed, ..asked.clone() };
            // Both may be written, and then they are two; a template that is no wildcard never gives way to another, unless
            // that asks for the same.
            if let (Some(own), Some(other)) = (wild(&asked), gate.label_of(changed.method, &changed.path)) {
                let template = |label: &str| label.split(' ').next_back().unwrap().trim_end_matches('/').to_owned();
                if shape(&template(&own)) != shape(&template(&other)) {
                    gains_nothing(&gate, &asked, &changed)?;
                }
            }
        }
    }

    #[test]
    fn a_key_with_fewer_scopes_never_gains_anything(
        mut policy in policies(), asked in vec(requests(), 4), at in any::<Index>(),
    ) {
        let gate = policy.build();
        for asked in asked {
            let asked = asked.along(&policy);
            let mut fewer = asked.clone();
            if let Level::Custom(scopes) = &mut fewer.who.level && !scopes.is_empty() {
                scopes.remove(at.index(scopes.len()));
            }
            gains_nothing(&gate, &asked, &fewer)?;
        }
    }

    #[test]
    fn the_scopes_that_are_counted_are_those_that_were_needed_or_missing(
        mut policy in policies(), asked in vec(requests(), 4),
    ) {
        let gate = policy.build();
        for asked in asked {
            let asked = asked.along(&policy);
            let seen = asked.decided(&gate, |decision| {
                let mut told = super::super::ScopeSet::new();
                decision.tell_scopes(&mut |scope| {
                    told.insert(scope);
                });
                (gate.policy.names(&told), decision.denial(), decision.trace())
            });
            let Ok((told, denial, trace)) = seen else { continue };
            let expected = match denial {
                None => trace.required,
                Some(Denial::InsufficientScope) => trace.missing,
                Some(_) => Vec::new(),
            };
            prop_assert_eq!(told, expected, "{:?}", asked);
        }
    }

    #[test]
    fn no_bytes_make_it_panic_and_no_reason_shows_them_raw(
        mut policy in policies(), target in vec(any::<u8>(), 0..60), asked in requests(),
    ) {
        let gate = policy.build();
        let mut bytes = asked.along(&policy).target().into_bytes();
        bytes.extend(target);
        let request = super::super::Request { method: &bytes, target: &bytes, override_header: false };
        for request in [request, super::super::Request { method: b"GET", ..request }] {
            if let Ok(judged) = gate.policy.judge(&request) {
                let key = gate.key(&[]);
                let decision = gate.policy.decide(&super::super::Caller::Known(&key), &judged);
                let trace = decision.explain().trace;
                prop_assert!(trace.reason.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{:?}", trace.reason);
                prop_assert_eq!(decision.is_allow(), trace.code.is_none());
            }
        }
    }
}

/// Names that some parser reads as `include`.
const SPELLINGS: [&str; 13] = [
    "[include]",
    "include]",
    "]include",
    "[[include",
    "include%00x",
    "include[]x",
    "include[x]",
    "x[inclu]de",
    "inclu[]de",
    "include[0][x]",
    "include.x",
    "include[",
    "%20include",
];

const DECODES_FIRST: &str = "decodes before it parts";

/// A request as servers of some kinds would read it, written plainly.
fn readings(asked: &Asked) -> Vec<(&'static str, String, String)> {
    let decoded = decode(&asked.path);
    let (before, hidden) = decoded.split_once('?').unwrap_or((&decoded, ""));
    let query = [names_and_values(&asked.query), hidden].join("&");
    // Two slashes in a row are one to it, as the model has it; without a merge they lead to no route.
    let parted: Vec<&str> = before.split('/').skip(1).collect();
    let last = parted.len() - 1;
    let parted = parted.iter().enumerate().filter(|(at, part)| *at == last || !part.is_empty());
    let merged: String = parted.map(|(_, part)| format!("/{}", plain(part))).collect();
    let per_segment = |change: fn(&str) -> &str| {
        let segments: Vec<String> = asked.path.split('/').map(|segment| plain(change(&decode(segment)))).collect();
        segments.join("/")
    };
    let own = &asked.query;
    let unsuffixed = match asked.path.rsplit_once('.') {
        // What a policy writes with its suffix is its own.
        _ if ["/b.csv", "/v1.0", "/c.php"].iter().any(|own| asked.path.ends_with(own)) => asked.path.clone(),
        Some((stem, suffix)) if !suffix.contains(['/', '%']) && !stem.ends_with('/') => stem.to_owned(),
        _ => asked.path.clone(),
    };
    vec![
        (DECODES_FIRST, merged, format!("?{query}")),
        ("folds letter case", asked.path.to_lowercase(), own.clone()),
        ("takes dots and spaces off", per_segment(|segment| segment.trim_end_matches(['.', ' '])), own.clone()),
        ("takes a format suffix off", unsuffixed, own.clone()),
    ]
}

fn decode(text: &str) -> String {
    String::from_utf8(super::super::octets::decoded(text.as_bytes()).collect()).unwrap()
}

/// A segment with everything escaped that means something in a path.
fn plain(segment: &str) -> String {
    let escape = |byte: u8| match byte {
        b'/' | b'%' | b'?' | b'#' | b' ' | 0x7F.. => format!("%{byte:02X}"),
        _ => char::from(byte).to_string(),
    };
    segment.bytes().map(escape).collect()
}

/// A query without the question mark before it; one more is part of a name.
fn names_and_values(query: &str) -> &str {
    query.strip_prefix('?').unwrap_or(query)
}

/// A template without the names of its parameters.
fn shape(template: &str) -> String {
    template.replace("{q}", "{p}")
}

fn gains_nothing(gate: &super::support::Gate, asked: &Asked, changed: &Asked) -> Result<(), TestCaseError> {
    if changed.decide(gate).0 == "allow" {
        prop_assert_eq!(asked.decide(gate).0, "allow", "{:?} gained by {:?}", asked, changed);
    }
    Ok(())
}

/// One byte that is not syntax, percent-encoded.
fn encode_one(text: &str, at: Index) -> String {
    change_one(text, at, |letter| !"/?&=;".contains(letter), |letter| format!("%{:02X}", u32::from(letter)))
}

/// One letter in upper case.
fn raise_one(text: &str, at: Index) -> String {
    change_one(text, at, |letter| letter.is_ascii_lowercase(), |letter| letter.to_uppercase().to_string())
}

fn change_one(text: &str, at: Index, fits: impl Fn(char) -> bool, change: impl Fn(char) -> String) -> String {
    let places: Vec<usize> = text.chars().enumerate().filter(|(_, letter)| fits(*letter)).map(|(at, _)| at).collect();
    if places.is_empty() {
        return text.to_owned();
    }
    let place = places[at.index(places.len())];
    let changed = |(at, letter): (usize, char)| {
        if at == place { change(letter) } else { letter.to_string() }
    };
    text.chars().enumerate().map(changed).collect()
}
