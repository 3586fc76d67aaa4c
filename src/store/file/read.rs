//! From the text of a key file to records: every fault with its place, nothing assumed.

use std::collections::HashMap;
use std::fmt;

use super::value::{self, Read, Wrong};
use crate::key::digest::Digest;
use crate::key::lifecycle::{self, Imprint, NewKey, NewKeyError};
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, KeyState, Timestamp};
use crate::yaml::{self, Entry, Hidden, Node, Span, Trick, Value};

/// After so many faults the rest of the file is not told of.
const MOST_FAULTS: usize = 50;

/// The fields of a key.
const FIELDS: [&str; 15] = [
    "account",
    "allow_from",
    "attrs",
    "disabled",
    "expires",
    "grant",
    "hmac_sha256",
    "id",
    "kind",
    "name",
    "not_before",
    "note",
    "scopes",
    "sha256",
    "tripwire",
];

/// Which form the digests in a file have: it follows from `keys.pepper`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `hmac_sha256`, with a pepper.
    HmacSha256,
    /// `sha256`, without one.
    Sha256,
}

/// One thing that is wrong with a key file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// How to mend it; empty where the message says it.
    pub help: String,
}

impl fmt::Display for FileFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.line, self.column, self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(out, " ({})", self.help) }
    }
}

/// A fault whose place is not counted out yet.
struct Draft {
    span: Span,
    message: String,
    help: String,
}

/// The records of a file that was last written at `written`, or all that is wrong with it.
pub(super) fn records(bytes: Vec<u8>, form: Form, written: Timestamp) -> Result<Vec<KeyRecord>, Vec<FileFault>> {
    let text = String::from_utf8(bytes).map_err(|error| vec![not_text(&error)])?;
    let parsed = yaml::parse(&text, yaml::KEYS_LIMIT);
    let mut reader = Reader { form, written, drafts: Vec::new(), ids: HashMap::new(), digests: HashMap::new() };
    for error in parsed.errors {
        reader.note(error.span, error.message, error.help.unwrap_or_default());
    }
    let records = match &parsed.root {
        Some(root) => reader.keys(root, &text),
        None if reader.drafts.is_empty() => {
            reader.note(Span::default(), "the file is empty", "write `keys: []` where there are no keys");
            Vec::new()
        }
        None => Vec::new(),
    };
    reader.refuse_hidden(&text, parsed.root.as_ref());
    if reader.drafts.is_empty() { Ok(records) } else { Err(place(reader.drafts, &text)) }
}

/// What shows nothing in the comments of a file: it does no harm, and nobody who sees it can tell that it is there.
pub(super) fn remarks(bytes: Vec<u8>) -> Vec<FileFault> {
    let Ok(text) = String::from_utf8(bytes) else { return Vec::new() };
    if yaml::hidden(&text, None).next().is_none() {
        return Vec::new();
    }
    let parsed = yaml::parse(&text, yaml::KEYS_LIMIT);
    let in_comments = yaml::hidden(&text, parsed.root.as_ref()).filter(|hidden| !deceives(hidden));
    let told = in_comments.filter(|hidden| !hidden.is_variation()).take(MOST_FAULTS);
    place(told.map(|hidden| draft(&hidden)).collect(), &text)
}

/// Whether a hidden character may be taken for something else by whoever reads the file.
fn deceives(hidden: &Hidden) -> bool {
    hidden.in_word || hidden.trick() != Trick::Nothing
}

fn draft(hidden: &Hidden) -> Draft {
    Draft { span: hidden.span, message: hidden.message(), help: hidden.help().to_owned() }
}

struct Reader {
    form: Form,
    written: Timestamp,
    drafts: Vec<Draft>,
    /// Where each id and each digest was first seen.
    ids: HashMap<KeyId, Span>,
    digests: HashMap<Digest, Span>,
}

impl Reader {
    fn note(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.drafts.push(Draft { span, message: message.into(), help: help.into() });
    }

    /// Notes the characters that do not show as what they are, in the place of what else was noted where one stands.
    fn refuse_hidden(&mut self, text: &str, root: Option<&Node>) {
        let found: Vec<Hidden> = yaml::hidden(text, root).filter(deceives).take(MOST_FAULTS).collect();
        if found.is_empty() {
            return;
        }
        let is_within = |hidden: &Hidden, span: Span| span.start <= hidden.span.start && hidden.span.end <= span.end;
        self.drafts.retain(|draft| root.is_some() && !found.iter().any(|hidden| is_within(hidden, draft.span)));
        self.drafts.extend(found.iter().map(draft));
    }

    fn keys(&mut self, root: &Node, text: &str) -> Vec<KeyRecord> {
        let mut records = Vec::new();
        let Value::Map(entries) = &root.value else {
            self.note(root.span, format!("the file holds {}, not a map", root.kind()), "begin with `keys:`");
            return records;
        };
        for entry in entries.iter().filter(|entry| &*entry.key != "keys") {
            self.note(entry.key_span, format!("unknown field `{}`", entry.key), "the only field of the file is `keys`");
        }
        let Some(keys) = root.entry("keys") else {
            self.note(root.span, "`keys` is missing", "write `keys: []` where there are no keys");
            return records;
        };
        let Value::List(items) = &keys.value.value else {
            let message = format!("`keys` is {}, not a list", keys.value.kind());
            self.note(keys.value.span, message, "begin each key with `- name: …`");
            return records;
        };
        records.reserve(items.len());
        for item in items {
            if self.drafts.len() >= MOST_FAULTS {
                break;
            }
            records.extend(self.key(item, text));
        }
        records
    }

    fn key(&mut self, item: &Node, text: &str) -> Option<KeyRecord> {
        let before = self.drafts.len();
        let Value::Map(entries) = &item.value else {
            self.note(item.span, format!("a key is {}, not a map", item.kind()), "begin each key with `- name: …`");
            return None;
        };
        for entry in entries.iter().filter(|entry| !FIELDS.contains(&&*entry.key)) {
            let help = format!("the fields of a key are {}", FIELDS.join(", "));
            self.note(entry.key_span, format!("unknown field `{}`", entry.key), help);
        }
        let fields = Fields { item, entries };
        self.demand(&fields, "name", "say what this key is called");
        let name = self.optional(&fields, "name", value::string);
        let digest = self.digest(&fields);
        let is_tripwire = self.optional(&fields, "tripwire", value::boolean).unwrap_or(false);
        let grant = if is_tripwire { self.bait(&fields) } else { self.grant(&fields) };
        let id = self.optional(&fields, "id", value::id);
        let disabled = self.optional(&fields, "disabled", value::boolean);
        let kind = self.optional(&fields, "kind", value::kind).unwrap_or(KeyKind::Secret);
        if kind == KeyKind::Pair {
            self.demand(&fields, "id", "a pair has its visible id there");
        }
        let new = NewKey {
            kind,
            account: self.optional(&fields, "account", value::string),
            not_before: self.optional(&fields, "not_before", value::moment),
            expires: self.optional(&fields, "expires", value::moment),
            attributes: self.optional(&fields, "attrs", value::attributes).unwrap_or_default(),
            allow_from: self.optional(&fields, "allow_from", value::networks).unwrap_or_default(),
            note: self.optional(&fields, "note", value::string),
            is_tripwire,
            ..NewKey::new(name.unwrap_or_else(|| "?".into()), grant.unwrap_or(GrantSpec::Custom(Vec::new())))
        };
        if let Err(error) = lifecycle::check(&new) {
            let at = field_of(&error).and_then(|name| fields.find(name)).map_or(item.span, |entry| entry.value.span);
            self.note(at, error.to_string(), "");
        }
        let digest = digest?;
        let id = id.unwrap_or_else(|| KeyId::derive(&digest));
        self.refuse_twins(&fields, (&id, &digest), text);
        if self.drafts.len() > before {
            return None;
        }
        let imprint = Imprint { digest, prefix: Box::default(), last_four: Box::default() };
        let state = if disabled == Some(true) { KeyState::Disabled } else { KeyState::Active };
        Some(KeyRecord { state, ..lifecycle::adopt(new, id, imprint, self.written) })
    }

    fn digest(&mut self, fields: &Fields<'_>) -> Option<Digest> {
        let (ours, other, why) = match self.form {
            Form::HmacSha256 => {
                ("hmac_sha256", "sha256", "`keys.pepper` is set: give the HMAC-SHA-256 of the key under it")
            }
            Form::Sha256 => ("sha256", "hmac_sha256", "`keys.pepper` is not set: give the SHA-256 of the key"),
        };
        if let Some(entry) = fields.find(other) {
            self.note(entry.key_span, format!("`{other}` cannot be used here"), format!("{why} as `{ours}`"));
            return None;
        }
        self.demand(fields, ours, why);
        self.optional(fields, ours, value::digest)
    }

    fn grant(&mut self, fields: &Fields<'_>) -> Option<GrantSpec> {
        match (fields.find("scopes"), fields.find("grant")) {
            (Some(_), Some(level)) => {
                self.note(level.key_span, "a key has `scopes` or a `grant`, not both", "leave one of them out");
                None
            }
            (Some(_), None) => self.optional(fields, "scopes", value::scopes),
            (None, _) => {
                self.demand(fields, "grant", "give `scopes: […]`, or `grant: full` or `grant: read-only`");
                self.optional(fields, "grant", value::level)
            }
        }
    }

    /// What a tripwire holds: nothing, and that need not be said.
    fn bait(&mut self, fields: &Fields<'_>) -> Option<GrantSpec> {
        let nothing = GrantSpec::Custom(Vec::new());
        let held = self.optional(fields, "scopes", value::scopes);
        let named = held.filter(|held| *held != nothing).and(fields.find("scopes"));
        if let Some(entry) = fields.find("grant").or(named) {
            let message = format!("`{}` cannot stand beside `tripwire: true`", entry.key);
            self.note(entry.key_span, message, "a tripwire opens nothing: leave one of the two out");
            return None;
        }
        Some(nothing)
    }

    fn refuse_twins(&mut self, fields: &Fields<'_>, (id, digest): (&KeyId, &Digest), text: &str) {
        let at = |name: &str| fields.find(name).map_or(fields.item.span, |entry| entry.value.span);
        let digest_at = if self.form == Form::Sha256 { at("sha256") } else { at("hmac_sha256") };
        let id_at = at("id");
        let line = |span: Span| yaml::line_and_column(text, span.start).0;
        if let Some(first) = self.digests.insert(*digest, digest_at) {
            let message = format!("the key on line {} has the same digest", line(first));
            self.note(digest_at, message, "each key is listed once");
        } else if let Some(first) = self.ids.insert(id.clone(), id_at) {
            let message = format!("the key on line {} has the same id", line(first));
            self.note(id_at, message, "give each key an id of its own, or none");
        }
    }

    fn demand(&mut self, fields: &Fields<'_>, name: &str, help: &str) {
        if fields.find(name).is_none() {
            self.note(fields.item.span, format!("`{name}` is missing"), help);
        }
    }

    fn optional<T>(&mut self, fields: &Fields<'_>, name: &str, read: impl FnOnce(&Node) -> Read<T>) -> Option<T> {
        let entry = fields.find(name)?;
        match read(&entry.value) {
            Ok(value) => Some(value),
            Err(Wrong(message, help)) => {
                self.note(entry.value.span, format!("`{name}` {message}"), help);
                None
            }
        }
    }
}

/// One key of the file.
struct Fields<'n> {
    item: &'n Node,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    fn find(&self, name: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| &*entry.key == name)
    }
}

/// The field that a fault of the record is about.
fn field_of(error: &NewKeyError) -> Option<&'static str> {
    match error {
        NewKeyError::Account(_) => Some("account"),
        NewKeyError::Attribute(_) => Some("attrs"),
        NewKeyError::Expired(_) | NewKeyError::NeverValid { .. } => Some("expires"),
        NewKeyError::Kind(_) => Some("kind"),
        NewKeyError::Name(_) => Some("name"),
        NewKeyError::Note => Some("note"),
        NewKeyError::Scope(_) => Some("scopes"),
        NewKeyError::TooMany(_) | NewKeyError::Tripwire => None,
    }
}

fn not_text(error: &std::string::FromUtf8Error) -> FileFault {
    let good = error.utf8_error().valid_up_to();
    let text = error.as_bytes().get(..good).map(String::from_utf8_lossy).unwrap_or_default();
    let (line, column) = yaml::line_and_column(&text, u32::try_from(good).unwrap_or(u32::MAX));
    FileFault {
        line,
        column,
        message: "the file is not UTF-8 text from here on".into(),
        help: "save it as UTF-8".into(),
    }
}

/// Counts out the places, in the order of the file.
fn place(mut drafts: Vec<Draft>, text: &str) -> Vec<FileFault> {
    drafts.sort_by_key(|draft| draft.span.start);
    let counted = drafts.into_iter().map(|draft| {
        let (line, column) = yaml::line_and_column(text, draft.span.start);
        FileFault { line, column, message: draft.message, help: draft.help }
    });
    counted.collect()
}
