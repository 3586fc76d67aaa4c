//! Public keys: site ids, which stand in pages for everybody to read.
//!
//! A site id identifies an account and proves nothing. It is kept as it is, so that it can be shown again, and looked up by
//! its plain SHA-256 whatever the pepper is: there is nothing to protect, and a key file can hold it without knowing that.

use std::fmt;

use super::digest::Hasher;
use super::lifecycle::Imprint;
use super::secret::{self, MintError};

/// Characters of an id that is made here: with 47 random bits two of a store are hardly ever the same.
const LENGTH: usize = 8;
/// How long an id may be that came from elsewhere.
const LENGTHS: std::ops::RangeInclusive<usize> = 6..=12;

/// The value of a public key: 6 to 12 base62 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SiteId(Box<str>);

impl SiteId {
    /// Draws a new one.
    ///
    /// # Errors
    /// An operating system without randomness.
    pub fn mint() -> Result<Self, MintError> {
        let mut random = Vec::with_capacity(LENGTH);
        secret::append_random(&mut random, LENGTH)?;
        Ok(Self(random.into_iter().map(char::from).collect()))
    }

    /// Reads one; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let right = LENGTHS.contains(&text.len()) && text.iter().all(u8::is_ascii_alphanumeric);
        right.then(|| Self(text.iter().copied().map(char::from).collect()))
    }

    /// Whether `text` has the form of one.
    pub fn is_one(text: &[u8]) -> bool {
        LENGTHS.contains(&text.len()) && text.iter().all(u8::is_ascii_alphanumeric)
    }

    /// How the digest of any is made.
    pub fn hasher() -> Hasher {
        Hasher::new(None)
    }

    /// It, as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a store keeps of it: all of it.
    pub fn imprint(self) -> Imprint {
        let digest = Self::hasher().digest(self.0.as_bytes());
        Imprint { digest, prefix: Box::default(), last_four: Box::default(), site: Some(self) }
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_id_is_6_to_12_letters_and_digits() {
        for (text, right) in [
            ("Ab12Cd", true),
            ("Ab12CdEf34Gh", true),
            ("Ab12C", false),
            ("Ab12CdEf34Gh5", false),
            ("Ab12C_", false),
            ("Ab12C\u{e9}", false),
            ("", false),
        ] {
            assert_eq!(SiteId::parse(text.as_bytes()).is_some(), right, "{text}");
            assert_eq!(SiteId::is_one(text.as_bytes()), right, "{text}");
        }
        let minted = SiteId::mint().unwrap();
        assert_eq!(SiteId::parse(minted.as_str().as_bytes()), Some(minted.clone()));
        assert_ne!(SiteId::mint().unwrap(), minted);
    }
}
