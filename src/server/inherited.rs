//! Sockets that a service manager bound before this process began (systemd's socket activation, `sd_listen_fds(3)`).
//!
//! Such a socket outlives a restart: whoever connects meanwhile waits in its queue, and nobody is refused.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf, absolute};

use listenfd::ListenFd;

use crate::config::Address;

/// The sockets that were passed and not yet taken.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    tcp: Vec<(SocketAddr, TcpListener)>,
    unix: Vec<(PathBuf, UnixListener)>,
}

impl Inherited {
    /// What `LISTEN_FDS` and `LISTEN_PID` say was passed to this process. The variables are taken away: no child is meant.
    pub(super) fn take() -> Self {
        let mut passed = ListenFd::from_env();
        let mut inherited = Self::default();
        for place in 0..passed.len() {
            if let Err(error) = inherited.keep(&mut passed, place) {
                tracing::warn!(%error, number = place, "a socket that was passed is not served");
            }
        }
        inherited
    }

    fn keep(&mut self, passed: &mut ListenFd, place: usize) -> io::Result<()> {
        // A socket of the other family is left in its place.
        if let Ok(Some(listener)) = passed.take_tcp_listener(place) {
            listener.set_nonblocking(true)?;
            self.tcp.push((listener.local_addr()?, listener));
        } else if let Some(listener) = passed.take_unix_listener(place)? {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            let path = address.as_pathname().ok_or_else(|| io::Error::other("a Unix socket without a path"))?;
            self.unix.push((path.to_owned(), listener));
        }
        Ok(())
    }

    /// The socket bound to `address`, if it was passed.
    pub(super) fn tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self.tcp.iter().position(|(bound, _)| *bound == address)?;
        Some(self.tcp.swap_remove(place).1)
    }

    /// The socket bound to `path`, if it was passed.
    pub(super) fn unix(&mut self, path: &Path) -> Option<UnixListener> {
        let wanted = absolute(path).ok()?;
        let place = self.unix.iter().position(|(bound, _)| *bound == wanted)?;
        Some(self.unix.swap_remove(place).1)
    }

    /// A socket that was passed, not yet taken, and keeps `address` from being bound: its port is the same, and one of
    /// the two stands for every address of the machine.
    pub(super) fn in_the_way_of(&self, address: &Address) -> Option<Address> {
        let Address::Tcp(wanted) = address else { return None };
        let is_in_the_way = |bound: &SocketAddr| {
            bound.port() == wanted.port() && (bound.ip().is_unspecified() || wanted.ip().is_unspecified())
        };
        self.tcp.iter().map(|(bound, _)| *bound).find(is_in_the_way).map(Address::Tcp)
    }

    /// Says which sockets nothing in the configuration asked for.
    pub(super) fn warn_of_rest(&self) {
        let tcp = self.tcp.iter().map(|(address, _)| address.to_string());
        let unix = self.unix.iter().map(|(path, _)| format!("unix:{}", path.display()));
        for address in tcp.chain(unix) {
            tracing::warn!(address, "a socket was passed that no `listen` names, and is not served");
        }
    }
}
