//! The first load of a large store: one thread reads it, another takes in what was read.
//!
//! Either half takes about as long as the other. What was read goes over in batches, and comes back to be dropped where it was
//! made: an allocator is slow at what another thread frees.

use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::{mem, panic, thread};

use crate::store::index::Index;
use crate::store::{Change, KeyStore, Loaded, Revision, StoreError};

/// A store of fewer values is loaded before a second thread would be of use.
const MANY: usize = 10_000;
/// How many changes go over at once.
const BATCH: usize = 256;
/// How many batches may wait to be taken in.
const AHEAD: usize = 4;

/// Takes everything that a store has into an index that has nothing yet, and has nothing where the load does not come to its
/// end: what was told until then may never have been the truth, and a copy may be loaded instead.
pub(super) fn load(store: &mut dyn KeyStore, index: &Index) -> Result<Loaded, StoreError> {
    let estimate = store.estimate()?;
    index.reserve(estimate);
    let loaded = if estimate < MANY { None } else { load_by_two(store, index) };
    let loaded = loaded.unwrap_or_else(|| store.load(Revision::START, &mut |change| index.apply(&change)));
    loaded.inspect_err(|_| index.clear())
}

/// `None` where the system has no thread to spare.
fn load_by_two(store: &mut dyn KeyStore, index: &Index) -> Option<Result<Loaded, StoreError>> {
    let (full, batches) = mpsc::sync_channel(AHEAD);
    let (back, spent) = mpsc::channel();
    thread::scope(|scope| {
        let reader = thread::Builder::new().name("keys-read".into());
        let reader = reader.spawn_scoped(scope, move || read(store, &full, &spent)).ok()?;
        take_in(index, &batches, &back);
        Some(reader.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
    })
}

fn read(
    store: &mut dyn KeyStore,
    full: &SyncSender<Vec<Change>>,
    spent: &Receiver<Vec<Change>>,
) -> Result<Loaded, StoreError> {
    let mut batch = Vec::with_capacity(BATCH);
    let hand_over = |batch: Vec<Change>| {
        // The other end stays until this one is gone.
        let _ = full.send(batch);
    };
    let loaded = store.load(Revision::START, &mut |change| {
        batch.push(change);
        if batch.len() == BATCH {
            let mut next = spent.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH));
            next.clear();
            hand_over(mem::replace(&mut batch, next));
        }
    });
    hand_over(batch);
    loaded
}

fn take_in(index: &Index, batches: &Receiver<Vec<Change>>, back: &Sender<Vec<Change>>) {
    for batch in batches {
        batch.iter().for_each(|change| index.apply(change));
        // Whoever has read everything needs no room any more.
        let _ = back.send(batch);
    }
}

#[cfg(test)]
mod tests;
