//! Listening sockets: one for each worker and address, so that workers share no accept queue.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use ipnet::IpNet;
use socket2::{Domain, Socket, Type};
use tokio::runtime::Builder;

use crate::admin::{self, AdminState};
use crate::config::listen::Carrier;
use crate::config::{Address, Config, Listen};

use super::StartError;
use super::drain::Drain;
use super::inherited::Inherited;

mod fault;
mod unix;
mod unsent;

pub use fault::BindFault;
pub(super) use unix::SocketFile;
pub(super) use unsent::Unsent;

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
pub(super) struct Listener {
    pub(super) socket: Listening,
    pub(super) door: Arc<Door>,
}

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// How connections of one listener begin.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) carrier: Carrier,
    /// Who must begin with a PROXY header; empty: nobody does.
    pub(super) proxies: Vec<IpNet>,
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
    inherited: Inherited,
    made: Vec<SocketFile>,
}

impl Bound {
    /// Binds all addresses of the configuration, or none. What a service manager has bound already is taken over.
    pub(super) fn bind(config: &Config, workers: usize) -> Result<Self, StartError> {
        let mut bound = Self {
            addresses: Vec::with_capacity(config.listen.len()),
            workers: (0..workers).map(|_| Vec::new()).collect(),
            admin: Vec::new(),
            admin_address: config.admin,
            inherited: Inherited::take(),
            made: Vec::new(),
        };
        for listen in &config.listen {
            let address = bound
                .bind_workers(listen, &config.listen)
                .map_err(|error| bound.refused(("listen", listen.address.clone()), error, config))?;
            bound.addresses.push(address);
        }
        let admin = bound
            .bind_admin(config.admin)
            .map_err(|error| bound.refused(("admin.listen", Address::Tcp(config.admin)), error, config))?;
        bound.admin_address = admin.local_addr()?;
        bound.admin.push(admin);
        if let Some(metrics) = config.metrics {
            let listener = bound
                .bind_admin(metrics)
                .map_err(|error| bound.refused(("metrics.listen", Address::Tcp(metrics)), error, config))?;
            bound.admin.push(listener);
        }
        bound.inherited.warn_of_rest();
        Ok(bound)
    }

    fn refused(&self, (field, address): (&'static str, Address), error: io::Error, config: &Config) -> StartError {
        let is_named = |passed: &Address| {
            let admin = [Some(config.admin), config.metrics].into_iter().flatten().map(Address::Tcp);
            config.listen.iter().any(|listen| listen.address == *passed) || admin.into_iter().any(|one| one == *passed)
        };
        let passed = self.inherited.in_the_way_of(&address).filter(|passed| !is_named(passed));
        StartError::Bind { field, reason: BindFault::of(error, &address, passed), address: address.to_string() }
    }

    fn bind_admin(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        match self.inherited.tcp(address) {
            Some(listener) => Ok(listener),
            None => listen(address, (Sharing::Alone, Family::Both)),
        }
    }

    /// One socket for each worker. `all` tells whether an IPv6 address must leave IPv4 to another listener.
    fn bind_workers(&mut self, wanted: &Listen, all: &[Listen]) -> io::Result<Address> {
        let door = Arc::new(Door { carrier: wanted.carrier, proxies: wanted.proxy_protocol.clone() });
        match &wanted.address {
            Address::Tcp(address) => {
                // Workers share the queue of a socket that was passed: closing one of several would lose what is in its own.
                if let Some(listener) = self.inherited.tcp(*address) {
                    return self.share(&listener, &door);
                }
                let family = family(*address, all);
                // Sockets that share a port would also share it with another process: the first is bound alone, to
                // learn whether the port is free, and a port that the system chooses is chosen once.
                let address = bind_tcp(*address, (Sharing::Alone, family))?.local_addr()?;
                let address = address.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
                for worker in &mut self.workers {
                    let socket = Listening::Tcp(listen(address, (Sharing::AmongWorkers, family))?);
                    worker.push(Listener { socket, door: Arc::clone(&door) });
                }
                Ok(Address::Tcp(address))
            }
            Address::Unix(path) => {
                let listener = match self.inherited.unix(path) {
                    Some(listener) => listener,
                    None => {
                        let (listener, made) = unix::bind(path, wanted.mode)?;
                        self.made.push(made);
                        listener
                    }
                };
                for worker in &mut self.workers {
                    let socket = Listening::Unix(listener.try_clone()?);
                    worker.push(Listener { socket, door: Arc::clone(&door) });
                }
                Ok(Address::Unix(path.clone()))
            }
        }
    }

    fn share(&mut self, listener: &TcpListener, door: &Arc<Door>) -> io::Result<Address> {
        for worker in &mut self.workers {
            worker.push(Listener { socket: Listening::Tcp(listener.try_clone()?), door: Arc::clone(door) });
        }
        listener.local_addr().map(Address::Tcp)
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

    /// The files of Unix sockets that this process made: removed when this is dropped.
    pub(super) fn take_made(&mut self) -> Vec<SocketFile> {
        std::mem::take(&mut self.made)
    }

    pub(super) fn take_admin(&mut self) -> Vec<TcpListener> {
        std::mem::take(&mut self.admin)
    }
}

/// Which families of addresses reach a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Family {
    /// `[::]` takes IPv4 as well, where the system lets it.
    Both,
    /// IPv4 has a listener of its own.
    Ipv6Alone,
}

/// `[::]` leaves IPv4 alone where the same port of `0.0.0.0` is listed, too.
fn family(address: SocketAddr, all: &[Listen]) -> Family {
    let four = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    let listed = all.iter().any(|listen| listen.address == Address::Tcp(four));
    match address.ip() == Ipv6Addr::UNSPECIFIED && listed {
        true => Family::Ipv6Alone,
        false => Family::Both,
    }
}

/// A bound socket that does not accept yet.
fn bind_tcp(address: SocketAddr, (sharing, family): (Sharing, Family)) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if sharing == Sharing::AmongWorkers {
        socket.set_reuse_port(true)?;
    }
    if family == Family::Ipv6Alone {
        socket.set_only_v6(true)?;
    }
    unsent::limit(&socket);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listen(address: SocketAddr, options: (Sharing, Family)) -> io::Result<TcpListener> {
    let socket = bind_tcp(address, options)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
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
