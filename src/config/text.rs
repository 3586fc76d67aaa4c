//! A text that faults point into: its name, its lines, and what of it must not be shown.

use super::fault::{Excerpt, Fault, Severity};
use crate::key::visible::{escaped, is_invisible};
use crate::yaml::Span;

/// The most characters of a line that a fault shows.
const SHOWN: usize = 160;

/// Stands for each character that must not be shown.
const MASK: char = '*';

/// What stands in a line of `scopegate.yaml` that may hold a secret.
const SUSPECTS: [&str; 7] = ["basic", "credential", "password", "pepper", "username", "value", "://"];

/// What stands in the name of a field that may hold a secret.
const SECRET_NAMES: [&str; 10] =
    ["auth", "basic", "credential", "key", "pass", "pepper", "secret", "token", "user", "value"];

/// Whether a field of this name may hold a secret.
pub(super) fn is_suspect(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|word| name.contains(word))
}

/// A text that faults point into.
#[derive(Debug)]
pub(super) struct Text {
    name: String,
    text: String,
    /// The byte at which each line begins.
    lines: Vec<usize>,
    masks: Vec<Span>,
}

/// A fault before its lines have been cut out: what must be masked is known at the end alone.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) severity: Severity,
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Another place, and what it is.
    pub(super) other: Option<(Span, String)>,
    /// Whether the text is no YAML for it.
    pub(super) is_syntax: bool,
}

impl Text {
    pub(super) fn new(name: String, text: String) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { name, text, lines, masks: Vec::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Keeps what stands at `span` out of every excerpt.
    pub(super) fn mask(&mut self, span: Span) {
        self.masks.push(span);
    }

    /// Keeps what may be a secret out of excerpts, where the text is no YAML and so nobody knows: what stands behind the
    /// colon of a suspect name, and every line without a colon, which may go on from one.
    pub(super) fn mask_suspects(&mut self) {
        for (index, &start) in self.lines.iter().enumerate() {
            let end = self.lines.get(index + 1).map_or(self.text.len(), |next| next - 1);
            let line = self.text.get(start..end).unwrap_or("");
            let from = match line.find(':') {
                None => start,
                Some(colon) if SUSPECTS.iter().any(|word| line.contains(word)) => start + colon + 1,
                Some(_) => continue,
            };
            self.masks.push(Span {
                start: u32::try_from(from).unwrap_or(u32::MAX),
                end: u32::try_from(end).unwrap_or(u32::MAX),
            });
        }
    }

    /// The line, from 1, of `span`.
    pub(super) fn line(&self, span: Span) -> u32 {
        u32::try_from(self.line_index(at(span.start)) + 1).unwrap_or(u32::MAX)
    }

    /// What stands on `line`, from 1, but for the space before and behind.
    pub(super) fn line_span(&self, line: u32) -> Option<Span> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let start = *self.lines.get(index)?;
        let line = self.text.get(start..)?.lines().next().unwrap_or("");
        let indent = line.len() - line.trim_start().len();
        Some(Span {
            start: u32::try_from(start + indent).ok()?,
            end: u32::try_from(start + line.trim_end().len().max(indent)).ok()?,
        })
    }

    /// The whole line on which `span` begins.
    pub(super) fn line_extent(&self, span: Span) -> Span {
        let index = self.line_index(at(span.start));
        let place = |line: usize| self.lines.get(line).copied().unwrap_or(self.text.len());
        let offset = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
        Span { start: offset(place(index)), end: offset(place(index + 1)) }
    }

    pub(super) fn fault(&self, draft: Draft) -> Fault {
        let (excerpt, column) = self.excerpt(draft.span, None);
        let length = excerpt.text.get(excerpt.marked.clone()).unwrap_or("");
        let mut fault = Fault {
            severity: draft.severity,
            file: escaped(&self.name),
            line: excerpt.line,
            column,
            length: u32::try_from(length.chars().count()).unwrap_or(u32::MAX),
            message: escaped(&draft.message),
            help: draft.help.as_deref().map(escaped),
            unreadable: false,
            excerpts: vec![excerpt],
        };
        if let Some((span, label)) = draft.other {
            fault.excerpts.push(self.excerpt(span, Some(label)).0);
        }
        fault
    }

    fn line_index(&self, byte: usize) -> usize {
        self.lines.partition_point(|&start| start <= byte).saturating_sub(1)
    }

    /// The line of `span` with what of it is on that line marked, and the column of its first character.
    fn excerpt(&self, span: Span, label: Option<String>) -> (Excerpt, u32) {
        let start = at(span.start).min(self.text.len());
        let index = self.line_index(start);
        let begin = self.lines.get(index).copied().unwrap_or(0);
        let line = self.text.get(begin..).unwrap_or("");
        let line = line.split('\n').next().unwrap_or("");
        let line = line.strip_suffix('\r').unwrap_or(line);
        let before = line.get(..start.saturating_sub(begin)).unwrap_or(line);
        let column = before.chars().count() + 1;
        let skipped = if column > SHOWN { column - SHOWN / 2 } else { 0 };
        let (mut shown, mut marked, mut finish) = (String::new(), None, 0);
        for (offset, character) in line.char_indices().skip(skipped).take(SHOWN) {
            let byte = begin + offset;
            if byte >= start && marked.is_none() {
                marked = Some(shown.len());
            }
            self.show((byte, character), &mut shown);
            if byte < at(span.end) {
                finish = shown.len();
            }
        }
        let marked = marked.unwrap_or(shown.len()).min(shown.len());
        let excerpt = Excerpt {
            line: u32::try_from(index + 1).unwrap_or(u32::MAX),
            marked: marked..finish.max(marked),
            text: shown,
            label,
        };
        (excerpt, u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// Adds to `shown` what is shown for the character at `byte`.
    fn show(&self, (byte, character): (usize, char), shown: &mut String) {
        let masked = self.masks.iter().any(|mask| (at(mask.start)..at(mask.end)).contains(&byte));
        match character {
            _ if masked => shown.push(MASK),
            '\t' => shown.push(' '),
            hidden if is_invisible(hidden) => shown.extend(hidden.escape_unicode()),
            other => shown.push(other),
        }
    }
}

/// An offset as an index.
fn at(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// `text` as a message may quote it: not endless.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or("")),
        None => format!("`{text}`"),
    }
}
