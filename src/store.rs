//! Stores: where key records live, and how a running gateway learns of every change.
//!
//! FLOOR 1. A [`KeyStore`] is the record of the truth; every change of it gets a [`Revision`]. A gateway mirrors all of
//! it in an [`index::Index`], fed by a [`follow::Follower`], and asks no store on any request. A change is persisted
//! first, then published: what was acknowledged survives a crash, and what is in memory was acknowledged.

pub mod audit;
mod cause;
mod error;
pub mod file;
pub mod follow;
pub mod index;
mod location;
pub mod postgres;
pub mod reach;
mod record;
pub mod spare;
pub mod sqlite;
pub mod uses;
mod warning;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::key::account::{AccountRecord, AccountTransition, Affiliation, NewAccount};
use crate::key::lifecycle::{Fresh, Transition};
use crate::key::{KeyId, KeyRecord, Timestamp};

use uses::{KeyUse, ValueUse};

pub use cause::Cause;
pub use error::StoreError;
pub use location::{Location, OpenMode, open, probe};
pub use warning::{Outside, StoreWarning, User};

/// The number of a change. A store gives them out in order, starting at 1, and never twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// Before every change.
    pub const START: Self = Self(0);
}

impl fmt::Display for Revision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A record as it was left by a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The last change of this record, or of the accounts that it hangs on.
    pub revision: Revision,
    /// The record after it.
    pub record: KeyRecord,
    /// What it has of its account; `None` where that is no more than the name.
    pub account: Option<Arc<Affiliation>>,
}

impl Change {
    /// A change of a record that has nothing of its account.
    pub const fn of(revision: Revision, record: KeyRecord) -> Self {
        Self { revision, record, account: None }
    }
}

/// What a load has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Everything up to this revision was told.
    pub revision: Revision,
    /// Whether what was told replaces what was known.
    pub extent: Extent,
}

/// How far a load goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// As [`Everything`](Self::Everything), because the store has another past than the one that was told: a backup was put
    /// back. What came after the backup is gone.
    AnotherPast,
    /// Every record that changed; the others are as before.
    Changes,
    /// Every record there is, all with the revision of the load; a record that was not told is gone.
    Everything,
}

/// Who makes a change, and when: what the audit will say.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Who, and by which way: `cli:alice`, `demo`.
    pub by: &'a str,
    /// When.
    pub at: Timestamp,
}

/// What became of a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The record now.
    pub record: KeyRecord,
    /// The change that was made; `None` where the key was in that state already.
    pub revision: Option<Revision>,
}

/// What became of a transition of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountOutcome {
    /// The account now.
    pub account: AccountRecord,
    /// The change that was made; `None` where the account was in that state already.
    pub revision: Option<Revision>,
}

/// By which way keys come into a store: what the audit will say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// They were made.
    Created,
    /// They are taken over from elsewhere.
    Imported(Strangers),
}

impl Provenance {
    /// The word for it in the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "create",
            Self::Imported(_) => "import",
        }
    }

    /// What becomes of accounts that are not there.
    pub const fn strangers(self) -> Strangers {
        match self {
            Self::Created => Strangers::Refused,
            Self::Imported(strangers) => strangers,
        }
    }
}

/// What becomes of accounts that new keys name and that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strangers {
    /// They are made, with their ids for names.
    Made,
    /// No key is added.
    Refused,
}

/// A gateway that follows a store, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// What tells this run of it from every other.
    pub id: Box<str>,
    /// The name of its machine or pod.
    pub name: Box<str>,
    /// Its index holds everything up to this change.
    pub revision: Revision,
    /// How long ago it said so.
    pub silent_for: Duration,
    /// How long it goes on with the keys that it knows while it cannot reach the store; `None`: for as long as it runs.
    pub goes_on_for: Option<Duration>,
    /// Why it does not follow the store as it is, though it can reach it.
    pub refuses: Option<Box<str>>,
}

impl Gateway {
    /// Why one refuses a store that it would go on with when it is started anew.
    pub const ANOTHER_PAST: &'static str = "another past";

    /// Whether its index holds a change of a store that has come to another one. A number from beyond that is of another past.
    pub fn holds(&self, revision: Revision, head: Revision) -> bool {
        self.refuses.is_none() && (revision..=head).contains(&self.revision)
    }
}

/// What a gateway is called in a store, for whoever reads who has not confirmed and looks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Badge {
    /// What tells this run of it from every other.
    pub id: Box<str>,
    /// The name of its machine or pod.
    pub name: Box<str>,
}

/// The gateways that follow a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The last change of the store.
    pub revision: Revision,
    /// Every gateway that has said how far it has come, by name.
    pub gateways: Vec<Gateway>,
}

/// A record of keys. One value is one connection; the same store may be open many times, in many processes.
pub trait KeyStore: Send {
    /// Where it is, as `keys.store` says it. Holds no credential.
    fn place(&self) -> String;

    /// What may be unsafe about it, though it can be used.
    fn warnings(&self) -> Vec<StoreWarning>;

    /// Whether something may have changed since the last call, through another connection. Cheap: it is called whenever
    /// [`wait`](Self::wait) ends, with a file 20 times a second. Where a copy of the store was put in its place, goes on with
    /// that one.
    ///
    /// # Errors
    /// The store is away, broken, or another one stands in its place.
    fn refresh(&mut self) -> Result<bool, StoreError>;

    /// Tells every record that changed after `since`, each once and as one moment saw them all, and with every value that it
    /// ever had: what is not told of an old value, no index can end. Where the store does not have the change that it told
    /// as `since`, or last where that is [`Revision::START`], it tells everything, or refuses to.
    ///
    /// # Errors
    /// The store is away or broken. What was told until then may be of a moment that never comes to be: the next load need not
    /// contradict it.
    fn load(&mut self, since: Revision, tell: &mut dyn FnMut(Change)) -> Result<Loaded, StoreError>;

    /// What could not be read by the loads since the last call, in words, each told once: nobody is let in by it, and all else was
    /// told.
    fn unreadable(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// About how many values of keys a load of everything tells, for whoever makes room for them all at once; 0 where that
    /// cannot be told at once, or need not be as there are few.
    ///
    /// # Errors
    /// The store is away or broken.
    fn estimate(&mut self) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// Where the last load ended, in words that the store itself reads, in another process too; they hold no credential. `None`
    /// where it can be followed from nowhere but the beginning.
    fn bookmark(&self) -> Option<Vec<u8>> {
        None
    }

    /// Goes on from a bookmark as if this connection had told everything up to it. What is told from then on comes after the
    /// revision that is returned; where the store has another past than the bookmark, a load tells so. `None` where it is no
    /// bookmark of this store, and nothing has changed then.
    ///
    /// # Errors
    /// The store is away or broken.
    fn resume(&mut self, _bookmark: &[u8]) -> Result<Option<Revision>, StoreError> {
        Ok(None)
    }

    /// Adds records of keys that had no other value yet, all or none. They are on disk when this returns.
    ///
    /// # Errors
    /// An id that is there already, or a value that a key has or ever had; an account that is not there, or that has a public
    /// key already; a store that cannot be written.
    fn create(&mut self, records: &[KeyRecord], stamp: Stamp<'_>) -> Result<Revision, StoreError> {
        self.add(records, Provenance::Created, stamp)
    }

    /// The same, with a say about where they come from and about accounts that are not there.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    fn add(&mut self, records: &[KeyRecord], provenance: Provenance, stamp: Stamp<'_>) -> Result<Revision, StoreError>;

    /// Takes a key through a transition. It is on disk when this returns.
    ///
    /// # Errors
    /// No such key; a transition that cannot be; a store that cannot be written.
    fn change(&mut self, id: &KeyId, transition: &Transition, stamp: Stamp<'_>) -> Result<Outcome, StoreError>;

    /// Adds a key that may do what another may, by [`lifecycle::clone_key`](crate::key::lifecycle::clone_key): nothing
    /// happens to the other between the look at it and this. The clone is on disk when this returns.
    ///
    /// # Errors
    /// No such key; one that cannot be cloned; an id or a value that is there already; a store that cannot be written.
    fn clone_key(&mut self, of: &KeyId, fresh: Fresh, stamp: Stamp<'_>) -> Result<Outcome, StoreError>;

    /// The record of a key.
    ///
    /// # Errors
    /// The store is away or broken.
    fn find(&mut self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError>;

    /// Every record, the oldest first.
    ///
    /// # Errors
    /// The store is away or broken.
    fn list(&mut self) -> Result<Vec<KeyRecord>, StoreError>;

    /// Tells every entry of the audit after a number, in order and as one moment saw them all, whether they hold or not.
    ///
    /// # Errors
    /// The store is away or broken, or it has no audit.
    fn audit(&mut self, after: u64, tell: &mut dyn FnMut(audit::Entry)) -> Result<audit::Standing, StoreError>;

    /// Tells every entry of the audit as [`audit`](Self::audit), and holds every key and account against them, all as one moment
    /// saw them.
    ///
    /// # Errors
    /// The store is away or broken, or it has no audit.
    fn verify(&mut self, tell: &mut dyn FnMut(audit::Entry)) -> Result<audit::Standing, StoreError>;

    /// Whether it takes down how keys are used.
    fn records_use(&self) -> bool;

    /// Adds to the use of keys, all or nothing. It is no change of a key: no revision is given out, nothing is told. Values that
    /// no key of the store has or had are left out.
    ///
    /// # Errors
    /// A store that takes nothing down, or that cannot be written.
    fn add_uses(&mut self, uses: &[ValueUse]) -> Result<(), StoreError>;

    /// How a key was used, as far as is recorded. What was recorded of a key stays when it ends.
    ///
    /// # Errors
    /// The store is away or broken.
    fn use_of(&mut self, id: &KeyId) -> Result<KeyUse, StoreError>;

    /// Every account, those that are deleted too, by id.
    ///
    /// # Errors
    /// The store is away or broken.
    fn accounts(&mut self) -> Result<Vec<AccountRecord>, StoreError>;

    /// Adds an account. It is on disk when this returns.
    ///
    /// # Errors
    /// An account that cannot be, or that is there already; a store that cannot be written.
    fn create_account(&mut self, new: NewAccount, stamp: Stamp<'_>) -> Result<AccountRecord, StoreError>;

    /// Takes an account through a transition. It is on disk when this returns.
    ///
    /// # Errors
    /// No such account; a transition that cannot be; a store that cannot be written.
    fn change_account(
        &mut self,
        id: &str,
        transition: AccountTransition,
        stamp: Stamp<'_>,
    ) -> Result<AccountOutcome, StoreError>;

    /// Waits until it is time to ask again whether anything changed, and tells whether to go on; not, where `stopped` says so.
    /// A store that fares well is asked as often as it likes, and at once where it tells of a change by itself.
    fn wait(&mut self, stopped: &Receiver<()>) -> bool {
        stopped.recv_timeout(follow::INTERVAL) == Err(RecvTimeoutError::Timeout)
    }

    /// Within what time a gateway that can reach the store knows of a change, all being well.
    fn delay(&self) -> Duration {
        4 * follow::INTERVAL
    }

    /// How long whoever follows it rests at most before it asks again, while it is in trouble.
    fn rest(&self) -> Duration {
        follow::REST
    }

    /// Says for everyone who asks that a gateway holds every change up to this one, and how long it goes on with what it knows
    /// where it cannot reach the store; `None`: for as long as it runs. Called often; a store that keeps no list
    /// of gateways has nothing to do. Gives what the gateway is called there, the first time that it is said.
    ///
    /// # Errors
    /// It may not be said, which is told once; the store is away.
    fn confirm(&mut self, revision: Revision, goes_on_for: Option<Duration>) -> Result<Option<Badge>, StoreError> {
        let _ = (revision, goes_on_for);
        Ok(None)
    }

    /// Says for everyone who asks that a gateway, which held every change up to this one, does not follow the store as it is, and
    /// how long it goes on with what it knows from now on. Where that cannot be said, nothing is. Gives what
    /// [`confirm`](Self::confirm) does.
    fn decline(&mut self, why: &'static str, revision: Revision, goes_on_for: Option<Duration>) -> Option<Badge> {
        let _ = (why, revision, goes_on_for);
        None
    }

    /// Every gateway that has said how far it has come, and has not said that it ends; `None` where the store keeps no list.
    ///
    /// # Errors
    /// The store is away.
    fn gateways(&mut self) -> Result<Option<Fleet>, StoreError> {
        Ok(None)
    }

    /// How long a call may wait for another process that is writing.
    ///
    /// # Errors
    /// The store is broken.
    fn set_patience(&mut self, patience: Duration) -> Result<(), StoreError>;

    /// Waits no longer than that for any answer from now on: the process ends.
    fn hurry(&mut self, _longest: Duration) {}
}

#[cfg(test)]
mod tests;
