//! `scopegate healthcheck`: asks `/readyz` of the gateway on this machine.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{ConfigArgs, Console, Exit, Failure};

/// How long a probe waits for each of connection, request and answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where the admin listener is unless something else is said.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9901);

/// Exit 0 when the gateway on this machine is ready, for container probes
///
/// With --admin, or SCOPEGATE_ADMIN set, no file is read: a probe that is to stay right while a configuration is being
/// edited says the address.
#[derive(Debug, clap::Args)]
pub(super) struct HealthcheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Address of the gateway's admin listener [default: as configured]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
}

pub(super) fn run(arguments: &HealthcheckArgs, console: &mut Console) -> Result<Exit, Failure> {
    let address = reachable(address(arguments, console)?);
    let answer = ask(address).map_err(|error| {
        Failure::io(format_args!("the gateway's admin listener at {address} does not answer"), &error)
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let body = body.trim_end();
    // Some other server would say 200 as well: the words are ours.
    match (head.split(' ').nth(1), body) {
        (Some("200"), ready) if ready == "ready" || ready.starts_with("ready: ") => {
            console.print(body)?;
            Ok(Exit::Done)
        }
        _ if body.starts_with("not ready") => {
            Err(Failure::failed(format_args!("the gateway at {address} says: {body}")))
        }
        _ => Err(Failure::failed(format_args!(
            "what answers at {address} is no gateway's admin listener: /readyz says neither `ready` nor `not ready`; give its address with --admin"
        ))),
    }
}

/// The flag, else the variable, else the file.
fn address(arguments: &HealthcheckArgs, console: &mut Console) -> Result<SocketAddr, Failure> {
    let said = arguments.admin.clone().or_else(|| std::env::var("SCOPEGATE_ADMIN").ok());
    // As everywhere, an empty variable says nothing.
    let said = said.filter(|text| !text.is_empty());
    if let Some(text) = said {
        return text.parse().map_err(|_| {
            Failure::usage(format_args!("`{text}` is no address: write an IP address and a port, as in 127.0.0.1:9901"))
        });
    }
    match arguments.config.load() {
        Ok(loaded) => Ok(loaded.config.admin),
        Err(_) => {
            console.warn(format_args!("the configuration cannot be read, so the probe asks {DEFAULT_ADDRESS}; `scopegate check` says what is wrong"));
            Ok(DEFAULT_ADDRESS)
        }
    }
}

/// Where a listener on this address can be reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let loopback = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(loopback, address.port())
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(16 * 1024).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A gateway that gives one answer, and the exit of a probe of it.
    fn probe(answer: &'static str) -> Result<Exit, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend_from_slice(&byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let arguments = HealthcheckArgs { config: ConfigArgs::default(), admin: Some(address.to_string()) };
        let exit = run(&arguments, &mut Console::of_test("", io::sink(), io::sink()));
        gateway.join().unwrap();
        exit
    }

    #[test]
    fn a_ready_gateway_is_exit_0() {
        assert_eq!(probe("HTTP/1.1 200 OK\r\n\r\nready\n").unwrap(), Exit::Done);
    }

    #[test]
    fn a_gateway_that_is_ready_without_its_store_is_exit_0() {
        assert_eq!(probe("HTTP/1.1 200 OK\r\n\r\nready: the key store has been away for 9 s\n").unwrap(), Exit::Done);
    }

    #[test]
    fn a_gateway_that_is_not_ready_is_exit_1_and_says_why() {
        let failure = probe("HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready: draining\n").unwrap_err();
        assert_eq!(failure.exit(), Exit::Failed);
        assert!(matches!(failure, Failure::Told { message, .. } if message.ends_with("says: not ready: draining")));
    }

    #[test]
    fn another_server_that_answers_200_is_no_gateway() {
        for answer in
            ["HTTP/1.1 200 OK\r\n\r\n<html>it works</html>\n", "HTTP/1.1 404 Not Found\r\n\r\n", "SSH-2.0\r\n"]
        {
            let failure = probe(answer).unwrap_err();
            assert_eq!(failure.exit(), Exit::Failed);
            assert!(
                matches!(failure, Failure::Told { message, .. } if message.contains("is no gateway's admin listener"))
            );
        }
    }

    #[test]
    fn a_listener_on_every_address_is_probed_on_loopback() {
        assert_eq!(reachable("0.0.0.0:9901".parse().unwrap()), "127.0.0.1:9901".parse().unwrap());
        assert_eq!(reachable("[::]:9901".parse().unwrap()), "[::1]:9901".parse().unwrap());
        assert_eq!(reachable("10.1.2.3:9901".parse().unwrap()), "10.1.2.3:9901".parse().unwrap());
    }
}
