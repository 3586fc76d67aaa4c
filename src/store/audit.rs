//! The audit: every change that was made to a store, each bound to all that came before it.
//!
//! An entry is a JSON object: `number` (from 1, without gaps), `at` (RFC 3339, UTC), `by`, `action`, `key` and `account` where it is
//! about one, `detail` where there is more to say, and `previous`, the hash of the entry before it in hexadecimal (64 zeros before the
//! first). Its `hash` is the SHA-256 of that object in the canonical form of RFC 8785: no blanks, names sorted, UTF-8. So the hash
//! of the last entry, the head, stands for all of them: whoever keeps it elsewhere can tell that one was changed, left out or cut off.
//!
//! INVARIANT: no entry holds a key, a part of one, or what a guess of one could be held against without the store: which value a
//! key has is said by a [`Seal`].

mod accounts;
mod chain;
mod detail;
mod keys;
mod line;
mod seal;

use std::fmt;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

pub use self::accounts::ToldAccounts;
pub use self::chain::{Break, Chain};
pub use self::detail::{of_account, of_new, of_transition};
pub use self::keys::ToldKeys;
pub use self::line::read_line;
pub use self::seal::Seal;
use crate::key::Timestamp;

/// The hash of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link([u8; Link::LENGTH]);

impl Link {
    /// Bytes of a hash.
    pub const LENGTH: usize = 32;
    /// What stands before the first entry.
    pub const START: Self = Self([0; Self::LENGTH]);

    /// A hash as it was kept; none where it is no hash.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    fn of(canonical: &str) -> Self {
        Self(Sha256::digest(canonical.as_bytes()).into())
    }
}

impl fmt::Display for Link {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
        let text: String = self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        out.pad(&text)
    }
}

/// The last entry of a log, as it is kept elsewhere: `12:9f86…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its hash, 64 lower-case hexadecimal digits.
    pub hash: Box<str>,
}

impl Head {
    /// Reads a number and 64 hexadecimal digits with a colon between them; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, hash) = text.trim().split_once(':')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_hash = hash.len() == 2 * Link::LENGTH && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = number.parse().ok().filter(|number| is_number && is_hash && *number > 0)?;
        Some(Self { number, hash: hash.to_ascii_lowercase().into() })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.number, self.hash)
    }
}

/// A change as it was written down, whether it holds or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The revision of the change.
    pub number: u64,
    /// When it was made.
    pub at: Timestamp,
    /// Who made it.
    pub by: Box<str>,
    /// What was done, in a word.
    pub action: Box<str>,
    /// The id of the key that it is about.
    pub key: Option<Box<str>>,
    /// The id of the account that it is about.
    pub account: Option<Box<str>>,
    /// What more there is to say: an object.
    pub detail: Option<Value>,
    /// The hash of the entry before it.
    pub previous: Link,
    /// Its own hash; that of the start where it was taken away.
    pub hash: Link,
}

/// What the hash of an entry follows from.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// As in [`Entry`].
    pub number: u64,
    /// As in [`Entry`].
    pub at: Timestamp,
    /// As in [`Entry`].
    pub by: &'a str,
    /// As in [`Entry`].
    pub action: &'a str,
    /// As in [`Entry`].
    pub key: Option<&'a str>,
    /// As in [`Entry`].
    pub account: Option<&'a str>,
    /// In its canonical form.
    pub detail: Option<&'a str>,
    /// As in [`Entry`].
    pub previous: Link,
}

impl Content<'_> {
    /// The hash. It is written out at once, since an import makes many: what it is of is [`canonical`] of the same as JSON.
    pub fn link(&self) -> Link {
        let mut text = String::with_capacity(512);
        let mut put = |name: &str, value: &str| {
            text.push_str(if text.is_empty() { "{\"" } else { ",\"" });
            text.push_str(name);
            text.push_str("\":");
            text.push_str(value);
        };
        let quoted = |word: &str| {
            let mut text = String::with_capacity(word.len() + 2);
            append_string(&mut text, word);
            text
        };
        self.account.iter().for_each(|account| put("account", &quoted(account)));
        put("action", &quoted(self.action));
        put("at", &quoted(&self.at.to_string()));
        put("by", &quoted(self.by));
        self.detail.iter().for_each(|detail| put("detail", detail));
        self.key.iter().for_each(|key| put("key", &quoted(key)));
        put("number", &self.number.to_string());
        put("previous", &quoted(&self.previous.to_string()));
        text.push('}');
        Link::of(&text)
    }
}

impl Entry {
    /// The hash that follows from its content.
    pub fn link(&self) -> Link {
        let detail = self.detail.as_ref().map(canonical);
        let Self { number, at, previous, .. } = *self;
        let (key, account) = (self.key.as_deref(), self.account.as_deref());
        Content { number, at, by: &self.by, action: &self.action, key, account, detail: detail.as_deref(), previous }
            .link()
    }

    /// All of it, as a line of an export.
    pub fn to_json(&self) -> Value {
        let mut object = self.content();
        object.insert("hash".to_owned(), self.hash.to_string().into());
        Value::Object(object)
    }

    fn content(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            object.extend(value.map(|value| (name.to_owned(), value)));
        };
        put("number", Some(self.number.into()));
        put("at", Some(self.at.to_string().into()));
        put("by", Some((*self.by).into()));
        put("action", Some((*self.action).into()));
        put("key", self.key.as_deref().map(Value::from));
        put("account", self.account.as_deref().map(Value::from));
        put("detail", self.detail.clone());
        put("previous", Some(self.previous.to_string().into()));
        object
    }
}

/// What a store knows of its log beside the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The highest number that was ever given out.
    pub given: u64,
    /// What is not as the log says, where it was held against it.
    pub unlogged: Vec<Unlogged>,
    /// Of so many keys it says less than it would today: their entries are older. What they do say was held against the keys.
    pub lacking: usize,
}

/// What is not as the log says: it was changed past it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unlogged {
    /// The account with this id is not what its entries say, has none, or is missing.
    Account(Box<str>),
    /// A key.
    Key {
        /// Its id.
        id: Box<str>,
        /// What of it is otherwise, in words.
        what: Box<str>,
    },
}

impl Unlogged {
    /// A key, and what of it is otherwise.
    pub fn key(id: &str, what: &str) -> Self {
        Self::Key { id: id.into(), what: what.into() }
    }

    /// The word for what it is, its id, and what of it is otherwise.
    pub fn parts(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Account(id) => ("account", id, "what its entries say"),
            Self::Key { id, what } => ("key", id, what),
        }
    }
}

impl fmt::Display for Unlogged {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(out, "the account {id}"),
            Self::Key { id, what } => write!(out, "the key {id} ({what})"),
        }
    }
}

/// JSON in the canonical form of RFC 8785, for what the audit holds: numbers are whole and below 2^53.
pub fn canonical(value: &Value) -> String {
    let mut text = String::with_capacity(384);
    append(&mut text, value);
    text
}

/// What stands in a column, or the text itself where it is not the canonical form of anything: then it was never written by us.
pub(super) fn read_detail(text: &str) -> Value {
    let value = serde_json::from_str(text).ok();
    value.filter(|value| canonical(value) == text).unwrap_or_else(|| text.into())
}

fn append(text: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                append(text, item);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            text.push('{');
            for (place, (name, value)) in fields.into_iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                append_string(text, name);
                text.push(':');
                append(text, value);
            }
            text.push('}');
        }
        Value::String(string) => append_string(text, string),
        Value::Bool(_) | Value::Null | Value::Number(_) => text.push_str(&value.to_string()),
    }
}

/// RFC 8785 escapes what serde_json escapes: a quote, a backslash and control characters, those that have a letter with it.
fn append_string(text: &mut String, string: &str) {
    if string.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        text.push('"');
        text.push_str(string);
        text.push('"');
    } else {
        text.push_str(&Value::from(string).to_string());
    }
}

#[cfg(test)]
mod tests;
