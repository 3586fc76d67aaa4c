//! Whether anybody is at the other end of a TCP connection, as far as the kernel finds out.
//!
//! A host that is gone says nothing. Where nothing passes, it is asked for by probes; where something was sent, it must say
//! that it has it. A system that knows neither serves all the same.

use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// How long a connection is silent before the other side is asked, how often that is done, and how far apart.
const SILENCE: Duration = Duration::from_secs(60);
const PROBES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(15);
/// After so long without a sign of the other side, or without room for what was sent, the connection is over.
const GONE: Duration = SILENCE.saturating_add(PAUSE.saturating_mul(PROBES));

/// Lets the kernel end a connection whose other side is gone. From a listener its connections have that, too.
pub(crate) fn watch(socket: &impl AsFd) {
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(PAUSE).with_retries(PROBES);
    // Without it the gateway is no worse than on a system that does not know it.
    let _ = SockRef::from(socket).set_tcp_keepalive(&keepalive);
    limit(socket, GONE);
}

/// Leaves the other side of a connection that is watched the time to take nothing for `stall`: it shuts its window then, which
/// is for a limit of the configuration to judge.
pub(crate) fn let_rest(socket: &impl AsFd, stall: Duration) {
    let most = stall.saturating_add(PAUSE);
    if most > GONE {
        limit(socket, most);
    }
}

#[cfg(target_os = "linux")]
fn limit(socket: &impl AsFd, most: Duration) {
    // In milliseconds, with 31 bits.
    let most = most.min(Duration::from_millis(i32::MAX as u64));
    let _ = SockRef::from(socket).set_tcp_user_timeout(Some(most));
}

#[cfg(not(target_os = "linux"))]
fn limit(_socket: &impl AsFd, _most: Duration) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_of_a_listener_that_is_watched_are_watched_and_have_the_time_that_they_are_given() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        watch(&listener);
        let _caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (connection, _) = listener.accept().unwrap();
        let socket = SockRef::from(&connection);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), SILENCE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), PAUSE);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), PROBES);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(GONE));
        let_rest(&connection, Duration::from_secs(1));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(GONE));
        let_rest(&connection, Duration::from_secs(600));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(615)));
        let_rest(&connection, Duration::MAX);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(i32::MAX as u64)));
    }
}
