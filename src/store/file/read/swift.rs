//! A key file in the usual form, read without a tree of it.
//!
//! Only what is good is read here. INVARIANT: a content that is read here is the one that the tree gives; where there is a fault,
//! or anything unusual, nothing is said, and the tree is asked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::quality::RandomState;
use memchr::memmem;

use super::kept::{Kept, Usual};
use super::{Content, Fields, Form, Reader};
use crate::key::digest::{Digest, Digests};
use crate::key::lifecycle::{self, NewKey};
use crate::key::{GrantSpec, KeyId, KeyRecord, Timestamp};
use crate::yaml::{self, Entry, Field, Listed, Node, RecordValue, Scalar, Span, Value};

/// What the grant of a key could also be said by: where it is, the list of scopes does not stand alone.
const OTHER_GRANTS: [&str; 3] = ["grant", "kind", "tripwire"];
/// So many lists of scopes are remembered.
const MOST_LISTS: usize = 1024;
/// So many scopes are remembered.
const MOST_SCOPES: usize = 4096;

/// The content of a file that was last written at `written`; `None` where it is not read here.
pub(super) fn content(text: &str, form: Form, written: Timestamp) -> Option<Content<'_>> {
    let mut swift = Swift {
        form,
        lists: Lists::default(),
        reader: Reader::new(form, written),
        item: nowhere(Value::Map(Vec::new())),
    };
    // As many as there are digests, or a few less.
    let mut keys = Vec::with_capacity(memmem::find_iter(text.as_bytes(), "sha256:").count());
    yaml::records(text, "keys", |fields| {
        keys.push(match swift.usual(fields) {
            Some(usual) => Kept::Usual(usual),
            None => Kept::Any(swift.any(fields, text)?.into()),
        });
        Some(())
    })?;
    (swift.reader.drafts.is_empty() && are_different(&keys)).then_some(Content { keys, written, accounts: None })
}

struct Swift<'t> {
    form: Form,
    lists: Lists<'t>,
    reader: Reader,
    /// It is filled anew for each key.
    item: Node,
}

impl<'t> Swift<'t> {
    /// A key of which a name, a digest and a grant are said and nothing else, as of most. `None` where it is not read so, good or
    /// bad.
    fn usual(&mut self, fields: &[Field<'t>]) -> Option<Usual<'t>> {
        let (mut name, mut digest, mut grant) = (None, None, None);
        for (field, value) in fields {
            match (*field, value) {
                ("name", RecordValue::Text(word)) => name = Some(text(*word)?),
                ("sha256", RecordValue::Text(word)) if self.form == Form::Sha256 => {
                    digest = Some(Digest::from_hex(word.text)?);
                }
                ("scopes", RecordValue::List(list)) if grant.is_none() => grant = Some(self.lists.read(*list)?),
                ("grant", RecordValue::Text(word)) if grant.is_none() => {
                    grant = Some(match word.text {
                        "full" => GrantSpec::Full,
                        "read-only" => GrantSpec::ReadOnly,
                        _ => return None,
                    });
                }
                _ => return None,
            }
        }
        let (name, digest, grant) = (name?, digest?, grant?);
        // Scopes were checked when they were first read.
        lifecycle::check(&NewKey::new(name, GrantSpec::nothing())).ok()?;
        Some(Usual { name, id: KeyId::derive(&digest), digest, grant })
    }

    /// The record of any key.
    fn any(&mut self, fields: &[Field<'t>], text: &str) -> Option<KeyRecord> {
        let Value::Map(entries) = &mut self.item.value else { return None };
        entries.clear();
        let mut scopes = None;
        for (name, value) in fields {
            match value {
                RecordValue::Text(word) => entries.push(entry(name, node(*word))),
                RecordValue::List(list) if *name == "scopes" => scopes = Some(self.lists.read(*list)?),
                RecordValue::List(list) => {
                    let items = list.words()?.iter().map(|word| node(*word)).collect();
                    entries.push(entry(name, nowhere(Value::List(items))));
                }
            }
        }
        if scopes.is_some() && entries.iter().any(|entry| OTHER_GRANTS.contains(&&*entry.key)) {
            return None;
        }
        let Value::Map(entries) = &self.item.value else { return None };
        self.reader.record(&Fields { item: &self.item, entries, scopes: scopes.as_ref() }, text)
    }
}

/// Whether no two keys have one digest or one id.
fn are_different(keys: &[Kept<'_>]) -> bool {
    let mut digests = HashSet::with_capacity_and_hasher(keys.len(), Digests::default());
    let mut ids = HashSet::with_capacity_and_hasher(keys.len(), RandomState::default());
    keys.iter().all(|key| digests.insert(key.digest()) && ids.insert(key.id().as_str()))
}

fn text<'t>(word: yaml::Word<'t>) -> Option<&'t str> {
    (!yaml::is_null(word.text, word.plain)).then_some(word.text)
}

fn entry(name: &str, value: Node) -> Entry {
    Entry { key: name.into(), key_span: Span::default(), value }
}

fn node(word: yaml::Word<'_>) -> Node {
    nowhere(Value::Scalar(Scalar { text: word.text.into(), plain: word.plain }))
}

/// A value whose place nobody asks for: it is good.
fn nowhere(value: Value) -> Node {
    Node { span: Span::default(), value }
}

/// What lists of scopes say, all of them good: many keys have the same, and many lists the same scopes.
#[derive(Default)]
struct Lists<'t> {
    /// By their source.
    // foldhash is less work than SipHash; it is seeded, so that nobody chooses collisions, and its order is seen nowhere.
    known: HashMap<Listed<'t>, GrantSpec, RandomState>,
    /// Each with itself, where it may stand.
    scopes: HashMap<&'t str, Arc<str>, RandomState>,
}

impl<'t> Lists<'t> {
    fn read(&mut self, list: Listed<'t>) -> Option<GrantSpec> {
        if let Some(known) = self.known.get(&list) {
            return Some(known.clone());
        }
        let words = list.words()?;
        let mut scopes = Vec::with_capacity(words.len());
        for word in words {
            scopes.push(self.scope(text(word)?)?);
        }
        let grant = GrantSpec::custom((scopes.len() <= lifecycle::MOST_ITEMS).then_some(scopes)?);
        if self.known.len() < MOST_LISTS {
            self.known.insert(list, grant.clone());
        }
        Some(grant)
    }

    fn scope(&mut self, name: &'t str) -> Option<Arc<str>> {
        if let Some(known) = self.scopes.get(name) {
            return Some(Arc::clone(known));
        }
        let scope: Arc<str> = name.into();
        lifecycle::check(&NewKey::new("?", GrantSpec::custom([Arc::clone(&scope)]))).ok()?;
        if self.scopes.len() < MOST_SCOPES {
            self.scopes.insert(name, Arc::clone(&scope));
        }
        Some(scope)
    }
}

#[cfg(test)]
mod tests;
