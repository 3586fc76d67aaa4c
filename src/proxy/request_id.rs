//! Request ids: the caller's where it is sane, otherwise one of ours.

use std::cell::Cell;

use crate::key::mask::Mask;

/// The longest id that is taken over from a caller, in bytes.
const LONGEST: usize = 64;

/// The id of one request: visible ASCII without quotes, at most 64 bytes, and no key in it: it stands in answers and logs.
#[derive(Clone, Copy)]
pub(crate) struct RequestId {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Default for RequestId {
    fn default() -> Self {
        Self { bytes: [0; LONGEST], len: 0 }
    }
}

impl RequestId {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The caller's id, if it can stand in a header, a log line and JSON as it is.
    pub(crate) fn accept(given: &[u8], mask: Mask<'_>) -> Option<Self> {
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=~@".contains(byte);
        if given.is_empty() || !given.iter().all(sane) {
            return None;
        }
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..given.len())?.copy_from_slice(given);
        if mask.finds_in(given) {
            return None;
        }
        Some(Self { bytes, len: given.len() })
    }
}

/// Makes ids: unique, not secret. 16 hex digits that are random for each worker, then a scrambled counter.
pub(crate) struct RequestIds {
    prefix: u64,
    /// The prefix as it stands in front of each id.
    digits: [u8; 16],
    count: Cell<u64>,
}

impl RequestIds {
    /// `seed` tells workers and processes apart.
    pub(crate) fn new(seed: u64) -> Self {
        Self { prefix: seed, digits: hexadecimal(seed), count: Cell::new(0) }
    }

    pub(crate) fn next(&self) -> RequestId {
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        let mut id = RequestId { len: 32, ..RequestId::default() };
        if let [prefix, own, ..] = id.bytes.as_chunks_mut().0 {
            (*prefix, *own) = (self.digits, hexadecimal(scramble(count ^ self.prefix)));
        }
        id
    }
}

fn hexadecimal(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (place, byte) in digits.iter_mut().enumerate() {
        let digit = (number >> (60 - 4 * place)) as u8 & 0xf;
        *byte = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
    }
    digits
}

/// A bijection of the 64-bit numbers (the finaliser of SplitMix64), so that neighbours do not look alike.
fn scramble(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: &RequestId) -> String {
        String::from_utf8(id.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn ids_are_32_hex_digits_and_differ() {
        let ids = RequestIds::new(7);
        let mut seen: Vec<String> = (0..1000).map(|_| text(&ids.next())).collect();
        assert!(seen.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }

    #[test]
    fn an_id_of_the_caller_is_kept_only_if_it_is_sane() {
        let mask = Mask::new("sg");
        assert_eq!(RequestId::accept(b"req-1:a/b", mask).map(|id| text(&id)).as_deref(), Some("req-1:a/b"));
        for given in [&b""[..], b"a b", b"a\"b", "é".as_bytes(), &[b'a'; LONGEST + 1]] {
            assert!(RequestId::accept(given, mask).is_none());
        }
    }

    #[test]
    fn a_key_is_no_id() {
        let key = crate::key::secret::Secret::mint("sg").unwrap();
        assert!(RequestId::accept(key.expose(), Mask::new("sg")).is_none());
        assert!(RequestId::accept(&[b"id:", key.expose(), b"/1"].concat(), Mask::new("sg")).is_none());
        assert!(RequestId::accept(key.expose(), Mask::new("other")).is_some());
    }
}
