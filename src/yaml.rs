//! YAML as ScopeGate reads it: one document of the 1.2 core schema, as a tree that knows where each value stands.
//!
//! FLOOR 0, and the only module that names the YAML crate. What makes a configuration file mean something other than what
//! it says is refused: anchors, aliases, tags, directives, merge keys and duplicate keys. Scalars keep the text as written, so that
//! a reader that wants a string gets `no` and `012345` untouched; what is a number, a boolean or null is for the
//! reader to ask ([`Scalar`]). What does not show as what it is, [`hidden()`]
//! finds. Errors that leave the tree usable are gathered beside it, so that one run tells all.

mod build;
mod hidden;
mod mend;
mod records;
#[cfg(test)]
mod tests;

use std::fmt;

pub use hidden::{Hidden, Trick, hidden, is_shown};
pub use records::{Field, Listed, Value as RecordValue, Word, records};

/// The most that a configuration or policy file may hold, in bytes.
pub const CONFIG_LIMIT: usize = 4 << 20;

/// The most that a key file may hold, in bytes.
pub const KEYS_LIMIT: usize = 256 << 20;

/// How deep lists and maps may nest.
const NESTING_LIMIT: usize = 64;

/// A range of bytes of the text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it stands; for a list or map from its first to its last value.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the text, without duplicates.
    Map(Vec<Entry>),
    /// Text.
    Scalar(Scalar),
}

/// A key of a map with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key's text.
    pub key: Box<str>,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// A scalar, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, with quotes and escapes resolved.
    pub text: Box<str>,
    /// Whether it stood without quotes, and so may be other than a string.
    pub plain: bool,
}

/// Something that this YAML may not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// The place that it collides with: the first of two equal keys.
    pub first: Option<Span>,
}

/// What reading a text gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The tree; `None` where the text is no YAML, or has no document.
    pub root: Option<Node>,
    /// All that is wrong. The text is good where this is empty.
    pub errors: Vec<YamlError>,
}

/// Reads one document of at most `limit` bytes.
pub fn parse(text: &str, limit: usize) -> Parsed {
    build::parse(text, limit)
}

impl Scalar {
    /// Whether it is null: plain `null`, `Null`, `NULL`, `~`, or nothing at all (YAML 1.2.2, 10.3.2).
    pub fn is_null(&self) -> bool {
        is_null(&self.text, self.plain)
    }

    /// The boolean it is, where it is one (YAML 1.2.2, 10.3.2).
    pub fn as_bool(&self) -> Option<bool> {
        match &*self.text {
            "true" | "True" | "TRUE" if self.plain => Some(true),
            "false" | "False" | "FALSE" if self.plain => Some(false),
            _ => None,
        }
    }
}

/// Whether a text is null, where it stands without quotes.
pub fn is_null(text: &str, plain: bool) -> bool {
    plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

impl Node {
    /// What it is, in words for a message.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Scalar(scalar) if scalar.text.is_empty() && scalar.plain => "nothing",
            Value::Scalar(scalar) if scalar.is_null() => "null",
            Value::Scalar(_) => "a value",
        }
    }

    /// The scalar it is, where it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The value of `key`, where it is a map that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| &*entry.key == key),
            Value::List(_) | Value::Scalar(_) => None,
        }
    }
}

/// The line and column, both from 1 and the column in characters, at which byte `offset` of `text` stands.
pub fn line_and_column(text: &str, offset: u32) -> (u32, u32) {
    let before = text.get(..usize::try_from(offset).unwrap_or(usize::MAX)).unwrap_or(text);
    let line = before.bytes().filter(|&byte| byte == b'\n').count();
    let column = before.rsplit('\n').next().unwrap_or("").chars().count();
    (saturate(line).saturating_add(1), saturate(column).saturating_add(1))
}

/// `count` as 32 bits; a text has fewer bytes than that.
fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
