//! What one worker counts between two rounds.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;

use smallvec::SmallVec;

use super::Count;
use super::link::Link;
use crate::key::Timestamp;
use crate::key::digest::{Digest, Digests};
use crate::policy::{Decision, ScopeId};

/// The most records of a table: values, and scopes of values. Some 4 MiB where all are values, and none to speak of where few
/// keys are used.
pub(super) const MOST: usize = 16_384;
/// From so many on a table is handed over without being called for.
const MANY: usize = MOST / 4 * 3;

/// The count of one worker, which its thread alone touches.
pub struct Tally {
    table: RefCell<Table>,
    link: Link,
    /// The round that the table was last handed over in.
    round: Cell<u64>,
}

impl Tally {
    pub(super) fn new(link: Link) -> Self {
        let round = Cell::new(link.round());
        Self { table: RefCell::default(), link, round }
    }

    /// Counts a request with a key in force: what was decided, and the scopes that the decision turned on. `digest` is that of
    /// the value that was presented.
    pub fn count(&self, digest: &Digest, decision: &Decision<'_>, at: Timestamp) {
        let mut table = self.table.borrow_mut();
        if table.records >= MANY {
            self.hand_over(&mut table);
        }
        if !table.count(digest, decision, at) {
            self.link.lose(1);
        }
    }

    /// Hands over what was counted, if a new round was called since it last was. For every tick of a worker.
    pub fn follow(&self) {
        let round = self.link.round();
        if self.round.get() != round && self.hand_over(&mut self.table.borrow_mut()) {
            self.round.set(round);
        }
    }

    /// Hands over what is left, however long it takes: for the end of a worker.
    pub fn finish(&self) {
        let table = self.table.take();
        if table.records > 0 {
            self.link.send_and_wait(table);
        }
    }

    /// True when nothing is left. Where the recorder has no room the table stays, and what does not fit is lost.
    fn hand_over(&self, table: &mut Table) -> bool {
        if table.records == 0 {
            return true;
        }
        // As many values again will be used: the room for them is made here, and not by requests.
        let room = Table::with_room(table.values.len());
        match self.link.send(std::mem::replace(table, room)) {
            Ok(()) => true,
            Err(back) => {
                *table = back;
                false
            }
        }
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tally").finish_non_exhaustive()
    }
}

/// The use of values, by digest.
#[derive(Default)]
pub(super) struct Table {
    pub(super) values: HashMap<Digest, Used, Digests>,
    /// How many values and scopes of values there are.
    records: usize,
    /// The number of the request that is being counted.
    request: u64,
}

/// The use of one value.
pub(super) struct Used {
    pub(super) count: Count,
    /// In order.
    pub(super) scopes: SmallVec<[UsedScope; 1]>,
}

/// The use of one scope by one value.
#[derive(Clone, Copy)]
pub(super) struct UsedScope {
    pub(super) scope: ScopeId,
    /// The request that it was last counted for: a request that needs it twice is one request.
    seen: u64,
    pub(super) count: Count,
}

impl Table {
    fn with_room(values: usize) -> Self {
        Self { values: HashMap::with_capacity_and_hasher(values, Digests::default()), ..Self::default() }
    }

    /// How many requests were counted, with those that there was no room for.
    pub(super) const fn requests(&self) -> u64 {
        self.request
    }

    /// False where there was no room for all of it.
    pub(super) fn count(&mut self, digest: &Digest, decision: &Decision<'_>, at: Timestamp) -> bool {
        let allowed = decision.is_allow();
        let one = Count { allowed: u64::from(allowed), denied: u64::from(!allowed), last: at };
        self.request += 1;
        let (request, records) = (self.request, &mut self.records);
        let used = match self.values.get_mut(digest) {
            Some(used) => used,
            None if *records < MOST => {
                *records += 1;
                self.values.entry(*digest).or_insert(Used { count: Count::NONE, scopes: SmallVec::new() })
            }
            None => return false,
        };
        used.count.add(one);
        let mut fits = true;
        decision.tell_scopes(&mut |scope| match used.scopes.binary_search_by_key(&scope, |known| known.scope) {
            Ok(at) => used.scopes.get_mut(at).filter(|known| known.seen != request).into_iter().for_each(|known| {
                known.seen = request;
                known.count.add(one);
            }),
            Err(at) if *records < MOST => {
                *records += 1;
                used.scopes.insert(at, UsedScope { scope, seen: request, count: one });
            }
            Err(_) => fits = false,
        });
        fits
    }
}
