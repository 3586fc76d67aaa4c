//! The only form of a key that is ever stored.
//!
//! A key has 178 random bits, so one SHA-256 is as hard to turn round as any slow hash, and it cannot be used to wear
//! the gateway out. With a pepper (`keys.pepper`) it is HMAC-SHA-256: a stolen store alone then verifies no guess, which
//! matters for imported keys that may have been weak.

mod keyed;

use std::fmt;
use std::hash::{Hash, Hasher as StdHasher};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

pub use self::keyed::{Digests, Keyed};
use super::secret::Secret;

/// SHA-256 or HMAC-SHA-256 of a key.
///
/// `==` is an ordinary comparison: a caller cannot steer a digest towards a stored one, so its timing tells nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; Digest::LENGTH]);

impl Digest {
    /// Bytes of a digest.
    pub const LENGTH: usize = 32;

    /// A digest that was made elsewhere.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Reads 64 hexadecimal digits of either case; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != Self::LENGTH || !rest.is_empty() {
            return None;
        }
        let mut bytes = [0; Self::LENGTH];
        // All of them are looked at before it is said whether one is none: digits come as they like, and no processor guesses them.
        let mut all = 0;
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (nibble(*high), nibble(*low));
            all |= high | low;
            *byte = high << 4 | low;
        }
        (all != NO_DIGIT).then_some(Self(bytes))
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

impl Hash for Digest {
    /// Writes all of it, as the two numbers that [`Keyed`] takes.
    #[inline]
    fn hash<H: StdHasher>(&self, state: &mut H) {
        let (halves, _) = self.0.as_chunks::<16>();
        for half in halves {
            state.write_u128(u128::from_le_bytes(*half));
        }
    }
}

impl fmt::Debug for Digest {
    /// The first 4 bytes: enough to tell digests apart in a test, too little to look one up.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(out, "Digest({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// Makes digests. Prepared once; the state of a pepper is computed then, not for every key.
#[derive(Clone)]
pub struct Hasher(Method);

#[derive(Clone)]
enum Method {
    Hmac(Box<Hmac<Sha256>>),
    Sha256,
}

impl Hasher {
    /// SHA-256, or HMAC-SHA-256 under a pepper.
    pub fn new(pepper: Option<&Secret>) -> Self {
        // HMAC takes a key of any length (RFC 2104), so the error cannot come; an empty pepper is still a pepper.
        let keyed = pepper.and_then(|pepper| Hmac::new_from_slice(pepper.expose()).ok());
        Self(keyed.map_or(Method::Sha256, |keyed| Method::Hmac(Box::new(keyed))))
    }

    /// Whether digests depend on a pepper.
    pub fn is_peppered(&self) -> bool {
        matches!(self.0, Method::Hmac(_))
    }

    /// The digest of a key.
    pub fn digest(&self, key: &[u8]) -> Digest {
        match &self.0 {
            Method::Hmac(keyed) => {
                let mut keyed = Hmac::clone(keyed);
                keyed.update(key);
                Digest(keyed.finalize().into_bytes().into())
            }
            Method::Sha256 => Digest(Sha256::digest(key).into()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.is_peppered() { "Hasher(HMAC-SHA-256)" } else { "Hasher(SHA-256)" })
    }
}

/// What stands for a byte that is no hexadecimal digit.
const NO_DIGIT: u8 = u8::MAX;

#[expect(
    clippy::indexing_slicing,
    reason = "a byte is inside a table of all bytes, and a number below 16 among 16 digits"
)]
fn nibble(digit: u8) -> u8 {
    /// The number of each byte.
    static NIBBLES: [u8; 256] = {
        let mut nibbles = [NO_DIGIT; 256];
        let mut value = 0;
        while value < 16 {
            let digit = b"0123456789abcdef"[value as usize];
            nibbles[digit as usize] = value;
            nibbles[digit.to_ascii_uppercase() as usize] = value;
            value += 1;
        }
        nibbles
    };
    NIBBLES[usize::from(digit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha_256_of_the_key() {
        let digest = Hasher::new(None).digest(b"abc");
        assert_eq!(digest.to_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_pepper_makes_it_hmac_as_in_rfc_4231() {
        let hasher = Hasher::new(Some(&Secret::new("Jefe")));
        let digest = hasher.digest(b"what do ya want for nothing?");
        assert_eq!(digest.to_hex(), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(hasher.is_peppered());
    }

    #[test]
    fn hex_is_read_back_in_either_case_and_in_full_length_only() {
        let digest = Hasher::new(None).digest(b"abc");
        let hex = digest.to_hex();
        assert_eq!(Digest::from_hex(&hex), Some(digest));
        assert_eq!(Digest::from_hex(&hex.to_uppercase()), Some(digest));
        for wrong in [hex.trim_start_matches("b"), &format!("{hex}0"), &format!("{}g", hex.trim_start_matches("b")), ""]
        {
            assert_eq!(Digest::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_pepper_is_not_shown() {
        let hasher = Hasher::new(Some(&Secret::new("Jefe")));
        assert_eq!(format!("{hasher:?}"), "Hasher(HMAC-SHA-256)");
    }
}
