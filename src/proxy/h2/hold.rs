//! What is held back of what was written on a connection, so that it goes out in one piece with what follows it.
//!
//! The `h2` crate writes each frame of data by itself, and each write is a system call, and over TLS a record. While a connection
//! has its turn, small writes are therefore gathered, those of all its streams.

use std::rc::Rc;

use crate::proxy::buffer::{Buffer, Buffers, LARGEST};
use crate::proxy::room::Room;

use super::traffic::Cork;

/// The most that is gathered in a turn, in bytes: what one record of TLS carries.
const OF_TURN: usize = 16 << 10;
/// The largest write that is copied for that: beyond it a copy costs as much as a write.
const SMALL: usize = 4 << 10;
/// The most that is held back of the end of an answer.
const OF_END: usize = 32 << 10;

/// The bytes that are held back, in memory of the worker's, which has it back when they are gone.
///
/// INVARIANT: what is taken is taken whole, and only after [`Hold::takes`] has said so. A buffer has room for all that may be held;
/// were one full, the rest would be missing in the middle of what goes to the caller.
pub(crate) struct Hold<'c> {
    bytes: Buffer,
    /// Where memory comes from, and where it is counted; without it nothing is held.
    means: Option<(&'c Buffers, Rc<Room>)>,
}

impl<'c> Hold<'c> {
    pub(crate) fn new(buffers: &'c Buffers, room: &Rc<Room>) -> Self {
        Self { bytes: Buffer::default(), means: Some((buffers, Rc::clone(room))) }
    }

    /// Of a connection on which nothing is held back.
    pub(crate) fn none() -> Self {
        Self { bytes: Buffer::default(), means: None }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.filled()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether a write of so many bytes is to be held back.
    pub(super) fn takes(&self, count: usize, cork: Cork) -> bool {
        let Some((_, room)) = &self.means else { return false };
        let all = self.bytes.len().saturating_add(count);
        match cork {
            Cork::End => all <= OF_END,
            Cork::Out => false,
            Cork::Turn => count <= SMALL && all <= room.allows(OF_TURN),
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        const { assert!(OF_TURN <= OF_END && OF_END <= LARGEST, "one buffer has room for all that may be held") };
        debug_assert!(self.means.is_some(), "nothing is held back without means");
        if let Some((buffers, room)) = &self.means {
            let before = self.bytes.len();
            buffers.append(&mut self.bytes, bytes);
            debug_assert_eq!(self.bytes.len(), before + bytes.len(), "all of it");
            room.take(bytes.len());
        }
    }

    /// So many bytes were written, of which as many as there are were held back. Returns how many that were.
    pub(super) fn release(&mut self, count: usize) -> usize {
        let count = count.min(self.bytes.len());
        self.bytes.consume(count);
        if let Some((buffers, room)) = &self.means {
            room.give_back(count);
            buffers.reclaim(&mut self.bytes);
        }
        count
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.release(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_held_in_a_turn_and_the_end_of_an_answer_always_and_nothing_otherwise() {
        let (buffers, room) = (Buffers::default(), Room::of_connection(&Room::of_worker()));
        let mut hold = Hold::new(&buffers, &room);
        for (count, in_turn, at_end) in
            [(0, true, true), (SMALL, true, true), (SMALL + 1, false, true), (OF_END + 1, false, false)]
        {
            let taken = [Cork::Turn, Cork::End, Cork::Out].map(|cork| hold.takes(count, cork));
            assert_eq!(taken, [in_turn, at_end, false], "{count}");
        }
        (0..4).for_each(|_| hold.take(&[7; SMALL]));
        assert!(!hold.takes(1, Cork::Turn) && hold.takes(SMALL, Cork::End));
        assert!(!Hold::none().takes(1, Cork::End));
    }

    #[test]
    fn what_is_held_is_counted_until_it_is_gone_and_less_is_held_where_room_is_short() {
        let (buffers, room) = (Buffers::default(), Room::of_connection(&Room::of_worker()));
        let mut hold = Hold::new(&buffers, &room);
        hold.take(&[7; 3000]);
        hold.take(&[8; 3000]);
        assert_eq!(room.take_peak(), 6000);
        assert_eq!((hold.release(1000), hold.bytes().len()), (1000, 5000));
        room.take(3 << 20);
        assert!(!hold.takes(1, Cork::Turn), "more waits there already than a place may hold");
        room.give_back(3 << 20);
        assert_eq!(hold.release(9000), 5000);
        assert!(hold.is_empty() && room.is_empty());
        hold.take(b"abc");
        drop(hold);
        assert!(room.is_empty(), "nor is anything counted that was thrown away");
    }
}
