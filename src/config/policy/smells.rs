//! What a policy may say without its writer meaning it: reads that write, things said twice, tests that test nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::PolicyTest;
use crate::config::read::{Fields, Reader};
use crate::config::text::quoted;
use crate::policy::{Policy, ScopeInfo, ScopeSet, nearest};
use crate::yaml::{Entry, Node, Value};

/// What the policy knows of scopes.
struct Known<'p> {
    policy: &'p Policy,
    infos: BTreeMap<&'p str, &'p ScopeInfo>,
    /// Those that read-only keys hold by their own.
    reading: ScopeSet,
}

/// Scopes that a message names before it counts the rest.
const NAMED: usize = 5;

/// Alternatives of one route that are compared with each other; whoever writes more has a program write them.
const MOST_COMPARED: usize = 100;

/// What the last part of a scope is called where it is about changes.
const WRITES: [&str; 7] = ["admin", "create", "delete", "manage", "publish", "update", "write"];

/// Warns of each, where it stands. The policy has compiled, so that the tree holds what it should.
pub(super) fn warn(reader: &mut Reader<'_>, fields: &Fields<'_>, policy: &Policy) {
    let infos: BTreeMap<&str, &ScopeInfo> = policy.scopes().collect();
    let reading = infos.iter().filter(|(name, info)| name.ends_with(":read") || info.access_read);
    let known = Known { policy, reading: policy.set_of(reading.map(|(name, _)| *name)), infos };
    for entry in fields.find("scopes").map_or(&[][..], |scopes| entries(scopes.node)) {
        warn_of_scope(reader, entry, &known);
    }
    for entry in fields.find("routes").map_or(&[][..], |routes| entries(routes.node)) {
        warn_of_route(reader, entry, policy);
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
    if fields.find("scopes").is_none() {
        let parts = ["parameters", "routes"].iter().filter_map(|part| fields.find(part));
        parts.for_each(|part| warn_of_odd_scopes(reader, part.node, policy));
    }
}

/// Warns of each scope with a sign that no scope of anybody has: without `scopes` to hold it against, a slip is a scope that no
/// key is given.
fn warn_of_odd_scopes(reader: &mut Reader<'_>, node: &Node, policy: &Policy) {
    const ODD: [char; 14] = ['[', ']', '(', ')', '{', '}', '<', '>', ';', '|', '\'', '`', '=', '!'];
    /// What holds other things than scopes.
    const OTHERS: [&str; 6] = ["auth", "credential", "description", "timeouts", "unbound", "upgrade"];
    match &node.value {
        Value::Scalar(scalar) => {
            let Some(sign) = scalar.text.chars().find(|sign| ODD.contains(sign)) else { return };
            if policy.knows(&scalar.text) {
                let message = format!("the scope {} has a `{sign}`", quoted(&scalar.text));
                reader.warning(node.span, message, "mend it, or declare it under `scopes` if that is its name");
            }
        }
        Value::List(items) => items.iter().for_each(|item| warn_of_odd_scopes(reader, item, policy)),
        Value::Map(entries) => {
            for entry in entries.iter().filter(|entry| !OTHERS.contains(&&*entry.key)) {
                warn_of_odd_scopes(reader, &entry.value, policy);
            }
        }
    }
}

fn warn_of_scope(reader: &mut Reader<'_>, entry: &Entry, Known { policy, infos, reading }: &Known<'_>) {
    let name = &*entry.key;
    let Some(info) = infos.get(name) else { return };
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
    let Some(implies) = entry.value.entry("implies") else { return };
    let own = policy.set_of([name]);
    if info.implies.iter().any(|implied| own.is_subset(&policy.held_with(implied))) {
        let message = format!("{} implies itself", quoted(name));
        reader.warning(implies.value.span, message, "scopes that imply each other are one: keep one of them");
    }
    let writing = policy.held_with(name).difference(&own).difference(reading);
    if own.is_subset(reading) && !writing.is_empty() {
        let message =
            format!("{} implies {}, so read-only keys hold that, too", quoted(name), first_of(policy, &writing));
        reader.warning(implies.value.span, message, "let the scope that writes imply the one that reads");
    }
}

/// The first names of a set, and how many more it has.
fn first_of(policy: &Policy, scopes: &ScopeSet) -> String {
    let names = policy.names(scopes);
    match names.split_at_checked(NAMED).filter(|(_, rest)| !rest.is_empty()) {
        Some((first, rest)) => format!("{} and {} more", first.join(", "), rest.len()),
        None => names.join(" and "),
    }
}

fn warn_of_route(reader: &mut Reader<'_>, route: &Entry, policy: &Policy) {
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
    let all: Vec<Alternative> =
        alternatives.iter().take(MOST_COMPARED).map(|node| Alternative::of(node, policy)).collect();
    for (at, (node, one)) in alternatives.iter().zip(&all).enumerate() {
        let mut others = all.iter().enumerate().filter(|(other, _)| *other != at);
        // Of two that open each other the later one is told, and not both.
        let wider = others.find(|(place, other)| {
            other.scopes.is_subset(&one.held) && (*place < at || !one.scopes.is_subset(&other.held))
        });
        if let Some((_, wider)) = wider {
            let message = format!("the alternative {} adds nothing", quoted(&one.names.join(" and ")));
            let help = format!("whoever holds it holds `{}`, which is enough: take it out", wider.names.join(" and "));
            reader.warning(node.span, message, &help);
        }
    }
}

/// One of the alternatives of a route.
struct Alternative {
    names: Vec<String>,
    scopes: ScopeSet,
    /// What whoever has them holds.
    held: ScopeSet,
}

impl Alternative {
    fn of(node: &Node, policy: &Policy) -> Self {
        let names = words(node);
        let held = names.iter().map(|name| policy.held_with(name)).reduce(|one, other| one.union(&other));
        Self { scopes: policy.set_of(names.iter().map(String::as_str)), held: held.unwrap_or_default(), names }
    }
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
    let mut before: HashMap<String, Vec<&PolicyTest>> = HashMap::new();
    for test in tests {
        let same_request = before.entry(test.request()).or_default();
        let is_repeated = same_request.iter().any(|other| test.repeats(other));
        same_request.push(test);
        if is_repeated {
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
