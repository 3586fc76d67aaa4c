//! The id of a key in 16 bytes.

use crate::key::{KeyId, KeyKind};

/// What the id of a key begins with that was made here and is no pair.
const MINTED: &[u8] = b"key_";
/// Characters behind it, and bytes that the id of a pair says.
const LENGTH: usize = 16;

/// The id of a key, where it has the form that ids of its kind are given here: the 16 characters behind `key_`, or the bytes
/// that the 32 hexadecimal digits of a pair say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Name([u8; LENGTH]);

impl Name {
    /// The id of a key of that kind; `None` where it has another form.
    pub(super) fn of(kind: KeyKind, id: &str) -> Option<Self> {
        let id = id.as_bytes();
        let bytes = match kind {
            KeyKind::Pair => read_hexadecimal(id),
            KeyKind::Public | KeyKind::Secret => id.strip_prefix(MINTED).and_then(|rest| rest.try_into().ok()),
        };
        bytes.map(Self)
    }

    /// The id of the key, which is of that kind.
    pub(super) fn text(&self, kind: KeyKind) -> IdText {
        let mut text = IdText { bytes: [0; KeyId::MOST], length: 0 };
        match kind {
            KeyKind::Pair => text.push(self.0.map(|byte| [digit(byte >> 4), digit(byte & 15)]).as_flattened()),
            KeyKind::Public | KeyKind::Secret => {
                text.push(MINTED);
                text.push(&self.0);
            }
        }
        text
    }
}

/// The id of a key, spelled out.
#[derive(Clone, Copy, Debug)]
pub struct IdText {
    bytes: [u8; KeyId::MOST],
    length: usize,
}

impl IdText {
    /// An id, as far as an id can be long.
    pub(super) fn new(id: &str) -> Self {
        let mut text = Self { bytes: [0; KeyId::MOST], length: 0 };
        text.push(id.as_bytes());
        text
    }

    /// The id, as the record has it.
    pub fn as_str(&self) -> &str {
        // Ids are ASCII.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, more: &[u8]) {
        let end = self.length + more.len();
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(more);
            self.length = end;
        }
    }
}

fn read_hexadecimal(id: &[u8]) -> Option<[u8; LENGTH]> {
    let (pairs, []) = id.as_chunks::<2>() else { return None };
    let pairs: &[[u8; 2]; LENGTH] = pairs.try_into().ok()?;
    let mut bytes = [0; LENGTH];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_comes_out_as_it_went_in() {
        let longest = "x".repeat(KeyId::MOST);
        let ids = [
            "key_0123456789abcXYZ",
            "key_0123456789abcXY",
            "key_0123456789abcXYZ0",
            "0123456789abcdef0123456789abcdef",
            "0123456789ABCDEF0123456789abcdef",
            "0123456789abcdef0123456789abcde",
            "0123456789abcdef0123456789abcdef0",
            "0123456789abcdeg0123456789abcdef",
            "x",
            "key_",
            "exporter-eu.1",
            &longest,
        ];
        for (id, kind) in ids.into_iter().flat_map(|id| KeyKind::ALL.map(|kind| (id, kind))) {
            let id = KeyId::parse(id).unwrap();
            let text = Name::of(kind, id.as_str()).map_or_else(|| IdText::new(id.as_str()), |name| name.text(kind));
            assert_eq!(text.as_str(), id.as_str());
        }
    }

    #[test]
    fn ids_that_are_made_here_stand_in_the_entry() {
        for kind in KeyKind::ALL {
            assert!(Name::of(kind, KeyId::mint(kind).unwrap().as_str()).is_some(), "{kind}");
        }
    }
}
