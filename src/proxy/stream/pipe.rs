//! Two byte streams within one thread, each the other's peer: what carries one stream of HTTP/2 through the gateway as if
//! it were a connection of HTTP/1.1.
//!
//! A pipe holds at most [`ROOM`] bytes in each direction, and less where its connection is held short of [`Room`], so a reader
//! that is slow makes the writer wait. An end that is dropped is the end of the stream for the other: it reads what was written
//! before, then nothing more.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::exchange::Fate;
use crate::proxy::room::Room;

/// Bytes that may wait in one direction.
const ROOM: usize = 32 * 1024;

/// One end.
#[derive(Debug)]
pub(crate) struct Pipe {
    reads: Rc<RefCell<Lane>>,
    writes: Rc<RefCell<Lane>>,
    room: Rc<Room>,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    bytes: BytesMut,
    /// Where the bytes are counted.
    room: Rc<Room>,
    /// Nothing more is written, or nothing more is read.
    closed: bool,
    /// Its writer has said that what was written is all.
    ended: bool,
    /// What was written is not to be read any more.
    severed: bool,
    /// What became of the request that its writer was to answer, where he knows.
    fate: Option<Fate>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Waits for the end alone, whatever else is read and written meanwhile.
    mourner: Option<Waker>,
}

impl Lane {
    fn new(room: &Rc<Room>) -> Rc<RefCell<Self>> {
        room.open();
        Rc::new(RefCell::new(Self {
            bytes: BytesMut::new(),
            room: Rc::clone(room),
            closed: false,
            ended: false,
            severed: false,
            fate: None,
            reader: None,
            writer: None,
            mourner: None,
        }))
    }

    fn close(&mut self) {
        self.closed = true;
        for waker in [self.reader.take(), self.writer.take(), self.mourner.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.room.give_back(self.bytes.len());
        self.room.close();
    }
}

/// Remembers whom to wake.
fn wait(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(known) if known.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}

impl Pipe {
    /// Two ends of one pipe, which holds what `room` allows.
    pub(crate) fn pair(room: &Rc<Room>) -> (Self, Self) {
        let (one, other) = (Lane::new(room), Lane::new(room));
        let near = Self { reads: Rc::clone(&one), writes: Rc::clone(&other), room: Rc::clone(room) };
        (near, Self { reads: other, writes: one, room: Rc::clone(room) })
    }

    /// Where what it holds is counted.
    pub(crate) fn room(&self) -> &Rc<Room> {
        &self.room
    }

    /// Everything that can be read now, without a copy; `None` at the end.
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut lane = self.reads.borrow_mut();
        if lane.severed {
            return Poll::Ready(None);
        }
        if lane.bytes.is_empty() {
            if lane.closed {
                return Poll::Ready(None);
            }
            wait(&mut lane.reader, cx);
            return Poll::Pending;
        }
        let bytes = lane.bytes.split().freeze();
        lane.room.give_back(bytes.len());
        if let Some(writer) = lane.writer.take() {
            writer.wake();
        }
        Poll::Ready(Some(bytes))
    }

    /// Writes as much as there is room for. `BrokenPipe` where nobody reads any more.
    pub(crate) fn poll_put(&self, bytes: &[u8], cx: &Context<'_>) -> Poll<io::Result<usize>> {
        let mut lane = self.writes.borrow_mut();
        if lane.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(lane.room.allows(ROOM).saturating_sub(lane.bytes.len()));
        if count == 0 && !bytes.is_empty() {
            wait(&mut lane.writer, cx);
            return Poll::Pending;
        }
        lane.room.take(count);
        lane.bytes.extend_from_slice(bytes.get(..count).unwrap_or_default());
        if let Some(reader) = lane.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(count))
    }

    /// Writes all of `bytes`, as there is room for them.
    pub(crate) async fn put(&self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            let count = poll_fn(|cx| self.poll_put(left, cx)).await?;
            left = left.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Tells the other end why there will be no answer.
    pub(crate) fn explain(&self, fate: Fate) {
        self.writes.borrow_mut().fate = Some(fate);
    }

    /// What the other end told of that.
    pub(crate) fn fate(&self) -> Option<Fate> {
        self.reads.borrow().fate
    }

    /// Says that what was written is all there is; the other direction goes on.
    pub(crate) fn end(&self) {
        let mut lane = self.writes.borrow_mut();
        // Nobody can say so of what was cut off before.
        lane.ended |= !lane.closed;
        lane.close();
    }

    /// The other end was dropped, and never said that what it wrote is all. What it wrote may still be there.
    pub(crate) fn is_cut(&self) -> bool {
        let lane = self.reads.borrow();
        lane.closed && !lane.ended
    }

    /// Ready once this end is cut off.
    pub(crate) fn poll_cut(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_cut() {
            return Poll::Ready(());
        }
        wait(&mut self.reads.borrow_mut().mourner, cx);
        Poll::Pending
    }

    /// Ends what this end writes here and now: what of it was not read yet is never taken.
    pub(crate) fn sever(&self) {
        let mut lane = self.writes.borrow_mut();
        lane.severed = true;
        lane.room.give_back(lane.bytes.len());
        lane.bytes = BytesMut::new();
        lane.close();
    }

    /// The other end has severed what it wrote.
    pub(crate) fn is_severed(&self) -> bool {
        self.reads.borrow().severed
    }

    /// Ready once the other end has severed what it wrote.
    pub(crate) fn poll_severed(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_severed() {
            return Poll::Ready(());
        }
        wait(&mut self.reads.borrow_mut().mourner, cx);
        Poll::Pending
    }

    /// Nobody reads any more what this end writes: the other one was dropped. What it wrote may still be there.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.writes.borrow().closed
    }

    /// Ready once this end is abandoned.
    pub(crate) fn poll_abandoned(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_abandoned() {
            return Poll::Ready(());
        }
        wait(&mut self.writes.borrow_mut().mourner, cx);
        Poll::Pending
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.reads.borrow_mut().close();
        self.writes.borrow_mut().close();
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut lane = self.reads.borrow_mut();
        if lane.bytes.is_empty() {
            if lane.closed {
                return Poll::Ready(Ok(()));
            }
            wait(&mut lane.reader, cx);
            return Poll::Pending;
        }
        let count = buf.remaining().min(lane.bytes.len());
        buf.put_slice(&lane.bytes.split_to(count));
        lane.room.give_back(count);
        if let Some(writer) = lane.writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_put(buf, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut written = 0;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            match self.poll_put(buf, cx) {
                Poll::Ready(Ok(count)) => written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if written == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
