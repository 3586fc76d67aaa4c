//! From the text of a key file to records: every fault with its place, nothing assumed.

mod fault;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod kept;
mod key;
mod swift;

use std::collections::HashMap;

pub use self::fault::FileFault;
use self::fault::{Draft, not_text, place};
use self::kept::Kept;
use super::accounts::Accounts;
use super::value::{Read, Wrong};
use crate::key::digest::Digest;
use crate::key::leak::covered;
use crate::key::{GrantSpec, KeyId, KeyRecord, Timestamp};
use crate::yaml::{self, Entry, Hidden, Node, Span, Trick, Value};

/// After so many faults the rest of the file is not told of.
const MOST_FAULTS: usize = 50;

/// Which form the digests in a file have: it follows from `keys.pepper`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `hmac_sha256`, with a pepper.
    HmacSha256,
    /// `sha256`, without one.
    Sha256,
}

/// What a file says.
#[derive(Debug)]
pub(super) struct Content<'t> {
    keys: Vec<Kept<'t>>,
    written: Timestamp,
    /// The accounts, where it lists any. Otherwise keys name accounts as they like.
    pub(super) accounts: Option<Accounts>,
}

impl Content<'_> {
    /// The records of its keys, in their order.
    pub(super) fn into_records(self) -> impl Iterator<Item = KeyRecord> {
        self.keys.into_iter().map(move |kept| kept.into_record(self.written))
    }
}

/// The content of a file that was last written at `written`, or all that is wrong with it.
pub(super) fn content(bytes: &[u8], form: Form, written: Timestamp) -> Result<Content<'_>, Vec<FileFault>> {
    let text = str::from_utf8(bytes).map_err(|error| vec![not_text(bytes, error)])?;
    let is_small = text.len() <= yaml::KEYS_LIMIT;
    if let Some(content) = is_small.then(|| swift::content(text, form, written)).flatten() {
        return Ok(content);
    }
    by_tree(text, form, written)
}

/// The same of any text, with all that is wrong in it.
fn by_tree(text: &str, form: Form, written: Timestamp) -> Result<Content<'_>, Vec<FileFault>> {
    let parsed = yaml::parse(text, yaml::KEYS_LIMIT);
    let mut reader = Reader::new(form, written);
    for error in parsed.errors {
        reader.note(error.span, error.message, error.help.unwrap_or_default());
    }
    let records = match &parsed.root {
        Some(root) => reader.keys(root, text),
        None if reader.drafts.is_empty() => {
            reader.note(Span::default(), "the file is empty", "write `keys: []` where there are no keys");
            Vec::new()
        }
        None => Vec::new(),
    };
    reader.refuse_hidden(text, parsed.root.as_ref());
    if !reader.drafts.is_empty() {
        return Err(place(reader.drafts, text));
    }
    let keys = records.into_iter().map(|record| Kept::Any(record.into())).collect();
    Ok(Content { keys, written, accounts: reader.accounts })
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
    place(told.map(|hidden| Draft::of_hidden(&hidden)).collect(), &text)
}

/// Whether a hidden character may be taken for something else by whoever reads the file.
fn deceives(hidden: &Hidden) -> bool {
    hidden.in_word || hidden.trick() != Trick::Nothing
}

/// Reads the parts of a file, and notes what is wrong with them.
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
    fn new(form: Form, written: Timestamp) -> Self {
        Self {
            form,
            written,
            drafts: Vec::new(),
            ids: HashMap::new(),
            digests: HashMap::new(),
            sites: HashMap::new(),
            accounts: None,
        }
    }

    /// When the file was last written.
    pub(super) const fn written(&self) -> Timestamp {
        self.written
    }

    pub(super) fn note(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        // It may repeat what stands there, and that may be a key in the wrong place.
        let (message, help) = (message.into(), help.into());
        self.drafts.push(Draft { span, message: covered(&message).into(), help: covered(&help).into() });
    }

    /// Notes the characters that do not show as what they are, in the place of what else was noted where one stands.
    fn refuse_hidden(&mut self, text: &str, root: Option<&Node>) {
        let found: Vec<Hidden> = yaml::hidden(text, root).filter(deceives).take(MOST_FAULTS).collect();
        if found.is_empty() {
            return;
        }
        let is_within = |hidden: &Hidden, span: Span| span.start <= hidden.span.start && hidden.span.end <= span.end;
        self.drafts.retain(|draft| root.is_some() && !found.iter().any(|hidden| is_within(hidden, draft.span)));
        self.drafts.extend(found.iter().map(Draft::of_hidden));
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
    /// What its scopes say, where they were read and checked already and are none of the entries.
    pub(super) scopes: Option<&'n GrantSpec>,
}

impl<'n> Fields<'n> {
    pub(super) fn find(&self, name: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| &*entry.key == name)
    }
}
