//! `--keys`: what is the matter with the keys of the store.

use crate::cli::{Failure, source};
use crate::config::Keys;
use crate::config::fault::{Fault, Severity};
use crate::key::{GrantSpec, KeyRecord, KeyState, Timestamp};
use crate::policy::Policy;
use crate::store::{self, OpenMode};

/// What was found of the stored keys.
#[derive(Debug, Default)]
pub(super) struct StoredKeys {
    /// How many there are that are not revoked.
    pub(super) count: usize,
    /// How many of these have expired.
    pub(super) expired: usize,
    /// One for each key that has expired, and for each scope that the policy does not know.
    pub(super) warnings: Vec<Fault>,
}

/// Looks at every key that is not revoked.
pub(super) fn look(keys: &Keys, policy: &Policy) -> Result<StoredKeys, Failure> {
    let mut store = store::open(&source::location(keys), OpenMode::Existing).map_err(Failure::failed)?;
    let now = Timestamp::now();
    let mut found = StoredKeys::default();
    let place = store.place();
    let records = store.list().map_err(Failure::failed)?;
    for record in records.iter().filter(|record| record.state != KeyState::Revoked) {
        found.count += 1;
        if let Some(end) = record.expires.filter(|_| record.is_expired(now)) {
            found.expired += 1;
            let message = format!("key {} ({}) has expired: {end}", record.id, record.name);
            let help = "callers that present it get 401 expired_key; revoke it where nobody needs it any more";
            found.warnings.push(warning(&place, message, help));
        }
        found.warnings.extend(unknown_scopes(record, policy, &place));
    }
    Ok(found)
}

/// A warning for each scope of a key that the policy does not know.
fn unknown_scopes(record: &KeyRecord, policy: &Policy, place: &str) -> Vec<Fault> {
    let GrantSpec::Custom(scopes) = &record.grant else {
        return Vec::new();
    };
    let tell = |scope: &String| {
        let message =
            format!("key {} ({}) has the scope `{scope}`, which the policy does not know", record.id, record.name);
        let help = match policy.nearest(scope) {
            Some(near) => format!("it grants nothing; where `{near}` was meant, make a key with that scope"),
            None => {
                "it grants nothing; scopes of a key never change, so make another key where that matters".to_owned()
            }
        };
        warning(place, message, &help)
    };
    scopes.iter().filter(|scope| !policy.knows(scope)).map(tell).collect()
}

fn warning(place: &str, message: String, help: &str) -> Fault {
    let mut warning = Fault::of(place, message, help);
    warning.severity = Severity::Warning;
    warning
}
