//! The plaintext of a key: minted once, shown once, digested and forgotten.
//!
//! A minted key is `<prefix>_`, 30 base62 characters from the operating system's generator (178.6 bits), and 6 base62
//! characters of checksum. The alphabet is `0-9A-Za-z`, in that order of digits.
//!
//! The checksum is the CRC-32 of IEEE 802.3 (reflected, polynomial `0xEDB88320`, as in gzip) over every byte before
//! it: prefix, underscore and the 30 characters. It is written as an unsigned number in base62, most significant
//! digit first, padded on the left with `0` to 6 characters (62^6 > 2^32). Example:
//! `sg_0123456789ABCDEFGHIJKLMNOPQRST` has the CRC-32 `0xF8E2ECD1` and so ends in `4YaTr7`.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The digits of base62, lowest first.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Random characters of a minted key.
pub(super) const RANDOM: usize = 30;
/// Checksum characters of a minted key.
const CHECKSUM: usize = 6;
/// Characters of a minted key behind its prefix and `_`.
pub(super) const TAIL: usize = RANDOM + CHECKSUM;
/// The longest credential that can be a key, in bytes. Longer ones are refused before they are hashed.
pub const LONGEST: usize = 256;

/// Bytes that must never be seen: a key, a pepper, an upstream credential.
///
/// Wiped from memory when dropped. `Debug` prints a redaction, there is no `Display` and no `Serialize`: the bytes come
/// out through [`Secret::expose`] alone, so that every place that reads them can be found by that name.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over. The allocation is kept as it is, so that no copy is left behind.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Mints a key under `prefix`. The random part has no modulo bias.
    ///
    /// # Errors
    /// A prefix that is none ([`is_prefix`]), or an operating system without randomness.
    pub fn mint(prefix: &str) -> Result<Self, MintError> {
        if !is_prefix(prefix) {
            return Err(MintError::Prefix(prefix.into()));
        }
        let mut key = Zeroizing::new(Vec::with_capacity(prefix.len() + 1 + TAIL));
        key.extend_from_slice(prefix.as_bytes());
        key.push(b'_');
        append_random(&mut key, RANDOM)?;
        let checksum = checksum(&key);
        key.extend_from_slice(&checksum);
        Ok(Self(key))
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether `presented` is this secret, in a time that does not depend on where they differ.
    pub fn matches(&self, presented: &[u8]) -> bool {
        self.0.ct_eq(presented).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(redacted)")
    }
}

/// Why no key could be minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The prefix would not make a recognisable key.
    #[error("`{0}` cannot be the prefix of keys: use 1 to 16 ASCII letters and digits, with `_` between them at most")]
    Prefix(Box<str>),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Randomness(String),
}

/// What can be said of a credential without a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It begins with our prefix and `_`, but what follows is not 36 base62 characters with the right checksum:
    /// mistyped, cut off or invented.
    BadChecksum,
    /// It does not begin with our prefix: perhaps a key that was imported.
    Foreign,
    /// No key at all: empty, longer than [`LONGEST`], or with a byte outside visible ASCII.
    Malformed,
    /// Our format, with the right checksum.
    Ours,
}

/// Judges the form of `credential` where keys are minted under `prefix`.
///
/// Nothing here is secret: the checksum is a public function of the bytes before it, so it is compared plainly.
pub fn check(prefix: &str, credential: &[u8]) -> Checked {
    // Without an early end, so that it is vectorised.
    let is_visible = credential.iter().fold(true, |visible, byte| visible & byte.is_ascii_graphic());
    if credential.is_empty() || credential.len() > LONGEST || !is_visible {
        return Checked::Malformed;
    }
    let tail = credential.strip_prefix(prefix.as_bytes()).and_then(|tail| tail.strip_prefix(b"_"));
    let Some(tail) = tail else {
        return Checked::Foreign;
    };
    if tail.len() != TAIL || !tail.iter().all(u8::is_ascii_alphanumeric) {
        return Checked::BadChecksum;
    }
    match credential.split_last_chunk::<CHECKSUM>() {
        Some((body, found)) if checksum(body) == *found => Checked::Ours,
        _ => Checked::BadChecksum,
    }
}

/// Whether keys may be minted under `prefix`: 1 to 16 ASCII letters and digits, `_` between them at most.
pub fn is_prefix(prefix: &str) -> bool {
    prefix.len() <= 16
        && prefix.split('_').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The checksum characters of what stands before them.
fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32fast::hash(body);
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = base62(rest % 62);
        rest /= 62;
    }
    digits
}

/// Bytes of the operating system's generator.
pub(super) fn random_bytes<const N: usize>() -> Result<[u8; N], MintError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| MintError::Randomness(error.to_string()))?;
    Ok(bytes)
}

/// Appends `count` base62 characters, each drawn uniformly: of 64 values of 6 random bits, the last two are thrown away.
pub(super) fn append_random(out: &mut Vec<u8>, count: usize) -> Result<(), MintError> {
    let mut pool = Zeroizing::new([0_u8; 64]);
    let mut missing = count;
    while missing > 0 {
        getrandom::fill(pool.as_mut()).map_err(|error| MintError::Randomness(error.to_string()))?;
        let before = out.len();
        out.extend(pool.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63))).take(missing));
        missing -= out.len() - before;
    }
    Ok(())
}

/// The base62 digit of a value under 62.
#[expect(clippy::indexing_slicing, reason = "a value modulo 62 is inside an alphabet of 62")]
pub(super) fn base62(value: u32) -> u8 {
    ALPHABET[(value % 62) as usize]
}

#[cfg(test)]
mod tests;
