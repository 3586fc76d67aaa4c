//! Which value a key has, as an entry says it.

use serde_json::Value;

use crate::key::digest::{Digest, Hasher};
use crate::key::secret::Secret;
use crate::key::{KeyRecord, Timestamp};

/// Characters of a mark: 128 bits.
const MARK: usize = 32;

/// Makes marks of values: of the digest of each under a secret of the store. Whoever reads entries without the store can hold no
/// guess of a key against them, not even of a weak one that came from elsewhere.
#[derive(Clone, Debug)]
pub struct Seal(Hasher);

impl Seal {
    /// Bytes of the secret.
    pub const LENGTH: usize = 32;

    /// Marks under the secret of a store.
    pub fn new(secret: [u8; Self::LENGTH]) -> Self {
        Self(Hasher::new(Some(&Secret::new(secret))))
    }

    /// The mark of a value, in hexadecimal.
    pub fn mark(&self, digest: &Digest) -> String {
        let mut mark = self.0.digest(digest.as_bytes()).to_hex();
        mark.truncate(MARK);
        mark
    }

    /// Adds to what is said of a key at `at` which value it has, and when it was made where that was another time.
    pub fn add_to(&self, detail: &mut Value, record: &KeyRecord, at: Timestamp) {
        let Value::Object(fields) = detail else { return };
        if record.created != at {
            fields.insert("created".to_owned(), record.created.to_string().into());
        }
        self.add_value(detail, record);
    }

    /// Adds which value a key has.
    pub fn add_value(&self, detail: &mut Value, record: &KeyRecord) {
        if let Value::Object(fields) = detail {
            fields.insert("value".to_owned(), self.mark(&record.value.digest).into());
        }
    }
}
