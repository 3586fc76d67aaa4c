//! The data of a stream on its way into a pipe.
//!
//! Data that waits in the library is counted there by its pieces, over all streams of a connection: one stream whose reader
//! has stopped, and whose data comes byte by byte, would end the connection for all of them. So what comes is taken at once;
//! its room is given back only when the pipe has taken it, which bounds what is held here to the window of the stream.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::HeaderMap;

use crate::http1::write;
use crate::proxy::room::Room;
use crate::proxy::stream::pipe::Pipe;

use super::send::Stopped;

/// A body, and what of it was taken while the pipe had no room.
pub(super) struct Gathered<'b> {
    body: &'b mut RecvStream,
    held: BytesMut,
    /// Bytes that were taken and not released.
    taken: usize,
    /// Where they are counted.
    room: Rc<Room>,
    /// The stream broke off while its data was taken.
    broken: bool,
}

impl<'b> Gathered<'b> {
    /// What was taken of `body` is counted in `room`, until it is released.
    pub(super) fn new(body: &'b mut RecvStream, room: &Rc<Room>) -> Self {
        Self { body, held: BytesMut::new(), taken: 0, room: Rc::clone(room), broken: false }
    }

    /// The next data; `None` at the end. Its room is given back by [`Self::release`].
    pub(super) async fn data(&mut self) -> Option<Result<Bytes, Stopped>> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// As [`Self::data`].
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Stopped>>> {
        if !self.held.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.held).freeze())));
        }
        if self.broken {
            return Poll::Ready(Some(Err(Stopped)));
        }
        let next = ready!(self.body.poll_data(cx)).map(|data| data.map_err(|_| Stopped));
        if let Some(Ok(data)) = &next {
            self.count(data.len());
        }
        Poll::Ready(next)
    }

    /// Writes all of `bytes`, as there is room for them, and meanwhile takes what comes.
    pub(super) async fn put(&mut self, bytes: &[u8], pipe: &Pipe) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            let count = self.meanwhile(poll_fn(|cx| pipe.poll_put(left, cx))).await?;
            left = left.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Waits for `other`, and meanwhile takes what comes.
    pub(super) async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        poll_fn(|cx| {
            let done = other.as_mut().poll(cx);
            if done.is_pending() {
                self.take(cx);
            }
            done
        })
        .await
    }

    fn count(&mut self, count: usize) {
        self.taken += count;
        self.room.take(count);
    }

    fn take(&mut self, cx: &mut Context<'_>) {
        while !self.broken
            && let Poll::Ready(Some(data)) = self.body.poll_data(cx)
        {
            match data {
                Ok(data) => {
                    self.count(data.len());
                    self.held.extend_from_slice(&data);
                }
                Err(_) => self.broken = true,
            }
        }
    }

    /// As [`Self::put`], as one chunk of HTTP/1.1.
    pub(super) async fn put_chunk(&mut self, data: &[u8], pipe: &Pipe) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let mut line = Vec::with_capacity(16);
        write::chunk_start(&mut line, data.len() as u64);
        self.put(&line, pipe).await?;
        self.put(data, pipe).await?;
        line.clear();
        write::chunk_end(&mut line);
        self.put(&line, pipe).await
    }

    /// Gives the other side room for as much as the pipe has taken.
    pub(super) fn release(&mut self, count: usize) -> Result<(), Stopped> {
        self.taken = self.taken.saturating_sub(count);
        self.room.give_back(count);
        self.body.flow_control().release_capacity(count).map_err(|_| Stopped)
    }

    pub(super) async fn trailers(&mut self) -> Result<Option<HeaderMap>, Stopped> {
        self.body.trailers().await.map_err(|_| Stopped)
    }
}

impl Drop for Gathered<'_> {
    fn drop(&mut self) {
        self.room.give_back(self.taken);
    }
}
