//! What `benches/compare/run` puts before and behind each contestant: callers, an upstream, and the least that any proxy can be.
//!
//! | command | what it is |
//! |---|---|
//! | `traffic upstream PORT strict\|lax` | an HTTP/1.1 server; `strict` answers 500 to a request that still has a credential |
//! | `traffic floor PORT UPSTREAM` | passes bytes on between two ports and reads none of them |
//! | `traffic load PORT REQUESTS …` | callers that ask one thing after the other, and what the proxy's processes took for it |
//! | `traffic certificate FOLDER` | `cert.pem` and `key.pem` for `localhost` |
//!
//! Each is one thread that waits for its sockets by epoll; it has to take less than the proxy that it measures.

mod answer;
mod floor;
mod load;
mod order;
mod streams;
mod upstream;
mod usage;

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use mio::net::TcpListener;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes of a read: more than what a socket has at once, but for large bodies.
pub(crate) const READ: usize = 256 << 10;

/// A port of this machine alone.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Listens with room for as many callers as ever come at once.
pub(crate) fn listen(port: u16) -> Outcome<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&local(port).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}

fn make_certificate(folder: &Path) -> Outcome<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(folder.join("cert.pem"), made.cert.pem())?;
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["upstream", port, manner @ ("strict" | "lax")] => upstream::serve(listen(port.parse()?)?, *manner == "strict"),
        ["floor", port, upstream] => floor::forward(listen(port.parse()?)?, local(upstream.parse()?)),
        ["load", port, requests, options @ ..] => {
            load::run(&load::Plan::new(port.parse()?, Path::new(requests), options)?)
        }
        ["certificate", folder] => make_certificate(Path::new(folder)),
        _ => {
            Err("traffic upstream PORT strict|lax | floor PORT UPSTREAM | load PORT REQUESTS … | certificate FOLDER"
                .into())
        }
    }
}
