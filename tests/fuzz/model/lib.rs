//! What the fuzz targets share: naive readings, written without a look at how the gateway reads.

pub mod answers;
pub mod client;
pub mod hyper;
pub mod paths;
pub mod queries;

use std::fmt::Debug;
use std::sync::Arc;

use scopegate::policy::{Grant, Kind, Principal, Rights};

/// Targets that every policy is asked about, beside its own templates.
pub const REQUESTS: [&str; 6] = ["/", "/a", "/a/b/", "/a?include=b", "http://host/a?x", "/a/%2e%2e/b"];

/// A secret key with this grant.
pub fn principal(grant: Grant) -> Principal {
    Principal::new(None, Arc::new(Rights::new(Kind::Secret, (grant, ""), Box::default())))
}

/// Asserts that `verdict` turns from `None` to one answer, and keeps it for every longer prefix of `bytes`.
pub fn assert_stable<V: PartialEq + Debug>(bytes: &[u8], verdict: impl Fn(&[u8]) -> Option<V>) {
    let step = bytes.len() / 256 + 1;
    let lengths = (0..bytes.len()).step_by(step).chain([bytes.len()]);
    let mut first: Option<V> = None;
    for length in lengths {
        let now = verdict(&bytes[..length]);
        if first.is_some() {
            assert_eq!(now, first, "the verdict changed at {length} of {}", bytes.escape_ascii());
        }
        first = now;
    }
}
