//! Rows that cannot be read, though they are there. Nobody is let in by what one says, and everybody else's keys go on: whoever may
//! write one row must not keep a fleet from taking in what others revoke.

use std::collections::HashSet;
use std::mem;

use crate::store::Change;

/// Of so many no more is told.
const MOST: usize = 100;

/// What was found, told once each.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    fresh: Vec<String>,
    known: HashSet<String>,
}

impl Unreadable {
    /// Notes one.
    pub(super) fn note(&mut self, what: String) {
        if self.known.len() < MOST && self.known.insert(what.clone()) {
            self.fresh.push(what);
        }
    }

    /// Those that were not told yet.
    pub(super) fn take(&mut self) -> Vec<String> {
        mem::take(&mut self.fresh)
    }
}

/// Whoever is told what a load finds.
pub(super) struct Ear<'e> {
    pub(super) tell: &'e mut dyn FnMut(Change),
    pub(super) unreadable: &'e mut Unreadable,
}
