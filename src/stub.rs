//! The demo's upstream: a small HTTP/1.1 server that answers in Klaviyo's shapes, from data of our own making.
//!
//! It asks for the upstream credential and for nothing else, so an answer other than 401 proves that the gateway swapped it in. It
//! keeps nothing: what is created, changed or deleted is acknowledged in the API's manner and forgotten.
//!
//! One blocking thread a connection: it serves one person with a few curl lines, not load.

mod answer;
mod connection;
mod resources;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use resources::Resources;

/// A running stub. Dropping it closes its listener and its connections.
pub struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// What the connections have in common.
struct Shared {
    /// The whole value of `Authorization` that is let in.
    credential: Box<[u8]>,
    resources: Resources,
    stopping: AtomicBool,
    open: Mutex<HashMap<SocketAddr, TcpStream>>,
}

impl Stub {
    /// Starts a stub on a free port of the loopback address. It lets in `Authorization: Klaviyo-API-Key <api_key>`.
    ///
    /// # Errors
    /// When no socket can be bound or no thread started.
    pub fn start(api_key: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            credential: format!("Klaviyo-API-Key {api_key}").into_bytes().into(),
            resources: Resources::made_up()?,
            stopping: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let for_thread = Arc::clone(&shared);
        let accepting =
            thread::Builder::new().name(String::from("stub")).spawn(move || accept(&listener, &for_thread))?;
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stub").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // The thread waits in accept: a connection wakes it.
        if TcpStream::connect(self.address).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            // It only ends early by a panic, which was printed then.
            let _ = accepting.join();
        }
        for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).values() {
            // A connection that is gone already needs no closing.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::Acquire) {
            return;
        }
        match accepted {
            Ok((stream, peer)) => start_connection(stream, peer, shared),
            // Out of descriptors, or the peer is gone: either passes.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// A connection that cannot get its thread is closed.
fn start_connection(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) {
    let Ok(handle) = stream.try_clone() else {
        return;
    };
    shared.open.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, handle);
    let for_thread = Arc::clone(shared);
    let started = thread::Builder::new().name(String::from("stub-connection")).spawn(move || {
        // The peer went away: there is nobody to tell.
        let _ = connection::serve(&stream, &for_thread.resources, &for_thread.credential);
        for_thread.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
    });
    if started.is_err() {
        shared.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
    }
}

#[cfg(test)]
mod tests;
