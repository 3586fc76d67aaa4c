//! Two routes for the same requests: who may pass under the one and not under the other.

use std::collections::BTreeSet;

use super::super::Policy;
use super::super::parameter::{Parameter, RouteRule};
use super::super::route::{Access, Requirement, Route};
use super::super::scope::{Grant, ScopeId, ScopeSet};

/// The most ways to meet a requirement that are looked at; beyond, two requirements count as different both ways.
const MOST_WAYS: usize = 4096;

/// Which way something went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// Some request passes that did not.
    pub loosened: bool,
    /// Some request that passed does not.
    pub tightened: bool,
}

impl Shift {
    const BOTH: Self = Self { loosened: true, tightened: true };

    /// Of something that is open before and after.
    pub(super) const fn of(before: bool, after: bool) -> Self {
        Self { loosened: after && !before, tightened: before && !after }
    }

    const fn or(self, other: Self) -> Self {
        Self { loosened: self.loosened || other.loosened, tightened: self.tightened || other.tightened }
    }

    const fn and(self, other: Self) -> Self {
        Self { loosened: self.loosened && other.loosened, tightened: self.tightened && other.tightened }
    }
}

/// A policy, and its route for the requests that are compared.
pub(super) struct Side<'p> {
    pub(super) policy: &'p Policy,
    pub(super) route: Option<&'p Route>,
}

/// What changed, and which way.
#[derive(Default)]
pub(super) struct Change {
    pub(super) shift: Shift,
    pub(super) what: Vec<String>,
}

impl Change {
    fn add(&mut self, shift: Shift, what: impl FnOnce() -> String) {
        if shift != Shift::default() {
            self.shift = self.shift.or(shift);
            self.what.push(what());
        }
    }
}

/// Holds two routes against each other.
pub(super) fn compare(old: &Side<'_>, new: &Side<'_>) -> Change {
    let mut change = Change::default();
    let (before, after) = (old.access(), new.access());
    let open_to = |accesses: &[Access]| Shift::of(accesses.contains(&before), accesses.contains(&after));
    let auth = open_to(&[Access::Anyone]).or(open_to(&[Access::Anyone, Access::PublicKey]));
    let needs = (old.needs(), new.needs());
    let scopes = shift((old.policy, needs.0.as_ref()), (new.policy, needs.1.as_ref()));
    if before == after {
        change.add(scopes, || "scopes".to_owned());
    } else {
        change.add(auth.or(scopes), || format!("{} is {} now", word(before), word(after)));
    }
    // Where anyone may call on one side, nothing else is looked at there, and it went the way that `auth` went.
    if let (Some(old_needs), Some(new_needs)) = &needs
        && ![before, after].contains(&Access::Anyone)
    {
        members((old, old_needs), (new, new_needs), &mut change);
        bindings(old, new, &mut change);
        let slash = |side: &Side<'_>| side.route.is_some_and(|route| route.encoded_slash);
        change.add(Shift::of(slash(old), slash(new)), || "encoded_slash".to_owned());
    }
    if needs.0.is_some() && needs.1.is_some() {
        let upgrade = |side: &Side<'_>| side.route.is_some_and(|route| route.upgrade.is_some());
        change.add(Shift::of(upgrade(old), upgrade(new)), || "upgrade".to_owned());
    }
    change
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Anyone => "auth: anyone",
        Access::Deny => "denied",
        Access::Key => "auth: key",
        Access::PublicKey => "auth: public-key",
        Access::Scopes => "for scopes",
    }
}

impl<'p> Side<'p> {
    fn access(&self) -> Access {
        self.route.map_or(Access::Deny, |route| route.access)
    }

    /// What a secret key must hold; `None` where none may.
    fn needs(&self) -> Option<Requirement> {
        let route = self.route?;
        match route.access {
            Access::Anyone | Access::Key | Access::Scopes => Some(route.requirement.clone()),
            Access::Deny | Access::PublicKey => None,
        }
    }

    /// The ruled parameter of this name, and the route's rule for it; `None` where it passes untouched.
    fn ruled(&self, name: &str) -> Option<(&'p Parameter, Option<&'p RouteRule>)> {
        let (at, parameter) = self.policy.parameters.find(name)?;
        Some((parameter, self.route?.rule(at)))
    }

    /// What a member asks for; `None` where it is denied.
    fn asks(&self, name: &str, member: &str) -> Option<ScopeSet> {
        match self.ruled(name) {
            None => Some(ScopeSet::new()),
            Some((parameter, rule)) if member != "*" => rule?.scopes(member.as_bytes(), parameter.dotted),
            Some((_, rule)) => rule?.rest_scopes(),
        }
    }
}

/// Which way a need of secret keys went. Levels are looked at too: what they stand for is the policy's to say.
fn shift((old, before): (&Policy, Option<&Requirement>), (new, after): (&Policy, Option<&Requirement>)) -> Shift {
    let (Some(before), Some(after)) = (before, after) else {
        return Shift::of(before.is_some(), after.is_some());
    };
    let lists =
        Shift { loosened: !entails((new, after), (old, before)), tightened: !entails((old, before), (new, after)) };
    let reads = |policy: &Policy, needs: &Requirement| meets(policy, needs, policy.known.expand(&Grant::ReadOnly));
    lists.or(Shift::of(reads(old, before), reads(new, after)))
}

/// Whether every list of scopes that meets the one requirement meets the other.
fn entails((policy, premise): (&Policy, &Requirement), (other, conclusion): (&Policy, &Requirement)) -> bool {
    let mut ways = MOST_WAYS;
    let mut holds = |needed: &ScopeSet| {
        let needed: Vec<ScopeId> = needed.iter().collect();
        every_way(policy, (&needed, &ScopeSet::new()), &mut ways, &|held| meets(other, conclusion, held))
    };
    if premise.any_of.is_empty() {
        return holds(&premise.all_of);
    }
    premise.any_of.iter().all(|alternative| holds(&premise.all_of.union(alternative)))
}

/// Whether `look` holds for every least list of scopes by which all of `needed` are held: each scope itself, or one that
/// implies it.
fn every_way(
    policy: &Policy,
    (needed, held): (&[ScopeId], &ScopeSet),
    ways: &mut usize,
    look: &dyn Fn(&ScopeSet) -> bool,
) -> bool {
    let Some((first, rest)) = needed.split_first() else {
        *ways = ways.saturating_sub(1);
        return *ways > 0 && look(held);
    };
    let mut choices = policy.known.satisfying(*first);
    choices.insert(*first);
    choices.iter().all(|choice| every_way(policy, (rest, &held.union(&ScopeSet::from_iter([choice]))), ways, look))
}

fn meets(policy: &Policy, needs: &Requirement, scopes: &ScopeSet) -> bool {
    let held = policy.known.holding(scopes);
    let mut alternatives = needs.any_of.iter();
    held.has_all(&needs.all_of)
        && (needs.any_of.is_empty() || alternatives.any(|alternative| held.has_all(alternative)))
}

/// Members of ruled parameters, with the needs of the routes themselves.
fn members((old, before): (&Side<'_>, &Requirement), (new, after): (&Side<'_>, &Requirement), change: &mut Change) {
    let names: BTreeSet<&str> = old.policy.parameters.names().chain(new.policy.parameters.names()).collect();
    for name in names {
        let sides = [old.ruled(name), new.ruled(name)];
        if let [Some((one, Some(_))), Some((other, Some(_)))] = &sides
            && (one.list, one.dotted) != (other.list, other.dotted)
        {
            change.add(Shift::BOTH, || format!("how {name} is read"));
        }
        let rules = sides.iter().flatten().filter_map(|(_, rule)| *rule);
        let mut all: BTreeSet<String> = rules
            .flat_map(|rule| rule.members())
            .map(|(member, _)| String::from_utf8_lossy(member).into_owned())
            .collect();
        all.insert("*".to_owned());
        for member in all {
            let asked = (old.asks(name, &member), new.asks(name, &member));
            let alone = shift(
                (old.policy, asked.0.clone().map(only).as_ref()),
                (new.policy, asked.1.clone().map(only).as_ref()),
            );
            // What the route asks for anyway changes nothing.
            let beside = |scopes: Option<ScopeSet>, needs: &Requirement| {
                let with = |scopes: ScopeSet| Requirement { all_of: needs.all_of.union(&scopes), ..needs.clone() };
                scopes.map(with)
            };
            let (before, after) = (beside(asked.0, before), beside(asked.1, after));
            let together = shift((old.policy, before.as_ref()), (new.policy, after.as_ref()));
            change.add(alone.and(together), || match member.as_str() {
                "*" => format!("{name}, any other member"),
                member => format!("{name}={member}"),
            });
        }
    }
}

fn only(scopes: ScopeSet) -> Requirement {
    Requirement { all_of: scopes, any_of: Box::default() }
}

/// How keys that are bound by an attribute, and keys that are not, meet a route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// This segment of the path must be the key's.
    At(usize),
    /// Nothing is compared.
    Free,
    /// Keys that have the attribute are refused.
    Refused,
}

fn bindings(old: &Side<'_>, new: &Side<'_>, change: &mut Change) {
    let attributes = |side: &Side<'_>| -> Vec<String> {
        side.policy.bindings.iter().map(|binding| binding.attribute.to_string()).collect()
    };
    let all: BTreeSet<String> = attributes(old).into_iter().chain(attributes(new)).collect();
    for attribute in all {
        let shift = match (bound(old, &attribute), bound(new, &attribute)) {
            (before, after) if before == after => continue,
            (Bound::Free, _) => Shift::of(true, false),
            (_, Bound::Free) => Shift::of(false, true),
            _ => Shift::BOTH,
        };
        change.add(shift, || format!("bind {attribute}"));
    }
}

fn bound(side: &Side<'_>, attribute: &str) -> Bound {
    let binding = side.policy.bindings.iter().find(|binding| &*binding.attribute == attribute);
    let (Some(binding), Some(route)) = (binding, side.route) else { return Bound::Free };
    match route.parameters.iter().find(|(_, name)| *name == binding.parameter) {
        Some((at, _)) => Bound::At(*at),
        None if route.unbound.contains(&binding.attribute) => Bound::Free,
        None => Bound::Refused,
    }
}
