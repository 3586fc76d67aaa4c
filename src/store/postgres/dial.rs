//! Makes connections to a database: its hosts are tried one after another, each in its own time.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{self, SslMode};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls, Socket};

use super::fault::Fault;
use super::tls::{Connector, connector};
use crate::database::{self, Database, Host};

/// How long a server may take to be told that nobody waits for its answer any more.
const CANCEL: Duration = Duration::from_millis(500);

/// An open connection.
pub(super) struct Line {
    pub(super) client: Client,
    /// Told of each notification, and of the end of the connection.
    pub(super) news: Arc<Notify>,
    /// Moves what comes and goes. It ends by itself only when every answer has come.
    task: JoinHandle<()>,
}

/// What makes the connections to one database.
pub(super) struct Dialler {
    /// Its hosts by name. The addresses show nothing of themselves.
    hosts: Vec<(String, Config)>,
    connector: Option<Connector>,
    /// How long one host may take, with TLS and the login.
    patience: Duration,
    /// When nothing may take any longer.
    pub(super) until: Option<Instant>,
}

impl Dialler {
    /// Makes ready to connect.
    pub(super) fn new(database: &Database) -> Result<Self, Fault> {
        Ok(Self {
            hosts: database.hosts.iter().map(|host| (host.to_string(), config(database, host))).collect(),
            connector: connector(&database.tls)?,
            patience: database.connect_timeout,
            until: None,
        })
    }

    /// A connection to the first host that will do.
    pub(super) fn dial(&self, runtime: &Runtime) -> Result<Line, Fault> {
        let mut faults = Vec::new();
        for (name, config) in &self.hosts {
            let patience = self.at_most(self.patience);
            let made = runtime.block_on(async { timeout(patience, self.reach(config, runtime)).await });
            match made {
                Ok(Ok(line)) => return Ok(line),
                Ok(Err(error)) => faults.push((name.clone(), error.into())),
                Err(_) => faults.push((name.clone(), Fault::Silent(patience))),
            }
        }
        Err(Fault::of_hosts(faults))
    }

    /// A time, or what is left of it.
    fn at_most(&self, time: Duration) -> Duration {
        self.until.map_or(time, |until| time.min(until.saturating_duration_since(Instant::now())))
    }

    async fn reach(&self, config: &Config, runtime: &Runtime) -> Result<Line, Error> {
        match &self.connector {
            Some(tls) => config.connect(tls.clone()).await.map(|(client, line)| drive(runtime, client, line)),
            None => config.connect(NoTls).await.map(|(client, line)| drive(runtime, client, line)),
        }
    }

    /// Gives a connection up. Its socket is closed when this returns, though an answer may be missing; where `is_working`, the server
    /// is told to stop first: one that waits for a lock does not look whether anybody is still there.
    pub(super) fn hang_up(&self, runtime: &Runtime, line: Line, is_working: bool) {
        let Line { client, task, .. } = line;
        if is_working && !client.is_closed() {
            let token = client.cancel_token();
            let cancelled = async {
                match &self.connector {
                    Some(tls) => token.cancel_query(tls.clone()).await,
                    None => token.cancel_query(NoTls).await,
                }
            };
            // A server that cannot be told ends the statement by its own timeouts.
            let _ = runtime.block_on(async { timeout(self.at_most(CANCEL), cancelled).await });
        }
        drop(client);
        task.abort();
        // That it was cancelled is no news.
        let _ = runtime.block_on(task);
    }
}

/// Moves what comes and goes on a connection, whenever this thread waits for an answer or for news.
fn drive<T>(runtime: &Runtime, client: Client, mut connection: Connection<Socket, T>) -> Line
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let news = Arc::new(Notify::new());
    let told = Arc::clone(&news);
    let task = runtime.spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if matches!(message, AsyncMessage::Notification(_)) {
                told.notify_one();
            }
        }
        told.notify_one();
    });
    Line { client, news, task }
}

/// The address of one host as the client takes it. It shows nothing of it by itself.
fn config(database: &Database, host: &Host) -> Config {
    let mut config = Config::new();
    match host {
        Host::Tcp(name, port) => config.host(&**name).port(*port),
        Host::Unix(folder, port) => config.host_path(folder).port(*port),
    };
    if let Some(password) = &database.password {
        config.password(password.expose());
    }
    config.user(&*database.user).dbname(&*database.name).application_name(&*database.application_name);
    config.connect_timeout(database.connect_timeout);
    config.ssl_mode(if database.tls == database::Tls::Off { SslMode::Disable } else { SslMode::Require });
    config.target_session_attrs(match database.target {
        database::Target::Any => config::TargetSessionAttrs::Any,
        database::Target::ReadOnly => config::TargetSessionAttrs::ReadOnly,
        database::Target::ReadWrite => config::TargetSessionAttrs::ReadWrite,
    });
    config.channel_binding(match database.channel_binding {
        database::ChannelBinding::Disable => config::ChannelBinding::Disable,
        database::ChannelBinding::Prefer => config::ChannelBinding::Prefer,
        database::ChannelBinding::Require => config::ChannelBinding::Require,
    });
    config
}
