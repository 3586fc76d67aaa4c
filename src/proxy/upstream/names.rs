//! Names of servers: looked up when they are first needed, and again and again after that.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::snapshot::{Server, UpstreamAddress};

/// The addresses of a server; looked up within `patience` where nobody did before. None for a Unix socket.
pub(super) async fn addresses(server: &Server, patience: Duration) -> io::Result<Arc<Vec<SocketAddr>>> {
    if server.resolved.addresses().is_empty() {
        timeout(patience, look_up(server)).await??;
    }
    Ok(server.resolved.addresses())
}

/// Looks a name up again; true where it stands for something else by now.
pub(super) async fn is_news(server: &Server, patience: Duration) -> bool {
    !server.resolved.is_fixed() && matches!(timeout(patience, look_up(server)).await, Ok(Ok(true)))
}

/// Asks the system's resolver (`getaddrinfo`, on a thread of its own). What was known stays known where it fails.
/// True where something else was found than before.
pub(super) async fn look_up(server: &Server) -> io::Result<bool> {
    let UpstreamAddress::Tcp { host, port, .. } = &server.address else { return Ok(false) };
    let found: Vec<SocketAddr> = lookup_host((&**host, *port)).await?.collect();
    let is_first = server.resolved.addresses().is_empty();
    let changed = server.resolved.update(found);
    if changed && !is_first {
        tracing::info!(server = &*server.authority, "the name of the upstream stands for other addresses now");
    }
    Ok(changed)
}
