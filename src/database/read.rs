//! Reads the address of a database.

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{ChannelBinding, Database, Host, Password, Roots, Target, Tls};

/// Where PostgreSQL listens, unless told otherwise.
const PORT: u16 = 5432;
/// How long a connection to one address of a host may take to make, unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What may stand behind the `?`.
const PARAMETERS: &str = "sslmode, sslrootcert, host, port, user, password, dbname, connect_timeout, channel_binding, target_session_attrs and application_name";

/// What is wrong with the address of a database. Nothing of it repeats the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant means")]
pub enum DatabaseFault {
    #[error("`{0}` cannot be the value of {1}: write {2}")]
    Choice(Box<str>, &'static str, &'static str),
    #[error("it has a `%` that is not followed by two hexadecimal digits; a `%` in a password is written %25")]
    Escape,
    #[error(
        "it has a `@`, `/`, `:` or `#` behind the first `/`: characters such as `/`, `?`, `#` and `@` in a password are written %2F, %3F, %23 and %40"
    )]
    Leftover,
    #[error("it names no host: write postgres://USER:PASSWORD@HOST/NAME, or ?host=/run/postgresql for a Unix socket")]
    NoHost,
    #[error("it names no database: write postgres://USER:PASSWORD@HOST/NAME")]
    NoName,
    #[error("it names no user: write postgres://USER:PASSWORD@HOST/NAME")]
    NoUser,
    #[error("it does not begin with postgres:// or postgresql://")]
    Scheme,
    #[error(
        "it has a port that is none: a port is a number from 1 to 65535; characters such as `/`, `?` and `@` in a password are written %2F, %3F and %40"
    )]
    Port,
    #[error("it has several hosts and {0} ports: give one port for all, or one for each")]
    Ports(usize),
    #[error(
        "sslrootcert is given, and sslmode={0} looks at no certificate: write sslmode=verify-full, or leave sslrootcert out"
    )]
    Roots(&'static str),
    #[error(
        "sslmode={0} asks no more than that somebody whom the system trusts has signed the certificate, and anybody gets one of those: write sslmode=verify-full, or name the authority of the database by sslrootcert=PATH"
    )]
    Anybody(&'static str),
    #[error("sslmode={0} may go on in cleartext without a word: write verify-full, verify-ca, require or disable")]
    Silent(Box<str>),
    #[error("`{0}` is no parameter that is known here: {PARAMETERS} are")]
    Unknown(Box<str>),
    #[error("{0} is given twice")]
    Twice(Box<str>),
}

impl DatabaseFault {
    /// The same without anything of the address.
    #[must_use]
    pub fn hidden(self) -> Self {
        const HIDDEN: &str = "***";
        match self {
            Self::Choice(_, name, choice) => Self::Choice(HIDDEN.into(), name, choice),
            Self::Unknown(_) => Self::Unknown(HIDDEN.into()),
            // One of two words, and the name of a parameter that is known.
            Self::Silent(_) | Self::Twice(_) => self,
            Self::Anybody(_) | Self::Roots(_) | Self::Ports(_) | Self::Escape | Self::Leftover => self,
            Self::NoHost | Self::NoName | Self::NoUser | Self::Scheme | Self::Port => self,
        }
    }
}

impl Database {
    /// Reads an address: `postgres://[USER[:PASSWORD]@][HOST[:PORT][,…]][/NAME][?PARAMETER=VALUE[&…]]`, as libpq does.
    /// `%` and two hexadecimal digits stand for any byte. Neither the environment nor a file of passwords is asked.
    ///
    /// Without `sslmode`, a host that is not this machine must prove by TLS who it is (`verify-full`); this machine is
    /// talked to in cleartext. `prefer` and `allow` are refused: they go on in cleartext without a word.
    ///
    /// # Errors
    /// It is no such address.
    pub fn parse(text: &str) -> Result<Self, DatabaseFault> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let rest = rest.ok_or(DatabaseFault::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if query.contains('@') {
            // The `?` stood in a password: what is behind it must not be told.
            return Err(DatabaseFault::Port);
        }
        let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
        if name.contains(['@', '/', ':', '#']) {
            // Most of that is the end of a password with a `/` in it, and must not be told either.
            return Err(DatabaseFault::Leftover);
        }
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
        let mut said = Said::default();
        said.put("user", user)?;
        said.put("password", password.unwrap_or_default())?;
        said.put("dbname", name)?;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            said.put(name, value)?;
        }
        let hosts = said.hosts(hosts)?;
        let is_local = hosts.iter().all(Host::is_local);
        Ok(Self {
            tls: said.tls(is_local)?,
            connect_timeout: said.connect_timeout()?,
            target: said.target()?,
            channel_binding: said.channel_binding()?,
            application_name: said.take("application_name").map_or("scopegate".into(), |name| name.as_str().into()),
            user: said.take("user").ok_or(DatabaseFault::NoUser)?.as_str().into(),
            password: said.take("password").map(Password),
            name: said.take("dbname").ok_or(DatabaseFault::NoName)?.as_str().into(),
            hosts,
        })
    }
}

/// What the address says, by name.
#[derive(Default)]
struct Said(Vec<(&'static str, Zeroizing<String>)>);

impl Said {
    fn put(&mut self, name: &str, value: &str) -> Result<(), DatabaseFault> {
        let known = PARAMETERS.split([',', ' ']).find(|known| *known == name && *known != "and");
        let known = known.ok_or_else(|| DatabaseFault::Unknown(name.into()))?;
        if value.is_empty() {
            return Ok(());
        }
        if self.0.iter().any(|(there, _)| *there == known) {
            return Err(DatabaseFault::Twice(known.into()));
        }
        self.0.push((known, unescape(value)?));
        Ok(())
    }

    fn take(&mut self, name: &str) -> Option<Zeroizing<String>> {
        let place = self.0.iter().position(|(there, _)| *there == name)?;
        Some(self.0.swap_remove(place).1)
    }

    fn hosts(&mut self, authority: &str) -> Result<Vec<Host>, DatabaseFault> {
        let mut hosts = Vec::new();
        for host in authority.split(',').filter(|host| !host.is_empty()) {
            let (name, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
                Some((name, port)) => (name, port.strip_prefix(':')),
                None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
            };
            hosts.push((unescape(name)?, port.map(parse_port).transpose()?));
        }
        for name in self.take("host").iter().flat_map(|names| names.split(',')) {
            hosts.push((name.to_owned().into(), None));
        }
        if hosts.is_empty() {
            return Err(DatabaseFault::NoHost);
        }
        let ports = self.take("port");
        let ports: Vec<u16> =
            ports.iter().flat_map(|ports| ports.split(',')).map(parse_port).collect::<Result<_, _>>()?;
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err(DatabaseFault::Ports(ports.len()));
        }
        let host = |(place, (name, port)): (usize, (Zeroizing<String>, Option<u16>))| {
            let port = port.or_else(|| ports.get(place).or(ports.first()).copied()).unwrap_or(PORT);
            match name.starts_with('/') {
                true => Host::Unix(PathBuf::from(name.as_str()), port),
                false => Host::Tcp(name.as_str().into(), port),
            }
        };
        Ok(hosts.into_iter().enumerate().map(host).collect())
    }

    fn tls(&mut self, is_local: bool) -> Result<Tls, DatabaseFault> {
        const CHOICE: &str = "disable, require, verify-ca or verify-full";
        let file = self.take("sslrootcert");
        let has_roots = file.is_some();
        let roots = match file {
            Some(file) if file.as_str() != "system" => Roots::File(PathBuf::from(file.as_str())),
            _ => Roots::System,
        };
        let mode = self.take("sslmode");
        match mode.as_ref().map(|mode| mode.as_str()) {
            None if is_local && !has_roots => Ok(Tls::Off),
            None | Some("verify-full") => Ok(Tls::Full(roots)),
            Some("disable") if has_roots => Err(DatabaseFault::Roots("disable")),
            Some("disable") => Ok(Tls::Off),
            // As in libpq: who gives an authority wants it asked.
            Some("require") if has_roots => authority(roots, "require"),
            Some("require") => Ok(Tls::Unproven),
            Some("verify-ca") => authority(roots, "verify-ca"),
            Some(mode @ ("allow" | "prefer")) => Err(DatabaseFault::Silent(mode.into())),
            Some(mode) => Err(DatabaseFault::Choice(mode.into(), "sslmode", CHOICE)),
        }
    }

    fn connect_timeout(&mut self) -> Result<Duration, DatabaseFault> {
        let Some(seconds) = self.take("connect_timeout") else { return Ok(CONNECT_TIMEOUT) };
        let number = seconds.parse().ok().filter(|seconds| (1..=300).contains(seconds)).map(Duration::from_secs);
        number.ok_or_else(|| DatabaseFault::Choice(seconds.as_str().into(), "connect_timeout", "seconds from 1 to 300"))
    }

    fn target(&mut self) -> Result<Target, DatabaseFault> {
        let Some(target) = self.take("target_session_attrs") else { return Ok(Target::Any) };
        match target.as_str() {
            "any" => Ok(Target::Any),
            "read-only" | "standby" => Ok(Target::ReadOnly),
            "read-write" | "primary" => Ok(Target::ReadWrite),
            other => Err(DatabaseFault::Choice(other.into(), "target_session_attrs", "any, read-write or read-only")),
        }
    }

    fn channel_binding(&mut self) -> Result<ChannelBinding, DatabaseFault> {
        let Some(binding) = self.take("channel_binding") else { return Ok(ChannelBinding::Prefer) };
        match binding.as_str() {
            "disable" => Ok(ChannelBinding::Disable),
            "prefer" => Ok(ChannelBinding::Prefer),
            "require" => Ok(ChannelBinding::Require),
            other => Err(DatabaseFault::Choice(other.into(), "channel_binding", "disable, prefer or require")),
        }
    }
}

/// TLS that looks at the authority and not at the name, of a mode of that name.
fn authority(roots: Roots, mode: &'static str) -> Result<Tls, DatabaseFault> {
    match roots {
        Roots::File(_) => Ok(Tls::Authority(roots)),
        Roots::System => Err(DatabaseFault::Anybody(mode)),
    }
}

fn parse_port(text: &str) -> Result<u16, DatabaseFault> {
    text.parse().ok().filter(|port| *port != 0).ok_or(DatabaseFault::Port)
}

/// Text with its `%` escapes taken out.
fn unescape(text: &str) -> Result<Zeroizing<String>, DatabaseFault> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        match byte {
            b'%' => match (digit(), digit()) {
                (Some(high), Some(low)) => bytes.push(u8::try_from(high * 16 + low).unwrap_or_default()),
                _ => return Err(DatabaseFault::Escape),
            },
            byte => bytes.push(byte),
        }
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| DatabaseFault::Escape)?;
    match text.contains('\0') {
        true => Err(DatabaseFault::Escape),
        false => Ok(Zeroizing::new(text.to_owned())),
    }
}
