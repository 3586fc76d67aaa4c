//! Where the word that a builder's error is about stands. It is looked for in its part of the entry alone: the same word may
//! stand elsewhere and be right there.

use crate::config::read::Reader;
use crate::config::unit::Complaint;
use crate::policy::{BuildError, FaultKind, Part};
use crate::yaml::{Entry, Node, Span, Value};

/// Notes an error about the policy as a whole, whose map is `root`.
pub(super) fn note(reader: &mut Reader<'_>, root: &Node, error: BuildError) {
    let start = Span { start: root.span.start, end: root.span.start };
    note_at(reader, in_policy(root, &error).unwrap_or(start), error);
}

/// Notes an error about one entry of `routes`.
pub(super) fn note_in_route(reader: &mut Reader<'_>, entry: &Entry, error: BuildError) {
    note_at(reader, in_route(entry, &error).unwrap_or(entry.key_span), error);
}

/// Notes an error about one entry of `scopes`, `parameters` or `bind`.
pub(super) fn note_in_declaration(reader: &mut Reader<'_>, entry: &Entry, error: BuildError) {
    note_at(reader, in_declaration(entry, &error).unwrap_or(entry.key_span), error);
}

fn note_at(reader: &mut Reader<'_>, span: Span, error: BuildError) {
    let complaint = Complaint::new(error.message, error.help.unwrap_or_default());
    match error.other_line.and_then(|line| reader.line_span(line)) {
        Some(first) => reader.collision(span, first, complaint),
        None => reader.fault(span, complaint.message, complaint.help),
    }
}

fn in_policy(root: &Node, error: &BuildError) -> Option<Span> {
    match error.part {
        Part::Base => Some(root.entry("base")?.value.span),
        Part::Binding => find(&root.entry("bind")?.value, &error.subject),
        _ => {
            let scope = root.entry("scopes")?.value.entry(error.within.first()?)?;
            find(&scope.value.entry("implies")?.value, &error.subject)
        }
    }
}

fn in_declaration(entry: &Entry, error: &BuildError) -> Option<Span> {
    let members = &entry.value.entry("members")?.value;
    match (error.part, error.within.as_slice()) {
        (Part::Member, _) => Some(members.entry(&error.subject)?.key_span),
        (Part::Scope, [_, member]) => find(&members.entry(member)?.value, &error.subject),
        _ => None,
    }
}

fn in_route(entry: &Entry, error: &BuildError) -> Option<Span> {
    let (value, word) = (&entry.value, error.subject.as_str());
    match (error.part, error.within.as_slice()) {
        (Part::Method, _) => in_methods(entry, error),
        (Part::Template, _) => in_key(entry, entry.key.find(' ')? + 1, entry.key.len()),
        (Part::Access | Part::Scope, []) => match &value.value {
            Value::Map(_) => ["scopes", "any_of"].into_iter().find_map(|name| find(&value.entry(name)?.value, word)),
            Value::List(_) | Value::Scalar(_) => find(value, word),
        },
        (Part::Parameter, _) if error.kind == FaultKind::Contradiction => Some(value.entry("query")?.key_span),
        (Part::Parameter, _) | (Part::Member, []) => Some(value.entry("query")?.value.entry(word)?.key_span),
        (Part::Access | Part::Member | Part::Scope, [parameter, rest @ ..]) => {
            let rule = &value.entry("query")?.value.entry(parameter)?.value;
            in_rule(rule, rest.first(), word)
        }
        (Part::Credential, _) => Some(value.entry("credential")?.value.span),
        (Part::Unbound, _) => find(&value.entry("unbound")?.value, word),
        (Part::Base | Part::Binding, _) => None,
    }
}

/// Within a rule: a member, or a word of the rule of `member`. Where the rule names members of the declaration alone, the
/// name of the member stands for all that is said of it there.
fn in_rule(rule: &Node, member: Option<&String>, word: &str) -> Option<Span> {
    match (&rule.value, member) {
        (Value::Map(_), Some(member)) => find(&rule.entry(member)?.value, word),
        (Value::Map(_), None) => Some(rule.entry(word)?.key_span),
        (Value::List(_) | Value::Scalar(_), member) => find(rule, member.map_or(word, String::as_str)),
    }
}

/// The method at fault; the second of two that are the same.
fn in_methods(entry: &Entry, error: &BuildError) -> Option<Span> {
    let methods = entry.key.split(' ').next()?;
    let mut starts = Vec::new();
    let mut start = 0;
    for method in methods.split('|') {
        if method == error.subject {
            starts.push(start);
        }
        start += method.len() + 1;
    }
    let is_twice = error.kind == FaultKind::Duplicate && error.other_line.is_none();
    let start = *if is_twice { starts.last() } else { starts.first() }?;
    in_key(entry, start, start + error.subject.len())
}

/// A range of the text of a key; the whole key where it is written with escapes.
fn in_key(entry: &Entry, start: usize, end: usize) -> Option<Span> {
    let written = usize::try_from(entry.key_span.end.checked_sub(entry.key_span.start)?).ok()?;
    let quote = match written.checked_sub(entry.key.len())? {
        0 => 0,
        2 => 1,
        _ => return None,
    };
    let place = |offset: usize| Some(entry.key_span.start + u32::try_from(offset + quote).ok()?);
    (start < end).then_some(Span { start: place(start)?, end: place(end)? })
}

/// Where `word` first stands in `node` as a scalar.
fn find(node: &Node, word: &str) -> Option<Span> {
    match &node.value {
        Value::Scalar(scalar) => (&*scalar.text == word).then_some(node.span),
        Value::List(items) => items.iter().find_map(|item| find(item, word)),
        Value::Map(entries) => entries.iter().find_map(|entry| find(&entry.value, word)),
    }
}
