//! Key records as the columns of a table: what a database keeps as text, and what of it can be.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::Revision;
use crate::key::account::{AccountRecord, Affiliation};
use crate::key::{GrantSpec, KeyRecord, KeyState, SiteId, Timestamp, parse_network};
use crate::policy::scope::is_scope_name;

/// What of a record is kept as text that was put together.
pub(super) struct Columns {
    /// The word for its grant.
    pub(super) level: &'static str,
    /// Its scopes, with spaces between them, where it has a grant of its own.
    pub(super) scopes: Option<String>,
    /// JSON, `[["name","value"],…]`, where there are any.
    pub(super) attributes: Option<String>,
    /// With spaces between them, where there are any.
    pub(super) networks: Option<String>,
}

impl Columns {
    pub(super) fn of(record: &KeyRecord) -> Self {
        let (level, scopes) = match &record.grant {
            GrantSpec::Custom(scopes) => ("custom", Some(scopes.join(" "))),
            GrantSpec::Full => ("full", None),
            GrantSpec::ReadOnly => ("read-only", None),
        };
        let networks: Vec<String> = record.allow_from.iter().map(ToString::to_string).collect();
        Self {
            level,
            scopes,
            attributes: (!record.attributes.is_empty()).then(|| serde_json::json!(record.attributes).to_string()),
            networks: (!networks.is_empty()).then(|| networks.join(" ")),
        }
    }
}

/// The site id of a public key; `None` where the text cannot be one.
pub(super) fn site(text: Option<&str>) -> Option<Option<SiteId>> {
    text.map_or(Some(None), |text| SiteId::parse(text.as_bytes()).map(Some))
}

/// The state that a word and the moment of a deletion tell; `None` where they cannot be together.
pub(super) fn state(word: &str, deleted: Option<Timestamp>) -> Option<KeyState> {
    match (KeyState::parse(word)?, deleted) {
        (state, None) => Some(state),
        (KeyState::Revoked, Some(_)) => Some(KeyState::Deleted),
        _ => None,
    }
}

/// The grant of a level and its scopes; `None` where it cannot be.
pub(super) fn grant(level: &str, scopes: &str) -> Option<GrantSpec> {
    match level {
        "custom" => {
            let mut names = scopes.split(' ').filter(|name| !name.is_empty());
            names.clone().all(is_scope_name).then(|| GrantSpec::custom(names.by_ref()))
        }
        "full" => Some(GrantSpec::Full),
        "read-only" => Some(GrantSpec::ReadOnly),
        _ => None,
    }
}

/// Attributes; `None` where they cannot be.
pub(super) fn attributes(json: Option<&str>) -> Option<Vec<(Box<str>, Box<str>)>> {
    json.map_or(Some(Vec::new()), |json| serde_json::from_str(json).ok())
}

/// Networks; `None` where one cannot be.
pub(super) fn networks(list: &str) -> Option<Vec<IpNet>> {
    list.split(' ').filter(|text| !text.is_empty()).map(|text| parse_network(text).ok()).collect()
}

/// What keys have of an account, and the revision from which they have it, in the numbers of the store.
pub(super) type Told = (Option<Arc<Affiliation>>, Revision);

/// What keys have of each account, whose own last changes are `own`: of it, of the one above it and of those below it.
pub(super) fn tell(accounts: &[AccountRecord], own: &[u64]) -> HashMap<Box<str>, Told> {
    let own: HashMap<&str, u64> = accounts.iter().map(|account| &*account.id).zip(own.iter().copied()).collect();
    let mut latest = own.clone();
    for account in accounts {
        let (id, parent) = (&*account.id, account.parent.as_deref().unwrap_or_default());
        for (one, other) in [(id, parent), (parent, id)] {
            if let (Some(latest), Some(revision)) = (latest.get_mut(one), own.get(other)) {
                *latest = (*latest).max(*revision);
            }
        }
    }
    let told = |(id, affiliation): (&str, Affiliation)| {
        let revision = Revision(latest.get(id).copied().unwrap_or_default());
        (id.into(), ((!affiliation.is_plain()).then(|| Arc::new(affiliation)), revision))
    };
    Affiliation::of_each(accounts).into_iter().map(told).collect()
}
