//! How much of an answer the kernel holds before it has sent it.
//!
//! Unbounded, a slow caller must take megabytes before the next write goes through, and looks as if it took nothing. A
//! system that knows no such bound serves all the same.

use std::os::fd::AsFd;

/// Bytes of an answer that the kernel holds of a connection before it has sent them: half of them gone, more are written.
#[cfg(target_os = "linux")]
const MOST: u32 = 128 << 10;

/// From where the connections of a listener have the bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::server) enum Unsent {
    /// The listener had it before anybody could connect, and passes it on.
    Inherited,
    /// Somebody else bound the listener: connections may have come before it had anything, and would lack it for good.
    Own,
}

impl Unsent {
    /// Looks at a listener as it was bound.
    pub(in crate::server) fn of(listener: &impl AsFd) -> Self {
        if is_limited(listener) { Self::Inherited } else { Self::Own }
    }

    /// Sees to it that a connection of the listener has the bound.
    pub(in crate::server) fn limit(self, connection: &impl AsFd) {
        if self == Self::Own {
            limit(connection);
        }
    }
}

/// Gives a socket the bound. A listener must have it before it listens.
#[cfg(target_os = "linux")]
pub(super) fn limit(socket: &impl AsFd) {
    // Without it the gateway is no worse than on a system that does not know it.
    let _ = socket2::SockRef::from(socket).set_tcp_notsent_lowat(MOST);
}

#[cfg(target_os = "linux")]
fn is_limited(socket: &impl AsFd) -> bool {
    socket2::SockRef::from(socket).tcp_notsent_lowat().is_ok_and(|bytes| bytes == MOST)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn limit(_socket: &impl AsFd) {}

#[cfg(not(target_os = "linux"))]
fn is_limited(_socket: &impl AsFd) -> bool {
    true
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn a_connection_has_the_bound_from_a_listener_that_had_it_first_and_its_own_from_any_other() {
        let ours = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        limit(&ours);
        ours.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        ours.listen(1).unwrap();
        let another = TcpListener::bind("127.0.0.1:0").unwrap();
        for (listener, from) in [(TcpListener::from(ours), Unsent::Inherited), (another, Unsent::Own)] {
            let unsent = Unsent::of(&listener);
            assert_eq!(unsent, from);
            let _caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (connection, _) = listener.accept().unwrap();
            assert_eq!(is_limited(&connection), from == Unsent::Inherited);
            unsent.limit(&connection);
            assert!(is_limited(&connection));
        }
    }
}
