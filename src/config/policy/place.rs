//! Where the word that a builder's error is about stands.

use crate::config::read::Reader;
use crate::config::unit::Complaint;
use crate::policy::{BuildError, Part};
use crate::yaml::{Entry, Node, Span, Value};

/// Notes an error about something in `node`.
pub(super) fn note(reader: &mut Reader<'_>, node: &Node, error: BuildError) {
    let span = find(node, &error.subject).unwrap_or(Span { start: node.span.start, end: node.span.start });
    note_at(reader, span, error);
}

/// Notes an error about something in `entry`, key or value. A word such as a scope may also stand in the path of a route.
pub(super) fn note_in_entry(reader: &mut Reader<'_>, entry: &Entry, error: BuildError) {
    let word = &error.subject;
    let span = match error.part {
        Part::Method | Part::Template => in_entry(entry, word),
        _ if *entry.key == **word => Some(entry.key_span),
        _ => find(&entry.value, word).or_else(|| in_key(entry, word)),
    };
    let span = span.unwrap_or(entry.key_span);
    note_at(reader, span, error);
}

fn note_at(reader: &mut Reader<'_>, span: Span, error: BuildError) {
    let complaint = Complaint::new(error.message, error.help.unwrap_or_default());
    match error.other_line.and_then(|line| reader.line_span(line)) {
        Some(first) => reader.collision(span, first, complaint),
        None => reader.fault(span, complaint.message, complaint.help),
    }
}

fn in_entry(entry: &Entry, word: &str) -> Option<Span> {
    in_key(entry, word).or_else(|| find(&entry.value, word))
}

/// Where `word` stands in the key: the whole of it, or a part of one that is written as it is meant.
fn in_key(entry: &Entry, word: &str) -> Option<Span> {
    if &*entry.key == word {
        return Some(entry.key_span);
    }
    let written = entry.key_span.end.checked_sub(entry.key_span.start)?;
    if usize::try_from(written) != Ok(entry.key.len()) || word.is_empty() {
        return None;
    }
    let offset = u32::try_from(entry.key.find(word)?).ok()?;
    let start = entry.key_span.start + offset;
    Some(Span { start, end: start + u32::try_from(word.len()).ok()? })
}

/// Where `word` first stands in `node`, as a scalar or as a key.
fn find(node: &Node, word: &str) -> Option<Span> {
    match &node.value {
        Value::Scalar(scalar) => (&*scalar.text == word).then_some(node.span),
        Value::List(items) => items.iter().find_map(|item| find(item, word)),
        Value::Map(entries) => entries.iter().find_map(|entry| in_entry(entry, word)),
    }
}
