//! The store of a fleet: a schema `scopegate` in a PostgreSQL database, shared by gateways and the command line.
//!
//! # Why nothing is lost
//!
//! A gateway asks for what came after the last change that it knows. That is right only where changes become visible in the
//! order of their numbers, which a sequence does not give: of two transactions the one with the higher number may commit first,
//! and whoever looks in between never sees the other. Here every change first locks the one row of `scopegate.head`, takes its
//! number from it, and holds it until it has committed:
//!
//! 1. A transaction gets number N only once the row is its own, so once the one with N - 1 has committed (or gone, and
//!    left the number to it).
//! 2. PostgreSQL makes a commit visible before it gives up the transaction's locks. So N - 1 is visible before N is even given out,
//!    to every snapshot that is taken from then on; whoever sees the head at N sees every change up to N.
//! 3. A load is one `REPEATABLE READ` transaction, so the head and the rows that it reads are of one snapshot. A replica
//!    applies commits in the order of the primary's log, in which N - 1 stands before N.
//!
//! So "every row changed after R, up to the head" is whole, whoever commits when. The same lock makes the chain of the audit
//! one chain, and a look before a write (is this value taken?) the truth until the commit.
//!
//! # What wakes a gateway
//!
//! `NOTIFY`, sent by a trigger with the commit, is only a wake-up: nothing depends on it. Every second the head is read anyway,
//! which is one row, and works through a pooler in transaction mode and on a replica, where there is no `LISTEN`. Whoever
//! may connect may send notifications: one that brought nothing makes the next a question for the head and no load, and
//! there is a floor under the time between two. No statement leaves anything behind on the server that others depend on
//! (prepared statements, settings, session locks), so that a pooler may give each transaction to another connection. `LISTEN`
//! alone stays on the connection that a pooler gave it to, for nobody.
//!
//! # Another past
//!
//! A gateway keeps the random id of the store and the hash of the last change that it has taken in, which follows from every
//! change before it. Both are read with the head: another past may have come to the same number. A database that does not
//! have them was emptied, restored or replaced: a key that was revoked may work there. It is refused, and what is in memory
//! stays in force, until a restart decides; its row in the list of gateways says so meanwhile. A replica that is behind is no other past, and is waited for.

mod accounts;
mod audit;
mod change;
mod dial;
mod error;
mod fault;
mod fleet;
mod former;
mod link;
mod load;
mod news;
mod outside;
mod pooler;
mod rights;
mod row;
mod schema;
mod tls;
mod unreadable;
mod uses;
mod value;

use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use self::audit::Log;
use self::fault::{Fault, WRITING};
use self::fleet::{Mark, Membership, Word};
use self::link::{Begin, Link, Session};
use self::schema::Head;
use self::unreadable::{Ear, Unreadable};
use self::value::get;
use super::audit::{Entry, Seal, Standing, ToldAccounts, ToldKeys};
use super::uses::{KeyUse, ValueUse};
use super::{AccountOutcome, Badge, Change, Fleet, KeyStore, Loaded, OpenMode, Outcome, Revision, Stamp};
use super::{Provenance, StoreError, StoreWarning, follow};
use crate::database::Database;
use crate::key::account::{AccountRecord, AccountTransition, NewAccount};
use crate::key::lifecycle::{Fresh, Transition};
use crate::key::{KeyId, KeyRecord};

pub use error::DatabaseError;
pub use outside::{probe, warnings_of};

/// How often the head is read by a gateway that is told nothing.
const POLL: Duration = Duration::from_secs(1);
/// How long it is at least between two loads, or a load and a look at the head, that notifications bring about.
const GAP: Duration = Duration::from_millis(5);
/// How long a call waits for another process that is writing, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a change begins with: the one row that everyone who writes takes first. What was committed is on disk, whatever the
/// database is set to.
const TAKE_HEAD: &str = "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'; \
    SELECT FROM scopegate.head FOR UPDATE";

/// One connection to a store in PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    database: Database,
    link: Link,
    /// The store that was opened first, so that another one in its place is noticed.
    store: Box<[u8]>,
    seal: Seal,
    /// How often the head is read though nobody tells of a change.
    poll: Duration,
    /// What the head last said.
    seen: Option<Head>,
    /// Whether a notification came since then: nobody need look whether there is news.
    is_told: bool,
    /// Whether the last load found nothing: the next notification is believed once the head has moved.
    is_misled: bool,
    /// When the store was last asked for what changed.
    loaded: Option<Instant>,
    /// The revision that the last load came up to, and the hash of its change.
    told: Option<(Revision, Vec<u8>)>,
    unreadable: Unreadable,
    membership: Membership,
}

impl Postgres {
    /// Opens the store of a database; with [`OpenMode::Create`] makes it, or brings it up to date, where this user may.
    ///
    /// # Errors
    /// As [`open`](super::open).
    pub fn open(database: &Database, mode: OpenMode) -> Result<Self, StoreError> {
        let place = database.to_string();
        let opened = Link::new(database).and_then(|mut link| {
            let head = schema::bring_up(&mut link, &place, mode)?;
            let seal = link.with(schema::seal)?;
            Ok((link, head.store, seal))
        });
        let (link, store, seal) = opened.map_err(|fault| fault.of(database, "open"))?;
        let database = database.clone();
        Ok(Self {
            database,
            link,
            store,
            seal,
            poll: POLL,
            seen: None,
            is_told: false,
            is_misled: false,
            loaded: None,
            told: None,
            unreadable: Unreadable::default(),
            membership: Membership::default(),
        })
    }

    fn read<T>(&mut self, work: impl FnOnce(&Session<'_>) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.link.within(Begin::Read, work).map_err(|fault| fault.of(&self.database, "read"))
    }

    /// Works on the store as its one writer.
    fn write<T>(&mut self, work: impl FnOnce(&mut Log<'_, '_>) -> Result<T, Fault>) -> Result<T, StoreError> {
        let place = self.database.to_string();
        let written = self.link.within(Begin::Change(TAKE_HEAD), |session| {
            // A newer program may have brought the store up to date since it was opened.
            Head::read(session)?.refuse_other_versions(&place)?;
            work(&mut Log::open(session)?)
        });
        written.map_err(|fault| fault.of(&self.database, WRITING))
    }
}

impl KeyStore for Postgres {
    fn place(&self) -> String {
        self.database.to_string()
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        warnings_of(&self.database)
    }

    fn refresh(&mut self) -> Result<bool, StoreError> {
        if mem::take(&mut self.is_told) {
            // Whoever may connect may send notifications, as many as they like.
            std::thread::sleep(GAP.saturating_sub(self.loaded.map_or(GAP, |at| at.elapsed())));
            if !self.is_misled {
                return Ok(true);
            }
        }
        let head = self.link.with(Head::read).map_err(|fault| fault.of(&self.database, "read"))?;
        self.loaded = Some(Instant::now());
        let is_news = self.seen.as_ref() != Some(&head);
        self.seen = Some(head);
        Ok(is_news)
    }

    fn load(&mut self, since: Revision, tell: &mut dyn FnMut(Change)) -> Result<Loaded, StoreError> {
        let (place, store) = (self.database.to_string(), self.store.clone());
        // Whoever begins anew is told of another past, too.
        let told = self.told.clone().filter(|(revision, _)| *revision == since || since == Revision::START);
        let (known, told) = told.map_or((since, None), |(revision, hash)| (revision, Some(hash)));
        let mut unreadable = mem::take(&mut self.unreadable);
        let course = self.read(|session| {
            let course = load::plan(session, (&place, &store), known, told.as_deref())?;
            course.tell(session, since, &mut Ear { tell, unreadable: &mut unreadable }).map(|()| course)
        });
        self.unreadable = unreadable;
        let course = course?;
        self.is_misled = course.revision == since;
        self.loaded = Some(Instant::now());
        self.told = course.head.hash.as_ref().map(|hash| (course.revision, hash.to_vec()));
        self.seen = Some(course.head);
        Ok(Loaded { revision: course.revision, extent: course.extent })
    }

    fn unreadable(&mut self) -> Vec<String> {
        self.unreadable.take()
    }

    fn bookmark(&self) -> Option<Vec<u8>> {
        let (revision, hash) = self.told.as_ref()?;
        Some([&self.store[..], &revision.0.to_be_bytes(), hash].concat())
    }

    fn resume(&mut self, bookmark: &[u8]) -> Result<Option<Revision>, StoreError> {
        let Some((store, rest)) = bookmark.split_at_checked(self.store.len()) else { return Ok(None) };
        let Some((revision, hash)) = rest.split_first_chunk() else { return Ok(None) };
        if *store != *self.store {
            let seen = "is not the one that the copy of its keys was made of".to_owned();
            return Err(DatabaseError::AnotherPast { place: self.place(), seen }.into());
        }
        let revision = Revision(u64::from_be_bytes(*revision));
        self.told = Some((revision, hash.to_vec()));
        Ok(Some(revision))
    }

    fn estimate(&mut self) -> Result<usize, StoreError> {
        self.read(|session| {
            let Some(row) = session.query_one(row::COUNT, &[])? else { return Ok(0) };
            // What the database has no room for it has not.
            let most = get::<i64>(&row, 1)? / row::LEAST_BYTES;
            Ok(usize::try_from(get::<i64>(&row, 0)?.min(most)).unwrap_or(0))
        })
    }

    fn add(&mut self, records: &[KeyRecord], provenance: Provenance, stamp: Stamp<'_>) -> Result<Revision, StoreError> {
        let seal = self.seal.clone();
        self.write(|log| change::add(log, &seal, (records, provenance), stamp))
    }

    fn change(&mut self, id: &KeyId, transition: &Transition, stamp: Stamp<'_>) -> Result<Outcome, StoreError> {
        let seal = self.seal.clone();
        self.write(|log| change::change(log, &seal, (id, transition), stamp))
    }

    fn clone_key(&mut self, of: &KeyId, fresh: Fresh, stamp: Stamp<'_>) -> Result<Outcome, StoreError> {
        let seal = self.seal.clone();
        self.write(|log| change::clone_key(log, &seal, (of, fresh), stamp))
    }

    fn find(&mut self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.read(|session| load::one(session, id))
    }

    fn list(&mut self) -> Result<Vec<KeyRecord>, StoreError> {
        self.read(load::list)
    }

    fn audit(&mut self, after: u64, tell: &mut dyn FnMut(Entry)) -> Result<Standing, StoreError> {
        self.read(|session| Ok(Standing { given: audit::read(session, after, tell)?, ..Standing::default() }))
    }

    fn verify(&mut self, tell: &mut dyn FnMut(Entry)) -> Result<Standing, StoreError> {
        let (mut accounts, mut keys) = (ToldAccounts::default(), ToldKeys::new(self.seal.clone()));
        self.read(|session| {
            let given = audit::read(session, 0, &mut |entry| {
                accounts.follow(&entry);
                keys.follow(&entry);
                tell(entry);
            })?;
            let mut unlogged = accounts::hold_against(session, accounts)?;
            let (strange, lacking) = load::hold_against(session, keys)?;
            unlogged.extend(strange);
            Ok(Standing { given, unlogged, lacking })
        })
    }

    fn records_use(&self) -> bool {
        true
    }

    fn add_uses(&mut self, uses: &[ValueUse]) -> Result<(), StoreError> {
        let place = self.database.to_string();
        let added = self.link.within(Begin::Change(uses::COMMIT), |session| {
            Head::read(session)?.refuse_other_versions(&place)?;
            uses::add(session, uses)
        });
        added.map_err(|fault| fault.of(&self.database, WRITING))
    }

    fn use_of(&mut self, id: &KeyId) -> Result<KeyUse, StoreError> {
        self.read(|session| uses::of_key(session, id))
    }

    fn accounts(&mut self) -> Result<Vec<AccountRecord>, StoreError> {
        self.read(accounts::list)
    }

    fn create_account(&mut self, new: NewAccount, stamp: Stamp<'_>) -> Result<AccountRecord, StoreError> {
        self.write(|log| {
            let account = accounts::create(log, new, stamp)?;
            log.flush(stamp)?;
            Ok(account)
        })
    }

    fn change_account(
        &mut self,
        id: &str,
        transition: AccountTransition,
        stamp: Stamp<'_>,
    ) -> Result<AccountOutcome, StoreError> {
        self.write(|log| {
            let (account, revision) = accounts::change(log, (id, transition), stamp)?;
            log.flush(stamp)?;
            Ok(AccountOutcome { account, revision })
        })
    }

    fn wait(&mut self, stopped: &Receiver<()>) -> bool {
        let goes_on = |rest| stopped.recv_timeout(rest) == Err(RecvTimeoutError::Timeout);
        if !self.link.listens() {
            // What changed until now is found by asking once more, at once.
            return self.link.listen().is_ok() || goes_on(follow::INTERVAL);
        }
        let until = Instant::now() + self.poll;
        while self.link.is_up() && Instant::now() < until {
            // Both the end and the news are looked for: a look is cheap, and asks nobody.
            if self.link.await_news(follow::INTERVAL) {
                self.is_told = self.link.is_up();
                break;
            }
            if stopped.try_recv() != Err(TryRecvError::Empty) {
                return false;
            }
        }
        if !self.link.is_up() {
            // Whoever asks next connects anew: not at once, for a server that ends every connection, and not when all others do.
            return goes_on(follow::INTERVAL + dial::scatter());
        }
        stopped.try_recv() == Err(TryRecvError::Empty)
    }

    fn confirm(&mut self, revision: Revision, goes_on_for: Option<Duration>) -> Result<Option<Badge>, StoreError> {
        let word = Word { revision, goes_on_for, refuses: None };
        let told = self.told.as_ref().filter(|(told, _)| *told == revision);
        let mark = Mark { store: &self.store, hash: told.map(|(_, hash)| &hash[..]) };
        self.membership.confirm(&mut self.link, (&self.database, mark), word)
    }

    fn decline(&mut self, why: &'static str, revision: Revision, goes_on_for: Option<Duration>) -> Option<Badge> {
        self.membership.decline(&mut self.link, Word { revision, goes_on_for, refuses: Some(why) })
    }

    fn gateways(&mut self) -> Result<Option<Fleet>, StoreError> {
        let list = |session: &Session<'_>| {
            let revision = Revision(Head::read(session)?.revision);
            Ok(Fleet { revision, gateways: fleet::list(session)? })
        };
        let listed = self.link.within(Begin::Glance, list).map_err(|fault| fault.of(&self.database, "read"))?;
        Ok(Some(listed))
    }

    fn delay(&self) -> Duration {
        POLL + 4 * follow::INTERVAL
    }

    fn rest(&self) -> Duration {
        follow::REST_OF_A_FLEET
    }

    fn set_patience(&mut self, patience: Duration) -> Result<(), StoreError> {
        self.link.patience = patience;
        Ok(())
    }

    fn hurry(&mut self, longest: Duration) {
        self.link.hurry(longest);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.membership.leave(&mut self.link);
    }
}

#[cfg(test)]
pub(super) mod tests;
