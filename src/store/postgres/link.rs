//! The connection to the database: made when it is needed, given up at the first sign of trouble, never waited for without end.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls, Row, Socket};

use super::fault::Fault;
use super::tls::{Connector, connector};
use super::value::Value;
use crate::database::{self, Database, Host};

/// The shortest time that an answer may take to begin, or to go on.
const LEAST_SILENCE: Duration = Duration::from_secs(5);
/// How many times as long as a writer is waited for an answer may take.
const SILENCE: u32 = 6;

/// The way to a database, open or not.
pub(super) struct Link {
    /// Dropped by hand: a name that is looked up must not hold the end of the process up.
    runtime: Option<Runtime>,
    config: Config,
    connector: Option<Connector>,
    line: Option<Line>,
    /// How long a whole connection may take to make.
    connect_timeout: Duration,
    /// How long a statement may wait for another writer.
    pub(super) patience: Duration,
    /// Whether changes shall wake this link.
    listens: bool,
    /// How long an answer may take, where there is no time.
    hurry: Option<Duration>,
}

/// An open connection.
struct Line {
    client: Client,
    /// Told of each notification, and of the end of the connection.
    news: Arc<Notify>,
}

impl Link {
    /// Makes ready to connect.
    pub(super) fn new(database: &Database) -> Result<Self, Fault> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fault::Away(format!("the system gives no runtime: {error}")))?;
        let hosts = u32::try_from(database.hosts.len()).unwrap_or(u32::MAX);
        Ok(Self {
            runtime: Some(runtime),
            config: config(database),
            connector: connector(&database.tls)?,
            line: None,
            connect_timeout: database.connect_timeout.saturating_mul(hosts),
            patience: super::PATIENCE,
            listens: false,
            hurry: None,
        })
    }

    /// Whether there is a connection that is not known to be broken.
    pub(super) fn is_up(&self) -> bool {
        self.line.as_ref().is_some_and(|line| !line.client.is_closed())
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

    /// Works on the connection, which is made if there is none, outside of any transaction.
    pub(super) fn with<T>(&mut self, work: impl FnOnce(&Session<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        if !self.is_up() {
            self.connect()?;
        }
        let (Some(runtime), Some(line)) = (&self.runtime, &self.line) else { return Err(Fault::closed()) };
        let session =
            Session { runtime, client: &line.client, silence: self.hurry.unwrap_or_else(|| silence(self.patience)) };
        let done = work(&session);
        if done.as_ref().is_err_and(Fault::is_of_the_line) {
            self.line = None;
        }
        done
    }

    /// Works within a transaction, which `begin` opens. It is committed where the work succeeds, and undone where not.
    pub(super) fn within<T>(
        &mut self,
        begin: &str,
        work: impl FnOnce(&Session<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.with(|session| {
            match session.run(begin).and_then(|()| work(session)) {
                Ok(done) => session.run("COMMIT").map(|()| done).map_err(Fault::at_commit),
                Err(fault) if fault.is_of_the_line() => Err(fault),
                // A connection that cannot even undo is given up; the server undoes what it left.
                Err(fault) => Err(if session.run("ROLLBACK").is_ok() { fault } else { fault.and_the_line() }),
            }
        })
    }

    /// Lets no answer take longer than this from now on.
    pub(super) fn hurry(&mut self, silence: Duration) {
        self.hurry = Some(silence);
    }

    /// Lets changes wake this link, now and whenever it is connected anew.
    pub(super) fn listen(&mut self) -> Result<(), Fault> {
        self.listens = true;
        self.with(|session| session.hear())
    }

    fn connect(&mut self) -> Result<(), Fault> {
        self.line = None;
        let Some(runtime) = &self.runtime else { return Err(Fault::closed()) };
        let connecting = async {
            match &self.connector {
                Some(tls) => {
                    self.config.connect(tls.clone()).await.map(|(client, line)| (client, drive(runtime, line)))
                }
                None => {
                    let made = self.config.connect(NoTls).await;
                    made.map(|(client, line)| (client, drive(runtime, line)))
                }
            }
        };
        let made = runtime.block_on(async { timeout(self.connect_timeout, connecting).await });
        let (client, news) = made.map_err(|_| Fault::Silent(self.connect_timeout))??;
        if self.listens {
            Session { runtime, client: &client, silence: LEAST_SILENCE }.hear()?;
        }
        self.line = Some(Line { client, news });
        Ok(())
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
        self.ask(self.client.execute_typed(sql, values))
    }

    /// The rows of a statement.
    pub(super) fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        self.ask(self.client.query_typed(sql, values))
    }

    /// The row of a statement that has at most one.
    pub(super) fn query_one(&self, sql: &str, values: &[Value<'_>]) -> Result<Option<Row>, Fault> {
        Ok(self.query(sql, values)?.pop())
    }

    /// Tells the rows of a statement one by one: they need not all be in memory.
    pub(super) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut tell: impl FnMut(&Row) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let values = values.iter().map(|(value, kind)| (*value, kind.clone()));
        let mut rows = pin!(self.ask(self.client.query_typed_raw(sql, values))?);
        loop {
            let next = poll_fn(|cx| rows.as_mut().poll_next(cx));
            let Some(row) = self.ask(async { next.await.transpose() })? else { return Ok(()) };
            tell(&row)?;
        }
    }

    fn ask<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
        let answer = self.runtime.block_on(async { timeout(self.silence, answer).await });
        answer.map_err(|_| Fault::Silent(self.silence))?.map_err(Fault::from)
    }
}

/// Moves what comes and goes on a connection, whenever this thread waits for an answer or for news.
fn drive<T>(runtime: &Runtime, mut connection: Connection<Socket, T>) -> Arc<Notify>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let news = Arc::new(Notify::new());
    let told = Arc::clone(&news);
    runtime.spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if matches!(message, AsyncMessage::Notification(_)) {
                told.notify_one();
            }
        }
        told.notify_one();
    });
    news
}

/// How long an answer may take where a writer is waited for so long.
fn silence(patience: Duration) -> Duration {
    patience.saturating_mul(SILENCE).max(LEAST_SILENCE)
}

/// The address as the client takes it. It shows nothing of it by itself.
fn config(database: &Database) -> Config {
    let mut config = Config::new();
    for host in &database.hosts {
        match host {
            Host::Tcp(name, port) => config.host(&**name).port(*port),
            Host::Unix(folder, port) => config.host_path(folder).port(*port),
        };
    }
    if let Some(password) = &database.password {
        config.password(password.expose());
    }
    config.user(&*database.user).dbname(&*database.name).application_name(&*database.application_name);
    config.connect_timeout(database.connect_timeout);
    config.ssl_mode(if database.tls == database::Tls::Off { SslMode::Disable } else { SslMode::Require });
    config.target_session_attrs(match database.target {
        database::Target::Any => tokio_postgres::config::TargetSessionAttrs::Any,
        database::Target::ReadOnly => tokio_postgres::config::TargetSessionAttrs::ReadOnly,
        database::Target::ReadWrite => tokio_postgres::config::TargetSessionAttrs::ReadWrite,
    });
    config.channel_binding(match database.channel_binding {
        database::ChannelBinding::Disable => tokio_postgres::config::ChannelBinding::Disable,
        database::ChannelBinding::Prefer => tokio_postgres::config::ChannelBinding::Prefer,
        database::ChannelBinding::Require => tokio_postgres::config::ChannelBinding::Require,
    });
    config
}
