//! The connection to the database: made when it is needed, given up at the first sign of trouble, never waited for without end.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_core::Stream as _;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_postgres::{Client, Error, Row};

use super::dial::{Dialler, Line};
use super::fault::Fault;
use super::value::Value;
use crate::database::Database;

/// The shortest time that an answer may take to begin, or to go on.
const LEAST_SILENCE: Duration = Duration::from_secs(5);
/// How long the first of many rows may take: a whole table, sorted or read from a cold disk, says nothing before.
const FIRST_ROW: Duration = Duration::from_secs(60);
/// How many times as long as a writer is waited for an answer may take.
const SILENCE: u32 = 6;
/// How long whoever holds the store as its writer may do nothing, stopped or cut off: everyone else waits for it, revokes too.
const IDLE_WRITER: Duration = Duration::from_secs(10);
/// How long whoever reads may do nothing: somebody may look at what comes. What is read stays on the server as long.
const IDLE_READER: Duration = Duration::from_secs(300);
/// How long a question that is asked again soon may wait for a lock.
const GLANCE: Duration = Duration::from_secs(1);

/// The way to a database, open or not.
pub(super) struct Link {
    /// Dropped by hand: a name that is looked up must not hold the end of the process up.
    runtime: Option<Runtime>,
    dialler: Dialler,
    line: Option<Line>,
    /// How many connections were made.
    made: u64,
    /// How long a statement may wait for another writer.
    pub(super) patience: Duration,
    /// Whether changes shall wake this link.
    listens: bool,
    /// How long an answer may take, where there is no time.
    hurry: Option<Duration>,
}

/// What a transaction is for, and statements that run in the round trip that begins it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin<'b> {
    /// A change, which may be made though no answer comes.
    Change(&'b str),
    /// Reads of one moment that do not wait long for whoever locks what they read.
    Glance,
    /// The schema, which shows by itself whether it was made.
    Making(&'b str),
    /// Reads of one moment.
    Read,
}

impl Begin<'_> {
    /// INVARIANT: no statement waits for a lock for as long as its answer is waited for, so that the server gives up first and the
    /// connection stays good. What reads much, or makes a schema, may take as long as rows or answers go on.
    fn sql(self, patience: Duration, silence: Duration) -> String {
        let lock = lock(silence);
        let (mode, idle) = match self {
            Self::Change(_) | Self::Making(_) => ("READ COMMITTED", IDLE_WRITER),
            Self::Glance | Self::Read => ("REPEATABLE READ READ ONLY", IDLE_READER),
        };
        let (lock, statement, first) = match self {
            Self::Change(first) => (patience.min(lock), statement(silence), first),
            Self::Glance => (GLANCE.min(lock), statement(silence), ""),
            Self::Making(first) => (lock, Duration::ZERO, first),
            Self::Read => (lock, Duration::ZERO, ""),
        };
        format!("{}; {first}", begin(mode, (lock, statement, idle)))
    }
}

impl Link {
    /// Makes ready to connect.
    pub(super) fn new(database: &Database) -> Result<Self, Fault> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fault::Away(format!("the system gives no runtime: {error}")))?;
        Ok(Self {
            runtime: Some(runtime),
            dialler: Dialler::new(database),
            line: None,
            made: 0,
            patience: super::PATIENCE,
            listens: false,
            hurry: None,
        })
    }

    /// Whether there is a connection that is not known to be broken.
    pub(super) fn is_up(&self) -> bool {
        self.line.as_ref().is_some_and(|line| !line.client.is_closed())
    }

    /// Which connection the last one was: another one may be to another server.
    pub(super) fn number(&self) -> u64 {
        self.made
    }

    /// Whether changes shall wake it.
    pub(super) fn listens(&self) -> bool {
        self.listens
    }

    /// Waits for a notification, or the end of the connection.
    pub(super) fn await_news(&self, longest: Duration) -> bool {
        let (Some(runtime), Some(line)) = (&self.runtime, &self.line) else { return false };
        runtime.block_on(async { timeout(longest, line.news.notified()).await.is_ok() })
    }

    /// Works on the connection, which is made if there is none. Each statement is a transaction of its own.
    pub(super) fn with<T>(&mut self, work: impl FnOnce(&Session<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let silence = self.silence();
        self.within_bounds((lock(silence), statement(silence)), work)
    }

    /// The same, where a statement may wait so long for a lock, and take so long at all.
    pub(super) fn within_bounds<T>(
        &mut self,
        (lock, statement): (Duration, Duration),
        work: impl FnOnce(&Session<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.connect()?;
        self.on_line(Some(begin("READ COMMITTED", (lock, statement, IDLE_WRITER))), work)
    }

    /// Works within a transaction. It is committed where the work succeeds, and undone where not.
    pub(super) fn within<T>(
        &mut self,
        begin: Begin<'_>,
        work: impl FnOnce(&Session<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.begin(&begin.sql(self.patience, self.silence()))?;
        self.on_line(None, |session| {
            match work(session) {
                Ok(done) => match (session.run("COMMIT"), begin) {
                    (Err(fault), Begin::Change(_)) => Err(fault.at_commit()),
                    (ended, _) => ended.map(|()| done),
                },
                Err(fault) if fault.is_of_the_line() => Err(fault),
                // A connection that cannot even undo is given up; the server undoes what it left.
                Err(fault) => Err(if session.run("ROLLBACK").is_ok() { fault } else { fault.and_the_line() }),
            }
        })
    }

    /// Opens a transaction. A connection that has ended since it was used last shows that only now: as nothing was asked of it,
    /// another one is asked instead.
    fn begin(&mut self, sql: &str) -> Result<(), Fault> {
        let was_up = self.is_up();
        self.connect()?;
        match self.on_line(None, |session| session.run(sql)) {
            Err(fault) if was_up && fault.is_of_the_line() && !fault.is_silence() => {
                self.connect()?;
                self.on_line(None, |session| session.run(sql))
            }
            Err(fault) if !fault.is_of_the_line() => {
                // What failed may have been behind the BEGIN.
                let undone = self.on_line(None, |session| session.run("ROLLBACK"));
                Err(if undone.is_ok() { fault } else { fault.and_the_line() })
            }
            begun => begun,
        }
    }

    /// Lets no answer take longer than this from now on.
    pub(super) fn hurry(&mut self, silence: Duration) {
        self.hurry = Some(silence);
    }

    /// Works once more, though the connection may have ended that there is, or none is left: then on a new one. All of it takes no
    /// longer than that, and nothing comes after it.
    pub(super) fn at_last<T>(
        &mut self,
        longest: Duration,
        work: impl Fn(&Session<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let until = Instant::now() + longest;
        self.listens = false;
        self.dialler.until = Some(until);
        self.hurry(longest);
        let was_up = self.is_up();
        match self.with(&work) {
            Err(fault) if was_up && fault.is_of_the_line() && !fault.is_silence() => {
                self.hurry(until.saturating_duration_since(Instant::now()));
                self.with(&work)
            }
            done => done,
        }
    }

    /// Lets changes wake this link, now and whenever it is connected anew.
    pub(super) fn listen(&mut self) -> Result<(), Fault> {
        self.listens = true;
        self.connect()?;
        self.on_line(None, |session| session.hear())
    }

    /// Works on the connection that there is, and gives it up where it is of no more use.
    fn on_line<T>(
        &mut self,
        around: Option<String>,
        work: impl FnOnce(&Session<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let silence = self.silence();
        let (Some(runtime), Some(line)) = (&self.runtime, &self.line) else { return Err(Fault::closed()) };
        match work(&Session { runtime, client: &line.client, silence, around }) {
            Err(fault) if fault.is_of_the_line() => {
                let Some(line) = self.line.take() else { return Err(fault) };
                let last_words = self.dialler.hang_up(runtime, line, fault.is_silence());
                Err(fault.after(last_words))
            }
            done => done,
        }
    }

    /// Makes a connection, where there is none.
    fn connect(&mut self) -> Result<(), Fault> {
        if self.is_up() {
            return Ok(());
        }
        self.line = None;
        let Some(runtime) = &self.runtime else { return Err(Fault::closed()) };
        self.line = Some(self.dialler.dial(runtime)?);
        self.made += 1;
        if self.listens { self.on_line(None, |session| session.hear()) } else { Ok(()) }
    }

    fn silence(&self) -> Duration {
        self.hurry.unwrap_or_else(|| self.patience.saturating_mul(SILENCE).max(LEAST_SILENCE))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.line = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Link").field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

/// A connection while it is worked on.
pub(super) struct Session<'l> {
    runtime: &'l Runtime,
    client: &'l Client,
    silence: Duration,
    /// What opens a transaction for each statement.
    around: Option<String>,
}

impl Session<'_> {
    /// Runs statements that are given nothing.
    pub(super) fn run(&self, sql: &str) -> Result<(), Fault> {
        self.ask(self.client.batch_execute(sql))
    }

    /// Asks to be told of changes. A replica refuses it, a pooler forgets it: then asking alone finds what changed.
    fn hear(&self) -> Result<(), Fault> {
        match self.run("LISTEN scopegate") {
            Err(fault) if fault.is_of_the_line() => Err(fault),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Runs a statement that tells nothing.
    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, Fault> {
        self.ask(self.bound(self.client.execute_typed(sql, values)))
    }

    /// The rows of a statement.
    pub(super) fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        self.ask(self.bound(self.client.query_typed(sql, values)))
    }

    /// The row of a statement that has at most one.
    pub(super) fn query_one(&self, sql: &str, values: &[Value<'_>]) -> Result<Option<Row>, Fault> {
        Ok(self.query(sql, values)?.pop())
    }

    /// Tells the rows of a statement one by one: they need not all be in memory. Within a transaction alone.
    pub(super) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        tell: impl FnMut(&Row) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.each_after(self.silence, (sql, values), tell)
    }

    /// The same of a statement that reads a whole table, or much of it: its first row may take longer.
    pub(super) fn each_of_many(
        &self,
        sql: &str,
        values: &[Value<'_>],
        tell: impl FnMut(&Row) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.each_after(self.silence.max(FIRST_ROW), (sql, values), tell)
    }

    fn each_after(
        &self,
        first: Duration,
        (sql, values): (&str, &[Value<'_>]),
        mut tell: impl FnMut(&Row) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let values = values.iter().map(|(value, kind)| (*value, kind.clone()));
        let mut rows = pin!(self.ask_for(first, self.client.query_typed_raw(sql, values))?);
        let mut silence = first;
        loop {
            let next = poll_fn(|cx| rows.as_mut().poll_next(cx));
            let Some(row) = self.ask_for(silence, async { next.await.transpose() })? else { return Ok(()) };
            silence = self.silence;
            tell(&row)?;
        }
    }

    /// Puts a transaction with its timeouts around a statement, where there is none. All is sent at once, so that it takes one
    /// round trip; a statement that fails makes the COMMIT undo.
    async fn bound<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(begin) = &self.around else { return answer.await };
        let (begin, end) = (self.client.batch_execute(begin), self.client.batch_execute("COMMIT"));
        let (begun, answer, ended) = tokio::join!(biased; begin, answer, end);
        begun.and(answer).and_then(|answer| ended.map(|()| answer))
    }

    fn ask<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
        self.ask_for(self.silence, async {
            // What the server said meanwhile is read before it is written to: why it ended the connection, where it did.
            yield_now().await;
            answer.await
        })
    }

    fn ask_for<T>(&self, silence: Duration, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
        let answer = self.runtime.block_on(async { timeout(silence, answer).await });
        answer.map_err(|_| Fault::Silent(silence))?.map_err(Fault::from)
    }
}

/// What opens a transaction. Names are looked up where the server has them: nobody's functions and operators in another schema
/// run by the rights of this user. Nothing of it stays behind: a pooler gives the connection to others.
fn begin(mode: &str, (lock, statement, idle): (Duration, Duration, Duration)) -> String {
    format!(
        "BEGIN ISOLATION LEVEL {mode}; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL lock_timeout = {}; \
        SET LOCAL statement_timeout = {}; SET LOCAL idle_in_transaction_session_timeout = {}",
        lock.as_millis().max(1),
        statement.as_millis(),
        idle.as_millis()
    )
}

/// How long a statement may wait for a lock where its answer may take so long.
fn lock(silence: Duration) -> Duration {
    silence / 5 * 2
}

/// How long a statement may take at all where its answer may take so long.
fn statement(silence: Duration) -> Duration {
    silence / 4 * 3
}
