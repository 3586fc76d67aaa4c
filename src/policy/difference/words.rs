//! The sides of a difference in words.

use std::collections::BTreeSet;

use super::super::Policy;
use super::super::parameter::{List, Parameter};
use super::super::route::{Requirement, Upgrade};
use super::super::scope::{Grant, ScopeSet};
use super::side::{Bound, Side};

/// Who may call a route.
pub(super) fn access(side: &Side<'_>) -> String {
    match side.route {
        None => "denied".to_owned(),
        Some(route) => match route.access.as_str() {
            Some("deny") => "denied".to_owned(),
            Some(auth) => format!("auth: {auth}"),
            None => format!("scopes {}", requirement(side.policy, &route.requirement)),
        },
    }
}

/// How what a route asks for changed. Where the words are the same, what they mean did: then the cause is all there is to say.
pub(super) fn requirements(
    (old, before): (&Side<'_>, Option<&Requirement>),
    (new, after): (&Side<'_>, Option<&Requirement>),
) -> String {
    let word = |side: &Side<'_>, needs: Option<&Requirement>| {
        needs.map_or_else(|| "denied".to_owned(), |needs| requirement(side.policy, needs))
    };
    let scopes =
        |needs: &Requirement| needs.any_of.iter().fold(needs.all_of.clone(), |all, alternative| all.union(alternative));
    let all = [before, after].into_iter().flatten().map(scopes).fold(ScopeSet::new(), |all, one| all.union(&one));
    changed("scopes", (word(old, before), word(new, after)), &causes((old.policy, new.policy), &all))
}

/// How the rule of a member changed.
pub(super) fn members(
    (name, member): (&str, &str),
    (old, before): (&Side<'_>, &Option<ScopeSet>),
    (new, after): (&Side<'_>, &Option<ScopeSet>),
) -> String {
    let word = |side: &Side<'_>, asked: &Option<ScopeSet>| match asked {
        _ if side.ruled(name).is_none() => "not ruled".to_owned(),
        None => "denied".to_owned(),
        Some(scopes) if scopes.is_empty() => "allow".to_owned(),
        Some(scopes) => side.policy.names(scopes).join(" and "),
    };
    let about = if member == "*" { format!("{name}, any other member") } else { format!("{name}={member}") };
    let all = [before, after].into_iter().flatten().fold(ScopeSet::new(), |all, one| all.union(one));
    changed(&about, (word(old, before), word(new, after)), &causes((old.policy, new.policy), &all))
}

fn changed(about: &str, (before, after): (String, String), causes: &[String]) -> String {
    let way = if before == after { before } else { format!("{before} → {after}") };
    if causes.is_empty() { format!("{about}: {way}") } else { format!("{about}: {way} ({})", causes.join(", ")) }
}

/// Why the same scopes are met by others than before: implications and levels that changed.
fn causes((old, new): (&Policy, &Policy), scopes: &ScopeSet) -> Vec<String> {
    let mut causes = Vec::new();
    for scope in scopes.iter() {
        let name = new.known.name(scope);
        let by = |policy: &Policy| policy.names(&policy.known.satisfying(scope)).into_iter().collect::<BTreeSet<_>>();
        let (before, after) = (by(old), by(new));
        causes.extend(after.difference(&before).map(|by| format!("{by} now implies {name}")));
        causes.extend(before.difference(&after).map(|by| format!("{by} no longer implies {name}")));
        let reads = |policy: &Policy| policy.known.expand(&Grant::ReadOnly).contains(scope);
        match (reads(old), reads(new)) {
            (false, true) if old.knows(&name) => causes.push(format!("read-only keys hold {name} now")),
            (true, false) if new.knows(&name) => causes.push(format!("read-only keys no longer hold {name}")),
            _ => {}
        }
    }
    causes
}

/// `a and (b or c and d)`.
fn requirement(policy: &Policy, needs: &Requirement) -> String {
    let all = |scopes: &ScopeSet| policy.names(scopes).join(" and ");
    let alternatives = needs.any_of.iter().map(all).collect::<Vec<_>>().join(" or ");
    match (needs.all_of.is_empty(), needs.any_of.len()) {
        (true, 0) => "none".to_owned(),
        (true, _) => alternatives,
        (false, 0) => all(&needs.all_of),
        (false, 1) => format!("{} and {alternatives}", all(&needs.all_of)),
        (false, _) => format!("{} and ({alternatives})", all(&needs.all_of)),
    }
}

/// How the value of a parameter is read.
pub(super) fn reading(parameter: &Parameter) -> String {
    let list = match parameter.list {
        List::Brackets => "list: brackets",
        List::Comma => "list: comma",
        List::None => "no list",
    };
    if parameter.dotted { format!("{list}, nested: dot") } else { list.to_owned() }
}

pub(super) const fn upgrade(upgrade: Option<Upgrade>) -> &'static str {
    match upgrade {
        None => "none",
        Some(Upgrade::WebSocket) => "websocket",
    }
}

pub(super) fn bound(bound: Bound<'_>) -> String {
    match bound {
        Bound::At(_, name) => format!("{{{name}}} is the key's"),
        Bound::Free => "not compared".to_owned(),
        Bound::Refused => "keys that have it are refused".to_owned(),
    }
}
