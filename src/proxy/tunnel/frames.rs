//! Where a WebSocket frame ends (RFC 6455, 5.2), so that one of ours can follow it. Lengths are all that is read.

/// Opcode of the frame after which its sender says nothing more (RFC 6455, 5.5.1).
const CLOSE: u8 = 8;

/// The most bytes before the payload: two, a length of eight, a mask of four.
const LONGEST: usize = 14;

/// How far the frames of one direction have come.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    header: [u8; LONGEST],
    /// Bytes of the header that are known.
    known: usize,
    /// Bytes of the payload that are still to come, once the header is whole.
    payload: u64,
    /// The sender has begun to close.
    closes: bool,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { header: [0; LONGEST], known: 0, payload: 0, closes: false }
    }

    /// Takes note of bytes that were passed on.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.take_one(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// How many of the bytes to come have to be passed on before a frame of ours may follow. `None` where they do not reach
    /// the end of a frame, or where no frame may follow.
    pub(super) fn to_boundary(&self, bytes: &[u8]) -> Option<usize> {
        let mut ahead = self.clone();
        let count = if self.is_between() { 0 } else { ahead.take_one(bytes) };
        (ahead.is_between() && !ahead.closes).then_some(count)
    }

    /// Whether a frame of ours may follow what was passed on so far.
    pub(super) fn is_open(&self) -> bool {
        self.is_between() && !self.closes
    }

    fn is_between(&self) -> bool {
        self.known == 0 && self.payload == 0
    }

    /// Takes bytes up to the end of the frame that they begin with, and says how many.
    fn take_one(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        if self.payload == 0 {
            for byte in bytes {
                taken += 1;
                if let Some(slot) = self.header.get_mut(self.known) {
                    *slot = *byte;
                }
                self.known += 1;
                if self.known == self.header_length() {
                    self.begin_payload();
                    break;
                }
            }
        }
        let rest = (bytes.len() - taken) as u64;
        let skipped = self.payload.min(rest);
        self.payload -= skipped;
        taken + usize::try_from(skipped).unwrap_or(usize::MAX)
    }

    /// As far as the bytes that are known tell.
    fn header_length(&self) -> usize {
        let [_, second, ..] = self.header;
        if self.known < 2 {
            return 2;
        }
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        2 + extended + mask
    }

    fn begin_payload(&mut self) {
        let [first, second, a, b, c, d, e, f, g, h, ..] = self.header;
        self.payload = match second & 0x7F {
            126 => u64::from(u16::from_be_bytes([a, b])),
            127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            short => u64::from(short),
        };
        self.closes |= first & 0x0F == CLOSE;
        self.known = 0;
    }
}

/// The frame that closes a connection, as a server sends it: unmasked (RFC 6455, 5.5.1).
pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    // A control frame has at most 125 bytes; reasons are ours, and short.
    let reason = reason.get(..reason.len().min(123)).unwrap_or_default();
    let mut frame = vec![0x80 | CLOSE, u8::try_from(reason.len() + 2).unwrap_or(2)];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    frame
}

/// The same as a client sends it: under a mask that nobody could foresee (RFC 6455, 5.3).
pub(super) fn close_masked(code: u16, reason: &str, mask: [u8; 4]) -> Vec<u8> {
    let mut frame = close(code, reason);
    for (byte, mask) in frame.iter_mut().skip(2).zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    frame.splice(2..2, mask);
    if let Some(length) = frame.get_mut(1) {
        *length |= 0x80;
    }
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame with a payload of this length.
    fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x80 | opcode];
        match length {
            0..126 => bytes.push(mask | length as u8),
            126..65536 => {
                bytes.push(mask | 126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        bytes.resize(bytes.len() + length + if masked { 4 } else { 0 }, 0x81);
        bytes
    }

    proptest! {
        #[test]
        fn the_end_of_every_frame_is_found_however_it_is_cut(
            lengths in prop::collection::vec((prop_oneof![Just(0), Just(125), Just(126), Just(65535), Just(65536), 0_usize..300], any::<bool>()), 1..5),
            cut in 1_usize..400,
            at in any::<prop::sample::Index>(),
        ) {
            let frames: Vec<Vec<u8>> = lengths.iter().map(|(length, masked)| frame(2, *length, *masked)).collect();
            let all = frames.concat();
            let at = at.index(all.len() + 1);
            let mut seen = Frames::new();
            all[..at].chunks(cut).for_each(|piece| seen.take(piece));
            let mut end = 0;
            let boundary = frames.iter().map(|frame| { end += frame.len(); end }).find(|end| *end >= at).unwrap_or(0);
            let expected = if at == 0 { 0 } else { boundary - at };
            prop_assert_eq!(seen.to_boundary(&all[at..]), Some(expected));
            if expected > 0 {
                prop_assert_eq!(seen.to_boundary(&all[at..at + expected - 1]), None);
            }
        }
    }

    #[test]
    fn nothing_follows_a_close_frame() {
        let mut seen = Frames::new();
        seen.take(&close(1000, "done"));
        assert_eq!(seen.to_boundary(b""), None);
        let mut seen = Frames::new();
        let frame = close(1000, "done");
        seen.take(&frame[..3]);
        assert_eq!(seen.to_boundary(&frame[3..]), None);
    }

    #[test]
    fn a_close_frame_has_code_and_reason() {
        assert_eq!(close(1008, "no"), [0x88, 4, 0x03, 0xF0, b'n', b'o']);
        let masked = [0x88, 0x84, 1, 2, 3, 4, 0x03 ^ 1, 0xF0 ^ 2, b'n' ^ 3, b'o' ^ 4];
        assert_eq!(close_masked(1008, "no", [1, 2, 3, 4]), masked);
    }

    #[test]
    fn a_frame_may_follow_where_one_has_ended_and_none_that_closes() {
        let mut seen = Frames::new();
        assert!(seen.is_open());
        let masked = frame(2, 5, true);
        for byte in &masked[..masked.len() - 1] {
            seen.take(&[*byte]);
            assert!(!seen.is_open());
        }
        seen.take(&masked[masked.len() - 1..]);
        assert!(seen.is_open());
        seen.take(&close_masked(1000, "done", [1, 2, 3, 4]));
        assert!(!seen.is_open());
    }
}
