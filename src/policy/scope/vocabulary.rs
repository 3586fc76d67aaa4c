//! The names behind scope ids.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::quality::RandomState;

use super::{ScopeId, ScopeSet};

/// Every scope name that this process has met, each with the id that stands for it. It only grows, so an id means the
/// same name under every policy that is compiled with it. A clone is a handle to the same vocabulary.
///
/// It is asked when policies and keys are loaded and when a decision is explained, never on the way of an allowed request.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    names: Arc<RwLock<Names>>,
}

#[derive(Debug, Default)]
struct Names {
    by_id: Vec<Arc<str>>,
    // foldhash is less work than SipHash; it is seeded, so that nobody chooses collisions, and its order is seen nowhere.
    by_name: HashMap<Arc<str>, ScopeId, RandomState>,
}

impl Vocabulary {
    /// A vocabulary without names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of `name`, given out now if it is new.
    #[must_use]
    pub fn intern(&self, name: &str) -> ScopeId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = names.by_name.get(name) {
            return *id;
        }
        #[expect(clippy::expect_used, reason = "four thousand million names do not fit in memory")]
        let id = ScopeId(u32::try_from(names.by_id.len()).expect("fewer scopes than u32 counts"));
        let name: Arc<str> = name.into();
        names.by_id.push(Arc::clone(&name));
        names.by_name.insert(name, id);
        id
    }

    /// The set of `names`, each given an id if it is new.
    #[must_use]
    pub fn intern_all<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> ScopeSet {
        let mut set = ScopeSet::new();
        let mut new = Vec::new();
        let known = self.names.read().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            match known.by_name.get(name) {
                Some(id) => drop(set.insert(*id)),
                None => new.push(name),
            }
        }
        drop(known);
        for name in new {
            set.insert(self.intern(name));
        }
        set
    }

    /// The id of `name`, if it has one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ScopeId> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name).copied()
    }

    /// The name of `id`; empty for an id of another vocabulary, which is a fault of the program.
    #[must_use]
    pub fn name(&self, id: ScopeId) -> Arc<str> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.by_id.get(id.0 as usize).map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// The names of a set, sorted.
    #[must_use]
    pub fn names(&self, set: &ScopeSet) -> Vec<String> {
        let mut names: Vec<String> = set.iter().map(|id| self.name(id).as_ref().to_owned()).collect();
        names.sort_unstable();
        names
    }
}
