//! From the text of a key file to records: every fault with its place, nothing assumed.

use std::collections::HashMap;
use std::fmt;

use super::accounts::Accounts;
use super::value::{self, Read, Wrong};
use crate::key::digest::Digest;
use crate::key::lifecycle::{self, Imprint, NewKey, NewKeyError};
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, KeyState, SiteId, Timestamp};
use crate::yaml::{self, Entry, Hidden, Node, Span, Trick, Value};

/// After so many faults the rest of the file is not told of.
const MOST_FAULTS: usize = 50;

/// The fields of a key.
const FIELDS: [&str; 16] = [
    "account",
    "allow_from",
    "attrs",
    "disabled",
    "expires",
    "grant",
    "hmac_sha256",
    "id",
    "key",
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

/// What a file says.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) records: Vec<KeyRecord>,
    /// The accounts, where it lists any. Otherwise keys name accounts as they like.
    pub(super) accounts: Option<Accounts>,
}

/// The content of a file that was last written at `written`, or all that is wrong with it.
pub(super) fn content(bytes: Vec<u8>, form: Form, written: Timestamp) -> Result<Content, Vec<FileFault>> {
    let text = String::from_utf8(bytes).map_err(|error| vec![not_text(&error)])?;
    let parsed = yaml::parse(&text, yaml::KEYS_LIMIT);
    let mut reader = Reader {
        form,
        written,
        drafts: Vec::new(),
        ids: HashMap::new(),
        digests: HashMap::new(),
        sites: HashMap::new(),
        accounts: None,
    };
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
    let accounts = reader.accounts;
    if reader.drafts.is_empty() { Ok(Content { records, accounts }) } else { Err(place(reader.drafts, &text)) }
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

pub(super) struct Reader {
    form: Form,
    written: Timestamp,
    drafts: Vec<Draft>,
    /// Where each id and each digest was first seen.
    ids: HashMap<KeyId, Span>,
    digests: HashMap<Digest, Span>,
    /// Where the public key of each account was first seen.
    sites: HashMap<Box<str>, Span>,
    accounts: Option<Accounts>,
}

impl Reader {
    /// When the file was last written.
    pub(super) const fn written(&self) -> Timestamp {
        self.written
    }

    pub(super) fn note(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
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
        for entry in entries.iter().filter(|entry| !["accounts", "keys"].contains(&&*entry.key)) {
            self.note(
                entry.key_span,
                format!("unknown field `{}`", entry.key),
                "the fields of the file are accounts, keys",
            );
        }
        if let Some(list) = root.entry("accounts") {
            self.accounts = Some(Accounts::read(self, &list.value, text));
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
        let kind = self.optional(&fields, "kind", value::kind).unwrap_or(KeyKind::Secret);
        let imprint = if kind == KeyKind::Public { self.site(&fields) } else { self.digest(&fields) };
        let is_tripwire = self.optional(&fields, "tripwire", value::boolean).unwrap_or(false);
        let grant = if is_tripwire { self.bait(&fields) } else { self.grant(&fields, kind) };
        let id = self.optional(&fields, "id", value::id);
        let disabled = self.optional(&fields, "disabled", value::boolean);
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
        self.look_at_account(&fields, &new, text);
        let imprint = imprint?;
        let id = id.unwrap_or_else(|| KeyId::derive(&imprint.digest));
        self.refuse_twins(&fields, (&id, &imprint.digest), text);
        if self.drafts.len() > before {
            return None;
        }
        let state = if disabled == Some(true) { KeyState::Disabled } else { KeyState::Active };
        Some(KeyRecord { state, ..lifecycle::adopt(new, id, imprint, self.written) })
    }

    /// The value of a public key, which is no secret.
    fn site(&mut self, fields: &Fields<'_>) -> Option<Imprint> {
        for name in ["hmac_sha256", "sha256"] {
            if let Some(entry) = fields.find(name) {
                let message = format!("`{name}` has no use for a public key");
                self.note(entry.key_span, message, "give the key itself as `key`: it is no secret");
            }
        }
        self.demand(fields, "key", "a public key is no secret, and stands there itself");
        self.optional(fields, "key", value::site).map(SiteId::imprint)
    }

    /// Sees that the account is one that the file lists, where it lists any, and has no other public key.
    fn look_at_account(&mut self, fields: &Fields<'_>, new: &NewKey, text: &str) {
        let Some(account) = &new.account else { return };
        let at = fields.find("account").map_or(fields.item.span, |entry| entry.value.span);
        if let Some((message, help)) = self.accounts.as_ref().and_then(|accounts| accounts.objection(account)) {
            self.note(at, message, help);
        }
        if new.kind == KeyKind::Public
            && let Some(first) = self.sites.insert(account.clone(), at)
        {
            let line = yaml::line_and_column(text, first.start).0;
            let message = format!("the key on line {line} is the public key of this account");
            self.note(at, message, "an account has one public key");
        }
    }

    fn digest(&mut self, fields: &Fields<'_>) -> Option<Imprint> {
        if let Some(entry) = fields.find("key") {
            let help =
                "give its digest: only a public key stands here itself; if others could read the file, revoke the key";
            self.note(entry.key_span, "`key` is the key itself, which must not stand here", help);
        }
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
        let digest = self.optional(fields, ours, value::digest)?;
        Some(Imprint { digest, prefix: Box::default(), last_four: Box::default(), site: None })
    }

    fn grant(&mut self, fields: &Fields<'_>, kind: KeyKind) -> Option<GrantSpec> {
        match (fields.find("scopes"), fields.find("grant")) {
            (Some(_), Some(level)) => {
                self.note(level.key_span, "a key has `scopes` or a `grant`, not both", "leave one of them out");
                None
            }
            (Some(_), None) => self.optional(fields, "scopes", value::scopes),
            (None, None) if kind == KeyKind::Public => Some(GrantSpec::Custom(Vec::new())),
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
        let digest_at = ["key", "sha256", "hmac_sha256"]
            .into_iter()
            .find(|name| fields.find(name).is_some())
            .map_or(fields.item.span, at);
        let id_at = at("id");
        let line = |span: Span| yaml::line_and_column(text, span.start).0;
        if let Some(first) = self.digests.insert(*digest, digest_at) {
            let what = if fields.find("key").is_some() { "value" } else { "digest" };
            let message = format!("the key on line {} has the same {what}", line(first));
            self.note(digest_at, message, "each key is listed once");
        } else if let Some(first) = self.ids.insert(id.clone(), id_at) {
            let message = format!("the key on line {} has the same id", line(first));
            self.note(id_at, message, "give each key an id of its own, or none");
        }
    }

    pub(super) fn demand(&mut self, fields: &Fields<'_>, name: &str, help: &str) {
        if fields.find(name).is_none() {
            self.note(fields.item.span, format!("`{name}` is missing"), help);
        }
    }

    pub(super) fn optional<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        read: impl FnOnce(&Node) -> Read<T>,
    ) -> Option<T> {
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

/// One key, or one account, of the file.
pub(super) struct Fields<'n> {
    pub(super) item: &'n Node,
    pub(super) entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    pub(super) fn find(&self, name: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| &*entry.key == name)
    }
}

/// The field that a fault of the record is about.
fn field_of(error: &NewKeyError) -> Option<&'static str> {
    match error {
        NewKeyError::Account(_) => Some("account"),
        NewKeyError::Attribute(_) => Some("attrs"),
        NewKeyError::Expired(_) | NewKeyError::NeverValid { .. } => Some("expires"),
        NewKeyError::NoAccount | NewKeyError::Public(_) => Some("kind"),
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
