//! The hash of a digest, for tables that are asked with one.
//!
//! INVARIANT: it depends on every bit of the digest and on numbers that nobody knows. A caller cannot choose the digest of a key,
//! but whoever imports keys, or writes a key file, can: with a hash that can be computed elsewhere a few hundred of them would
//! all want one place, and a table that grows until each has its own would take all memory.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Makes hashers of digests, for one table. Each has numbers of its own: what comes out of one table in its order comes into
/// another in none.
#[derive(Clone, Debug)]
pub struct Digests {
    halves: [[u64; 2]; 2],
    end: [u64; 2],
}

impl Default for Digests {
    fn default() -> Self {
        // Keyed by the operating system's randomness, and it does not tell its key.
        let random = RandomState::new();
        let pair = |number: u64| [random.hash_one(number), random.hash_one(!number)];
        Self { halves: [pair(1), pair(2)], end: pair(3) }
    }
}

impl BuildHasher for Digests {
    type Hasher = Keyed;

    #[inline]
    fn build_hasher(&self) -> Keyed {
        Keyed { halves: self.halves, end: self.end, sum: 0 }
    }
}

/// The hash of a digest: NH, as in UMAC (RFC 4418, section 5.2), of its four words, by which two that were chosen without knowing
/// the numbers are equal once in 2⁶⁴; then one multiplication that spreads the sum over all bits of the hash. For no other key
/// of a table.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The numbers of the next half and of the one after it.
    halves: [[u64; 2]; 2],
    end: [u64; 2],
    sum: u128,
}

impl Hasher for Keyed {
    #[inline]
    fn finish(&self) -> u64 {
        let ([low, high], [first, second]) = (words(self.sum), self.end);
        let [low, high] = words(u128::from(low ^ first) * u128::from(high ^ second));
        low ^ high
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte));
        }
    }

    /// What a digest writes, twice.
    #[inline]
    fn write_u128(&mut self, half: u128) {
        let ([low, high], [[first, second], next]) = (words(half), self.halves);
        let product = u128::from(low.wrapping_add(first)) * u128::from(high.wrapping_add(second));
        self.sum = self.sum.wrapping_add(product);
        self.halves = [next, [first, second]];
    }
}

/// The lower and the upper half.
#[expect(clippy::cast_possible_truncation, reason = "halves are what is asked for")]
const fn words(value: u128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::key::digest::Digest;

    /// Digests that differ in two bytes at `place` alone.
    fn alike(place: usize) -> impl Iterator<Item = Digest> {
        (0..=u16::MAX).map(move |number| {
            let mut bytes = [0xaa; Digest::LENGTH];
            bytes[place..place + 2].copy_from_slice(&number.to_le_bytes());
            Digest::from_bytes(bytes)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn digests_that_differ_in_two_bytes_alone_spread_over_every_part_of_the_hash(place in 0..Digest::LENGTH - 2) {
            let digests = Digests::default();
            for shift in [0, 24, 48] {
                let places: HashSet<_> = alike(place).map(|digest| (digests.hash_one(digest) >> shift) & 0xffff).collect();
                // As many of 65,536 places as 65,536 random numbers fill: 63 of a hundred.
                prop_assert!((40_000..43_000).contains(&places.len()), "{} at bit {shift}", places.len());
            }
        }
    }

    #[test]
    fn a_digest_has_one_hash_in_a_table_and_another_in_the_next() {
        let (one, other) = (Digests::default(), Digests::default());
        let digest = Digest::from_bytes([7; Digest::LENGTH]);
        assert_eq!(one.hash_one(digest), one.hash_one(digest));
        assert_ne!(one.hash_one(digest), other.hash_one(digest));
    }
}
