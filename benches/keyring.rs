//! Keys for the benches of finding one.

use scopegate::key::digest::Hasher;
use scopegate::key::lifecycle::{self, Imprint, NewKey};
use scopegate::key::secret::Secret;
use scopegate::key::{GrantSpec, KeyId, KeyKind, Timestamp};
use scopegate::policy::Caller;
use scopegate::policy::scope::Vocabulary;
use scopegate::store::index::Index;
use scopegate::store::{Change, Revision};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// An index of so many keys, and the keys in no order.
pub(crate) fn fill(count: u64, hasher: &Hasher) -> (Index, Vec<Secret>) {
    let index = Index::new(Vocabulary::new());
    let mut keys = Vec::new();
    for number in 1..=count {
        let Ok(key) = Secret::mint("sg") else { break };
        let grant = GrantSpec::custom(["lists:read", "profiles:read", "profiles:write"]);
        let new = NewKey::new(format!("exporter {number}"), grant);
        let imprint = Imprint::of(&key, "sg", hasher);
        let made = KeyId::mint(KeyKind::Secret).ok().and_then(|id| lifecycle::create(new, id, imprint, NOW).ok());
        let Some(record) = made else { break };
        index.apply(&Change::of(Revision(number), record));
        keys.push(key);
    }
    (index, keys)
}

/// Whether the key that was presented is in force.
pub(crate) fn is_known(index: &Index, hasher: &Hasher, key: &[u8]) -> bool {
    let digest = hasher.digest(key);
    index.look_up(&digest, |entry| entry.is_some_and(|entry| matches!(entry.caller(NOW, None), Caller::Known(_))))
}
