//! Addresses as they are written: what is listened on, what is connected to, what `Host` may say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::listen::Address;
use super::text::quoted;
use super::unit::Complaint;
use super::upstream::{UpstreamAddress, UpstreamUrl};

/// The longest path that a Unix socket can have, in bytes (`sun_path` without its final NUL).
const UNIX_PATH: usize = 107;

const SOCKET_HELP: &str = "write an IP address and a port, as in `127.0.0.1:8080` or `[::1]:8080`";

const URL_HELP: &str = "write `http://127.0.0.1:3000`, `https://api.example.com` or `unix:/run/api.sock`";

/// An address to listen on: `127.0.0.1:8080` or `unix:/path.sock`, a relative path being in `folder`.
pub(super) fn listen(text: &str, folder: &Path) -> Result<Address, Complaint> {
    match text.strip_prefix("unix:") {
        Some(path) => unix(path, folder).map(Address::Unix),
        None => socket(text).map(Address::Tcp).map_err(|complaint| match complaint.help == SOCKET_HELP {
            true => Complaint::new(complaint.message, format!("{SOCKET_HELP}, or `unix:/path.sock`")),
            false => complaint,
        }),
    }
}

/// An IP address with a port, or `localhost` with a port.
pub(super) fn socket(text: &str) -> Result<SocketAddr, Complaint> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let quoted = quoted(text);
    if text.contains("://") {
        return Err(Complaint::new(format!("{quoted} is a URL"), "write the address alone, as in `127.0.0.1:8080`"));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return Err(Complaint::new(
            format!("{quoted} has no address before the port"),
            format!("write `127.0.0.1:{text}`, or `0.0.0.0:{text}` for every address"),
        ));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(Complaint::new(format!("{quoted} has no port"), SOCKET_HELP));
    };
    let Ok(number) = port.parse::<u16>() else {
        return Err(Complaint::new(format!("{quoted} has no port from 0 to 65535 at its end"), SOCKET_HELP));
    };
    match host {
        "localhost" => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, number))),
        "" | "*" => Err(Complaint::new(
            format!("{quoted} has no address before the port"),
            format!("write `127.0.0.1:{port}`, or `0.0.0.0:{port}` for every address"),
        )),
        _ if host.contains(':') => Err(Complaint::new(format!("{quoted} is not an address"), SOCKET_HELP)),
        _ => Err(Complaint::new(format!("{quoted} has a name where an IP address must stand"), SOCKET_HELP)),
    }
}

/// The path of a Unix socket.
fn unix(path: &str, folder: &Path) -> Result<PathBuf, Complaint> {
    // `unix:///run/api.sock` is common elsewhere, and means the same.
    let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
    if path.is_empty() {
        return Err(Complaint::new("`unix:` has no path", "write `unix:/run/api.sock`"));
    }
    let path = folder.join(path);
    if path.as_os_str().len() > UNIX_PATH || path.to_str().is_some_and(|path| path.contains('\0')) {
        return Err(Complaint::new(
            format!("the path of a Unix socket has at most {UNIX_PATH} bytes"),
            "choose a shorter path",
        ));
    }
    Ok(path)
}

/// The URL of an upstream: its address, and its authority with a default port left out.
pub(super) fn upstream(text: &str, folder: &Path) -> Result<UpstreamUrl, Complaint> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path, folder)
            .map(|path| UpstreamUrl { address: UpstreamAddress::Unix(path), authority: "localhost".into() });
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(Complaint::new(format!("{} is not a URL", quoted(text)), URL_HELP));
    };
    let (tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (false, 80),
        "https" => (true, 443),
        _ => {
            let message = format!("{} is not a scheme of an upstream", quoted(scheme));
            return Err(Complaint::new(message, URL_HELP));
        }
    };
    if rest.contains('@') {
        return Err(Complaint::new(
            "the URL holds a user name or a password",
            "write the host alone, and give the upstream its credential in `upstream.credential`",
        ));
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err(Complaint::new(
            format!("{} goes on after the host", quoted(text)),
            "leave the path out: requests go to the upstream with the path that they came with",
        ));
    }
    let (host, port) =
        authority_parts(authority).map_err(|why| Complaint::new(format!("{} {why}", quoted(text)), URL_HELP))?;
    if port == Some(0) {
        return Err(Complaint::new(format!("{} has the port 0", quoted(text)), URL_HELP));
    }
    let shown = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let port = port.unwrap_or(default_port);
    let authority = if port == default_port { shown } else { format!("{shown}:{port}") };
    let host = host.into_boxed_str();
    Ok(UpstreamUrl { address: UpstreamAddress::Tcp { host, port, tls }, authority: authority.into_boxed_str() })
}

/// A `Host` value: a name or an IP address, perhaps with a port; lower-cased.
pub(super) fn authority(text: &str) -> Result<Box<str>, Complaint> {
    match authority_parts(text) {
        Ok(_) => Ok(text.to_ascii_lowercase().into_boxed_str()),
        Err(why) => Err(Complaint::new(
            format!("{} {why}", quoted(text)),
            "write a host as in `api.example.com` or `api.example.com:8443`",
        )),
    }
}

/// Host, without brackets and lower-cased, and port; or what is wrong.
fn authority_parts(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    if authority.contains('/') {
        return Err("is more than a host and a port");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("has `[` without `]`")?;
            let _: Ipv6Addr = host.parse().map_err(|_| "has no IPv6 address in its brackets")?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err("goes on after its `]`"),
            }
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse().map_err(|_| "has no port from 1 to 65535")?)
        }
        Some(_) => return Err("has no port from 1 to 65535"),
        None => None,
    };
    if !authority.starts_with('[') && !is_host(host) {
        return Err("has no host that could be one");
    }
    Ok((host.to_ascii_lowercase(), port))
}

/// Whether `host` is an IPv4 address or a name. `_` is no host name by RFC 952, but container networks have it.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(label) && (!numeric || matches!(host.parse(), Ok(IpAddr::V4(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<(UpstreamAddress, Box<str>), Complaint> {
        upstream(text, Path::new("/etc/scopegate")).map(|url| (url.address, url.authority))
    }

    fn tcp(host: &str, port: u16, tls: bool) -> UpstreamAddress {
        UpstreamAddress::Tcp { host: host.into(), port, tls }
    }

    #[test]
    fn an_upstream_url_gives_address_and_authority() {
        assert_eq!(url("http://127.0.0.1:3000"), Ok((tcp("127.0.0.1", 3000, false), "127.0.0.1:3000".into())));
        assert_eq!(url("https://A.Klaviyo.com/"), Ok((tcp("a.klaviyo.com", 443, true), "a.klaviyo.com".into())));
        assert_eq!(url("http://[::1]:80"), Ok((tcp("::1", 80, false), "[::1]".into())));
        assert_eq!(url("http://api_1"), Ok((tcp("api_1", 80, false), "api_1".into())));
    }

    #[test]
    fn a_unix_upstream_is_relative_to_the_file() {
        let expected = |path: &str| Ok((UpstreamAddress::Unix(path.into()), "localhost".into()));
        assert_eq!(url("unix:api.sock"), expected("/etc/scopegate/api.sock"));
        assert_eq!(url("unix:/run/api.sock"), expected("/run/api.sock"));
        assert_eq!(url("unix:///run/api.sock"), expected("/run/api.sock"));
    }

    #[test]
    fn nonsense_is_no_upstream() {
        for bad in [
            "",
            "127.0.0.1:3000",
            "ftp://x",
            "http://",
            "http://:80",
            "http://x:0",
            "http://x:99999",
            "http://x/v1",
            "http://x?y",
            "http://user:pw@x",
            "http://[::1",
            "http://[::1]x",
            "http://999.1.1.1",
            "http://a..b",
            "http://a b",
            "http://x:+80",
            "unix:",
            "http://ä",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        let complaint = url("http://user:hunter2@x").unwrap_err();
        assert!(!complaint.message.contains("hunter2"));
    }

    #[test]
    fn a_listener_is_told_what_it_lacks() {
        let message = |text: &str| listen(text, Path::new("")).unwrap_err();
        assert_eq!(message("8080").help, "write `127.0.0.1:8080`, or `0.0.0.0:8080` for every address");
        assert_eq!(message(":8080").help, "write `127.0.0.1:8080`, or `0.0.0.0:8080` for every address");
        assert_eq!(message("http://x").message, "`http://x` is a URL");
        assert_eq!(message("127.0.0.1").message, "`127.0.0.1` has no port");
        assert_eq!(message("127.0.0.1:99999").message, "`127.0.0.1:99999` has no port from 0 to 65535 at its end");
        assert_eq!(message("api:80").message, "`api:80` has a name where an IP address must stand");
        assert_eq!(message("unix:").message, "`unix:` has no path");
    }

    #[test]
    fn localhost_and_port_zero_can_be_listened_on() {
        assert_eq!(listen("localhost:0", Path::new("")), Ok(Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))));
    }
}
