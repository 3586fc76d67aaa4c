//! The address of a database, `postgres://USER:PASSWORD@HOST:PORT/NAME?…`, as the configuration and the command line say it.
//!
//! FLOOR 0. It is read here, without IO, so that what is wrong with it is told with the line where it stands.
//!
//! INVARIANT: the password is shown by nothing: not by `Debug`, not by `Display`, not by an error.

mod read;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

pub use read::DatabaseFault;

/// What the address of a database is shown with in front.
pub const SCHEME: &str = "postgres://";

/// Where a database is, and how it is talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Where it is; one after another is tried.
    pub hosts: Vec<Host>,
    /// Who logs in.
    pub user: Box<str>,
    /// By which password.
    pub password: Option<Password>,
    /// The name of the database.
    pub name: Box<str>,
    /// Whether and how its server must prove who it is.
    pub tls: Tls,
    /// How long a connection to one address of a host may take to make.
    pub connect_timeout: Duration,
    /// Whether a host will do that takes no changes.
    pub target: Target,
    /// Whether the password must be bound to the TLS connection.
    pub channel_binding: ChannelBinding,
    /// What the server calls this client in its lists.
    pub application_name: Box<str>,
}

/// One place where a database may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name or an IP address, and a port.
    Tcp(Box<str>, u16),
    /// The folder of a Unix socket, and the port in its name.
    Unix(PathBuf, u16),
}

/// TLS towards the database, by the meaning that libpq gives to `sslmode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Cleartext.
    Off,
    /// Encrypted. Whoever answers is believed.
    Unproven,
    /// The certificate must follow from one of these authorities.
    Authority(Roots),
    /// And it must bear the name of the host.
    Full(Roots),
}

/// Whom a certificate must follow from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of the file, in PEM.
    File(PathBuf),
    /// Those that the system trusts.
    System,
}

/// What sort of host will do, as `target_session_attrs` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any.
    Any,
    /// One that takes no changes.
    ReadOnly,
    /// One that takes changes.
    ReadWrite,
}

/// Whether the password is bound to the TLS connection, so that nobody between can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where the server can.
    Prefer,
    /// Always, or no connection is made.
    Require,
}

/// A password. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Its bytes.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl Database {
    /// Whether nothing that is said to it leaves this machine.
    pub fn is_local(&self) -> bool {
        self.hosts.iter().all(Host::is_local)
    }

    /// Whether `shown`, which another address is shown as, is of a database of this name on one of these hosts. Another user may
    /// log in there, and other hosts may stand beside it.
    pub fn shares_a_host_with(&self, shown: &str) -> bool {
        let login_and_hosts = shown
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.strip_suffix(&*self.name))
            .and_then(|rest| rest.strip_suffix('/'));
        let hosts = login_and_hosts.and_then(|rest| rest.rsplit_once('@')).map(|(_, hosts)| hosts);
        let is_ours = |known: &str| self.hosts.iter().any(|host| host.to_string() == known);
        hosts.is_some_and(|hosts| hosts.split(',').any(is_ours))
    }
}

impl Host {
    /// Whether nothing that is said to it leaves this machine.
    fn is_local(&self) -> bool {
        match self {
            Self::Tcp(name, _) => {
                let address = name.parse::<std::net::IpAddr>();
                &**name == "localhost" || address.is_ok_and(|address| address.is_loopback())
            }
            Self::Unix(..) => true,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(name, port) if name.contains(':') => write!(out, "[{name}]:{port}"),
            Self::Tcp(name, port) => write!(out, "{name}:{port}"),
            Self::Unix(folder, port) => write!(out, "{}:{port}", folder.display()),
        }
    }
}

impl fmt::Display for Database {
    /// Without the password, and without what only says how it is talked to.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{SCHEME}{}@", self.user)?;
        for (place, host) in self.hosts.iter().enumerate() {
            write!(out, "{}{host}", if place == 0 { "" } else { "," })?;
        }
        write!(out, "/{}", self.name)
    }
}

#[cfg(test)]
mod tests;
