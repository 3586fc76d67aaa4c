//! How many requests wait for the upstream at once, and how many of them may be tried again.

use std::cell::Cell;
use std::rc::Rc;

/// Retries that may be made before requests have earned any.
const BUDGET_START: f32 = 3.0;
/// The most that can be saved up.
const BUDGET_MOST: f32 = 20.0;

/// Counts the requests of one worker, over all servers and generations.
pub(crate) struct Gate {
    /// Requests that wait for a connection or for the head of their answer.
    pending: Cell<usize>,
    /// What is left to spend on retries of requests that failed, whosesoever they are; each request earns a part of one.
    budget: Cell<f32>,
}

/// Counts a request as pending until it is dropped.
pub(crate) struct Pending(Rc<Gate>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.set(self.0.pending.get().saturating_sub(1));
    }
}

impl Gate {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { pending: Cell::new(0), budget: Cell::new(BUDGET_START) })
    }

    /// Enters a request; `None` when `most` requests wait already.
    pub(crate) fn enter(self: &Rc<Self>, most: usize, earned: f32) -> Option<Pending> {
        if self.pending.get() >= most {
            return None;
        }
        self.budget.set((self.budget.get() + earned).min(BUDGET_MOST));
        Some(self.count())
    }

    /// Counts a request as pending that was let in before.
    pub(crate) fn count(self: &Rc<Self>) -> Pending {
        self.pending.set(self.pending.get() + 1);
        Pending(Rc::clone(self))
    }

    /// Spends one retry, if there is one to spend. Where no request earns any there is none, whatever was earned before.
    pub(crate) fn spend_retry(&self, earned: f32) -> bool {
        let left = self.budget.get() - 1.0;
        let may = earned > 0.0 && left >= 0.0;
        if may {
            self.budget.set(left);
        }
        may
    }
}
