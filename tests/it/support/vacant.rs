//! A port on which nobody listens, held so that nobody else begins to.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// A port of 127.0.0.1 that belongs to its test, from which every connection is refused until somebody listens. A port that
/// was bound and given back would be anybody's: another test, or a connection that goes out, may get it next.
pub struct Vacant {
    pub address: SocketAddr,
    _held: Socket,
}

impl Vacant {
    pub fn new() -> Vacant {
        let held = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = held.local_addr().ok().and_then(|address| address.as_socket()).expect("its address");
        Vacant { address, _held: held }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins to listen. This can be done again when the listener before is gone.
    pub fn listen(&self) -> TcpListener {
        let socket = bound(self.address);
        socket.listen(128).expect("somebody who listens");
        socket.into()
    }
}

/// A socket that is bound and no more than that. Several may be bound to the same port, as long as one of them listens at most.
fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR can be set");
    socket.bind(&address.into()).expect("a port");
    socket
}
