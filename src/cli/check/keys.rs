//! `--keys`: what is the matter with the keys of the store.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::keys::attributes;
use crate::cli::{Failure, source};
use crate::config::Keys;
use crate::config::fault::{Fault, Severity};
use crate::key::account::{AccountRecord, AccountState};
use crate::key::{GrantSpec, KeyRecord, KeyState, Timestamp};
use crate::policy::{Policy, nearest};
use crate::store::{self, Location, OpenMode, postgres};

/// What was found of the stored keys.
#[derive(Debug, Default)]
pub(super) struct StoredKeys {
    /// How many there are that are neither revoked nor deleted.
    pub(super) count: usize,
    /// How many of these have expired.
    pub(super) expired: usize,
    /// Where the store would be, if there is none yet.
    pub(super) no_store: Option<String>,
    /// One for each key that has expired, and for each scope or attribute that the policy does not know.
    pub(super) warnings: Vec<Fault>,
}

/// What would keep a gateway that runs as this user here from its store, or from a copy of it. A pipeline may well be another
/// place: warnings.
pub(super) fn obstacles(keys: &Keys) -> impl Iterator<Item = Fault> {
    let location = source::location(keys);
    let unsafe_ways = match &location {
        Location::Postgres(database) => postgres::warnings_of(database),
        Location::File(..) | Location::Sqlite(_) => Vec::new(),
    };
    let unsafe_ways = unsafe_ways.into_iter().map(|way| {
        let text = way.to_string();
        let (message, help) = text.rsplit_once("; ").unwrap_or((&text, "write sslmode=verify-full"));
        warning("keys.store", message.to_owned(), help)
    });
    let refused = store::probe(&location).err();
    let store = refused.map(|why| {
        let help = match keys.snapshot.is_some() {
            true if why.is_passing() => {
                "`scopegate serve` would start with the copy of the keys, where there is one, and wait for the store"
            }
            true if why.is_absence() => {
                "here, and as this user, `scopegate serve` would start with the copy of the keys alone, and not without one"
            }
            _ if !why.is_passing() => "here, and as this user, `scopegate serve` would not start",
            _ => "`scopegate serve` would start, answer 503 where a key is needed, and wait for the store",
        };
        warning("keys.store", why.to_string(), help)
    });
    let folder = keys.snapshot.as_deref().and_then(Path::parent);
    // A name alone is in the folder that this runs in.
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir());
    let snapshot = folder.map(|folder| {
        let message = format!("there is no folder {}", folder.display());
        warning("keys.snapshot", message, "make it; without it no copy of the keys is kept, and the log says so")
    });
    unsafe_ways.chain(store).chain(snapshot)
}

/// Looks at every key that is neither revoked nor deleted.
pub(super) fn look(keys: &Keys, policy: &Policy, credentials: &[Box<str>]) -> Result<StoredKeys, Failure> {
    let location = source::location(keys);
    if let Location::Sqlite(path) = &location
        && !path.exists()
    {
        return Ok(StoredKeys { no_store: Some(path.display().to_string()), ..StoredKeys::default() });
    }
    let mut store = store::open(&location, OpenMode::Existing).map_err(Failure::failed)?;
    let now = Timestamp::now();
    let mut found = StoredKeys::default();
    let place = store.place();
    let records = store.list().map_err(Failure::failed)?;
    let (mut scopes, mut attributes): (Holders<'_>, Holders<'_>) = (BTreeMap::new(), BTreeMap::new());
    let there = |record: &&KeyRecord| !matches!(record.state, KeyState::Deleted | KeyState::Revoked);
    for record in records.iter().filter(there) {
        found.count += 1;
        if let Some(end) = record.expires.filter(|_| record.is_expired(now)) {
            found.expired += 1;
            let message = format!("key {} ({}) has expired: {end}", record.id, record.name);
            let help = "callers that present it get 401 expired_key; revoke it where nobody needs it any more";
            found.warnings.push(warning(&place, message, help));
        }
        if let GrantSpec::Custom(held) = &record.grant {
            let unknown = held.iter().filter(|scope| !policy.knows(scope));
            unknown.for_each(|scope| scopes.entry(scope).or_default().push(record));
        }
        for (name, _) in record.attributes.iter().filter(|(name, _)| attributes::unbound(policy, name).is_some()) {
            attributes.entry(name).or_default().push(record);
        }
    }
    for (scope, holders) in scopes {
        let message = format!("{} the scope `{scope}`, which the policy does not know", have(&holders));
        let help = match policy.nearest(scope) {
            Some(near) => format!("it grants nothing; where `{near}` was meant, make a key with that scope"),
            None => {
                "it grants nothing; scopes of a key never change, so make another key where that matters".to_owned()
            }
        };
        found.warnings.push(warning(&place, message, &help));
    }
    for (name, mut holders) in attributes {
        holders.dedup_by_key(|record| &record.id);
        let message = format!("{} the attribute `{name}`, which the policy does not bind", have(&holders));
        let mend = attributes::unbound(policy, name).unwrap_or_default();
        found.warnings.push(warning(&place, message, &format!("it confines nothing{mend}")));
    }
    let accounts = store.accounts().map_err(Failure::failed)?;
    let lacking = accounts.iter().filter_map(|account| Some(warning(&place, lacks(account, credentials)?, IS_REFUSED)));
    found.warnings.extend(lacking);
    Ok(found)
}

const IS_REFUSED: &str =
    "requests of its keys get 500 internal_error; write the credential under `upstream.credentials`";

/// What to say of an account whose upstream credential is not among those that there are.
fn lacks(account: &AccountRecord, credentials: &[Box<str>]) -> Option<String> {
    let is_there = |name: &&str| credentials.iter().any(|known| **known == **name);
    let name = account.credential.as_deref().filter(|name| !is_there(name))?;
    let near = nearest(name, credentials.iter().map(|name| &**name));
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let is_gone = account.state == AccountState::Deleted;
    let message =
        format!("the account {} names the upstream credential `{name}`, which is not configured{near}", account.id);
    (!is_gone).then_some(message)
}

/// Keys that have something, by its name.
type Holders<'r> = BTreeMap<&'r str, Vec<&'r KeyRecord>>;

/// Who has it, in words: all of a few, the first of many.
fn have(holders: &[&KeyRecord]) -> String {
    const NAMED: usize = 3;
    let named: Vec<String> =
        holders.iter().take(NAMED).map(|record| format!("{} ({})", record.id, record.name)).collect();
    match holders.len() {
        1 => format!("key {} has", named.concat()),
        count if count <= NAMED => format!("keys {} have", named.join(", ")),
        count => format!("keys {} and {} more have", named.join(", "), count - NAMED),
    }
}

fn warning(place: &str, message: String, help: &str) -> Fault {
    let mut warning = Fault::of(place, message, help);
    warning.severity = Severity::Warning;
    warning
}
