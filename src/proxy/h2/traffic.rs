//! What passes over a connection of a caller: whether anything does, and whether frames that carry nothing (PING, SETTINGS,
//! PRIORITY, WINDOW_UPDATE, RST_STREAM, empty DATA) are in proportion to those that carry something.
//!
//! Each frame that carries nothing costs one credit. There are [`CREDIT`] to begin with, and they come back at a rate that
//! is above any keepalive; beyond that a caller earns them by requests and by data, in either direction, so that whoever
//! downloads may say as often that there is room again. A caller without credit is in the way of others and is told so.
//! CONTINUATION costs nothing here: the `h2` crate bounds the frames of one head.
//!
//! The `h2` crate refuses some streams itself and tells nobody: that is seen here too, by the frames that it does so with.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use h2::Reason;

use crate::proxy::watch::{Moment, Watch};
use crate::telemetry::label::StreamRefusal;

/// Frames without use that are free, and that come back in a second.
const CREDIT: u64 = 1000;
const PER_SECOND: u64 = 100;
/// What a frame of use earns: room on a stream and on the connection may be announced for each, and a PING or two be sent.
const EARNED: u64 = 4;
/// Bytes of padding that one frame of DATA can have, with their count (RFC 9113 6.1).
const PADDING: u32 = 256;

const HEAD: usize = 9;
/// The bits of the number of a stream.
const STREAMS: u32 = u32::MAX >> 1;
/// Bytes of the code that a RST_STREAM has (RFC 9113 6.4).
const CODE: usize = 4;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;

/// The first bytes of a frame (RFC 9113 4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Head {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
    /// Of a RST_STREAM alone.
    code: u32,
}

/// What a frame means for the credit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Use {
    Costs,
    Earns,
    Neither,
}

impl Head {
    fn of_caller(self) -> Use {
        let padding = self.flags & PADDED != 0 && self.length <= PADDING;
        match self.kind {
            HEADERS => Use::Earns,
            DATA if self.length > 0 && !padding => Use::Earns,
            DATA if self.flags & END_STREAM != 0 => Use::Neither,
            CONTINUATION => Use::Neither,
            _ => Use::Costs,
        }
    }

    /// What a stream was refused for, where this frame of ours resets one for what its caller did. The gateway itself gives up
    /// what it has begun with other codes.
    fn refusal(self) -> Option<StreamRefusal> {
        const OF_THE_GATEWAY: [Reason; 3] = [Reason::NO_ERROR, Reason::INTERNAL_ERROR, Reason::CANCEL];
        match Reason::from(self.code) {
            _ if self.kind != RST_STREAM => None,
            reason if OF_THE_GATEWAY.contains(&reason) => None,
            Reason::PROTOCOL_ERROR => Some(StreamRefusal::Malformed),
            Reason::REFUSED_STREAM => Some(StreamRefusal::Refused),
            _ => Some(StreamRefusal::Other),
        }
    }

    fn of_ours(self) -> Use {
        if self.kind == DATA && self.length > 0 { Use::Earns } else { Use::Neither }
    }
}

/// Finds the heads of frames in bytes that come in pieces of any size.
#[derive(Debug, Default)]
struct Frames {
    /// With the code of a RST_STREAM.
    head: [u8; HEAD + CODE],
    held: usize,
    /// Bytes that belong to no head.
    skip: usize,
}

impl Frames {
    fn feed(&mut self, bytes: &[u8], mut seen: impl FnMut(Head)) {
        let mut left = bytes;
        loop {
            let skipped = self.skip.min(left.len());
            self.skip -= skipped;
            left = left.get(skipped..).unwrap_or_default();
            if left.is_empty() {
                return;
            }
            let taken = (self.size() - self.held).min(left.len());
            let Some((part, rest)) = left.split_at_checked(taken) else { return };
            if let Some(room) = self.head.get_mut(self.held..self.held + taken) {
                room.copy_from_slice(part);
            }
            self.held += taken;
            left = rest;
            let size = self.size();
            if self.held == size {
                let [first, second, third, kind, flags, a, b, c, d, code @ ..] = self.head;
                let (length, code) = (u32::from_be_bytes([0, first, second, third]), u32::from_be_bytes(code));
                let stream = u32::from_be_bytes([a, b, c, d]) & STREAMS;
                (self.held, self.skip) = (0, length as usize - (size - HEAD));
                seen(Head { length, kind, flags, stream, code });
            }
        }
    }

    /// How much is held of the frame that begins, as far as is known.
    fn size(&self) -> usize {
        let is_reset = self.held >= HEAD && self.head.starts_with(&[0, 0, CODE as u8, RST_STREAM]);
        if is_reset { HEAD + CODE } else { HEAD }
    }
}

/// What is known of the traffic of one connection.
pub(crate) struct Traffic {
    watch: Rc<Watch>,
    from_caller: RefCell<Frames>,
    to_caller: RefCell<Frames>,
    credit: Cell<u64>,
    /// Until when credit has come back.
    credited: Cell<Moment>,
    spent: Cell<bool>,
    /// Streams that the caller gave up.
    resets: Cell<usize>,
    /// Streams that were refused, since somebody asked.
    refused: Cell<[u64; StreamRefusal::ALL.len()]>,
    /// The last stream that was served, and the last one that the library answered itself: by its bare 431. Where that and a
    /// later stream came in one go, the later one hides it.
    served: Cell<u32>,
    answered: Cell<u32>,
    moved: Cell<Moment>,
    congested: Cell<bool>,
}

impl Traffic {
    /// Of a connection whose caller sends `before` bytes that belong to no frame.
    pub(super) fn new(watch: &Rc<Watch>, before: usize) -> Rc<Self> {
        let from_caller = Frames { skip: before, ..Frames::default() };
        Rc::new(Self {
            watch: Rc::clone(watch),
            from_caller: RefCell::new(from_caller),
            to_caller: RefCell::default(),
            credit: Cell::new(CREDIT),
            credited: Cell::new(watch.now()),
            spent: Cell::new(false),
            resets: Cell::new(0),
            refused: Cell::default(),
            served: Cell::new(0),
            answered: Cell::new(0),
            moved: Cell::new(watch.now()),
            congested: Cell::new(false),
        })
    }

    /// These bytes came.
    pub(super) fn came(&self, bytes: &[u8]) {
        self.moved.set(self.watch.now());
        self.from_caller.borrow_mut().feed(bytes, |head| {
            self.resets.set(self.resets.get() + usize::from(head.kind == RST_STREAM));
            self.count(head.of_caller());
        });
    }

    /// The connection has taken these bytes.
    pub(super) fn went(&self, bytes: &[u8]) {
        self.moved.set(self.watch.now());
        self.congested.set(false);
        self.to_caller.borrow_mut().feed(bytes, |head| {
            self.count(head.of_ours());
            if head.kind == HEADERS && head.stream > self.served.get() {
                self.answered.set(head.stream);
                self.refuse(StreamRefusal::HeadTooLarge);
            } else if let Some(reason) = head.refusal().filter(|_| head.stream != self.answered.get()) {
                self.refuse(reason);
            }
        });
    }

    /// The gateway serves that stream itself.
    pub(super) fn serves(&self, stream: u32) {
        self.served.set(stream);
    }

    fn refuse(&self, reason: StreamRefusal) {
        let mut refused = self.refused.get();
        refused.get_mut(reason as usize).into_iter().for_each(|count| *count += 1);
        self.refused.set(refused);
    }

    /// How many streams were refused, for which reasons, since this was asked last.
    pub(super) fn take_refused(&self) -> impl Iterator<Item = (StreamRefusal, u64)> {
        let counts = self.refused.take();
        StreamRefusal::ALL.iter().copied().zip(counts).filter(|(_, count)| *count > 0)
    }

    /// The connection takes nothing now.
    pub(super) fn stalled(&self) {
        self.congested.set(true);
    }

    fn count(&self, used: Use) {
        match used {
            Use::Neither => {}
            Use::Earns => self.credit.set(self.credit.get().saturating_add(EARNED)),
            Use::Costs => {
                self.renew();
                match self.credit.get().checked_sub(1) {
                    Some(left) => self.credit.set(left),
                    None => self.spent.set(true),
                }
            }
        }
    }

    /// Gives back what time has earned, never beyond what there was to begin with.
    fn renew(&self) {
        let now = self.watch.now();
        let seconds = now.since(self.credited.get()).as_secs();
        if seconds > 0 {
            self.credited.set(now);
            let credit = self.credit.get();
            let back = credit.saturating_add(seconds.saturating_mul(PER_SECOND)).min(CREDIT);
            self.credit.set(credit.max(back));
        }
    }

    /// The caller has sent more frames that carry nothing than it may.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.get()
    }

    /// How many streams the caller has given up, those included that were not served yet.
    pub(super) fn resets(&self) -> usize {
        self.resets.get()
    }

    /// When anything passed last, in either direction.
    pub(super) fn moved(&self) -> Moment {
        self.moved.get()
    }

    /// The moment up to which it is worth to wait for room on a stream: while the connection itself takes its bytes slowly
    /// but does take them, all of its streams wait their turn.
    pub(super) fn worth_until(&self, deadline: Moment, stall: Duration) -> Moment {
        if self.congested.get() { deadline.max(self.moved.get().after(stall)) } else { deadline }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const PING: (u8, u8, usize) = (6, 0, 8);

    fn frame((kind, flags, length): (u8, u8, usize)) -> Vec<u8> {
        let [_, first, second, third] = u32::try_from(length).unwrap().to_be_bytes();
        let mut bytes = vec![first, second, third, kind, flags, 0, 0, 0, 1];
        bytes.resize(HEAD + length, 7);
        bytes
    }

    fn traffic() -> Rc<Traffic> {
        Traffic::new(&Watch::new(), PREFACE.len())
    }

    #[test]
    fn heads_are_found_in_whatever_pieces_they_come() {
        let sent = [(0, 1, 300), (4, 0, 0), (3, 0, 4), (6, 0, 8), (3, 0, 5), (1, 4, 1), (3, 0, 4), (9, 0, 0)];
        let bytes: Vec<u8> = sent.iter().flat_map(|sent| frame(*sent)).collect();
        for size in [1, 2, 8, 9, 10, 17, 1000] {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(size) {
                frames.feed(piece, |head| seen.push((head.kind, head.flags, head.length as usize)));
            }
            assert_eq!(seen, sent, "in pieces of {size}");
        }
    }

    #[test]
    fn frames_without_use_end_the_credit() {
        for useless in [PING, (6, 1, 8), (4, 0, 0), (2, 0, 5), (8, 0, 4), (3, 0, 4), (0, 0, 0), (0, 8, 256), (77, 0, 3)]
        {
            let traffic = traffic();
            traffic.came(PREFACE);
            traffic.came(&frame(useless).repeat(CREDIT as usize));
            assert!(!traffic.is_spent(), "{useless:?}");
            traffic.came(&frame(useless));
            assert!(traffic.is_spent(), "{useless:?}");
        }
    }

    #[test]
    fn requests_and_data_earn_it_in_either_direction() {
        for (earns, ours) in [((1, 5, 20), false), ((0, 0, 1), false), ((0, 8, 257), false), ((0, 0, 1), true)] {
            let traffic = traffic();
            traffic.came(PREFACE);
            for _ in 0..3 * CREDIT {
                if ours {
                    traffic.went(&frame(earns))
                } else {
                    traffic.came(&frame(earns))
                }
                traffic.came(&frame(PING).repeat(EARNED as usize));
            }
            assert!(!traffic.is_spent(), "{earns:?}");
        }
        let traffic = traffic();
        traffic.came(PREFACE);
        traffic.went(&frame(PING).repeat(1000));
        traffic.came(&frame((0, END_STREAM, 0)).repeat(1000));
        traffic.came(&frame(PING).repeat(CREDIT as usize + 1));
        assert!(traffic.is_spent(), "our own PONGs earn nothing");
    }

    #[test]
    fn streams_that_the_library_refuses_are_counted_and_those_that_the_gateway_serves_are_not() {
        let traffic = traffic();
        let answer = |stream: u8| [0, 0, 0, HEADERS, END_STREAM, 0, 0, 0, stream];
        traffic.serves(1);
        traffic.went(&answer(1));
        // It may be reset as well, where its body is still to come.
        traffic.went(&[&answer(3)[..], &[0, 0, 4, RST_STREAM, 0, 0, 0, 0, 3, 0, 0, 0, 1]].concat());
        assert_eq!(traffic.take_refused().collect::<Vec<_>>(), [(StreamRefusal::HeadTooLarge, 1)]);
        let reset = |code: u8| [&[0, 0, 4, RST_STREAM, 0, 0, 0, 0, 1, 0, 0, 0][..], &[code]].concat();
        let sent: Vec<u8> = [0, 1, 2, 3, 5, 7, 7, 8].into_iter().flat_map(reset).collect();
        traffic.came(&[PREFACE, &sent].concat());
        assert_eq!(traffic.take_refused().count(), 0, "a caller refuses nothing");
        sent.chunks(5).for_each(|piece| traffic.went(piece));
        let refused: Vec<_> = traffic.take_refused().collect();
        assert_eq!(refused, [(StreamRefusal::Malformed, 1), (StreamRefusal::Other, 2), (StreamRefusal::Refused, 2)]);
        assert_eq!(traffic.take_refused().count(), 0);
    }

    #[test]
    fn a_stream_waits_for_a_connection_that_moves_and_not_for_one_that_has_room() {
        let traffic = traffic();
        let (late, stall) = (traffic.moved(), Duration::from_secs(1));
        assert_eq!(traffic.worth_until(late, stall), late);
        traffic.stalled();
        assert_eq!(traffic.worth_until(late, stall), late.after(stall));
        traffic.went(b"");
        assert_eq!(traffic.worth_until(late, stall), late);
    }
}
