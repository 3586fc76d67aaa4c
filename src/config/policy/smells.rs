//! What a policy may say without its writer meaning it: reads that write, things said twice, tests that test nothing.

use std::collections::{BTreeMap, HashSet};

use super::PolicyTest;
use crate::config::read::{Fields, Reader};
use crate::config::text::quoted;
use crate::policy::{Policy, ScopeInfo, nearest};
use crate::yaml::{Entry, Node, Value};

type Infos<'p> = BTreeMap<&'p str, &'p ScopeInfo>;

/// What the last part of a scope is called where it is about changes.
const WRITES: [&str; 7] = ["admin", "create", "delete", "manage", "publish", "update", "write"];

/// Warns of each, where it stands. The policy has compiled, so that the tree holds what it should.
pub(super) fn warn(reader: &mut Reader<'_>, fields: &Fields<'_>, policy: &Policy) {
    let infos: Infos<'_> = policy.scopes().collect();
    for entry in fields.find("scopes").map_or(&[][..], |scopes| entries(scopes.node)) {
        warn_of_scope(reader, entry, &infos);
    }
    for entry in fields.find("routes").map_or(&[][..], |routes| entries(routes.node)) {
        warn_of_route(reader, entry, &infos);
    }
    let mut before = None;
    for (route, parameter) in policy.uncompared() {
        if before.replace((route.line(), parameter)) == Some((route.line(), parameter)) {
            continue;
        }
        let Some(span) = reader.line_span(route.line()) else { continue };
        let message = format!("{} is open to anyone, so nothing compares its `{{{parameter}}}`", route.label());
        reader.warning(span, message, "`bind` is about keys: write `auth: key` or a scope if it is to hold here");
    }
    warn_of_base(reader, policy);
}

fn warn_of_scope(reader: &mut Reader<'_>, entry: &Entry, infos: &Infos<'_>) {
    let name = &*entry.key;
    let Some(info) = infos.get(name) else { return };
    let reads = |name: &str| name.ends_with(":read") || infos.get(name).is_some_and(|info| info.access_read);
    if let Some(access) = entry.value.entry("access").filter(|_| name.ends_with(":read") && !info.access_read) {
        let message = format!("`access: write` has no effect on {}", quoted(name));
        let help = "read-only keys hold every scope that ends in `:read`: give it another name";
        reader.warning(access.value.span, message, help);
    }
    let ending = name.rsplit([':', '.', '_']).next().unwrap_or_default();
    if let Some(access) = entry.value.entry("access").filter(|_| info.access_read && WRITES.contains(&ending)) {
        let message = format!("read-only keys hold {}, which sounds as if it changed something", quoted(name));
        reader.warning(access.value.span, message, "write `access: write`, or leave `access` out");
    }
    let implied = closure(infos, &info.implies);
    let Some(implies) = entry.value.entry("implies") else { return };
    if implied.contains(name) {
        let message = format!("{} implies itself", quoted(name));
        reader.warning(implies.value.span, message, "scopes that imply each other are one: keep one of them");
    }
    let mut writes: Vec<&str> = implied.into_iter().filter(|other| *other != name && !reads(other)).collect();
    writes.sort_unstable();
    if reads(name) && !writes.is_empty() {
        let message = format!("{} implies {}, so read-only keys hold that, too", quoted(name), writes.join(" and "));
        reader.warning(implies.value.span, message, "let the scope that writes imply the one that reads");
    }
}

/// All that `names` imply, however far; `names` themselves where they are implied or given.
fn closure<'p>(infos: &Infos<'p>, names: &'p [String]) -> HashSet<&'p str> {
    let mut open: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut reached = HashSet::new();
    while let Some(name) = open.pop() {
        if reached.insert(name) {
            open.extend(infos.get(name).into_iter().flat_map(|info| info.implies.iter().map(String::as_str)));
        }
    }
    reached
}

fn warn_of_route(reader: &mut Reader<'_>, route: &Entry, infos: &Infos<'_>) {
    warn_of_repeats(reader, &route.value);
    for name in ["scopes", "any_of"] {
        if let Some(field) = route.value.entry(name) {
            warn_of_repeats(reader, &field.value);
        }
    }
    for rule in route.value.entry("query").map_or(&[][..], |query| entries(&query.value)) {
        warn_of_repeats(reader, &rule.value);
        entries(&rule.value).iter().for_each(|member| warn_of_repeats(reader, &member.value));
    }
    let Some(alternatives) = route.value.entry("any_of").and_then(|any_of| items(&any_of.value)) else { return };
    let owned: Vec<Vec<String>> = alternatives.iter().map(words).collect();
    for (at, (node, names)) in alternatives.iter().zip(&owned).enumerate() {
        let held = closure(infos, names);
        let opens = |other: &Vec<String>| other.iter().all(|name| held.contains(name.as_str()));
        let mut others = owned.iter().enumerate().filter(|(other, _)| *other != at);
        // Of two that open each other the later one is told, and not both.
        let wider = others.find(|(other, names_of_other)| {
            opens(names_of_other) && (*other < at || !closes(infos, names_of_other, names))
        });
        if let Some((_, wider)) = wider {
            let message = format!("the alternative {} adds nothing", quoted(&names.join(" and ")));
            let help = format!("whoever holds it holds `{}`, which is enough: take it out", wider.join(" and "));
            reader.warning(node.span, message, &help);
        }
    }
}

/// Whether whoever holds `names` holds all of `others`.
fn closes(infos: &Infos<'_>, names: &[String], others: &[String]) -> bool {
    let held = closure(infos, names);
    others.iter().all(|other| held.contains(other.as_str()))
}

/// Warns of a word that a list, or a list in it, has twice.
fn warn_of_repeats(reader: &mut Reader<'_>, node: &Node) {
    let mut seen = HashSet::new();
    for item in items(node).unwrap_or_default() {
        match &item.value {
            Value::Scalar(scalar) if !seen.insert(&*scalar.text) => {
                reader.warning(
                    item.span,
                    format!("{} stands here twice", quoted(&scalar.text)),
                    "take one of them out",
                );
            }
            Value::Scalar(_) | Value::Map(_) => {}
            Value::List(_) => warn_of_repeats(reader, item),
        }
    }
}

/// Warns of templates that repeat the base, which stands before every one of them.
fn warn_of_base(reader: &mut Reader<'_>, policy: &Policy) {
    let base = policy.base();
    let mut before = None;
    for route in policy.routes().iter().filter(|_| !base.is_empty()) {
        let own = route.template().get(base.len()..).unwrap_or_default();
        let rest = own.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let Some(rest) = rest.filter(|_| before.replace(route.line()) != Some(route.line())) else { continue };
        let Some(span) = reader.line_span(route.line()) else { continue };
        let message = format!("`{}`: the route repeats the base", route.template());
        let short = if rest.is_empty() { "/" } else { rest };
        reader.warning(span, message, &format!("the base stands before every template: write `{short}`"));
    }
}

/// Warns of tests that pass whatever the policy says, of those that stand there twice, and of attributes that nothing binds.
pub(super) fn warn_of_tests(reader: &mut Reader<'_>, policy: &Policy, tests: &[PolicyTest]) {
    for (at, test) in tests.iter().enumerate() {
        if tests.iter().take(at).any(|other| test.repeats(other)) {
            let message = format!("the test {} stands here twice", quoted(&test.request()));
            reader.warning(test.span(), message, "take one of them out");
        } else if test.misses_every_route(policy) {
            let message = format!("the test {} passes because no route has its path", quoted(&test.request()));
            let help = match test.with_base(policy) {
                Some(meant) => format!("did you mean `{meant}`? (the base is `{}`)", policy.base()),
                None => "write `code: route_not_allowed` beside it if that is what it tests".to_owned(),
            };
            reader.warning(test.span(), message, &help);
        }
        let bound = || policy.bound_attributes();
        for name in test.attributes().filter(|name| bound().all(|bound| bound != *name)) {
            let help = match nearest(name, bound()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "it confines nothing: name an attribute of `bind`, or leave it out".to_owned(),
            };
            reader.warning(test.span(), format!("the policy binds no attribute {}", quoted(name)), &help);
        }
    }
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        Value::List(_) | Value::Scalar(_) => &[],
    }
}

fn items(node: &Node) -> Option<&[Node]> {
    match &node.value {
        Value::List(items) => Some(items),
        Value::Map(_) | Value::Scalar(_) => None,
    }
}

/// The words of a list, or the one word that stands for a list.
fn words(node: &Node) -> Vec<String> {
    let items = items(node).unwrap_or(std::slice::from_ref(node));
    items.iter().filter_map(Node::scalar).map(|scalar| scalar.text.to_string()).collect()
}
