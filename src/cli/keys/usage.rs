//! How a key was used, for a reader and for a program.

use serde_json::{Value, json};

use crate::key::visible::escaped;
use crate::key::{GrantSpec, KeyRecord};
use crate::store::uses::{Count, KeyUse};
use crate::store::{KeyStore, StoreError};

/// What stands where a store takes nothing down.
pub(super) const NOT_RECORDED: &str =
    "not recorded: nothing is written to a key file; the access log has the id of the key with each request";

const NEVER: &str = "never, as far as is recorded";

/// What a store knows of the use of a key; `None` where it takes nothing down.
pub(super) fn find(store: &mut dyn KeyStore, record: &KeyRecord) -> Result<Option<KeyUse>, StoreError> {
    store.records_use().then(|| store.use_of(&record.id)).transpose()
}

/// As names and values. Whoever may count uses may write anything for a scope.
pub(super) fn lines(record: &KeyRecord, used: Option<&KeyUse>) -> Vec<(&'static str, String)> {
    let Some(used) = used else { return vec![("last used", NOT_RECORDED.to_owned())] };
    let Some(whole) = used.whole else { return vec![("last used", NEVER.to_owned())] };
    let mut lines = vec![("last used", whole.last.to_string()), ("requests", requests(whole))];
    let of_scopes = |name, pick: fn(&Count) -> u64| {
        let counted = used.scopes.iter().filter(move |(_, count)| pick(count) > 0);
        counted.map(move |(scope, count)| {
            (name, format!("{}, {}, last {}", escaped(scope), times(pick(count)), count.last))
        })
    };
    lines.extend(of_scopes("needed", |count| count.allowed));
    lines.extend(of_scopes("missed", |count| count.denied));
    let unused = unused(record, used);
    lines.extend((!unused.is_empty()).then(|| ("unused", unused.join(", "))));
    lines
}

/// What is known of the use of many keys together, as names and values.
pub(in crate::cli) fn sum_lines(sum: Option<Count>) -> Vec<(&'static str, String)> {
    match sum {
        None => vec![("last used", NOT_RECORDED.to_owned())],
        Some(sum) if sum == Count::NONE => vec![("last used", NEVER.to_owned())],
        Some(sum) => vec![("last used", sum.last.to_string()), ("requests", requests(sum))],
    }
}

/// The same as JSON; null where the store takes nothing down.
pub(in crate::cli) fn sum_to_json(sum: Option<Count>) -> Value {
    sum.map_or(Value::Null, |sum| {
        let last = (sum != Count::NONE).then(|| sum.last.to_string());
        json!({ "requests": sum.requests(), "denied": sum.denied, "last_used": last })
    })
}

/// How many requests, in words.
pub(in crate::cli) fn requests(count: Count) -> String {
    match (count.requests(), count.denied) {
        (all, 0) => all.to_string(),
        (all, denied) if all == denied => format!("{all}, all denied"),
        (all, denied) => format!("{all}, {denied} of them denied"),
    }
}

/// As JSON; null where the store takes nothing down.
pub(super) fn to_json(record: &KeyRecord, used: Option<&KeyUse>) -> Value {
    let Some(used) = used else { return Value::Null };
    let whole = used.whole.unwrap_or(Count::NONE);
    let of_scope = |(scope, count): &(Box<str>, Count)| {
        json!({
            "scope": scope,
            "needed": count.allowed,
            "missed": count.denied,
            "last": count.last.to_string(),
        })
    };
    json!({
        "requests": whole.requests(),
        "denied": whole.denied,
        "scopes": used.scopes.iter().map(of_scope).collect::<Vec<_>>(),
        "unused_scopes": unused(record, used),
    })
}

/// The scopes of a list that no request has needed yet; none of a key that was never used.
fn unused<'r>(record: &'r KeyRecord, used: &KeyUse) -> Vec<&'r str> {
    let GrantSpec::Custom(scopes) = &record.grant else { return Vec::new() };
    if used.whole.is_none() {
        return Vec::new();
    }
    let is_needed = |scope: &str| used.scopes.iter().any(|(known, count)| &**known == scope && count.allowed > 0);
    scopes.iter().map(|scope| &**scope).filter(|scope| !is_needed(scope)).collect()
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}
