//! What passes over a connection, mostly one of a caller: whether anything does, and whether frames that carry nothing (PING, SETTINGS,
//! PRIORITY, WINDOW_UPDATE, RST_STREAM, empty DATA) are in proportion to those that carry something.
//!
//! Each frame that carries nothing costs one credit. There are [`CREDIT`] to begin with, and they come back at a rate that
//! is above any keepalive; beyond that a caller earns them by requests and by data, in either direction, so that whoever
//! downloads may say as often that there is room again. A caller without credit is in the way of others and is told so.
//! CONTINUATION costs nothing here: the `h2` crate bounds the frames of one head.
//!
//! An upstream is held to the same: what it says without use takes the time of its worker, and so of all others. Towards it, the
//! streams count that the gateway gives up.
//!
//! The `h2` crate refuses some streams itself and tells nobody: that is seen here too, by the frames that it does so with.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use h2::Reason;

use crate::proxy::watch::{Moment, Watch};
use crate::telemetry::label::StreamRefusal;

use super::wire::PREFACE;

/// Frames without use that are free, and that come back in a second.
const CREDIT: u64 = 1000;
const PER_SECOND: u64 = 100;
/// What a frame of use earns: room on a stream and on the connection may be announced for each, and a PING or two be sent.
const EARNED: u64 = 4;
/// Frames that are read of a connection before the tasks of its streams have their turn, apart from those that came in one
/// piece with the last: what nobody has taken yet costs far more than its bytes where each has a frame of its own.
const TURN: usize = 256;
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

/// Who is at the other end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Other {
    Caller,
    Upstream,
}

impl Head {
    fn of_theirs(self) -> Use {
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

    /// To a caller, only what is more than the answer to what has earned already.
    fn of_ours(self, other: Other) -> Use {
        let asks = self.kind == HEADERS && other == Other::Upstream;
        if asks || (self.kind == DATA && self.length > 0) { Use::Earns } else { Use::Neither }
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

/// Whether what is written is held back, to go out in one piece with what follows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cork {
    /// As long as the connection ends: with its GOAWAY.
    End,
    Out,
    /// As long as the connection has its turn, where it is little.
    Turn,
}

/// What is known of the traffic of one connection.
pub(crate) struct Traffic {
    watch: Rc<Watch>,
    other: Other,
    theirs: RefCell<Frames>,
    ours: RefCell<Frames>,
    credit: Cell<u64>,
    /// Until when credit has come back.
    credited: Cell<Moment>,
    spent: Cell<bool>,
    /// Streams that were given up: by the caller, or towards an upstream by us.
    resets: Cell<usize>,
    /// Streams that were refused, since somebody asked.
    refused: Cell<[u64; StreamRefusal::ALL.len()]>,
    /// The last stream that was served, and the last one that the library answered itself: by its bare 431. Where that and a
    /// later stream came in one go, the later one hides it.
    served: Cell<u32>,
    answered: Cell<u32>,
    /// Frames that came since the connection had its turn.
    turn: Cell<usize>,
    moved: Cell<Moment>,
    congested: Cell<bool>,
    corked: Cell<Cork>,
    /// A flush was put off since one was asked for last.
    put_off: Cell<bool>,
    /// Something was written that no flush has confirmed since: it is held back, or in a stream that has buffers of its own, as
    /// TLS has. INVARIANT: in a turn that ends with this, a flush was tried, so that somebody is woken to go on with it.
    owed: Cell<bool>,
    /// Of that, the stream has some, which may not have left it.
    passed: Cell<bool>,
}

impl Traffic {
    /// Of a connection whose caller sends `before` bytes that belong to no frame.
    pub(super) fn of_caller(watch: &Rc<Watch>, before: usize) -> Rc<Self> {
        let (theirs, ours) = (Frames { skip: before, ..Frames::default() }, Frames::default());
        Rc::new(Self::new(watch, Other::Caller, (theirs, ours)))
    }

    /// Of a connection to the upstream, on which it is the gateway that sends the preface.
    pub(crate) fn of_upstream(watch: &Rc<Watch>) -> Rc<Self> {
        let (theirs, ours) = (Frames::default(), Frames { skip: PREFACE.len(), ..Frames::default() });
        Rc::new(Self::new(watch, Other::Upstream, (theirs, ours)))
    }

    fn new(watch: &Rc<Watch>, other: Other, (theirs, ours): (Frames, Frames)) -> Self {
        Self {
            watch: Rc::clone(watch),
            other,
            theirs: RefCell::new(theirs),
            ours: RefCell::new(ours),
            credit: Cell::new(CREDIT),
            credited: Cell::new(watch.now()),
            spent: Cell::new(false),
            resets: Cell::new(0),
            refused: Cell::default(),
            served: Cell::new(0),
            answered: Cell::new(0),
            turn: Cell::new(0),
            moved: Cell::new(watch.now()),
            congested: Cell::new(false),
            corked: Cell::new(Cork::Out),
            put_off: Cell::new(false),
            owed: Cell::new(false),
            passed: Cell::new(false),
        }
    }

    /// These bytes came.
    pub(super) fn came(&self, bytes: &[u8]) {
        self.moved.set(self.watch.now());
        self.theirs.borrow_mut().feed(bytes, |head| {
            self.turn.set(self.turn.get() + 1);
            self.note_reset(head, Other::Caller);
            self.count(head.of_theirs());
        });
    }

    /// The connection has taken these bytes, and what was held back before them.
    pub(super) fn went(&self, bytes: &[u8]) {
        self.moved.set(self.watch.now());
        self.congested.set(false);
        self.owed.set(true);
        self.passed.set(true);
        self.note_ours(bytes);
    }

    /// These bytes are held back, to go later.
    pub(super) fn holds(&self, bytes: &[u8]) {
        self.owed.set(true);
        self.put_off_flush();
        self.note_ours(bytes);
    }

    fn note_ours(&self, bytes: &[u8]) {
        self.ours.borrow_mut().feed(bytes, |head| {
            self.note_reset(head, Other::Upstream);
            self.count(head.of_ours(self.other));
            if self.other == Other::Upstream {
                return;
            }
            if head.kind == HEADERS && head.stream > self.served.get() {
                self.answered.set(head.stream);
                self.refuse(StreamRefusal::HeadTooLarge);
            } else if let Some(reason) = head.refusal().filter(|_| head.stream != self.answered.get()) {
                self.refuse(reason);
            }
        });
    }

    /// Counts a stream that is given up, where it is the callers' side of a connection to `whom` that does so.
    fn note_reset(&self, head: Head, whom: Other) {
        self.resets.set(self.resets.get() + usize::from(head.kind == RST_STREAM && self.other == whom));
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

    /// The connection has its turn.
    pub(crate) fn begin_turn(&self) {
        self.turn.set(0);
    }

    /// So much came in this turn that others are to have theirs.
    pub(super) fn is_turn_over(&self) -> bool {
        self.turn.get() >= TURN
    }

    /// The connection takes nothing now.
    pub(super) fn stalled(&self) {
        self.congested.set(true);
    }

    #[cfg(test)]
    pub(super) fn is_congested(&self) -> bool {
        self.congested.get()
    }

    /// Nothing is on its way but what is held back. What TLS took may still be in its buffers.
    pub(super) fn is_out(&self) -> bool {
        !self.congested.get() && !self.passed.get()
    }

    /// Has what is written held back from now on, or not.
    pub(super) fn cork(&self, cork: Cork) {
        self.corked.set(cork);
    }

    /// Lets go what is held back; true where a flush was put off that is to be asked for now.
    pub(super) fn uncork(&self) -> bool {
        self.corked.set(Cork::Out);
        self.put_off.take()
    }

    /// A flush comes to nothing for now.
    pub(super) fn put_off_flush(&self) {
        if self.owed.get() {
            self.put_off.set(true);
        }
    }

    /// All that was written is out.
    pub(super) fn flushed(&self) {
        self.owed.set(false);
        self.passed.set(false);
        self.congested.set(false);
    }

    pub(super) fn corked(&self) -> Cork {
        self.corked.get()
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

    /// The other side has sent more frames that carry nothing than it may.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.get()
    }

    /// How many streams were given up by the caller, those included that were not served yet; or by us towards an upstream.
    pub(crate) fn resets(&self) -> usize {
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
mod tests;
