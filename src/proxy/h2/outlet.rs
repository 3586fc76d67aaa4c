//! The way out of a stream, and what of its data the library still holds.
//!
//! The library takes data for a stream up to a bound of its own, whether the connection has room or not, and does not say when
//! it has let go of it. So the data says it itself, when it is dropped: however that comes, sent or thrown away.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use h2::{Reason, SendStream};
use http::HeaderMap;

use crate::proxy::room::Room;

use super::send::{Stopped, Then};

/// What a piece counts at the least, in bytes: about what the library needs to hold one. An upstream that sends chunk by chunk
/// makes pieces of a byte.
const PIECE: usize = 512;

/// A piece of data that the library is to send.
#[derive(Debug)]
pub(crate) struct Piece {
    bytes: Bytes,
    /// What it counts: its bytes, or [`PIECE`] where those are fewer.
    counted: usize,
    queue: Rc<Queue>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.queue.let_go(self.counted);
    }
}

/// What the library holds of one stream.
#[derive(Debug)]
struct Queue {
    held: Cell<usize>,
    room: Rc<Room>,
    waiting: RefCell<Option<Waker>>,
}

impl Queue {
    fn let_go(&self, count: usize) {
        self.held.set(self.held.get().saturating_sub(count));
        self.room.give_back(count);
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }
}

/// A stream to send data on.
pub(crate) struct Outlet {
    stream: SendStream<Piece>,
    queue: Rc<Queue>,
    /// Bytes that are in hand and wait for their turn.
    waiting: usize,
}

impl Outlet {
    /// What is sent on `stream` is counted in `room` until it is gone.
    pub(super) fn new(stream: SendStream<Piece>, room: &Rc<Room>) -> Self {
        let queue = Queue { held: Cell::new(0), room: Rc::clone(room), waiting: RefCell::default() };
        Self { stream, queue: Rc::new(queue), waiting: 0 }
    }

    /// Counts that so many bytes are in hand now.
    pub(super) fn hold(&mut self, count: usize) {
        self.queue.room.give_back(self.waiting);
        self.queue.room.take(count);
        self.waiting = count;
    }

    /// Ready when the library is to be given more: it holds little, or may hold much.
    pub(super) fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        if self.queue.held.get() < self.queue.room.allows(usize::MAX) {
            return Poll::Ready(Ok(()));
        }
        *self.queue.waiting.borrow_mut() = Some(cx.waker().clone());
        self.poll_reset(cx).map(|_| Err(Stopped))
    }

    /// Ready when the other side takes some of `wanted` bytes.
    pub(super) fn poll_window(&mut self, wanted: usize, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        if self.stream.capacity() == 0 {
            // Room is asked for only with data in hand: room that is held for nothing keeps other streams out.
            self.stream.reserve_capacity(wanted);
        }
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Stopped)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Bytes that the other side takes now.
    pub(super) fn capacity(&self) -> usize {
        self.stream.capacity()
    }

    /// Hands `bytes` to the library, and the end of the stream behind them.
    pub(super) fn send(&mut self, bytes: Bytes, then: Then) -> Result<(), Stopped> {
        let counted = bytes.len().max(PIECE);
        self.queue.held.set(self.queue.held.get().saturating_add(counted));
        self.queue.room.take(counted);
        let piece = Piece { bytes, counted, queue: Rc::clone(&self.queue) };
        self.stream.send_data(piece, then == Then::End).map_err(|_| Stopped)
    }

    pub(super) fn send_trailers(&mut self, trailers: HeaderMap) -> Result<(), Stopped> {
        self.stream.send_trailers(trailers).map_err(|_| Stopped)
    }

    pub(super) fn send_reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    /// As [`SendStream::poll_reset`].
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reason, h2::Error>> {
        self.stream.poll_reset(cx)
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.hold(0);
    }
}
