//! What each member of the `include` parameter adds to a route.
//!
//! No document says so. It is derived: the relationship of that name leads to a resource type; the operation that serves that type in its own
//! right says which scopes the type needs. Without types the operation of that name does (`/customers` for `include=customer`), or the one
//! below the route (`/profiles/{id}/lists` for `include=lists`), or those of the types that the resource links to. Where operations disagree
//! the strictest reading is taken, and said. A member that no operation serves is left out, and so denied: what the caller holds anyway
//! would be a guess in the caller's favour.

mod names;
mod served;

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, enumeration};
use super::draft::{Access, Draft};
use super::{Note, Report};
use served::Served;

/// The rules of the parameter over all routes.
#[derive(Debug, Default)]
pub(super) struct Included {
    /// Members that need the same scopes on every route that takes them.
    pub(super) members: BTreeMap<String, Member>,
    /// Members that no operation serves, with the routes that would take them there. They are denied.
    pub(super) undecided: BTreeMap<String, BTreeSet<String>>,
    /// Whether a route has the parameter at all: then it is ruled, and what no route lists is denied.
    pub(super) is_ruled: bool,
    /// What each route takes, in the order of the drafts.
    pub(super) routes: Vec<Taken>,
}

/// What one route takes.
#[derive(Debug)]
pub(super) enum Taken {
    /// Members of the declaration, sorted.
    Declared(Vec<String>),
    /// Not the parameter at all, or no member of it.
    Nothing,
    /// A map of its own: a member here needs other scopes than on another route.
    Own(BTreeMap<String, Member>),
}

/// The rule of one member.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Member {
    /// All of these, sorted; the route's own are asked besides.
    pub(super) scopes: BTreeSet<String>,
    /// Why the rule may be another.
    pub(super) doubts: BTreeSet<String>,
}

/// Derives the rules of the parameter `name` for all routes.
pub(super) fn derive<'d>(document: &'d Document, drafts: &'d [Draft<'d>], name: &str, report: &mut Report) -> Included {
    let served = Served::by(document, drafts);
    let mut undecided: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut all: Vec<Option<BTreeMap<String, Member>>> = Vec::new();
    for draft in drafts {
        let Some(names) = members_of(document, draft, name, report) else {
            all.push(None);
            continue;
        };
        let mut taken = BTreeMap::new();
        for member in names {
            match served.member(draft, member) {
                Some(rule) => drop(taken.insert(member.to_owned(), rule)),
                None => drop(undecided.entry(member.to_owned()).or_default().insert(draft.label())),
            }
        }
        all.push(Some(taken));
    }
    let (mut members, differing) = shared(&all);
    note(name, (&members, &undecided), report);
    let is_ruled = all.iter().any(Option::is_some);
    let routes = all.into_iter().map(|taken| match taken {
        None => Taken::Nothing,
        Some(taken) if taken.is_empty() => Taken::Nothing,
        Some(taken) if taken.keys().any(|member| differing.contains(member)) => Taken::Own(taken),
        Some(taken) => Taken::Declared(taken.into_keys().collect()),
    });
    let routes: Vec<Taken> = routes.collect();
    // What no route takes over would be declared for nothing.
    let is_taken = |member: &String| {
        routes.iter().any(|taken| matches!(taken, Taken::Declared(names) if names.binary_search(member).is_ok()))
    };
    members.retain(|member, _| is_taken(member));
    Included { members, undecided, is_ruled, routes }
}

/// The members that an operation lists for the parameter; `None` where it does not take it.
fn members_of<'d>(
    document: &'d Document,
    draft: &Draft<'d>,
    name: &str,
    report: &mut Report,
) -> Option<BTreeSet<&'d str>> {
    for place in draft.operations().flat_map(|operation| document.lost_parameters(operation)) {
        report.note(draft.label(), format!("{place} could not be found: if it is {name}, that is not ruled"));
    }
    let (_, schema) = draft.query(document).find(|(parameter, _)| *parameter == name)?;
    let schema_of_members = if schema.get("items").is_some() { document.item(schema) } else { schema };
    let (names, unsayable): (BTreeSet<&str>, BTreeSet<&str>) =
        enumeration(schema_of_members).partition(|member| is_member(member));
    for member in unsayable {
        report.note(draft.label(), format!("{name}={member:?} cannot be a member of a list and stays denied"));
    }
    if names.is_empty() {
        let text = format!("takes {name}, but lists no members: every value is denied until the route lists some");
        report.note(draft.label(), text);
    }
    Some(names)
}

/// Each member over all routes, and those that need other scopes on one route than on another.
fn shared(all: &[Option<BTreeMap<String, Member>>]) -> (BTreeMap<String, Member>, BTreeSet<String>) {
    let mut members: BTreeMap<String, Member> = BTreeMap::new();
    let mut differing = BTreeSet::new();
    for (member, rule) in all.iter().flatten().flatten() {
        let known = members.entry(member.clone()).or_insert_with(|| rule.clone());
        if known.scopes != rule.scopes {
            differing.insert(member.clone());
        }
        known.doubts.extend(rule.doubts.iter().cloned());
    }
    (members, differing)
}

fn note(
    name: &str,
    (members, undecided): (&BTreeMap<String, Member>, &BTreeMap<String, BTreeSet<String>>),
    report: &mut Report,
) {
    for (member, rule) in members {
        report
            .notes
            .extend(rule.doubts.iter().map(|doubt| Note { about: format!("{name}={member}"), text: doubt.clone() }));
    }
    for (member, routes) in undecided {
        report.note(
            format!("{name}={member}"),
            format!("{}: add `{member}: SCOPE` under members, and {member} on {}", denied(member), join(routes)),
        );
    }
}

/// Why a member is not there.
pub(super) fn denied(member: &str) -> String {
    format!("denied until you decide: no operation found that serves {member:?}")
}

/// A name that stays whole where the list is parted at commas, and that does not stand for all members.
fn is_member(name: &str) -> bool {
    !name.is_empty() && !name.contains(',') && name != "*"
}

/// Every scope that a route may ask for. Alternatives count together: the strict reading.
pub(super) fn demanded(access: &Access) -> BTreeSet<String> {
    match access {
        Access::Anyone | Access::Key | Access::Unstated => BTreeSet::new(),
        Access::Scopes(alternatives) => alternatives.iter().flatten().cloned().collect(),
    }
}

pub(super) fn join(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect::<Vec<_>>().join(", ")
}
