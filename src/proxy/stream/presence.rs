//! Whether the other side of a connection is still there, where nothing is read of it.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

use super::Stream;

/// All that the runtime knows of a socket. What it has seen of the end stays, whatever is read and written.
const EVERYTHING: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::ERROR);

/// What shows of the other side without reading.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Presence {
    /// Nothing says that it went away.
    Here,
    /// It sends nothing more: what it has sent may still be there to be read. It may have closed its socket, or half of it.
    Ended,
    /// Nothing that is written reaches it any more.
    Gone,
}

impl Stream {
    /// Whether the other side is still there, without a system call. Where nothing waits to be read, the task is woken when
    /// that changes; where something does, only whoever asks again learns of it.
    pub(crate) fn poll_presence(&self, cx: &mut Context<'_>) -> Presence {
        match self {
            Self::Pipe(pipe) if pipe.poll_cut(cx).is_ready() => Presence::Gone,
            Self::Pipe(_) => Presence::Here,
            #[cfg(test)]
            Self::Scripted(_) => Presence::Here,
            Self::Tcp(stream) => of_tcp(stream, cx),
            Self::Tls(stream) => of_tcp(stream.get_ref().0, cx),
            Self::Unix(stream) => of_unix(stream, cx),
        }
    }
}

fn of_tcp(stream: &TcpStream, cx: &mut Context<'_>) -> Presence {
    match stream.poll_read_ready(cx) {
        Poll::Pending => Presence::Here,
        Poll::Ready(_) => seen(stream.ready(EVERYTHING), cx),
    }
}

fn of_unix(stream: &UnixStream, cx: &mut Context<'_>) -> Presence {
    match stream.poll_read_ready(cx) {
        Poll::Pending => Presence::Here,
        Poll::Ready(_) => seen(stream.ready(EVERYTHING), cx),
    }
}

/// What the runtime has `seen` by now, which is something.
fn seen(seen: impl Future<Output = io::Result<Ready>>, cx: &mut Context<'_>) -> Presence {
    match pin!(seen).poll(cx) {
        Poll::Ready(Ok(ready)) if ready.is_error() || ready.is_write_closed() => Presence::Gone,
        Poll::Ready(Ok(ready)) if ready.is_read_closed() => Presence::Ended,
        Poll::Ready(Ok(_)) | Poll::Pending => Presence::Here,
        // The runtime ends.
        Poll::Ready(Err(_)) => Presence::Gone,
    }
}
