//! The index that the request path reads: digest to key, all of it in memory, readers without a lock.
//!
//! INVARIANT: an entry only moves forward by revision. A load that read a key before it was revoked and comes to tell
//! of it afterwards changes nothing, because the entry of a revoked key stays, as its own tombstone. A record has an entry
//! for every value that it ever had, and a change of it replaces them all: the entry of a value that was rotated out stays,
//! with its end, and a revoke reaches it as it reaches the others.

mod end;
mod entry;
mod member;
mod name;
mod shared;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::entry::Entry;
use self::entry::{Mould, Pool};
pub use self::name::IdText;
use super::{Change, Revision};
use crate::key::digest::{Digest, Digests};
use crate::key::{KeyKind, Timestamp};
use crate::policy::scope::Vocabulary;

/// Every key of a store, by digest.
pub struct Index {
    entries: papaya::HashMap<Digest, Entry, Digests>,
    /// Held by whoever writes: read, compare and insert are then one step among writers. Readers never take it.
    writer: Mutex<Writer>,
    /// How often anything changed.
    changes: AtomicU64,
    vocabulary: Vocabulary,
}

struct Writer {
    /// What is older than this is known to be gone.
    floor: Revision,
    pool: Pool,
}

impl Index {
    /// An empty index. Scopes of keys get their ids from `vocabulary`, which the policies in force share.
    ///
    /// The first one of a process is best made before any other thread: how readers do without a lock is agreed upon with the
    /// system, which takes milliseconds, up to a few dozen, where other threads have to learn of it.
    pub fn new(vocabulary: Vocabulary) -> Self {
        Self {
            entries: papaya::HashMap::with_hasher(Digests::default()),
            writer: Mutex::new(Writer { floor: Revision::START, pool: Pool::default() }),
            changes: AtomicU64::new(0),
            vocabulary,
        }
    }

    /// What scopes of keys get their ids from.
    pub const fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Shows `look` the entry of a key. Nothing is locked, cloned or allocated. `look` must be short and not block:
    /// memory of replaced entries is given back only after it.
    pub fn look_up<R>(&self, digest: &Digest, look: impl FnOnce(Option<&Entry>) -> R) -> R {
        look(self.entries.pin().get(digest))
    }

    /// Makes room for so many values more, so that they come in without the table growing time and again: each growth leaves a
    /// table behind.
    pub fn reserve(&self, values: usize) {
        self.entries.pin().reserve(values);
    }

    /// Takes a change in, for every value of its record, unless a later one of the same key, or of all, is in force.
    pub fn apply(&self, change: &Change) {
        let mut writer = self.lock();
        if change.revision < writer.floor {
            return;
        }
        let entries = self.entries.pin();
        let mould = Mould::new(change, &self.vocabulary, &mut writer.pool);
        let mut is_news = false;
        // The value that a key has now comes first: at no moment does a reader find a rotated key without one that works.
        for value in change.record.values() {
            is_news |= put(&entries, value.digest, mould.cast(value));
        }
        self.tell_of(is_news);
    }

    /// Adds the entries of a change to others that are not in force yet.
    pub(super) fn cast(&self, change: &Change, cast: &mut Vec<(Digest, Entry)>) {
        let mould = Mould::new(change, &self.vocabulary, &mut self.lock().pool);
        cast.extend(change.record.values().map(|value| (value.digest, mould.cast(value))));
    }

    /// Puts entries in force as [`apply`](Self::apply) does, in their order.
    pub(super) fn settle(&self, cast: Vec<(Digest, Entry)>) {
        let writer = self.lock();
        let entries = self.entries.pin();
        let mut is_news = false;
        for (digest, entry) in cast.into_iter().filter(|(_, entry)| entry.revision() >= writer.floor) {
            is_news |= put(&entries, digest, entry);
        }
        self.tell_of(is_news);
    }

    /// The same, but for those that let in what the entry in force does not: they are left.
    pub(super) fn settle_but_raises(&self, cast: &mut Vec<(Digest, Entry)>) {
        let writer = self.lock();
        let entries = self.entries.pin();
        let mut is_news = false;
        for (digest, entry) in
            cast.extract_if(.., |(digest, entry)| entries.get(digest).is_none_or(|known| !entry.outlives(known)))
        {
            is_news |= entry.revision() >= writer.floor && put(&entries, digest, entry);
        }
        self.tell_of(is_news);
    }

    /// Counts what was just changed. After the entries: whoever sees the count sees them.
    fn tell_of(&self, is_news: bool) {
        if is_news {
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// A number that is another one after any change. What was decided by a key holds until then, or until the key
    /// expires.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Says that what was decided by a key is to be decided anew, though no key has changed.
    pub fn announce(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Drops every entry older than `revision`, for good: for a store whose load told everything there is.
    pub fn forget_before(&self, revision: Revision) {
        let mut writer = self.lock();
        writer.floor = writer.floor.max(revision);
        self.entries.pin().retain(|_, entry| entry.revision() >= revision);
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Forgets everything, also what is known to be gone: of an index that nobody was let in by.
    pub(super) fn clear(&self) {
        self.lock().floor = Revision::START;
        self.entries.pin().clear();
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Tells of each key that works its kind, and since when it has the value that it has now, to the second. Looks at every
    /// entry: for figures, not for requests.
    pub fn tell_ages(&self, now: Timestamp, tell: &mut dyn FnMut(KeyKind, Timestamp)) {
        for (_, entry) in &self.entries.pin() {
            if let Some(minted) = entry.minted(now) {
                tell(entry.kind(), minted);
            }
        }
    }

    /// Tells all that it knows, a change for each value of a key that has no other value. An index that takes them in knows the
    /// same. What is changed meanwhile is told as it was or as it is.
    pub fn tell(&self, tell: &mut dyn FnMut(Change)) {
        for (digest, entry) in &self.entries.pin() {
            tell(entry.to_change(*digest));
        }
    }

    /// How many values of keys it has, those that do not work included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        // A writer that panicked left whole entries behind: each insert is one step.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts one entry in force unless one of the same revision, or a later one, is; tells whether it did.
fn put(
    entries: &papaya::HashMapRef<'_, Digest, Entry, Digests, papaya::LocalGuard<'_>>,
    digest: Digest,
    entry: Entry,
) -> bool {
    // Most are new, and their place in the table is looked for once.
    match entries.try_insert(digest, entry) {
        Ok(_) => true,
        Err(taken) if taken.current.revision() < taken.not_inserted.revision() => {
            entries.insert(digest, taken.not_inserted);
            true
        }
        Err(_) => false,
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Index({} keys)", self.len())
    }
}

#[cfg(test)]
mod tests;
