//! Typed readers over a spanned tree. A reader never stops at a fault: it notes it with its place, and gives `None`.

mod hidden;
mod masking;
mod strangers;

use std::collections::HashSet;

use super::fault::{Fault, Severity};
use super::substitute::{self, Substitution};
use super::text::{Draft, Text, quoted};
use super::unit::Complaint;
use crate::key::secret::Secret;
use crate::policy::{Guesses, nearest};
use crate::yaml::{self, Entry, Hidden, Node, Span, Value};

/// The most faults that one file is told of: after that many, more do not help.
const MOST_FAULTS: usize = 100;

/// What a file has been found to hold, and all that is wrong with it.
#[derive(Debug)]
pub(super) struct Reader<'s> {
    text: Text,
    substitution: Option<Substitution<'s>>,
    drafts: Vec<Draft>,
    /// Where something stands that is no value of this YAML: one fault says enough.
    spoilt: HashSet<Span>,
    /// The characters of the text that do not show as what they are.
    hidden: Vec<Hidden>,
    /// Where something stands that is for people alone.
    prose: HashSet<Span>,
    guesses: Guesses,
}

/// A value with the name by which messages call it.
#[derive(Debug, Clone)]
pub(super) struct Field<'n> {
    /// Dotted, from the top of the file: `upstream.timeouts.connect`.
    pub(super) path: String,
    pub(super) node: &'n Node,
}

/// The fields of a map.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    path: String,
    entries: &'n [Entry],
    /// The known names that unknown ones are near to.
    meant: Vec<Box<str>>,
}

/// A string: its value, and how a message may quote it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) value: String,
    /// As it stands in the file: `${…}` is not shown replaced.
    pub(super) quoted: String,
    /// Whether a `${…}` was replaced, so that the value must not be shown.
    pub(super) replaced: bool,
}

impl<'n> Fields<'n> {
    /// The field `name`, where the map has it.
    pub(super) fn find(&self, name: &str) -> Option<Field<'n>> {
        let entry = self.entries.iter().find(|entry| &*entry.key == name)?;
        Some(Field { path: join(&self.path, name), node: &entry.value })
    }

    /// Whether `name` stands there misspelt, which has been told: then it is not missing as well.
    pub(super) fn means(&self, name: &str) -> bool {
        self.meant.iter().any(|meant| **meant == *name)
    }

    /// Every entry, in the order of the file.
    pub(super) fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    /// The value of `entry`, which is one of these.
    pub(super) fn field(&self, entry: &'n Entry) -> Field<'n> {
        Field { path: join(&self.path, &entry.key), node: &entry.value }
    }
}

/// `name` under `path`.
fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl<'s> Reader<'s> {
    /// Reads `text`; the tree is `None` where it is no YAML.
    pub(super) fn new(name: String, text: String, substitution: Option<Substitution<'s>>) -> (Self, Option<Node>) {
        let parsed = yaml::parse(&text, yaml::CONFIG_LIMIT);
        let hidden = yaml::hidden(&text, parsed.root.as_ref()).collect();
        let mut reader = Self {
            text: Text::new(name, text),
            substitution,
            drafts: Vec::new(),
            spoilt: HashSet::new(),
            hidden,
            prose: HashSet::new(),
            guesses: Guesses::default(),
        };
        let empty = parsed.root.is_none() && parsed.errors.is_empty();
        for error in parsed.errors {
            reader.yaml_error(error, parsed.root.is_none());
        }
        if empty {
            let help = match reader.substitution {
                Some(_) => "write at least `upstream: { url: … }` and `policy: …`",
                None => "write at least `version: 1` and `routes:`",
            };
            reader.fault(Span::default(), "the file is empty", help);
        }
        (reader, parsed.root)
    }

    fn yaml_error(&mut self, error: yaml::YamlError, no_tree: bool) {
        if no_tree && self.substitution.is_some() {
            self.text.mask_suspects();
        }
        self.spoilt.insert(error.span);
        let other = error.first.map(|span| (span, "first here".to_owned()));
        let message = match error.first {
            Some(first) => format!("{} (first on line {})", error.message, self.line(first)),
            None => error.message,
        };
        let (severity, span, help) = (Severity::Error, error.span, error.help);
        self.drafts.push(Draft { severity, span, message, help, other, is_syntax: no_tree });
    }

    /// Notes that what stands at `span` is wrong.
    pub(super) fn fault(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.draft((Severity::Error, None), span, Complaint::new(message, help));
    }

    /// Notes that what stands at `span` is worth a look.
    pub(super) fn warning(&mut self, span: Span, message: impl Into<String>, help: &str) {
        self.draft((Severity::Warning, None), span, Complaint::new(message, help));
    }

    /// Notes that what stands at `span` collides with what stands at `first`.
    pub(super) fn collision(&mut self, span: Span, first: Span, complaint: Complaint) {
        self.draft((Severity::Error, Some(first)), span, complaint);
    }

    fn draft(&mut self, (severity, first): (Severity, Option<Span>), span: Span, complaint: Complaint) {
        if self.spoilt.contains(&span) {
            return;
        }
        self.drafts.push(Draft {
            severity,
            span,
            message: complaint.message,
            help: (!complaint.help.is_empty()).then_some(complaint.help),
            other: first.map(|first| (first, "first here".to_owned())),
            is_syntax: false,
        });
    }

    /// Whether anything was found to be wrong so far.
    pub(super) fn has_errors(&self) -> bool {
        self.drafts.iter().any(|draft| draft.severity == Severity::Error)
    }

    /// A fault at `span` that is yet to say what is wrong, for what can be known later alone. It is not noted.
    pub(super) fn prepare(&self, span: Span) -> Fault {
        let severity = Severity::Error;
        let draft = Draft { severity, span, message: String::new(), help: None, other: None, is_syntax: false };
        self.text.fault(draft)
    }

    /// Notes what `complaint` says about `field`.
    pub(super) fn complain(&mut self, field: &Field<'_>, complaint: Complaint) {
        let message = match field.path.as_str() {
            "" => format!("the file {}", complaint.message),
            path => format!("`{path}`: {}", complaint.message),
        };
        self.fault(field.node.span, message, complaint.help);
    }

    /// The line, from 1, of `span`.
    pub(super) fn line(&self, span: Span) -> u32 {
        self.text.line(span)
    }

    /// What stands on `line`, from 1.
    pub(super) fn line_span(&self, line: u32) -> Option<Span> {
        self.text.line_span(line)
    }

    /// The name of the file, as messages call it.
    pub(super) fn name(&self) -> &str {
        self.text.name()
    }

    /// The fields of a map whose fields have any names.
    pub(super) fn map<'n>(&mut self, field: &Field<'n>) -> Option<Fields<'n>> {
        match &field.node.value {
            Value::Map(entries) => Some(Fields { path: field.path.clone(), entries, meant: Vec::new() }),
            Value::List(_) | Value::Scalar(_) => {
                let message = format!("is {}, and must be a map", field.node.kind());
                self.complain(field, Complaint::new(message, "write `name: value`, one a line"));
                None
            }
        }
    }

    /// The fields of a map; a field that is not `known` is a fault that names the nearest.
    pub(super) fn fields<'n>(&mut self, field: &Field<'n>, known: &[&str]) -> Option<Fields<'n>> {
        let mut fields = self.map(field)?;
        for entry in fields.entries {
            if !known.contains(&&*entry.key) {
                let near = self.guesses.nearest(&entry.key, known.iter().copied());
                fields.meant.extend(near.map(Into::into));
                self.mask_stranger(entry, near, known);
                let help = self.place_of_stranger(entry, (near, known));
                let path = quoted(&join(&fields.path, &entry.key));
                self.fault(entry.key_span, format!("{path} is not a known field"), help);
            }
        }
        Some(fields)
    }

    /// The candidate nearest to `word`, as long as this file has not had very many wrong words.
    pub(super) fn nearest<'c>(&self, word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
        self.guesses.nearest(word, candidates)
    }

    /// The items of a list; anything else is a fault.
    pub(super) fn items<'n>(&mut self, field: &Field<'n>) -> Vec<Field<'n>> {
        self.items_as(field, "`[one, two]`")
    }

    /// The items of a list that may look like `example`; anything else is a fault.
    pub(super) fn items_as<'n>(&mut self, field: &Field<'n>, example: &str) -> Vec<Field<'n>> {
        if let Value::List(items) = &field.node.value {
            return items.iter().map(|node| Field { path: field.path.clone(), node }).collect();
        }
        let message = format!("is {}, and must be a list", field.node.kind());
        self.complain(field, Complaint::new(message, format!("write {example}")));
        Vec::new()
    }

    /// A string, with `${…}` replaced where this file may have any.
    pub(super) fn string(&mut self, field: &Field<'_>) -> Option<Written> {
        let Some(scalar) = field.node.scalar().filter(|scalar| !scalar.is_null()) else {
            let message = match field.node.kind() {
                "nothing" => "has no value".to_owned(),
                kind => format!("is {kind}, and must be a value"),
            };
            self.complain(field, Complaint::new(message, "write a value, or leave the field out"));
            return None;
        };
        let mut written = Written { value: scalar.text.to_string(), quoted: quoted(&scalar.text), replaced: false };
        if !substitute::is_wanted(&written.value) {
            return Some(written);
        }
        let replaced = match &mut self.substitution {
            Some(substitution) => substitution.apply(&written.value),
            None if written.value.contains("${env:") || written.value.contains("${file:") => Err(vec![Complaint::new(
                "`${…}` is not replaced in this file",
                "only scopegate.yaml may use it: write the value out",
            )]),
            None => return Some(written),
        };
        match replaced {
            Ok(value) => {
                written.replaced = true;
                written.value = value;
                Some(written)
            }
            Err(complaints) => {
                complaints.into_iter().for_each(|complaint| self.complain(field, complaint));
                None
            }
        }
    }

    /// Whether a field that must be there has a value; `help` says what to write.
    pub(super) fn has_value(&mut self, field: &Field<'_>, help: &str) -> bool {
        let is_there = field.node.scalar().is_none_or(|scalar| !scalar.is_null());
        if !is_there {
            self.complain(field, Complaint::new("has no value", help));
        }
        is_there
    }

    /// What `read` makes of a string.
    pub(super) fn parse<T>(&mut self, field: &Field<'_>, read: impl Fn(&str) -> Result<T, Complaint>) -> Option<T> {
        let written = self.string(field)?;
        match read(&written.value) {
            Ok(value) => Some(value),
            Err(complaint) if written.replaced => {
                let text = field.node.scalar().map_or("", |scalar| &scalar.text);
                let message = substitute::told(&complaint, text, read);
                let message =
                    message.unwrap_or_else(|| format!("what {} stands for does not fit here", written.quoted));
                self.complain(field, Complaint::new(message, complaint.help));
                None
            }
            Err(complaint) => {
                self.complain(field, complaint);
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, field: &Field<'_>, words: &[(&str, T)]) -> Option<T> {
        self.parse(field, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Complaint::new(
                    format!("{} is not one of {}", quoted(text), list_of(&known)),
                    match nearest(text, known.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => String::new(),
                    },
                )
            })
        })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, field: &Field<'_>) -> Option<bool> {
        self.choice(field, &[("true", true), ("false", false)])
    }

    /// A string that never shows in a message or an excerpt.
    pub(super) fn secret(&mut self, field: &Field<'_>) -> Option<Secret> {
        self.mask(field.node);
        let written = self.string(field)?;
        if written.value.is_empty() {
            self.complain(
                field,
                Complaint::new("is empty", "name where the secret is, as in `${file:PATH}` or `${env:NAME}`"),
            );
            return None;
        }
        Some(Secret::new(written.value.into_bytes()))
    }

    /// Whether a field says that there is none, by the word `none`. An empty or a written null is not that: what a template
    /// left out must not switch off a pepper or a credential.
    pub(super) fn is_none(field: &Field<'_>) -> bool {
        field.node.scalar().is_some_and(|scalar| &*scalar.text == "none")
    }

    /// The same for a field whose default the reference shows as `null`: there, null written out is that default.
    pub(super) fn is_null(field: &Field<'_>) -> bool {
        let is_written = |scalar: &yaml::Scalar| scalar.is_null() && !scalar.text.is_empty();
        Self::is_none(field) || field.node.scalar().is_some_and(is_written)
    }

    /// Forgets what was noted of any place but `spans`, save that the text is no YAML: nobody reads what stands elsewhere.
    pub(super) fn confine(&mut self, spans: &[Span]) {
        let within = |span: Span| spans.iter().any(|kept| kept.start <= span.start && span.end <= kept.end);
        self.hidden.retain(|hidden| within(hidden.span));
        self.drafts.retain(|draft| {
            let other = draft.other.as_ref().map(|(span, _)| *span);
            draft.is_syntax || within(draft.span) || other.is_some_and(within)
        });
    }

    /// All that was noted, in the order of the file; of each kind at most [`MOST_FAULTS`].
    pub(super) fn finish(mut self) -> Vec<Fault> {
        self.draft_hidden();
        self.drafts.sort_by_key(|draft| draft.span);
        let surplus = [Severity::Error, Severity::Warning].map(|severity| {
            let mut count = 0;
            self.drafts.retain(|draft| {
                count += usize::from(draft.severity == severity);
                draft.severity != severity || count <= MOST_FAULTS
            });
            (severity, count.saturating_sub(MOST_FAULTS))
        });
        let mut faults: Vec<Fault> = self.drafts.drain(..).map(|draft| self.text.fault(draft)).collect();
        for (severity, count) in surplus.into_iter().filter(|(_, count)| *count > 0) {
            let what = if severity == Severity::Error { "faults" } else { "warnings" };
            let rest = Fault::of(self.text.name(), format!("{count} more {what} are not shown"), "mend these first");
            faults.push(Fault { severity, ..rest });
        }
        faults
    }
}

/// `a, b or c`, each in backticks.
pub(super) fn list_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
