//! The hash of a digest, for tables that are asked with one.

use std::hash::{BuildHasherDefault, Hasher};

/// Makes hashers of digests, for a table.
pub type Digests = BuildHasherDefault<AsItIs>;

/// The hash of a digest is its first 8 bytes: it is uniform, and no caller can choose one. For no other key of a table.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    /// What a digest writes.
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use super::*;
    use crate::key::digest::Digest;

    #[test]
    fn the_hash_of_a_digest_is_its_first_bytes() {
        let mut bytes = [7; Digest::LENGTH];
        bytes[..8].copy_from_slice(&0x0123_4567_89ab_cdef_u64.to_le_bytes());
        assert_eq!(Digests::default().hash_one(Digest::from_bytes(bytes)), 0x0123_4567_89ab_cdef);
    }
}
