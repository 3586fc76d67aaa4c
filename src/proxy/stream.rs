//! A byte stream to a caller or to the upstream: TCP, a Unix socket, TLS over TCP, or one stream of HTTP/2.

pub(crate) mod alive;
pub(crate) mod pipe;
mod presence;
#[cfg(test)]
pub(crate) mod scripted;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use super::exchange::Fate;
use super::room::Room;

use pipe::Pipe;
pub(crate) use presence::Presence;

/// One connection, whatever carries it.
#[derive(Debug)]
pub(crate) enum Stream {
    /// One stream of HTTP/2, as HTTP/1.1: carries one exchange, and is never kept for another.
    Pipe(Pipe),
    #[cfg(test)]
    Scripted(scripted::Scripted),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    /// Asks the kernel, with one system call, whether an idle connection is still open and silent.
    ///
    /// Used before a request that cannot be sent twice goes out on a connection that was used before.
    pub(crate) fn is_silent(&self) -> bool {
        if !self.is_drained() {
            return false;
        }
        let socket = match self {
            Self::Pipe(_) => return false,
            #[cfg(test)]
            Self::Scripted(stream) => return stream.is_silent(),
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Tls(stream) => SockRef::from(stream.get_ref().0),
            Self::Unix(stream) => SockRef::from(stream),
        };
        let mut byte = [std::mem::MaybeUninit::uninit()];
        matches!(socket.peek(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// True where the other side had closed the connection before what was sent last arrived there, so that nobody has read it.
    /// For a connection whose end was read after all was sent.
    ///
    /// Linux keeps `EPIPE`, and not `ECONNRESET`, for a socket that is reset after the other side has closed it in order: what
    /// arrives at a socket that was closed is answered so, and what was read before is not.
    pub(crate) fn was_closed_before(&self) -> bool {
        let error = self.tcp().and_then(|socket| SockRef::from(socket).take_error().ok().flatten());
        error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Makes the end of the connection a reset, so that nobody takes what was sent for all there is.
    pub(crate) fn reset_on_close(&self) {
        if let Some(socket) = self.tcp() {
            // A connection that is gone already cannot be reset, and need not be.
            let _ = SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Takes [`Self::reset_on_close`] back: all there is was sent.
    pub(crate) fn close_in_order(&self) {
        if let Some(socket) = self.tcp() {
            let _ = SockRef::from(socket).set_linger(None);
        }
    }

    /// Ends a stream of HTTP/2 here and now, whatever waits to be sent on it. A connection ends when it is dropped.
    pub(crate) fn sever(&self) {
        if let Self::Pipe(pipe) = self {
            pipe.sever();
        }
    }

    /// Says that a TLS session ends in order, as far as that needs no waiting: a caller that is not told must suspect that
    /// something was cut off.
    pub(crate) fn end_session(&mut self) {
        if let Self::Tls(stream) = self {
            let _ = Pin::new(stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }

    /// The TCP socket under it, if there is one.
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Tls(stream) => Some(stream.get_ref().0),
            _ => None,
        }
    }

    /// What the other side of a stream of HTTP/2 said of a request that it does not answer.
    pub(crate) fn fate(&self) -> Option<Fate> {
        match self {
            Self::Pipe(pipe) => pipe.fate(),
            _ => None,
        }
    }

    /// True for a stream of HTTP/2 that ended in a reset, not in order. A socket says so when it is read.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self, Self::Pipe(pipe) if pipe.is_cut())
    }

    /// Where the bytes of one stream of HTTP/2 are counted.
    pub(crate) fn room(&self) -> Option<&Rc<Room>> {
        match self {
            Self::Pipe(pipe) => Some(pipe.room()),
            _ => None,
        }
    }

    /// True for one stream of HTTP/2.
    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self, Self::Pipe(_))
    }

    /// True where HTTP/2 was agreed upon in the handshake of TLS (ALPN `h2`).
    pub(crate) fn speaks_http2(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2"))
    }

    /// True when TLS holds nothing that was received and not read: neither data nor the end of the session. A socket
    /// alone cannot tell, because whole records may have been taken off it already.
    pub(crate) fn is_drained(&self) -> bool {
        match self {
            Self::Pipe(_) => false,
            #[cfg(test)]
            Self::Scripted(_) => true,
            Self::Tcp(_) | Self::Unix(_) => true,
            Self::Tls(stream) => stream.get_ref().1.wants_read(),
        }
    }

    /// True when nothing waits to be read as far as the runtime has seen, which wakes the task once something does. Less work
    /// than a read that finds nothing, and needs no buffer. False where only a read can tell. To a task that has used up its
    /// turn, as tokio counts it, true means no more than that it may ask again: it is woken at once.
    pub(crate) fn is_quiet(&self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Pipe(_) => false,
            #[cfg(test)]
            Self::Scripted(_) => false,
            Self::Tcp(stream) => stream.poll_read_ready(cx).is_pending(),
            Self::Tls(stream) => self.is_drained() && stream.get_ref().0.poll_read_ready(cx).is_pending(),
            Self::Unix(stream) => stream.poll_read_ready(cx).is_pending(),
        }
    }

    /// True when an idle connection has something to read, be it its end. Without a system call as long as the runtime
    /// has seen nothing: readiness left over from the last read is checked with the kernel.
    pub(crate) fn has_news(&self, cx: &mut Context<'_>) -> bool {
        let ready = match self {
            Self::Pipe(_) => return true,
            #[cfg(test)]
            Self::Scripted(_) => return false,
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Tls(stream) => stream.get_ref().0.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        };
        !self.is_drained() || (ready.is_ready() && !self.is_silent())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(test)]
            Self::Scripted(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Pipe(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(test)]
            Self::Scripted(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Pipe(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            #[cfg(test)]
            Self::Scripted(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(test)]
            Self::Scripted(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(test)]
            Self::Scripted(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A connection whose other side does `first`, is sent a request, and then does `second`. Returns how its end was read, and
    /// whether the request is known to have come too late.
    async fn after(
        first: impl FnOnce(std::net::TcpStream) -> Option<std::net::TcpStream>,
        second: impl FnOnce(std::net::TcpStream),
    ) -> (io::Result<usize>, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let far = first(listener.accept().unwrap().0);
        let mut stream = Stream::Tcp(near);
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        if let Some(far) = far {
            second(far);
        }
        let ended = stream.read(&mut [0; 9]).await;
        (ended, stream.was_closed_before())
    }

    #[tokio::test]
    async fn a_stream_is_quiet_until_something_has_come_which_wakes_who_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, mut stream) = (listener.accept().unwrap().0, Stream::Tcp(near));
        let mut asked = 0;
        for sent in [b"one", b"two"] {
            std::future::poll_fn(|cx| {
                asked += 1;
                if stream.is_quiet(cx) {
                    io::Write::write_all(&mut far, sent).unwrap();
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
            .await;
            assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 3, "all of it, so that it is quiet again");
        }
        assert_eq!(asked, 4);
    }

    /// A connection over TLS, by a certificate that its own side is told to trust: its end, and the other, which has shaken hands.
    async fn over_tls() -> (Stream, TcpStream, rustls::ServerConnection) {
        use rustls::pki_types::{PrivateKeyDer, ServerName};

        let own = rcgen::generate_simple_self_signed(vec!["api.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let mut trusted = rustls::RootCertStore::empty();
        trusted.add(own.cert.der().clone()).unwrap();
        let mut theirs = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        // No record but those of the test comes after the handshake.
        theirs.send_tls13_tickets = 0;
        let ours = rustls::ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let name = ServerName::try_from("api.test").unwrap();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(ours));
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(theirs));
        let (near, far) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
        let (far, session) = far.unwrap().into_inner();
        (Stream::Tls(Box::new(near.unwrap().into())), far, session)
    }

    #[tokio::test]
    async fn a_stream_of_tls_is_not_quiet_while_a_record_waits_that_came_with_another() {
        let (mut stream, mut far, mut session) = over_tls().await;
        let quiet = |stream: &Stream| stream.is_quiet(&mut Context::from_waker(Waker::noop()));
        let mut segment = Vec::new();
        for record in [b"one", b"two"] {
            io::Write::write_all(&mut session.writer(), record).unwrap();
            session.write_tls(&mut segment).unwrap();
        }
        far.write_all(&segment).await.unwrap();
        let mut three = [0; 3];
        stream.read_exact(&mut three).await.unwrap();
        assert_eq!((&three, stream.is_drained(), quiet(&stream)), (b"one", false, false));
        stream.read_exact(&mut three).await.unwrap();
        assert_eq!(&three, b"two");
        // The socket may not be known to be empty before a read has found it so.
        let more = std::future::poll_fn(|cx| {
            let mut none = [0; 3];
            Poll::Ready(Pin::new(&mut stream).poll_read(cx, &mut ReadBuf::new(&mut none)).is_ready())
        });
        assert!(!more.await);
        assert_eq!((stream.is_drained(), quiet(&stream)), (true, true));
    }

    #[tokio::test]
    async fn what_came_too_late_is_told_from_what_was_read_and_not_answered() {
        let read = |mut far: &std::net::TcpStream| assert!(far.read(&mut [0; 99]).unwrap() > 9);
        let (ended, late) = after(|_| None, |_| ()).await;
        assert_eq!((ended.unwrap(), late), (0, true), "it was closed, and then the request came");
        let (ended, late) = after(Some, |far| read(&far)).await;
        assert_eq!((ended.unwrap(), late), (0, false), "it was closed by whoever had read it");
        let (ended, late) = after(Some, |mut far| far.read_exact(&mut [0; 3]).unwrap()).await;
        assert_eq!((ended.is_err(), late), (true, false), "a part of it was read");
        let reset = |far: std::net::TcpStream| {
            read(&far);
            SockRef::from(&far).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        };
        let (ended, late) = after(Some, reset).await;
        assert_eq!((ended.is_err(), late), (true, false), "a reset says nothing");
        let half = |far: std::net::TcpStream| {
            far.shutdown(std::net::Shutdown::Write).unwrap();
            read(&far);
        };
        let (ended, late) = after(Some, half).await;
        assert_eq!((ended.unwrap(), late), (0, false), "it was read after the end of the answers");
    }
}
