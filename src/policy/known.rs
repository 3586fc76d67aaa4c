//! The scopes that a policy knows, what the levels mean under it, and what implies what.

mod implications;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::nearest::nearest;
use super::principal::Principal;
use super::scope::{Grant, ScopeId, ScopeSet, Vocabulary};
use implications::Implications;

/// What a policy says about a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeInfo {
    /// For people who choose scopes.
    pub description: Option<String>,
    /// Declared `access: read`: keys with the grant `read-only` hold it, whatever its name ends in.
    pub access_read: bool,
    /// Scopes that a key with this one holds too, and so on from there.
    pub implies: Vec<String>,
    /// The line that declares it; 0 where it is only named.
    pub line: u32,
}

/// The known scopes, compiled.
#[derive(Debug)]
pub(super) struct Known {
    infos: BTreeMap<String, ScopeInfo>,
    vocabulary: Vocabulary,
    /// The names that the policy knows, in the order of their ids: an answer has them without a lock.
    names: Box<[(ScopeId, Arc<str>)]>,
    full: ScopeSet,
    read_only: ScopeSet,
    /// For each scope that others imply, those others.
    satisfiers: HashMap<ScopeId, ScopeSet>,
    /// For each scope that implies others, itself and all that it implies, however far.
    held: HashMap<ScopeId, ScopeSet>,
}

impl Known {
    pub(super) fn new(infos: BTreeMap<String, ScopeInfo>, vocabulary: Vocabulary) -> Self {
        let ids: Vec<ScopeId> = infos.keys().map(|name| vocabulary.intern(name)).collect();
        let implications = Implications::of(&infos);
        let named = |sets: Vec<Option<ScopeSet>>| -> HashMap<ScopeId, ScopeSet> {
            ids.iter().zip(sets).filter_map(|(id, set)| Some((*id, set?))).collect()
        };
        let held = named(implications.reach(&ids));
        let mut satisfiers = named(implications.reversed().reach(&ids));
        for (id, others) in &mut satisfiers {
            *others = others.difference(&ScopeSet::from_iter([*id]));
        }
        satisfiers.retain(|_, others| !others.is_empty());
        let mut read_only = ScopeSet::new();
        for (id, (name, info)) in ids.iter().zip(&infos) {
            if info.access_read || name.ends_with(":read") {
                read_only.insert(*id);
                read_only = held.get(id).map_or_else(|| read_only.clone(), |held| read_only.union(held));
            }
        }
        let mut names: Box<[_]> = ids.iter().map(|id| (*id, vocabulary.name(*id))).collect();
        names.sort_unstable();
        Self { full: ids.into_iter().collect(), read_only, satisfiers, held, infos, vocabulary, names }
    }

    /// The set of those of `names` that are known.
    pub(super) fn set_of<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> ScopeSet {
        names.into_iter().filter(|name| self.contains(name)).filter_map(|name| self.vocabulary.find(name)).collect()
    }

    /// `name` and all that it implies, however far.
    pub(super) fn held_with(&self, name: &str) -> ScopeSet {
        let held = self.vocabulary.find(name).and_then(|id| self.held.get(&id));
        held.cloned().unwrap_or_else(|| self.set_of([name]))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &ScopeInfo)> {
        self.infos.iter().map(|(name, info)| (name.as_str(), info))
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.infos.contains_key(name)
    }

    pub(super) fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.infos.keys().map(String::as_str))
    }

    /// The names of a set, sorted.
    pub(super) fn names(&self, set: &ScopeSet) -> Vec<String> {
        self.vocabulary.names(set)
    }

    pub(super) fn name(&self, id: ScopeId) -> String {
        self.vocabulary.name(id).as_ref().to_owned()
    }

    /// The same without a copy, of a scope that the policy knows.
    fn known_name(&self, id: ScopeId) -> Cow<'_, str> {
        let place = self.names.binary_search_by_key(&id, |(id, _)| *id).ok();
        match place.and_then(|place| self.names.get(place)) {
            Some((_, name)) => Cow::Borrowed(name),
            None => Cow::Owned(self.name(id)),
        }
    }

    /// The scopes that a grant stands for under this policy, before implication.
    pub(super) fn expand<'a>(&'a self, grant: &'a Grant) -> &'a ScopeSet {
        match grant {
            Grant::Custom(scopes) => scopes,
            Grant::Full => &self.full,
            Grant::ReadOnly => &self.read_only,
        }
    }

    /// What `principal` holds; nothing where there is none.
    pub(super) fn held_by<'a>(&'a self, principal: Option<&'a Principal>) -> Held<'a> {
        Held { scopes: principal.map(|principal| self.expand(principal.grant())), known: self }
    }

    /// The other scopes that imply `scope`.
    pub(super) fn satisfying(&self, scope: ScopeId) -> ScopeSet {
        self.satisfiers.get(&scope).cloned().unwrap_or_default()
    }

    /// What whoever has `scopes` holds.
    pub(super) fn holding<'a>(&'a self, scopes: &'a ScopeSet) -> Held<'a> {
        Held { scopes: Some(scopes), known: self }
    }
}

/// A scope that is held by implication.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Implied {
    /// The scope.
    pub scope: String,
    /// The granted scope that brings it with it, the first by name where several do.
    pub by: String,
}

/// What a caller holds under a policy.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    scopes: Option<&'a ScopeSet>,
    known: &'a Known,
}

impl<'a> Held<'a> {
    /// The name of a scope, held or not.
    pub(super) fn name(&self, scope: ScopeId) -> Cow<'a, str> {
        self.known.known_name(scope)
    }

    /// Whether `scope` is held, itself or by one that implies it.
    pub(super) fn has(&self, scope: ScopeId) -> bool {
        self.scopes.is_some_and(|held| {
            held.contains(scope) || self.known.satisfiers.get(&scope).is_some_and(|others| others.intersects(held))
        })
    }

    /// Whether all of `scopes` are held.
    pub(super) fn has_all(&self, scopes: &ScopeSet) -> bool {
        let Some(held) = self.scopes else { return scopes.is_empty() };
        scopes.is_subset(held) || self.may_imply() && scopes.iter().all(|scope| self.has(scope))
    }

    /// Whether one of `scopes` is held.
    pub(super) fn has_any(&self, scopes: &ScopeSet) -> bool {
        let Some(held) = self.scopes else { return false };
        scopes.intersects(held) || self.may_imply() && scopes.iter().any(|scope| self.has(scope))
    }

    /// Whether anything is held by implication under this policy.
    fn may_imply(&self) -> bool {
        !self.known.satisfiers.is_empty()
    }

    /// Those of `scopes` that are not held.
    pub(super) fn lacking(&self, scopes: &ScopeSet) -> ScopeSet {
        scopes.iter().filter(|scope| !self.has(*scope)).collect()
    }

    /// The names of what is held, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        self.scopes.map_or_else(Vec::new, |scopes| self.known.names(scopes))
    }

    /// What is held by implication alone, sorted.
    pub(super) fn implied(&self) -> Vec<Implied> {
        let Some(held) = self.scopes else { return Vec::new() };
        let satisfiers = self.known.satisfiers.iter().filter(|(scope, _)| !held.contains(**scope));
        let implied = satisfiers.filter_map(|(scope, others)| {
            let by = others.iter().filter(|other| held.contains(*other)).map(|other| self.known.name(other)).min()?;
            Some(Implied { scope: self.known.name(*scope), by })
        });
        let mut implied: Vec<Implied> = implied.collect();
        implied.sort_unstable();
        implied
    }
}
