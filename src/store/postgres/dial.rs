//! Makes connections to a database: its hosts are tried one after another, each in its own time.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{self, SslMode};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls, Socket};

use super::fault::Fault;
use super::tls::{Connector, connector};
use crate::database::{self, Database, Host, Tls};

/// How long a server may take to be told that nobody waits for its answer any more.
const CANCEL: Duration = Duration::from_millis(500);

/// An open connection.
pub(super) struct Line {
    pub(super) client: Client,
    /// Told of each notification, and of the end of the connection.
    pub(super) news: Arc<Notify>,
    /// What it was made by, where it has TLS.
    connector: Option<Connector>,
    /// Moves what comes and goes. It ends by itself only when every answer has come.
    task: JoinHandle<()>,
}

/// What makes the connections to one database.
pub(super) struct Dialler {
    /// Its hosts by name. The addresses show nothing of themselves.
    hosts: Vec<(String, Config)>,
    tls: Tls,
    /// How long one host may take, with TLS and the login.
    patience: Duration,
}

impl Dialler {
    /// Makes ready to connect.
    pub(super) fn new(database: &Database) -> Self {
        Self {
            hosts: database.hosts.iter().map(|host| (host.to_string(), config(database, host))).collect(),
            tls: database.tls.clone(),
            patience: database.connect_timeout,
        }
    }

    /// A connection to the first host that will do. Whom its certificate must follow from is read anew each time: an authority may
    /// be replaced by another while this process runs.
    pub(super) fn dial(&self, runtime: &Runtime) -> Result<Line, Fault> {
        let connector = connector(&self.tls)?;
        let mut faults = Vec::new();
        for (name, config) in &self.hosts {
            let made =
                runtime.block_on(async { timeout(self.patience, reach(config, connector.as_ref(), runtime)).await });
            match made {
                Ok(Ok(line)) => return Ok(line),
                Ok(Err(error)) => faults.push((name.clone(), error.into())),
                Err(_) => faults.push((name.clone(), Fault::Silent(self.patience))),
            }
        }
        Err(Fault::of_hosts(faults))
    }

    /// Gives a connection up. Its socket is closed when this returns, though an answer may be missing; where `is_working`, the server
    /// is told to stop first: one that waits for a lock does not look whether anybody is still there.
    pub(super) fn hang_up(runtime: &Runtime, line: Line, is_working: bool) {
        let Line { client, connector, task, .. } = line;
        if is_working && !client.is_closed() {
            let token = client.cancel_token();
            let cancelled = async {
                match connector {
                    Some(tls) => token.cancel_query(tls).await,
                    None => token.cancel_query(NoTls).await,
                }
            };
            // A server that cannot be told ends the statement by its own timeouts.
            let _ = runtime.block_on(async { timeout(CANCEL, cancelled).await });
        }
        drop(client);
        task.abort();
        // That it was cancelled is no news.
        let _ = runtime.block_on(task);
    }
}

async fn reach(config: &Config, connector: Option<&Connector>, runtime: &Runtime) -> Result<Line, Error> {
    match connector.cloned() {
        Some(tls) => {
            let (client, line) = config.connect(tls.clone()).await?;
            Ok(drive(runtime, (client, Some(tls)), line))
        }
        None => config.connect(NoTls).await.map(|(client, line)| drive(runtime, (client, None), line)),
    }
}

/// Moves what comes and goes on a connection, whenever this thread waits for an answer or for news.
fn drive<T>(
    runtime: &Runtime,
    (client, connector): (Client, Option<Connector>),
    mut connection: Connection<Socket, T>,
) -> Line
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
    Line { client, news, connector, task }
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
    config.ssl_mode(if database.tls == Tls::Off { SslMode::Disable } else { SslMode::Require });
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
