//! What a caller may send ahead: how much of its requests' bodies is on its way at once, and what else a connection begins with.
//!
//! INVARIANT: an upload that the upstream does not take holds up no other on its connection, unless the whole worker is short of
//! room: a caller may be a proxy with many callers of its own. So a connection has room for what all of its streams may send
//! ahead. It does not get all of that at once, but more whenever half of what it has is held, so that nobody who opens many
//! connections gets it for all of them.

use std::rc::Rc;
use std::task::{Context, Poll};

use h2::server::{Builder, Connection};

use crate::proxy::room::Room;
use crate::snapshot::Limits;

use super::OfCaller;
use super::outlet::Piece;

/// What a connection may send ahead to begin with, in bytes.
const BEGINNING: u32 = 2 << 20;
/// Bytes of a request body that may be on their way on one stream.
pub(super) const STREAM_WINDOW: u32 = 64 << 10;
/// What the pieces of data may cost that came in one go and that no stream had its turn to take yet: as many as the window of
/// a stream has bytes, at the 256 bytes that the library counts for each.
const PIECES: usize = 256 * STREAM_WINDOW as usize;
/// The most that a window can be (RFC 9113 6.9.1).
const WINDOW_MOST: u32 = (1 << 31) - 1;
/// How much of a head beyond its limits is read, so that it is refused by an answer of ours. What is larger gets the bare
/// 431 of the `h2` crate, and what is four times larger still a GOAWAY.
const HEAD_ROOM: usize = 2;
/// Bytes of an answer that a stream holds while the caller's connection is busy.
const SEND_BUFFER: usize = 64 << 10;

/// The windows of one connection.
pub(super) struct Inflow {
    room: Rc<Room>,
    /// Of each stream: little where the worker was short of room when the connection began, until it is not.
    of_stream: u32,
    streams: u32,
    /// Of the connection, now and at most.
    window: u32,
    most: u32,
}

/// What a connection may send ahead at most, with so many streams.
fn of_all(of_stream: u32, streams: u32) -> u32 {
    of_stream.saturating_mul(streams).min(WINDOW_MOST)
}

impl Inflow {
    /// Of a connection whose streams have this `room`.
    pub(super) fn new(limits: &Limits, room: Rc<Room>) -> Self {
        let of_stream = if room.is_worker_short() { STREAM_WINDOW / 8 } else { STREAM_WINDOW };
        let most = of_all(of_stream, limits.h2_streams);
        Self { room, of_stream, streams: limits.h2_streams, window: most.min(BEGINNING), most }
    }

    /// Where what the streams hold is counted.
    pub(super) fn room(&self) -> &Rc<Room> {
        &self.room
    }

    /// Gives the caller a larger window, where half of what it has is held. Ready where there is none to give it now, so that it
    /// is to be asked again.
    pub(super) fn poll(&mut self, connection: &mut Connection<OfCaller<'_>, Piece>, cx: &Context<'_>) -> Poll<()> {
        if self.of_stream < STREAM_WINDOW {
            // Nor is it taken while the caller has not acknowledged the settings before.
            if self.room.is_worker_short() || connection.set_initial_window_size(STREAM_WINDOW).is_err() {
                return Poll::Ready(());
            }
            self.of_stream = STREAM_WINDOW;
            self.most = of_all(STREAM_WINDOW, self.streams);
            self.window = self.window.max(self.most.min(BEGINNING));
            connection.set_target_window_size(self.window);
        }
        while self.window < self.most && self.room.poll_mark(self.window as usize / 2, cx).is_ready() {
            if self.room.is_worker_short() {
                return Poll::Ready(());
            }
            self.window = self.window.saturating_mul(2).min(self.most);
            connection.set_target_window_size(self.window);
        }
        Poll::Pending
    }

    /// A builder of connections that say so.
    pub(super) fn builder(&self, limits: &Limits) -> Builder {
        let mut builder = Builder::new();
        // What a head may be as HTTP/1.1 is judged later, so that it is refused with an answer of ours. A field counts 32
        // bytes more here (RFC 9113 6.5.2), and so do those that HTTP/1.1 has in its first line.
        let fields = u32::try_from(HEAD_ROOM * (limits.header_bytes + 32 * (limits.headers + 8))).unwrap_or(u32::MAX);
        builder
            .initial_window_size(self.of_stream)
            .initial_connection_window_size(self.window)
            .max_concurrent_streams(limits.h2_streams)
            .max_header_list_size(fields)
            .max_pending_accept_reset_streams(limits.h2_resets.count)
            .max_local_error_reset_streams(Some(limits.h2_resets.count))
            .max_send_buffer_size(SEND_BUFFER)
            .data_frame_budget(PIECES)
            // Whether a route has WebSockets may change while the connection is open, and this may not be taken back.
            .enable_connect_protocol();
        builder
    }
}
