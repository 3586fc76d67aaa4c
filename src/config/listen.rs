//! Where the gateway listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

mod read;

pub(super) use read::{read, warn_of_unused};

/// One address that callers connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub address: Address,
    /// What carries HTTP there.
    pub carrier: Carrier,
    /// Whose connections begin with a PROXY header that is believed; empty: none do.
    pub proxy_protocol: Vec<IpNet>,
    /// The permissions of a Unix socket, such as `0o660`; `None`: what the process creates files with.
    pub mode: Option<u32>,
}

/// What carries HTTP on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// The transport itself.
    Cleartext,
    /// TLS.
    Tls,
}

impl Listen {
    /// A listener of which the address alone is said. A Unix socket never has TLS: whoever can reach it is on this machine.
    pub(super) fn at(address: Address, default: Carrier) -> Self {
        let carrier = match address {
            Address::Tcp(_) => default,
            Address::Unix(_) => Carrier::Cleartext,
        };
        Self { address, carrier, proxy_protocol: Vec::new(), mode: None }
    }
}

/// A TCP or a Unix socket address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
