//! The start of HTTP/2 on a connection, told from HTTP/1.1 before a byte of it is judged.

use std::borrow::BorrowMut;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::buffer::{Buffer, Buffers};

use super::hold::Hold;
use super::traffic::{Cork, Traffic};

/// What every caller of HTTP/2 sends first (RFC 9113 3.4). No request of HTTP/1.1 begins like it.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a caller of HTTP/2 is told for whom there is no room: the settings that must come first, all of them the default,
/// and a GOAWAY (RFC 9113 6.8) by which nothing was done, with ENHANCE_YOUR_CALM.
pub(crate) const NO_ROOM: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b";

/// What the first bytes of a connection say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Opening {
    Http1,
    Http2,
    /// They are the beginning of either.
    Undecided,
}

impl Opening {
    /// Tells the protocol by the first bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let common = bytes.iter().zip(PREFACE).take_while(|(byte, known)| byte == known).count();
        if common == PREFACE.len() {
            Self::Http2
        } else if common == bytes.len() {
            Self::Undecided
        } else {
            Self::Http1
        }
    }
}

/// A connection of which some bytes were read before its protocol was known: they are read again first, untouched.
pub(crate) struct Wire<'c, B, S> {
    pub(crate) read: B,
    pub(crate) stream: S,
    /// Take the memory of `read` back, where there are any.
    pub(crate) buffers: Option<&'c Buffers>,
    /// What passes is noted here. Who has no credit is not read from any more, and who sends many frames not in the same turn.
    pub(crate) traffic: Rc<Traffic>,
    /// What was written while it is to be held back.
    pub(crate) hold: Hold<'c>,
}

impl<B: Unpin, S: AsyncWrite + Unpin> Wire<'_, B, S> {
    /// Writes what was held back.
    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.hold.is_empty() {
            ready!(self.poll_pass(&[], cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes once: what was held back, and `bufs` behind it. Returns how many bytes of those were taken.
    fn poll_pass(&mut self, bufs: &[io::IoSlice<'_>], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        let wrote = if self.hold.is_empty() {
            stream.poll_write_vectored(cx, bufs)
        } else {
            let held = io::IoSlice::new(self.hold.bytes());
            let all: SmallVec<[io::IoSlice<'_>; 8]> = [held].into_iter().chain(bufs.iter().copied()).collect();
            stream.poll_write_vectored(cx, &all)
        };
        let Poll::Ready(wrote) = wrote else {
            self.traffic.stalled();
            return Poll::Pending;
        };
        let count = wrote?;
        if count == 0 && !self.hold.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let taken = count - self.hold.release(count);
        // What was held back was looked at when it was.
        self.traffic.went(b"");
        let mut left = taken;
        for buf in bufs {
            let of_buf = left.min(buf.len());
            self.traffic.went(buf.get(..of_buf).unwrap_or_default());
            left -= of_buf;
        }
        Poll::Ready(Ok(taken))
    }
}

impl<B: BorrowMut<Buffer> + Unpin, S: AsyncRead + Unpin> AsyncRead for Wire<'_, B, S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.traffic.is_spent() {
            // Whoever polls this looks at the credit next: nobody has to be woken.
            return Poll::Pending;
        }
        if this.traffic.is_turn_over() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let (before, read) = (buf.filled().len(), this.read.borrow_mut());
        if read.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let count = read.len().min(buf.remaining());
            buf.put_slice(read.filled().get(..count).unwrap_or_default());
            read.consume(count);
            if let Some(buffers) = this.buffers {
                buffers.reclaim(read);
            }
        }
        this.traffic.came(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<B: Unpin, S: AsyncWrite + Unpin> AsyncWrite for Wire<'_, B, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let size = bufs.iter().map(|buf| buf.len()).sum();
        if this.hold.takes(size, this.traffic.corked()) {
            for buf in bufs {
                this.traffic.holds(buf);
                this.hold.take(buf);
            }
            return Poll::Ready(Ok(size));
        }
        loop {
            match ready!(this.poll_pass(bufs, cx))? {
                0 if size > 0 => {}
                count => return Poll::Ready(Ok(count)),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.traffic.corked() != Cork::Out {
            this.traffic.put_off_flush();
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_release(cx))?;
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        match flushed {
            // TLS takes more than its socket does.
            Poll::Pending => this.traffic.stalled(),
            Poll::Ready(Ok(())) => this.traffic.flushed(),
            Poll::Ready(Err(_)) => {}
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_release(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use crate::proxy::room::Room;
    use crate::proxy::watch::Watch;

    use super::*;

    /// Takes so many bytes at once, and remembers each write.
    struct Socket {
        most: usize,
        wrote: Vec<Vec<u8>>,
        /// Whether what it took is still to be flushed, as with TLS.
        buffers: bool,
    }

    impl AsyncWrite for Socket {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let most = self.most;
            let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).take(most).collect();
            let count = bytes.len();
            self.wrote.push(bytes);
            if count == 0 { Poll::Pending } else { Poll::Ready(Ok(count)) }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.buffers { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn wire<'b>(buffers: &'b Buffers, room: &Rc<Room>, most: usize) -> (Wire<'b, (), Socket>, Rc<Traffic>) {
        let traffic = Traffic::of_caller(&Watch::new(), 0);
        let (stream, hold) = (Socket { most, wrote: Vec::new(), buffers: false }, Hold::new(buffers, room));
        (Wire { read: (), stream, buffers: None, traffic: Rc::clone(&traffic), hold }, traffic)
    }

    /// What a socket is given that takes `most` bytes at once, of three answers in one turn and what follows that.
    async fn written(most: usize, answers: [&[u8]; 3]) -> Vec<Vec<u8>> {
        let (buffers, room) = (Buffers::default(), Room::of_connection(&Room::of_worker()));
        let (mut wire, traffic) = wire(&buffers, &room, most);
        traffic.cork(Cork::Turn);
        for answer in answers {
            wire.write_all(answer).await.unwrap();
            wire.flush().await.unwrap();
        }
        assert!(traffic.uncork() && !traffic.uncork(), "there is something to let go, once");
        wire.flush().await.unwrap();
        wire.write_all(b"after").await.unwrap();
        assert!(room.is_empty());
        wire.stream.wrote
    }

    #[tokio::test]
    async fn what_is_written_in_a_turn_goes_out_in_one_piece() {
        assert_eq!(written(1000, [b"one", b"two", b"three"]).await, [&b"onetwothree"[..], b"after"]);
        assert_eq!(written(4, [b"one", b"two", b"3"]).await, [&b"onet"[..], b"wo3", b"afte", b"r"]);
    }

    #[tokio::test]
    async fn what_is_large_is_not_copied_and_takes_with_it_what_came_before() {
        let large = [7; 9000];
        let wrote = written(100_000, [b"one", &large, b"two"]).await;
        assert_eq!(wrote, [&[b"one", &large[..]].concat()[..], b"two", b"after"]);
        let wrote = written(5, [b"one", &large, b"two"]).await;
        assert_eq!(wrote.concat(), [b"one", &large[..], b"two", b"after"].concat());
    }

    #[tokio::test]
    async fn a_socket_that_takes_nothing_holds_up_who_writes() {
        let (buffers, room) = (Buffers::default(), Room::of_connection(&Room::of_worker()));
        let (mut wire, traffic) = wire(&buffers, &room, 0);
        traffic.cork(Cork::Turn);
        wire.write_all(b"one").await.unwrap();
        assert!(!traffic.is_congested());
        traffic.uncork();
        let flushed = poll_fn(|cx| Poll::Ready(Pin::new(&mut wire).poll_flush(cx))).await;
        assert!(flushed.is_pending() && traffic.is_congested());
        let wrote = poll_fn(|cx| Poll::Ready(Pin::new(&mut wire).poll_write(cx, b"two"))).await;
        assert!(wrote.is_pending());
    }

    /// Whether the connection gets to flush in a turn in which nothing is written, as `Session` gives it turns.
    async fn flushes(wire: &mut Wire<'_, (), Socket>, traffic: &Traffic) -> Vec<bool> {
        let mut flushed = Vec::new();
        traffic.cork(Cork::Turn);
        loop {
            let out = traffic.corked() == Cork::Out;
            let flush = poll_fn(|cx| Poll::Ready(Pin::new(&mut *wire).poll_flush(cx))).await;
            flushed.extend(out.then_some(flush.is_ready()));
            if !traffic.uncork() {
                return flushed;
            }
        }
    }

    #[tokio::test]
    async fn what_a_socket_did_not_take_goes_out_in_a_later_turn_in_which_nothing_is_written() {
        let (buffers, room) = (Buffers::default(), Room::of_connection(&Room::of_worker()));
        let (mut wire, traffic) = wire(&buffers, &room, 0);
        traffic.cork(Cork::Turn);
        wire.write_all(b"one").await.unwrap();
        assert_eq!(flushes(&mut wire, &traffic).await, [false], "the socket is full");
        assert_eq!(flushes(&mut wire, &traffic).await, [false], "and is waited for");
        wire.stream.most = 100;
        assert_eq!(flushes(&mut wire, &traffic).await, [true]);
        assert_eq!(wire.stream.wrote.last().unwrap(), b"one");
        assert!(flushes(&mut wire, &traffic).await.is_empty(), "there is nothing left to flush");
    }

    #[tokio::test]
    async fn what_a_stream_took_and_keeps_is_flushed_in_every_turn_until_it_is_out() {
        let (buffers, room) = (Buffers::default(), Room::of_connection(&Room::of_worker()));
        let (mut wire, traffic) = wire(&buffers, &room, 100_000);
        wire.stream.buffers = true;
        traffic.cork(Cork::Turn);
        wire.write_all(b"small").await.unwrap();
        assert!(traffic.is_out(), "what is held back goes with what follows it");
        wire.write_all(&[7; 9000]).await.unwrap();
        assert!(!traffic.is_out());
        assert_eq!(flushes(&mut wire, &traffic).await, [false]);
        assert_eq!(flushes(&mut wire, &traffic).await, [false]);
        assert!(traffic.is_congested(), "the caller has not taken it yet");
        wire.stream.buffers = false;
        assert_eq!(flushes(&mut wire, &traffic).await, [true]);
        assert!(!traffic.is_congested() && traffic.is_out());
        assert!(flushes(&mut wire, &traffic).await.is_empty());
    }

    #[test]
    fn the_preface_alone_is_http_2() {
        for (bytes, told) in [
            (&b""[..], Opening::Undecided),
            (b"P", Opening::Undecided),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", Opening::Undecided),
            (PREFACE, Opening::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", Opening::Http2),
            (b"PUT / HTTP/1.1", Opening::Http1),
            (b"PRI * HTTP/1.1", Opening::Http1),
            (b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n", Opening::Http1),
            (b" PRI", Opening::Http1),
        ] {
            assert_eq!(Opening::of(bytes), told, "{bytes:?}");
        }
    }
}
