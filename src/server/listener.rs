//! Listening sockets: one for each worker and address, so that workers share no accept queue.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::{self, JoinHandle};

use socket2::{Domain, Socket, Type};
use tokio::runtime::Builder;

use crate::admin::{self, AdminState};
use crate::config::{Address, Config};

use super::StartError;
use super::drain::Drain;

/// Connections that the kernel keeps for a worker before it accepts them.
const BACKLOG: i32 = 1024;

/// Whether several sockets of this process may have one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sharing {
    Alone,
    AmongWorkers,
}

/// One listening socket of one worker.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Every socket of the process.
#[derive(Debug)]
pub(super) struct Bound {
    addresses: Vec<Address>,
    /// For each worker, one listener for each address.
    workers: Vec<Vec<Listener>>,
    /// The admin listener first.
    admin: Vec<TcpListener>,
    admin_address: SocketAddr,
}

impl Bound {
    /// Binds all addresses of the configuration, or none.
    pub(super) fn bind(config: &Config, workers: usize) -> Result<Self, StartError> {
        let mut bound = Self {
            addresses: Vec::with_capacity(config.listen.len()),
            workers: (0..workers).map(|_| Vec::new()).collect(),
            admin: Vec::new(),
            admin_address: config.admin,
        };
        for listen in &config.listen {
            let address = bound
                .bind_workers(&listen.address)
                .map_err(|error| refused("listen", &listen.address.to_string(), &error))?;
            bound.addresses.push(address);
        }
        let admin = listen(config.admin, Sharing::Alone)
            .map_err(|error| refused("admin.listen", &config.admin.to_string(), &error))?;
        bound.admin_address = admin.local_addr()?;
        bound.admin.push(admin);
        if let Some(metrics) = config.metrics {
            let listener = listen(metrics, Sharing::Alone)
                .map_err(|error| refused("metrics.listen", &metrics.to_string(), &error))?;
            bound.admin.push(listener);
        }
        Ok(bound)
    }

    fn bind_workers(&mut self, address: &Address) -> io::Result<Address> {
        match address {
            Address::Tcp(address) => {
                // Sockets that share a port would also share it with another process: the first is bound alone, to
                // learn whether the port is free, and a port that the system chooses is chosen once.
                let address = bind_tcp(*address, Sharing::Alone)?.local_addr()?;
                let address = address.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
                for worker in &mut self.workers {
                    worker.push(Listener::Tcp(listen(address, Sharing::AmongWorkers)?));
                }
                Ok(Address::Tcp(address))
            }
            Address::Unix(path) => {
                let listener = bind_unix(path)?;
                for worker in &mut self.workers {
                    worker.push(Listener::Unix(listener.try_clone()?));
                }
                Ok(Address::Unix(path.clone()))
            }
        }
    }

    pub(super) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    pub(super) fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    pub(super) fn take_listeners(&mut self) -> Vec<Vec<Listener>> {
        std::mem::take(&mut self.workers)
    }

    pub(super) fn take_admin(&mut self) -> Vec<TcpListener> {
        std::mem::take(&mut self.admin)
    }
}

fn refused(field: &'static str, address: &str, error: &io::Error) -> StartError {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => "it is in use by another process".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 and some directories need privileges".to_owned(),
        _ => error.to_string(),
    };
    StartError::Bind { field, address: address.to_owned(), reason }
}

/// A bound socket that does not accept yet.
fn bind_tcp(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if sharing == Sharing::AmongWorkers {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listen(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = bind_tcp(address, sharing)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Binds a Unix socket; one that nobody listens on any more is replaced.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match std::os::unix::net::UnixStream::connect(path) {
            Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            _ => return Err(error),
        },
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves probes and metrics on a thread of their own until the workers have ended.
pub(super) fn serve_admin(
    listeners: Vec<TcpListener>,
    state: &AdminState,
    drain: Drain,
) -> Result<JoinHandle<()>, StartError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let state = state.clone();
    let body = move || {
        runtime.block_on(async move {
            let mut servers = tokio::task::JoinSet::new();
            for listener in listeners {
                let (state, over) = (state.clone(), drain.clone().over());
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        servers.spawn(async move { admin::serve(listener, state, over).await });
                    }
                    Err(error) => tracing::error!(%error, "the admin listener cannot be served"),
                }
            }
            // A client that keeps its connection open does not hold up the end of the process.
            drain.over().await;
            servers.shutdown().await;
        });
    };
    Ok(thread::Builder::new().name("admin".to_owned()).spawn(body)?)
}
