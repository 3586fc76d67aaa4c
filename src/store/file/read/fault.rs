//! What is wrong with a key file, and where.

use std::fmt;
use std::str::Utf8Error;

use crate::yaml::{self, Hidden, Span};

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
pub(super) struct Draft {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) help: String,
}

impl Draft {
    pub(super) fn of_hidden(hidden: &Hidden) -> Self {
        Self { span: hidden.span, message: hidden.message(), help: hidden.help().to_owned() }
    }
}

/// The fault of a file that is no text.
pub(super) fn not_text(bytes: &[u8], error: Utf8Error) -> FileFault {
    let good = error.valid_up_to();
    let text = bytes.get(..good).map(String::from_utf8_lossy).unwrap_or_default();
    let (line, column) = yaml::line_and_column(&text, u32::try_from(good).unwrap_or(u32::MAX));
    FileFault {
        line,
        column,
        message: "the file is not UTF-8 text from here on".into(),
        help: "save it as UTF-8".into(),
    }
}

/// Counts out the places, in the order of the file.
pub(super) fn place(mut drafts: Vec<Draft>, text: &str) -> Vec<FileFault> {
    drafts.sort_by_key(|draft| draft.span.start);
    let counted = drafts.into_iter().map(|draft| {
        let (line, column) = yaml::line_and_column(text, draft.span.start);
        FileFault { line, column, message: draft.message, help: draft.help }
    });
    counted.collect()
}
