//! Events of the YAML crate to a tree.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{
    Event, Options, Parser, ScalarStyle, ScanError, Span as EventSpan, StrInput, options,
};

use super::{Entry, NESTING_LIMIT, Node, Parsed, Scalar, Span, Value, YamlError, mend, saturate};

/// The key of a map that is a list, a map or an alias, and so has been reported; the entry is left out.
const NO_KEY: Option<(Box<str>, Span)> = None;

/// A list or map that has begun and not ended.
enum Open {
    List {
        span: Span,
        items: Vec<Node>,
    },
    Map {
        span: Span,
        entries: Vec<Entry>,
        /// Where each key was first seen; kept only once a map is long enough to be worth it.
        seen: HashMap<Box<str>, Span>,
        key: Pending,
    },
}

/// What a map waits for.
enum Pending {
    Key,
    Value(Option<(Box<str>, Span)>),
}

/// The tree while it grows.
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    errors: Vec<YamlError>,
    documents: usize,
}

pub(super) fn parse(text: &str, limit: usize) -> Parsed {
    let mut builder = Builder { open: Vec::new(), root: None, errors: Vec::new(), documents: 0 };
    if text.len() > limit {
        let message = format!("the file has {} bytes, more than the {limit} that it may have", text.len());
        builder.error(Span::default(), message, None);
        return builder.finish();
    }
    for event in Parser::<StrInput<'_>>::new_from_str_with_options(text, limits()) {
        match event {
            Ok((event, span)) => {
                if !builder.take(event, place(span)) {
                    break;
                }
            }
            Err(error) => {
                builder.syntax_error(&error, text);
                break;
            }
        }
    }
    builder.finish()
}

fn limits() -> Options {
    options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: NESTING_LIMIT,
        block_nesting_limit: NESTING_LIMIT,
    }
}

fn place(span: EventSpan) -> Span {
    span.byte_range()
        .map_or_else(Span::default, |range| Span { start: saturate(range.start), end: saturate(range.end) })
}

impl Builder {
    /// Takes one event; false ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.error(
                        span,
                        "a second document begins here".to_owned(),
                        Some("a file holds one document: remove `---`"),
                    );
                    return false;
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.error(span, "aliases (`*name`) are not used here".to_owned(), Some("write the value out"));
                self.place_value(Node { span, value: Value::Scalar(Scalar { text: Box::default(), plain: false }) });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.properties(span, anchor, tag.is_some());
                let plain = style == ScalarStyle::Plain;
                // The crate says `~` for a value that is not there at all.
                let absent = plain && span.start == span.end;
                let text = if absent { Box::default() } else { text.into() };
                let value = Value::Scalar(Scalar { text, plain });
                self.place_value(Node { span, value });
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.properties(span, anchor, tag.is_some());
                self.open.push(Open::List { span, items: Vec::new() });
            }
            Event::MappingStart(_, anchor, tag) => {
                self.properties(span, anchor, tag.is_some());
                self.open.push(Open::Map { span, entries: Vec::new(), seen: HashMap::new(), key: Pending::Key });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            // Stream and document ends, comments.
            _ => {}
        }
        true
    }

    /// Reports an anchor or a tag on the node at `span`.
    fn properties(&mut self, span: Span, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.error(
                span,
                "anchors (`&name`) are not used here".to_owned(),
                Some("remove the anchor, and write the value out where it is wanted"),
            );
        }
        if tagged {
            self.error(
                span,
                "tags (`!name`) are not used here".to_owned(),
                Some("remove the tag; quote the value if it is to be a string"),
            );
        }
    }

    fn close(&mut self, end: Span) {
        let node = match self.open.pop() {
            Some(Open::List { span, items }) => {
                let last = items.last().map(|item| item.span.end);
                Node { span: extent(span, last, end), value: Value::List(items) }
            }
            Some(Open::Map { span, entries, .. }) => {
                let last = entries.last().map(|entry| entry.value.span.end);
                Node { span: extent(span, last, end), value: Value::Map(entries) }
            }
            None => return,
        };
        self.place_value(node);
    }

    /// Puts a finished node where it belongs: an item, a key, a value, or the root.
    fn place_value(&mut self, node: Node) {
        let error = match self.open.last_mut() {
            None => {
                self.root = Some(node);
                None
            }
            Some(Open::List { items, .. }) => {
                items.push(node);
                None
            }
            Some(Open::Map { entries, seen, key, .. }) => match std::mem::replace(key, Pending::Key) {
                Pending::Key => {
                    let (pending, error) = accept_key(node, seen);
                    *key = Pending::Value(pending);
                    error
                }
                Pending::Value(Some((key, key_span))) => {
                    entries.push(Entry { key, key_span, value: node });
                    None
                }
                Pending::Value(None) => None,
            },
        };
        self.errors.extend(error);
    }

    fn error(&mut self, span: Span, message: String, help: Option<&str>) {
        self.errors.push(YamlError { span, message, help: help.map(str::to_owned), first: None });
    }

    fn syntax_error(&mut self, error: &ScanError, text: &str) {
        let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
        self.root = None;
        self.open.clear();
        let (start, help) = mend::of(text, start, &error.info());
        let start = saturate(start);
        self.error(Span { start, end: start }, format!("this is not YAML: {}", error.info()), help.as_deref());
    }

    fn finish(self) -> Parsed {
        Parsed { root: self.root, errors: self.errors }
    }
}

/// From where a list or map begins to the end of its last value; a flow one ends with its bracket.
fn extent(start: Span, last: Option<u32>, end: Span) -> Span {
    let end = if end.end > end.start { end.end } else { last.unwrap_or(start.end) };
    Span { start: start.start, end: end.max(start.end) }
}

/// The key that `node` is, or what is wrong with it.
fn accept_key(node: Node, seen: &mut HashMap<Box<str>, Span>) -> (Option<(Box<str>, Span)>, Option<YamlError>) {
    let span = node.span;
    let refuse = |message: String, help: &str, first| {
        let error = YamlError { span, message, help: Some(help.to_owned()), first };
        (NO_KEY, Some(error))
    };
    let Value::Scalar(scalar) = node.value else {
        return refuse("the key of a map must be text".to_owned(), "write `key: value`", None);
    };
    if scalar.plain && scalar.text.is_empty() {
        return refuse("a key is missing before `:`".to_owned(), "write `key: value`", None);
    }
    if scalar.plain && &*scalar.text == "<<" {
        return refuse("merge keys (`<<`) are not used here".to_owned(), "write the fields out", None);
    }
    if let Some(first) = seen.get(&scalar.text) {
        let message = format!("`{}` is given twice", scalar.text);
        return refuse(message, "remove one of the two", Some(*first));
    }
    seen.insert(scalar.text.clone(), span);
    (Some((scalar.text, span)), None)
}
