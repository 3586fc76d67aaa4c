//! Which gateways follow a store, and how far they have come.
//!
//! Each gateway has a row that it writes anew whenever it has taken a change in, and every few seconds besides. The row says
//! that the index of the gateway holds everything up to that change, or that it does not follow the store as it is. One that ends
//! takes its row away; one that was killed, or cut off, leaves it, and it grows old.

use std::mem;
use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use super::fault::{Fault, WRITING};
use super::link::{Link, Session};
use super::value::{get, number, values};
use crate::database::Database;
use crate::store::{Badge, Gateway, Revision, StoreError};

/// How often a gateway says that it is there.
const BEAT: Duration = Duration::from_secs(5);
/// How long one that may not say so waits before it tries again.
const REST: Duration = Duration::from_secs(60);
/// The same where somebody was in the way, or the connection ended: twice as long each time, up to [`BEAT`].
const SHORT_REST: Duration = Duration::from_millis(250);
/// How long a word may wait for a lock, and take at all: following waits for it. The server keeps to that, so that the connection
/// stays good; a gateway that gave it up would load a server that is slow with a new one.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));
/// How long a goodbye may take, with a connection that is made for it.
const GOODBYE: Duration = Duration::from_millis(500);

/// The disk is not waited for: a row that is lost in a crash is written again within seconds. That a change is held is said to
/// the store alone that has that change: another one may have taken its place since it was read.
const SAY: &str = "WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)) \
    INSERT INTO scopegate.gateways (id, name, revision, goes_on_for, refuses, seen) \
    SELECT $1, $2, $3, $4, $5, clock_timestamp() FROM quick \
    WHERE $5::text IS NOT NULL OR EXISTS (SELECT FROM scopegate.head WHERE store = $6) \
    AND ($7::bytea IS NULL OR EXISTS (SELECT FROM scopegate.changes WHERE revision = $3 AND hash = $7)) ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, \
    goes_on_for = excluded.goes_on_for, refuses = excluded.refuses, seen = excluded.seen";
/// One that may still serve by what it knows is kept, so that it can be named; one that goes on without an end, for a month.
const FORGET_OLD: &str = "DELETE FROM scopegate.gateways WHERE seen < clock_timestamp() - greatest(interval '1 day', \
    least(coalesce(goes_on_for, 2592000000), 2592000000)::double precision * interval '1 millisecond')";
const LEAVE: &str = "DELETE FROM scopegate.gateways WHERE id = $1";
const LIST: &str = "SELECT id, name, revision, \
    greatest(0, (extract(epoch FROM clock_timestamp() - seen)::double precision * 1000::double precision)::bigint), goes_on_for, refuses \
    FROM scopegate.gateways ORDER BY name, id";

/// What a gateway says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// How far it has come.
    pub(super) revision: Revision,
    /// How long it goes on with that while the store is away.
    pub(super) goes_on_for: Option<Duration>,
    /// Why it does not follow the store.
    pub(super) refuses: Option<&'static str>,
}

/// What tells the past of a store in which a change is held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark<'m> {
    /// The random bytes of the store.
    pub(super) store: &'m [u8],
    /// The hash of the change; `None` where there is none.
    pub(super) hash: Option<&'m [u8]>,
}

/// What one connection has said of the gateway that it is of.
#[derive(Debug, Default)]
pub(super) struct Membership {
    badge: Option<Badge>,
    /// Whoever follows was told the badge.
    is_announced: bool,
    said: Option<(Word, Instant)>,
    /// Rows that grew old were looked for.
    has_forgotten: bool,
    /// It could not be said, as far as is known.
    failed: Option<Failure>,
    /// Which connection it was said on, or could not be.
    line: u64,
}

/// What kept a word from being said.
#[derive(Debug)]
struct Failure {
    at: Instant,
    /// How long it is not tried again.
    rest: Duration,
    /// Whether the connection ended by it: another one is no reason to try again at once.
    is_of_the_line: bool,
    /// What was told of it; nothing, where whoever asks next finds it too.
    told: Option<String>,
}

impl Membership {
    /// Says how far the gateway has come in the past that `mark` tells, where that is news, or it was not said for a while. Following never waits long for it,
    /// and after a failure it is not tried for a while. What keeps it from being said is told once.
    /// Gives the badge of the gateway, where it was said for the first time.
    pub(super) fn confirm(
        &mut self,
        link: &mut Link,
        (database, mark): (&Database, Mark<'_>),
        word: Word,
    ) -> Result<Option<Badge>, StoreError> {
        self.look_at(link);
        let is_news = self.said.is_none_or(|(said, at)| said != word || at.elapsed() >= BEAT);
        if !is_news || self.is_resting() || !link.is_up() {
            return Ok(None);
        }
        let fault = match self.say(link, word, mark) {
            Ok(is_said) => {
                self.failed = None;
                return Ok(if is_said { self.announce() } else { None });
            }
            Err(fault) => fault,
        };
        let failed = self.failed.take();
        let (rest, is_of_the_line) = (rest_after(&fault, failed.as_ref()), fault.is_of_the_line());
        let known = failed.and_then(|failure| failure.told);
        let error = fault.of(database, WRITING);
        let text = (!is_of_the_line).then(|| error.to_string());
        let is_told = is_of_the_line || text == known;
        self.failed = Some(Failure { at: Instant::now(), rest, is_of_the_line, told: text.or(known) });
        if is_told { Ok(None) } else { Err(error) }
    }

    /// Says that the gateway does not follow the store. What keeps it from following was told: what keeps this from being said is
    /// no more news. A connection is made for it: nobody has one to such a store for anything else.
    pub(super) fn decline(&mut self, link: &mut Link, word: Word) -> Option<Badge> {
        self.look_at(link);
        let is_known = |(said, at): (Word, Instant)| said.refuses == word.refuses && at.elapsed() < BEAT;
        if self.said.is_some_and(is_known) || self.is_resting() {
            return None;
        }
        if self.say(link, word, Mark::default()).is_err() {
            let told = self.failed.take().and_then(|failure| failure.told);
            self.failed = Some(Failure { at: Instant::now(), rest: BEAT, is_of_the_line: true, told });
            return None;
        }
        self.announce()
    }

    /// What was said, or refused, on another connection, may have been said to another server.
    fn look_at(&mut self, link: &Link) {
        if mem::replace(&mut self.line, link.number()) == link.number() {
            return;
        }
        self.said = None;
        if let Some(failed) = self.failed.as_mut().filter(|failed| !failed.is_of_the_line) {
            failed.rest = Duration::ZERO;
        }
    }

    fn is_resting(&self) -> bool {
        self.failed.as_ref().is_some_and(|failure| failure.at.elapsed() < failure.rest)
    }

    fn announce(&mut self) -> Option<Badge> {
        let is_announced = mem::replace(&mut self.is_announced, true);
        self.badge.clone().filter(|_| !is_announced)
    }

    /// Tells whether it was said: not to a store that has another past.
    fn say(&mut self, link: &mut Link, word: Word, mark: Mark<'_>) -> Result<bool, Fault> {
        let Badge { id, name } = self.badge.get_or_insert_with(new_badge).clone();
        let Word { revision, goes_on_for, refuses } = word;
        let has_forgotten = self.has_forgotten;
        let mut written = None;
        let done = link.within_bounds(BOUNDS, |session| {
            let goes_on_for = goes_on_for.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
            let revision = revision.0.cast_signed();
            let said =
                session.execute(SAY, values![&*id, &*name, revision, goes_on_for, refuses, mark.store, mark.hash])?;
            written = Some(said);
            if has_forgotten { Ok(()) } else { session.execute(FORGET_OLD, &[]).map(drop) }
        });
        self.line = link.number();
        // What was said is said, whatever became of the rows of others.
        let Some(written) = written else { return done.map(|()| false) };
        self.has_forgotten |= done.is_ok();
        self.said = (written > 0).then(|| (word, Instant::now())).or(self.said);
        Ok(written > 0)
    }

    /// Takes the row away, where there may be one and the server answers at once, by a connection of its own where there is none.
    pub(super) fn leave(&mut self, link: &mut Link) {
        let Some(Badge { id, .. }) = &self.badge else { return };
        // One that could not say goodbye is missed by whoever waits for it, and named.
        let _ = link.at_last(GOODBYE, |session| session.execute(LEAVE, values![&**id]));
    }
}

/// Every gateway that has a row.
pub(super) fn list(session: &Session<'_>) -> Result<Vec<Gateway>, Fault> {
    let gateway = |row: &tokio_postgres::Row| {
        Ok(Gateway {
            id: get(row, 0)?,
            name: get(row, 1)?,
            revision: Revision(number(row, 2)?),
            silent_for: Duration::from_millis(number(row, 3)?),
            goes_on_for: get::<Option<i64>>(row, 4)?.map(|millis| Duration::from_millis(millis.max(0).cast_unsigned())),
            refuses: get(row, 5)?,
        })
    };
    session.query(LIST, &[])?.iter().map(gateway).collect()
}

/// How long it is not said again after a fault, and maybe one before it.
fn rest_after(fault: &Fault, failed: Option<&Failure>) -> Duration {
    if fault.is(&[SqlState::INSUFFICIENT_PRIVILEGE, SqlState::READ_ONLY_SQL_TRANSACTION]) {
        return REST;
    }
    if !fault.is_of_the_line() && !fault.is(&[SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED]) {
        return BEAT;
    }
    let longer = |failed: &Failure| failed.rest.max(SHORT_REST).saturating_mul(2).min(BEAT);
    failed.map_or(SHORT_REST, longer)
}

/// What this run of the gateway is called from now on.
fn new_badge() -> Badge {
    use std::hash::{BuildHasher as _, RandomState};
    let id = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
    Badge { id: id.into(), name: host_name() }
}

/// What the system calls this machine; the name of the pod, in Kubernetes. The system is asked itself: its files may be hidden from a service.
fn host_name() -> Box<str> {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    let name: String = name.chars().filter(|letter| letter.is_ascii_graphic()).take(255).collect();
    if name.is_empty() { "unknown".into() } else { name.into() }
}
