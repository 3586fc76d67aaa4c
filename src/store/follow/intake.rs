//! What a load tells, on its way into the index.
//!
//! What a load told is the truth once its end has been answered, and not before: a server that is lost meanwhile may have told
//! of changes that no other has, and the one that takes over gives their numbers to others. An entry of such a change would
//! outrank the one that is true. So what is told waits, and is put in force when the load has ended: nothing of one that breaks
//! off ever is.
//!
//! Of a load that tells more than [`MOST`] entries, up to a million keys, no second copy is held. It spills over: what it tells is
//! put in force as it comes, but for what raises rights, which waits for the end all the same.
//!
//! INVARIANT: where a load breaks off that had spilled over, no value works that did not before, unless it is a new one; what ended
//! in it stays ended; and whatever it told is replaced, above all its numbers, by the next load, which tells everything, and what
//! that does not tell is gone. Until then no spare copy is written.
//!
//! As long as nothing was ever read to its end nobody is let in ([`Standing::Stale`](super::Standing::Stale)): then nothing
//! waits, and a load that breaks off is begun anew likewise.

use crate::key::digest::Digest;
use crate::store::index::{Entry, Index};
use crate::store::spare::Desk;
use crate::store::{Change, Revision};

/// How many entries of a load wait for its end. They are told within the time of a few questions.
pub(super) const MOST: usize = 4096;

/// A load that is under way.
pub(super) struct Intake<'i> {
    index: &'i Index,
    /// Whoever writes the spare copy.
    desk: Option<&'i Desk>,
    /// What is added to the numbers that are told.
    lift: u64,
    way: Way,
    /// What waits for the end, in the order in which it was told.
    held: Vec<(Digest, Entry)>,
    /// The highest number that was told.
    highest: Revision,
    keys: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Nobody is let in, whatever the index holds.
    Blind,
    /// Everything waits.
    Held,
    /// What raises rights waits.
    Spilled,
}

impl<'i> Intake<'i> {
    /// Into an index by which callers are let in.
    pub(super) fn new(index: &'i Index, lift: u64, desk: Option<&'i Desk>) -> Self {
        let (way, highest) = (Way::Held, Revision(lift));
        Self { index, desk, lift, way, held: Vec::new(), highest, keys: 0 }
    }

    /// The same, where nobody is let in yet.
    pub(super) fn blind(self) -> Self {
        Self { way: Way::Blind, ..self }
    }

    /// Takes what a load tells.
    pub(super) fn take(&mut self, change: Change) {
        let change = Change { revision: super::lifted(change.revision, self.lift), ..change };
        self.keys += 1;
        self.highest = self.highest.max(change.revision);
        match self.way {
            Way::Blind => self.index.apply(&change),
            Way::Held => {
                self.index.cast(&change, &mut self.held);
                if self.held.len() > MOST {
                    self.spill();
                }
            }
            Way::Spilled => {
                let mut cast = Vec::new();
                self.index.cast(&change, &mut cast);
                self.index.settle_but_raises(&mut cast);
                self.held.append(&mut cast);
            }
        }
    }

    fn spill(&mut self) {
        self.way = Way::Spilled;
        if let Some(desk) = self.desk {
            desk.withdraw();
        }
        self.index.settle_but_raises(&mut self.held);
    }

    /// The load has ended: all that it told is in force when this returns. Tells how many records those were.
    pub(super) fn end(self) -> usize {
        self.index.settle(self.held);
        self.keys
    }

    /// The load broke off: what waits is dropped. Where something is in the index by then, tells a number that nothing in it
    /// is above, if nothing of before is above `known`.
    pub(super) fn break_off(self, known: Revision) -> Option<Revision> {
        let is_touched = self.way != Way::Held && self.keys > 0;
        is_touched.then(|| self.highest.max(known))
    }
}
