//! Makes connections to a database: its hosts, and the addresses of each, are tried one after another, each in its own time.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::lookup_host;
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

/// Over how long those come back whose connections ended at one moment.
const SCATTER: Duration = Duration::from_millis(450);

/// An open connection.
pub(super) struct Line {
    pub(super) client: Client,
    /// Told of each notification, and of the end of the connection.
    pub(super) news: Arc<Notify>,
    /// What the server said when it ended the connection by itself.
    last_words: Arc<OnceLock<Error>>,
    /// What it was made by, where it has TLS.
    connector: Option<Connector>,
    /// Moves what comes and goes. It ends by itself only when every answer has come.
    task: JoinHandle<()>,
}

/// What makes the connections to one database.
pub(super) struct Dialler {
    /// Its hosts. What the client is given shows nothing of itself.
    hosts: Vec<(Host, Config)>,
    tls: Tls,
    /// How long one address of a host may take, with TLS and the login; and the look for them.
    patience: Duration,
    /// When nothing may take any longer.
    pub(super) until: Option<Instant>,
}

impl Dialler {
    /// Makes ready to connect.
    pub(super) fn new(database: &Database) -> Self {
        Self {
            hosts: database.hosts.iter().map(|host| (host.clone(), config(database, host))).collect(),
            tls: database.tls.clone(),
            patience: database.connect_timeout,
            until: None,
        }
    }

    /// A connection to the first host that will do. Whom its certificate must follow from is read anew each time: an authority may
    /// be replaced by another while this process runs.
    pub(super) fn dial(&self, runtime: &Runtime) -> Result<Line, Fault> {
        let connector = connector(&self.tls)?;
        let mut faults = Vec::new();
        for (host, config) in &self.hosts {
            let dialled = match self.addresses(host, runtime) {
                Ok(addresses) => self.dial_each(runtime, (host, config, connector.as_ref()), &addresses),
                Err(fault) => Err(vec![(host.to_string(), fault)]),
            };
            match dialled {
                Ok(line) => return Ok(line),
                Err(found) => faults.extend(found),
            }
        }
        Err(Fault::of_hosts(faults))
    }

    /// A time, or what is left of it.
    fn at_most(&self, time: Duration) -> Duration {
        self.until.map_or(time, |until| time.min(until.saturating_duration_since(Instant::now())))
    }

    /// Where a host is; nowhere in particular, where it has no name.
    fn addresses(&self, host: &Host, runtime: &Runtime) -> Result<Vec<IpAddr>, Fault> {
        let Host::Tcp(name, port) = host else { return Ok(Vec::new()) };
        let patience = self.at_most(self.patience);
        let found = runtime.block_on(async { timeout(patience, lookup_host((&**name, *port))).await });
        let found = found.map_err(|_| Fault::Silent(patience))?;
        let found = found.map_err(|error| Fault::OnTheWay(format!("error connecting to server: {error}")))?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.map(|found| found.ip()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        match addresses.is_empty() {
            true => Err(Fault::OnTheWay("error connecting to server: its host has no address".to_owned())),
            false => Ok(addresses),
        }
    }

    /// A connection to the first address of a host that will do; or why each would not. Each has all of its time: one that is
    /// away without a word keeps nobody from the next.
    fn dial_each(
        &self,
        runtime: &Runtime,
        (host, config, connector): (&Host, &Config, Option<&Connector>),
        addresses: &[IpAddr],
    ) -> Result<Line, Vec<(String, Fault)>> {
        let ways: Vec<(String, Config)> = match addresses {
            [] => vec![(host.to_string(), config.clone())],
            [address] => vec![(host.to_string(), at(config, *address))],
            many => many.iter().map(|address| (format!("{host} ({address})"), at(config, *address))).collect(),
        };
        let mut faults = Vec::new();
        for (name, config) in ways {
            let patience = self.at_most(self.patience);
            match runtime.block_on(async { timeout(patience, reach(&config, connector, runtime)).await }) {
                Ok(Ok(line)) => return Ok(line),
                Ok(Err(error)) => faults.push((name, error.into())),
                Err(_) => faults.push((name, Fault::Silent(patience))),
            }
        }
        Err(faults)
    }

    /// Gives a connection up. Its socket is closed when this returns, though an answer may be missing; where `is_working`, the server
    /// is told to stop first: one that waits for a lock does not look whether anybody is still there. Gives what the server said
    /// where it ended the connection.
    pub(super) fn hang_up(&self, runtime: &Runtime, line: Line, is_working: bool) -> Option<Error> {
        let Line { client, connector, task, last_words, .. } = line;
        if is_working && !client.is_closed() {
            let token = client.cancel_token();
            let cancelled = async {
                match connector {
                    Some(tls) => token.cancel_query(tls).await,
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
        Arc::into_inner(last_words).and_then(OnceLock::into_inner)
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
    let last_words = Arc::new(OnceLock::new());
    let said = Arc::clone(&last_words);
    let task = runtime.spawn(async move {
        while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
            match message {
                Ok(AsyncMessage::Notification(_)) => told.notify_one(),
                Ok(_) => {}
                Err(error) => {
                    // It is the first: nothing comes after it.
                    let _ = said.set(error);
                    break;
                }
            }
        }
        told.notify_one();
    });
    Line { client, news, last_words, connector, task }
}

/// What the client is given for one address of a host. Its certificate is still held against its name.
fn at(config: &Config, address: IpAddr) -> Config {
    let mut config = config.clone();
    config.hostaddr(address);
    config
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

/// How long to wait before a connection that ended is made anew: at another moment than all others whose connections ended with
/// it.
pub(super) fn scatter() -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(std::process::id());
    let nanos = u64::try_from(SCATTER.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random % nanos)
}

#[cfg(test)]
mod tests;
