//! What was handed over and is not written yet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::tally::{Table, Used};
use super::{Count, ValueUse};
use crate::key::digest::Digest;
use crate::policy::{ScopeId, Vocabulary};

/// The most records that are kept while the store is away: values, and scopes of values. Some 20 MiB.
const MOST: usize = 131_072;

/// The use of values, by digest.
#[derive(Debug, Default)]
pub(super) struct Pending {
    values: HashMap<Digest, Sum>,
    records: usize,
}

/// The use of one value.
#[derive(Debug)]
pub(super) struct Sum {
    count: Count,
    scopes: Vec<(ScopeId, Count)>,
}

impl Pending {
    /// Adds what a worker has counted; returns how many requests there was no room for.
    pub(super) fn take_in(&mut self, table: Table) -> u64 {
        table
            .values
            .into_iter()
            .map(|(digest, Used { count, scopes })| {
                let scopes = scopes.into_iter().map(|used| (used.scope, used.count)).collect();
                self.add(digest, Sum { count, scopes })
            })
            .sum()
    }

    /// Whether it is time to write, called for or not.
    pub(super) fn is_crowded(&self) -> bool {
        self.records >= MOST / 2
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many requests it has.
    pub(super) fn requests(&self) -> u64 {
        self.values.values().map(|sum| sum.count.requests()).sum()
    }

    /// Everything, in no order. Nothing is left.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Digest, Sum)> + use<> {
        std::mem::take(self).values.into_iter()
    }

    /// Adds the use of one value; returns how many requests there was no room for.
    pub(super) fn add(&mut self, digest: Digest, new: Sum) -> u64 {
        let sum = match self.values.entry(digest) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if self.records >= MOST => return new.count.requests(),
            Entry::Vacant(place) => {
                self.records += 1;
                place.insert(Sum { count: Count::NONE, scopes: Vec::with_capacity(new.scopes.len()) })
            }
        };
        sum.count.add(new.count);
        let mut lost = 0;
        for (scope, count) in new.scopes {
            match sum.scopes.binary_search_by_key(&scope, |(known, _)| *known) {
                Ok(at) => sum.scopes.get_mut(at).into_iter().for_each(|(_, known)| known.add(count)),
                Err(at) if self.records < MOST => {
                    self.records += 1;
                    sum.scopes.insert(at, (scope, count));
                }
                Err(_) => lost = count.requests().max(lost),
            }
        }
        lost
    }
}

impl Sum {
    /// The same in the words of a store.
    pub(super) fn named(&self, digest: Digest, vocabulary: &Vocabulary) -> ValueUse {
        let scopes = self.scopes.iter().map(|(scope, count)| (vocabulary.name(*scope).as_ref().into(), *count));
        ValueUse { digest, count: self.count, scopes: scopes.collect() }
    }
}
