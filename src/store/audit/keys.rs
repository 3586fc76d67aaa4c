//! What the log says of keys, held against the keys that are there.
//!
//! What an entry says of a new key is all that decides what the key may do, and none of it ever changes. There may be a million
//! of them, so it is kept as a hash. What became of the key since, and of each of its values, follows from its other entries.
//!
//! Not held: the note of a key, which no entry has, and the prefix and the last characters of its values, which are there to be
//! read alone.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Entry, Link, Seal, Unlogged, canonical, of_new};
use crate::key::{KeyKind, KeyRecord, KeyState, KeyValue, Timestamp};
use crate::store::Revision;

/// The keys that a log tells of, entry by entry from the first one on.
#[derive(Debug)]
pub struct ToldKeys {
    keys: HashMap<Box<str>, Told>,
    seal: Seal,
}

/// A key as its entries leave it. What they do not say, since they are older than what says it, is `None`.
#[derive(Debug)]
struct Told {
    terms: Option<Terms>,
    state: KeyState,
    created: Option<Timestamp>,
    changed: Option<Timestamp>,
    /// The number of the last of them.
    last: u64,
    /// Every value that it ever had, the latest last.
    values: Vec<ToldValue>,
}

#[derive(Debug)]
struct ToldValue {
    mark: Option<Box<str>>,
    end: ToldEnd,
}

/// When a value is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ToldEnd {
    /// From this moment on.
    At(Timestamp),
    /// Its key has it.
    None,
    /// It was over at this moment already, and so for good.
    Over(Timestamp),
    /// The entry does not say.
    Unsaid,
}

/// What a key is called and may do.
#[derive(Debug, PartialEq, Eq)]
struct Terms {
    whole: Print,
    /// What is left of it once the key is deleted.
    tombstone: Print,
}

/// Half a hash: none who meets it by another text has tried fewer than 2^128.
type Print = [u8; Link::LENGTH / 2];

impl ToldKeys {
    /// Of no entry yet; `seal` is the one of the store.
    pub fn new(seal: Seal) -> Self {
        Self { keys: HashMap::new(), seal }
    }

    /// Takes in the next entry.
    pub fn follow(&mut self, entry: &Entry) {
        let Some(id) = &entry.key else { return };
        let nothing = Map::new();
        let detail = entry.detail.as_ref().and_then(Value::as_object).unwrap_or(&nothing);
        match (&*entry.action, self.keys.get_mut(id)) {
            ("clone" | "create" | "import", None) => {
                self.keys.insert(id.clone(), Told::first(entry, detail));
            }
            // What is no first entry, or a second one, is never written: the key is not as such a log says.
            (_, None) | ("clone" | "create" | "import", Some(_)) => {}
            (_, Some(told)) => told.follow(entry, detail),
        }
    }

    /// What of a key is not as its entries say. `last` is the number of its last change. No key is asked for twice.
    pub fn compare(&mut self, record: &KeyRecord, last: Revision) -> Option<Unlogged> {
        let id = record.id.as_str();
        let strange = match self.keys.remove(id) {
            None => vec!["it has no entry"],
            Some(told) => told.differs(record, last, &self.seal),
        };
        (!strange.is_empty()).then(|| Unlogged::key(id, &strange.join(", ")))
    }

    /// Those that were not compared: they have entries alone.
    pub fn left(&self) -> impl Iterator<Item = Unlogged> {
        self.keys.keys().map(|id| Unlogged::key(id, "it is gone"))
    }

    /// Whether the entries of a key say all that they would say today.
    pub fn says_all_of(&self, record: &KeyRecord) -> bool {
        self.keys.get(record.id.as_str()).is_none_or(Told::is_whole)
    }
}

impl Told {
    fn first(entry: &Entry, detail: &Map<String, Value>) -> Self {
        let text = |name: &str| detail.get(name).and_then(Value::as_str);
        let mark = text("value").map(Box::from);
        // What is imported brings a date of its own. Older entries do not say it, nor always that it was imported.
        let is_dated = mark.is_some();
        let created = match text("created") {
            Some(created) => Timestamp::parse_moment(created).ok(),
            None => is_dated.then_some(entry.at),
        };
        Self {
            terms: detail.contains_key("name").then(|| Terms::of(detail.clone())),
            state: text("state").and_then(KeyState::parse).unwrap_or(KeyState::Active),
            created,
            changed: created,
            last: entry.number,
            values: vec![ToldValue { mark, end: ToldEnd::None }],
        }
    }

    fn follow(&mut self, entry: &Entry, detail: &Map<String, Value>) {
        let text = |name: &str| detail.get(name).and_then(Value::as_str);
        match &*entry.action {
            "delete" => self.state = KeyState::Deleted,
            "disable" => self.state = KeyState::Disabled,
            "enable" => self.state = KeyState::Active,
            "end-overlap" => self.end_values(ToldEnd::At(entry.at), entry.at),
            "reset-secret" | "rotate" => {
                let end = text("old_value_until").and_then(|date| Timestamp::parse_moment(date).ok());
                self.values.push(ToldValue { mark: text("value").map(Box::from), end: ToldEnd::None });
                self.end_values(end.map_or(ToldEnd::Unsaid, ToldEnd::At), entry.at);
            }
            "revoke" => self.state = KeyState::Revoked,
            _ => {}
        }
        (self.changed, self.last) = (Some(entry.at), entry.number);
    }

    /// Every value but the latest ends then, or when it was to end before that.
    fn end_values(&mut self, end: ToldEnd, at: Timestamp) {
        let Some((_, former)) = self.values.split_last_mut() else { return };
        for value in former {
            let until = match (value.end, end) {
                (ToldEnd::Over(_), _) => continue,
                (ToldEnd::Unsaid, _) | (_, ToldEnd::Unsaid) => {
                    value.end = ToldEnd::Unsaid;
                    continue;
                }
                (ToldEnd::At(known), ToldEnd::At(end)) => known.min(end),
                (ToldEnd::At(end), _) | (ToldEnd::None, ToldEnd::At(end)) => end,
                (ToldEnd::None, _) => continue,
            };
            value.end = if until <= at { ToldEnd::Over(until) } else { ToldEnd::At(until) };
        }
    }

    fn is_whole(&self) -> bool {
        let says_all = |value: &ToldValue| value.mark.is_some() && value.end != ToldEnd::Unsaid;
        self.terms.is_some() && self.created.is_some() && self.values.iter().all(says_all)
    }

    /// What of a record is otherwise.
    fn differs(&self, record: &KeyRecord, last: Revision, seal: &Seal) -> Vec<&'static str> {
        let is_otherwise = |told: Option<Timestamp>, date: Timestamp| told.is_some_and(|told| told != date);
        let terms = self.terms.as_ref().is_some_and(|terms| !terms.are_of(record));
        let values = self.values.len() != record.values().count()
            || self.values.iter().rev().zip(record.values()).any(|(told, value)| !told.is(value, seal));
        let dates = is_otherwise(self.created, record.created) || is_otherwise(self.changed, record.changed);
        let found = [
            (terms, "its name or what it may do"),
            (self.state != record.state, "its state"),
            (values, "its values"),
            (dates, "when it was made or changed"),
            (self.last != last.0, "its last change"),
        ];
        found.into_iter().filter(|(is_found, _)| *is_found).map(|(_, what)| what).collect()
    }
}

impl ToldValue {
    fn is(&self, value: &KeyValue, seal: &Seal) -> bool {
        let end = match self.end {
            ToldEnd::At(until) => value.until == Some(until) && !value.is_ended,
            ToldEnd::None => value.until.is_none() && !value.is_ended,
            ToldEnd::Over(until) => value.until == Some(until) && value.is_ended,
            ToldEnd::Unsaid => value.until.is_some(),
        };
        let site = value.site.clone().is_none_or(|site| site.imprint().digest == value.digest);
        end && site && self.mark.as_ref().is_none_or(|mark| **mark == *seal.mark(&value.digest))
    }
}

impl Terms {
    /// Of what an entry says of a new key.
    fn of(mut detail: Map<String, Value>) -> Self {
        // These are held by themselves; of whom it is a clone, the key does not say.
        for name in ["created", "of", "state", "value"] {
            detail.shift_remove(name);
        }
        let is_public = detail.get("kind").and_then(Value::as_str) == Some(KeyKind::Public.as_str());
        // Older entries say of a public key that it has no scopes.
        if is_public && detail.get("scopes").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            detail.shift_remove("scopes");
        }
        let whole = print(&detail);
        for name in ["account", "allow_from", "attributes", "grant", "scopes"] {
            detail.shift_remove(name);
        }
        if !is_public {
            detail.insert("scopes".to_owned(), Value::Array(Vec::new()));
        }
        Self { whole, tombstone: print(&detail) }
    }

    fn are_of(&self, record: &KeyRecord) -> bool {
        let Value::Object(mut detail) = of_new(record, None) else { return false };
        detail.shift_remove("state");
        print(&detail) == if record.state == KeyState::Deleted { self.tombstone } else { self.whole }
    }
}

fn print(detail: &Map<String, Value>) -> Print {
    let link = Link::of(&canonical(&Value::Object(detail.clone())));
    let (half, _) = link.as_bytes().split_first_chunk().unwrap_or((&[0; 16], &[]));
    *half
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::lifecycle::{self, Imprint, NewKey};
    use crate::key::{GrantSpec, KeyId, SiteId};
    use crate::store::tests::STAMP;

    #[test]
    fn an_older_entry_of_a_public_key_tells_the_same_key() {
        let new =
            NewKey { kind: KeyKind::Public, account: Some("acme".into()), ..NewKey::new("site", GrantSpec::nothing()) };
        let imprint: Imprint = SiteId::mint().unwrap().imprint();
        let record = lifecycle::create(new, KeyId::mint(KeyKind::Public).unwrap(), imprint, STAMP.at).unwrap();
        let Value::Object(mut detail) = of_new(&record, None) else { unreachable!("it is an object") };
        assert!(Terms::of(detail.clone()).are_of(&record));
        detail.insert("scopes".to_owned(), Value::Array(Vec::new()));
        assert!(Terms::of(detail.clone()).are_of(&record));
        detail.insert("scopes".to_owned(), Value::Array(vec!["lists:read".into()]));
        assert!(!Terms::of(detail).are_of(&record));
    }

    #[test]
    fn an_older_entry_of_an_import_does_not_say_when_the_key_was_made() {
        let told = |value: Value| {
            let detail = serde_json::json!({ "name": "export", "scopes": [], "value": value });
            let Value::Object(mut detail) = detail else { unreachable!("it is an object") };
            detail.retain(|_, value| !value.is_null());
            let entry = Entry {
                number: 1,
                at: STAMP.at,
                by: "test".into(),
                action: "create".into(),
                key: Some("key_of".into()),
                account: None,
                detail: None,
                previous: Link::of(""),
                hash: Link::of(""),
            };
            let told = Told::first(&entry, &detail);
            (told.created, told.changed)
        };
        assert_eq!(told(Value::Null), (None, None), "it may have been imported, with a date of its own");
        assert_eq!(told("mark".into()), (Some(STAMP.at), Some(STAMP.at)));
    }
}
