//! What is unusual about the segments of a path, and which of their bytes stand for themselves.

/// What is unusual about a segment, or about any of a path: most have nothing of it, which is one question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits(u8);

impl Traits {
    /// A `&` as it is.
    pub(super) const AMPERSAND: Self = Self(1);
    /// A dot as it is.
    pub(super) const DOT: Self = Self(1 << 1);
    pub(super) const ENCODED: Self = Self(1 << 2);
    pub(super) const ENCODED_SLASH: Self = Self(1 << 3);
    /// Decoded bytes lie outside ASCII.
    pub(super) const FOREIGN: Self = Self(1 << 4);
    /// A byte is encoded that could stand for itself.
    pub(super) const NEEDLESS: Self = Self(1 << 5);
    /// Some servers would take bytes off its ends.
    pub(super) const WORN: Self = Self(1 << 6);

    pub(super) const fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// Whether any of `others` is there.
    pub(super) const fn has(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How many bytes at the front of `rest` stand for themselves whatever is beside them, and what of note is among them.
pub(super) fn count_plain(rest: &[u8], traits: &mut Traits) -> usize {
    let mut seen = 0;
    let end = rest.iter().position(|byte| {
        seen |= class_of(*byte);
        seen & SPECIAL != 0
    });
    // The byte that ends them is not one of them.
    traits.add(Traits(seen & !SPECIAL));
    end.unwrap_or(rest.len())
}

/// The class of a byte that does not stand for itself.
const SPECIAL: u8 = 1 << 7;

/// What a byte of a path is: special, or a trait of its segment, or nothing of note.
const fn class_of(byte: u8) -> u8 {
    const CLASSES: [u8; 256] = {
        let mut classes = [SPECIAL; 256];
        let mut byte = b'!';
        while byte <= b'~' {
            #[expect(clippy::indexing_slicing, reason = "a byte is within 256, and this runs in the compiler")]
            {
                classes[byte as usize] = match byte {
                    b'/' | b'%' | b';' | b'#' | b'\\' => SPECIAL,
                    b'&' => Traits::AMPERSAND.0,
                    b'.' => Traits::DOT.0,
                    _ => 0,
                };
            }
            byte += 1;
        }
        classes
    };
    #[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
    CLASSES[byte as usize]
}
