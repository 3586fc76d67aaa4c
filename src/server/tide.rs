//! Memory after a crowd: what its connections held goes back to the system.
//!
//! The allocator keeps what is freed for a moment, and looks whether the moment is over only when it is used again. A
//! worker that serves its requests without allocating would keep the memory of a crowd for good.

use std::cell::Cell;
use std::hint::black_box;

/// So many connections, or streams of HTTP/2, make a crowd.
const CROWD: usize = 64;
/// Bytes on their way through streams that count like one more of them: 1 MiB makes a crowd of few.
const SHARE: usize = 16 << 10;
/// Looks at the allocator after a crowd has left: what was freed last has to wait for its moment.
const LOOKS: u8 = 20;
/// Bytes that the allocator takes from the system by themselves, and lets go of by themselves. They are never touched.
const STIR: usize = 16 << 20;

/// How many connections and streams a worker had, and whether many of them are gone.
#[derive(Debug, Default)]
pub(super) struct Tide {
    /// The most since the allocator was last stirred.
    most: Cell<usize>,
    /// How many there were at the last look.
    last: Cell<usize>,
    looks: Cell<u8>,
}

impl Tide {
    /// Notes that so many connections and streams are `open`, and that the streams held so many bytes since the last look. Called
    /// a few times in a second. True for a while after a crowd has left: nothing is to be kept for later then.
    pub(super) fn look(&self, open: usize, held: usize) -> bool {
        let open = open.saturating_add(held / SHARE);
        let leaves = open < self.last.replace(open);
        if self.has_ebbed(open) || (leaves && self.looks.get() > 0) {
            self.looks.set(LOOKS);
        }
        let left = self.looks.get().checked_sub(1);
        self.looks.set(left.unwrap_or_default());
        // A crowd that is stuck allocates nothing, either.
        if left.is_some() || open >= CROWD {
            drop(black_box(Vec::<u8>::with_capacity(STIR)));
        }
        left.is_some()
    }

    /// True where a crowd has left since this was last true.
    fn has_ebbed(&self, open: usize) -> bool {
        let most = self.most.get().max(open);
        let ebbed = most - open >= CROWD && most - open >= open;
        self.most.set(if ebbed { open } else { most });
        ebbed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_that_leaves_is_noticed_once() {
        let tide = Tide::default();
        assert!(!tide.has_ebbed(1000));
        assert!(!tide.has_ebbed(600), "most are there");
        assert!(tide.has_ebbed(400));
        assert!(!tide.has_ebbed(400));
        assert!(tide.has_ebbed(0), "the rest of it was a crowd, too");
    }

    #[test]
    fn a_few_that_come_and_go_are_none() {
        let tide = Tide::default();
        for open in [20, 0, 63, 0, 50, 3] {
            assert!(!tide.has_ebbed(open));
        }
    }

    #[test]
    fn few_streams_that_held_much_are_a_crowd() {
        let tide = Tide::default();
        assert!(!tide.look(2, 1 << 20));
        assert!(tide.look(2, 0));
    }

    #[test]
    fn it_is_looked_after_until_the_last_of_a_crowd_has_been_gone_for_a_while() {
        let tide = Tide::default();
        assert!(!tide.look(100, 0));
        assert!(tide.look(36, 0));
        for open in (0..36).rev() {
            assert!(tide.look(open, 0), "another one has left");
        }
        let looks = (0..99).take_while(|_| tide.look(0, 0)).count();
        assert_eq!(looks, usize::from(LOOKS) - 1);
    }
}
