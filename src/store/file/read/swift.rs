//! A key file in the usual form, read without a tree of it.
//!
//! Only what is good is read here. INVARIANT: a content that is read here is the one that the tree gives; where there is a fault,
//! or anything unusual, nothing is said, and the tree is asked.

use std::collections::HashMap;

use memchr::memmem;

use super::{Content, Fields, Form, Reader};
use crate::key::lifecycle::{self, NewKey};
use crate::key::{GrantSpec, Timestamp};
use crate::yaml::{self, Entry, Listed, Node, RecordValue, Scalar, Span, Value};

/// What the grant of a key could also be said by: where it is, the list of scopes does not stand alone.
const OTHER_GRANTS: [&str; 3] = ["grant", "kind", "tripwire"];
/// So many lists of scopes are remembered.
const MOST_LISTS: usize = 1024;

/// The content of a file that was last written at `written`; `None` where it is not read here.
pub(super) fn content(text: &str, form: Form, written: Timestamp) -> Option<Content> {
    let mut reader = Reader::new(form, written);
    let mut lists = Lists::default();
    // As many as there are digests, or a few less.
    let mut records = Vec::with_capacity(memmem::find_iter(text.as_bytes(), "sha256:").count());
    // It is filled anew for each key.
    let mut item = nowhere(Value::Map(Vec::new()));
    yaml::records(text, "keys", |fields| {
        let Value::Map(entries) = &mut item.value else { return None };
        entries.clear();
        let mut scopes = None;
        for (name, value) in fields {
            match value {
                RecordValue::Text(word) => entries.push(entry(name, node(*word))),
                RecordValue::List(list) if *name == "scopes" => scopes = Some(lists.read(*list)?),
                RecordValue::List(list) => {
                    let items = list.words()?.iter().map(|word| node(*word)).collect();
                    entries.push(entry(name, nowhere(Value::List(items))));
                }
            }
        }
        if scopes.is_some() && entries.iter().any(|entry| OTHER_GRANTS.contains(&&*entry.key)) {
            return None;
        }
        let Value::Map(entries) = &item.value else { return None };
        records.push(reader.record(&Fields { item: &item, entries, scopes: scopes.as_ref() }, text)?);
        Some(())
    })?;
    reader.drafts.is_empty().then_some(Content { records, accounts: None })
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

/// What lists of scopes say, all of them good, by their source: many keys have the same.
#[derive(Default)]
struct Lists<'t>(HashMap<Listed<'t>, GrantSpec>);

impl<'t> Lists<'t> {
    fn read(&mut self, list: Listed<'t>) -> Option<GrantSpec> {
        if let Some(known) = self.0.get(&list) {
            return Some(known.clone());
        }
        let words = list.words()?;
        let is_text = |word: &yaml::Word<'_>| !yaml::is_null(word.text, word.plain);
        let grant = words.iter().all(is_text).then(|| GrantSpec::custom(words.iter().map(|word| word.text)))?;
        lifecycle::check(&NewKey::new("?", grant.clone())).ok()?;
        if self.0.len() < MOST_LISTS {
            self.0.insert(list, grant.clone());
        }
        Some(grant)
    }
}

#[cfg(test)]
mod tests;
