//! How many connections of callers there are, over all workers.
//!
//! One that is turned away is told so, which takes a moment, and takes no place from others meanwhile. Of these there may be
//! few: where there are more, they are closed without a word.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections that are served. Written when one opens or closes, never for a request.
static SERVED: AtomicUsize = AtomicUsize::new(0);

/// Connections that are being turned away.
static TURNED_AWAY: AtomicUsize = AtomicUsize::new(0);

/// How many connections may be told at once that they are turned away.
const MOST_TURNED_AWAY: usize = 256;

/// How many connections of callers are open.
pub(super) fn connections() -> usize {
    SERVED.load(Ordering::Relaxed) + TURNED_AWAY.load(Ordering::Relaxed)
}

/// Whether there is room for a connection among those of all workers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Room {
    Full,
    Free,
}

/// Counts a connection in its worker, and in the process once it is known what becomes of it, until it is dropped.
pub(super) struct Counted {
    /// Those of its worker.
    open: Rc<Cell<usize>>,
    among: Cell<Option<&'static AtomicUsize>>,
}

impl Counted {
    /// Counts one that was accepted.
    pub(super) fn new(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self { open: Rc::clone(open), among: Cell::new(None) }
    }

    /// Takes a place among `most`.
    pub(super) fn take_place(&self, most: usize) -> Room {
        if self.enter(&SERVED) >= most { Room::Full } else { Room::Free }
    }

    /// Leaves its place to others. False where so many are being turned away that this one cannot be told.
    pub(super) fn step_aside(&self) -> bool {
        self.enter(&TURNED_AWAY) < MOST_TURNED_AWAY
    }

    /// How many others there are among those that it is counted with from now on.
    fn enter(&self, among: &'static AtomicUsize) -> usize {
        let others = among.fetch_add(1, Ordering::Relaxed);
        self.leave(Some(among));
        others
    }

    fn leave(&self, for_others: Option<&'static AtomicUsize>) {
        if let Some(before) = self.among.replace(for_others) {
            before.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.leave(None);
    }
}
