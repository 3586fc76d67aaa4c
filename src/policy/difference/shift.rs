//! Which way a need went: who meets the one and not the other.

use super::super::Policy;
use super::super::route::Requirement;
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
    pub(super) const BOTH: Self = Self { loosened: true, tightened: true };

    /// Of something that is open before and after.
    pub(super) const fn of(before: bool, after: bool) -> Self {
        Self { loosened: after && !before, tightened: before && !after }
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self { loosened: self.loosened || other.loosened, tightened: self.tightened || other.tightened }
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self { loosened: self.loosened && other.loosened, tightened: self.tightened && other.tightened }
    }
}

/// Which way a need of secret keys went; `None` is what nobody meets. Levels are looked at too: what they stand for is the
/// policy's to say.
pub(super) fn shift(
    (old, before): (&Policy, Option<&Requirement>),
    (new, after): (&Policy, Option<&Requirement>),
) -> Shift {
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
