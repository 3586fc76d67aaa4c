//! Read buffers, lent by the worker only while bytes are there.
//!
//! An idle connection holds no buffer: one is taken for the length of a read, and given back when the read finds
//! nothing. Where reads keep filling a buffer, the next one is larger, so that large bodies cost few system calls; where
//! what was read cannot be passed on, the next one is small again, so that a caller that stalls holds little. It is smaller
//! still for a stream of HTTP/2 whose connection is short of [`super::room::Room`].

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::room::{LEAST, Room, STEP};

/// The sizes that are kept, in bytes: the first is for what is short of room.
const CLASSES: [usize; 4] = [LEAST, STEP, 64 * 1024, LARGEST];
/// The most that one holds.
pub(crate) const LARGEST: usize = 128 * 1024;
/// What a request or an answer starts with otherwise.
const START: usize = 1;
/// The most that is worth it where one side is a stream of HTTP/2, whose pipe holds less.
const OF_STREAM: usize = 2;
/// How many buffers of each class a worker keeps for later.
const KEPT: [usize; 4] = [64, 64, 16, 8];

/// Bytes that were read and not yet used. Without bytes it may have no memory behind it.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Which class the next memory is of.
    wanted: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, wanted: START }
    }
}

impl Buffer {
    /// The bytes that were read and not used.
    pub(crate) fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// How many bytes are unused.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// True when no byte is unused.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Marks `count` bytes as used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Marks `count` bytes as used and leaves nothing of them: a head may hold a key.
    pub(crate) fn erase(&mut self, count: usize) {
        let end = (self.start + count).min(self.end);
        if let Some(used) = self.bytes.get_mut(self.start..end) {
            used.fill(0);
        }
        self.consume(count);
    }

    /// True when a read has somewhere to put bytes, or can be given memory.
    pub(crate) fn has_room(&self) -> bool {
        self.end < self.bytes.len() || self.start > 0 || self.bytes.is_empty()
    }

    /// What was read cannot be passed on: the next memory is of the class that all start with.
    pub(crate) fn calm(&mut self) {
        self.wanted = self.wanted.min(START);
    }

    /// Moves what is unused to the front, so that all the room is behind it.
    fn compact(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            let length = self.end - self.start;
            // What was moved, and lies there no more.
            if let Some(left) = self.bytes.get_mut(self.start.max(length)..self.end) {
                left.fill(0);
            }
            (self.start, self.end) = (0, length);
        }
    }
}

/// The buffers that a worker has to lend.
#[derive(Default)]
pub(crate) struct Buffers {
    free: [RefCell<Vec<Vec<u8>>>; 4],
}

impl Buffers {
    fn class_of(size: usize) -> Option<usize> {
        CLASSES.iter().position(|class| *class == size)
    }

    fn lend(&self, class: usize) -> Vec<u8> {
        let kept = self.free.get(class).and_then(|free| free.borrow_mut().pop());
        kept.unwrap_or_else(|| vec![0; CLASSES.get(class).copied().unwrap_or(CLASSES[START])])
    }

    fn keep(&self, bytes: Vec<u8>) {
        if let Some(class) = Self::class_of(bytes.len())
            && let (Some(free), Some(most)) = (self.free.get(class), KEPT.get(class))
            && free.borrow().len() < *most
        {
            free.borrow_mut().push(bytes);
        }
    }

    /// Takes back the memory of a buffer that holds no bytes.
    pub(crate) fn reclaim(&self, buffer: &mut Buffer) {
        if buffer.is_empty() && !buffer.bytes.is_empty() {
            (buffer.start, buffer.end) = (0, 0);
            self.keep(std::mem::take(&mut buffer.bytes));
        }
    }

    /// For what comes from a stream of HTTP/2 or goes to one, which has this `room`: no buffer is of the largest class, and one
    /// without bytes begins with no more memory than a place is to hold where room is short.
    pub(crate) fn fit(&self, buffer: &mut Buffer, room: Option<&Rc<Room>>) {
        let Some(room) = room else { return };
        buffer.wanted = buffer.wanted.min(OF_STREAM);
        if let Some(step) = room.step().filter(|_| buffer.is_empty()) {
            self.reclaim(buffer);
            buffer.wanted = buffer.wanted.min(Self::class_of(step).unwrap_or_default());
        }
    }

    /// Lets go of all that is kept for later.
    pub(crate) fn let_go(&self) {
        self.free.iter().for_each(|free| drop(free.take()));
    }

    /// Makes room behind what is there: by moving it to the front, or with memory of the next class.
    ///
    /// False when the buffer is full and may not grow beyond `most` bytes.
    pub(crate) fn make_room(&self, buffer: &mut Buffer, most: usize) -> bool {
        if buffer.bytes.is_empty() {
            buffer.bytes = self.lend(buffer.wanted.min(START));
        }
        if buffer.end < buffer.bytes.len() {
            return true;
        }
        buffer.compact();
        if buffer.end < buffer.bytes.len() {
            return true;
        }
        let larger = CLASSES.iter().position(|class| *class > buffer.bytes.len());
        match larger {
            Some(class) if buffer.bytes.len() < most => {
                let mut bytes = self.lend(class);
                let count = buffer.len();
                if let Some(room) = bytes.get_mut(..count) {
                    room.copy_from_slice(buffer.filled());
                }
                let mut before = std::mem::replace(&mut buffer.bytes, bytes);
                before.fill(0);
                self.keep(before);
                (buffer.start, buffer.end) = (0, count);
                true
            }
            _ => false,
        }
    }

    /// Puts `bytes` behind what is there, as far as the largest buffer has room for them.
    pub(crate) fn append(&self, buffer: &mut Buffer, bytes: &[u8]) {
        let mut left = bytes;
        while !left.is_empty() && self.make_room(buffer, usize::MAX) {
            let Some(room) = buffer.bytes.get_mut(buffer.end..) else { return };
            let (now, later) = left.split_at(left.len().min(room.len()));
            if let Some(room) = room.get_mut(..now.len()) {
                room.copy_from_slice(now);
            }
            buffer.end += now.len();
            left = later;
        }
    }

    /// Gives a buffer without bytes memory of the class that its reads ask for.
    fn resize(&self, buffer: &mut Buffer) {
        let known = Self::class_of(buffer.bytes.len());
        if buffer.is_empty() && known.is_none_or(|class| class < buffer.wanted) {
            let bytes = self.lend(buffer.wanted);
            self.keep(std::mem::replace(&mut buffer.bytes, bytes));
            (buffer.start, buffer.end) = (0, 0);
        }
    }

    /// Reads once into `buffer`, which must have room; 0 is the end of the stream.
    ///
    /// When there is nothing to read and the buffer is empty, its memory goes back to the worker.
    pub(crate) fn poll_fill<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        buffer: &mut Buffer,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if buffer.bytes.is_empty() {
            buffer.bytes = self.lend(buffer.wanted);
        } else {
            self.resize(buffer);
            self.make_room(buffer, 0);
        }
        let end = buffer.end;
        let Some(room) = buffer.bytes.get_mut(end..) else {
            return Poll::Ready(Ok(0));
        };
        let mut target = ReadBuf::new(room);
        let outcome = Pin::new(stream).poll_read(cx, &mut target);
        let read = target.filled().len();
        if read == 0 {
            self.reclaim(buffer);
        }
        ready!(outcome)?;
        buffer.end += read;
        if read == buffer.bytes.len() {
            buffer.wanted = (buffer.wanted + 1).min(CLASSES.len() - 1);
        }
        Poll::Ready(Ok(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_without_bytes_gives_its_memory_back() {
        let buffers = Buffers::default();
        let mut buffer = Buffer::default();
        assert!(buffers.make_room(&mut buffer, 0));
        buffers.reclaim(&mut buffer);
        assert!(buffer.bytes.is_empty());
        assert_eq!(buffers.free[START].borrow().len(), 1);
    }

    #[tokio::test]
    async fn nothing_is_left_of_what_was_erased() {
        let buffers = Buffers::default();
        let mut buffer = Buffer::default();
        let mut source: &[u8] = b"head with a keythe body";
        std::future::poll_fn(|cx| buffers.poll_fill(&mut source, &mut buffer, cx)).await.unwrap();
        buffer.erase(15);
        assert_eq!(buffer.filled(), b"the body");
        buffer.compact();
        assert_eq!(buffer.filled(), b"the body");
        buffer.erase(100);
        assert!(buffer.is_empty());
        buffers.reclaim(&mut buffer);
        assert!(buffers.free[START].borrow()[0].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_full_buffer_grows_to_its_limit_and_keeps_its_bytes() {
        let buffers = Buffers::default();
        let mut buffer = Buffer::default();
        assert!(buffers.make_room(&mut buffer, 32 * 1024));
        buffer.end = buffer.bytes.len();
        buffer.bytes[0] = b'a';
        assert!(buffers.make_room(&mut buffer, 32 * 1024));
        assert_eq!((buffer.len(), buffer.filled()[0]), (CLASSES[START], b'a'));
        buffer.end = buffer.bytes.len();
        assert!(!buffers.make_room(&mut buffer, 32 * 1024));
    }

    #[tokio::test]
    async fn a_buffer_whose_bytes_were_stuck_starts_small_again() {
        let buffers = Buffers::default();
        let mut buffer = Buffer { wanted: 3, ..Buffer::default() };
        buffer.calm();
        let mut source: &[u8] = &[7; 200_000];
        let read = std::future::poll_fn(|cx| buffers.poll_fill(&mut source, &mut buffer, cx)).await.unwrap();
        assert_eq!(read, CLASSES[START]);
    }

    #[tokio::test]
    async fn reads_that_fill_a_buffer_make_the_next_one_larger() {
        let buffers = Buffers::default();
        let mut buffer = Buffer::default();
        let bytes = vec![7; 100_000];
        let mut source = bytes.as_slice();
        let mut sizes = Vec::new();
        loop {
            let read = std::future::poll_fn(|cx| buffers.poll_fill(&mut source, &mut buffer, cx)).await.unwrap();
            if read == 0 {
                break;
            }
            sizes.push(read);
            buffer.consume(read);
        }
        assert_eq!(sizes, [16 * 1024, 64 * 1024, 100_000 - 80 * 1024]);
    }

    #[tokio::test]
    async fn a_buffer_that_is_short_of_room_starts_smaller_and_grows_as_ever() {
        let buffers = Buffers::default();
        let mut buffer = Buffer::default();
        let mut source: &[u8] = &[7; 300_000];
        let room = Room::of_connection(&Room::of_worker());
        let (of_connection, of_worker) = (1 << 20, 8 << 20);
        let mut sizes = Vec::new();
        for held in [0, of_worker, of_worker, 0, 0, of_connection, 0] {
            room.take(held);
            buffers.fit(&mut buffer, Some(&room));
            room.give_back(held);
            sizes.push(std::future::poll_fn(|cx| buffers.poll_fill(&mut source, &mut buffer, cx)).await.unwrap());
            buffer.consume(usize::MAX);
        }
        assert_eq!(sizes, [STEP, LEAST, LEAST, STEP, 64 << 10, STEP, 64 << 10]);
        buffers.let_go();
        assert!(buffers.free.iter().all(|free| free.borrow().is_empty()));
    }
}
