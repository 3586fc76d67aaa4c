//! A fault: one thing that is wrong in a configuration or policy, where, and how to mend it.

use std::fmt;
use std::path::Path;

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

use crate::key::visible::escaped;

/// One thing that is wrong, or worth a look.
///
/// It keeps the lines that it shows, with secrets already masked, so that it outlives the text it is about. As JSON it is
/// `{"file","line","column","message","help"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Whether it stops the configuration from being used.
    #[serde(skip)]
    pub severity: Severity,
    /// The file as it was named, or the flag or variable that the value came from (`--listen`, `SCOPEGATE_LISTEN`).
    pub file: String,
    /// Line, from 1; 0 where there is none.
    pub line: u32,
    /// Column in characters, from 1; 0 where there is none.
    pub column: u32,
    /// How many characters it is about.
    #[serde(skip)]
    pub length: u32,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// The file itself could not be read: nothing is known of what it says.
    #[serde(skip)]
    pub unreadable: bool,
    /// The lines to show: the one it is about, then the one it collides with.
    #[serde(skip)]
    pub(super) excerpts: Vec<Excerpt>,
}

/// Whether a fault stops the configuration from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// How a fault is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For a terminal.
    Coloured,
    /// For everything else.
    Plain,
}

/// A line of a text with the part that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) line: u32,
    pub(super) text: String,
    /// Bytes of `text`.
    pub(super) marked: std::ops::Range<usize>,
    pub(super) label: Option<String>,
}

impl Fault {
    /// A fault of a whole file, of a flag or of a variable.
    pub fn of(file: impl Into<String>, message: impl Into<String>, help: &str) -> Self {
        Self {
            severity: Severity::Error,
            file: escaped(&file.into()),
            line: 0,
            column: 0,
            length: 0,
            message: escaped(&message.into()),
            help: (!help.is_empty()).then(|| escaped(help)),
            unreadable: false,
            excerpts: Vec::new(),
        }
    }

    /// The file at `path` cannot be read.
    pub(super) fn of_path(path: &Path, message: impl Into<String>, help: &str) -> Self {
        Self { unreadable: true, ..Self::of(path.display().to_string(), message, help) }
    }

    /// The fault and its mend in one line, for a log.
    pub fn in_one_line(&self) -> String {
        match &self.help {
            Some(help) => format!("{self} ({help})"),
            None => self.to_string(),
        }
    }

    /// The fault as rustc would show it, without a final line break.
    pub fn render(&self, style: Style) -> String {
        let renderer = match style {
            Style::Coloured => Renderer::styled(),
            Style::Plain => Renderer::plain(),
        };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = if self.excerpts.is_empty() { self.to_string() } else { self.message.clone() };
        let group = level.primary_title(title).elements(self.snippets());
        match &self.help {
            None => renderer.render(&[group]),
            Some(help) if self.excerpts.is_empty() => {
                // Without a line that it stands under, an edge would point to nothing.
                let help = Level::HELP.primary_title(help.as_str()).elements(self.snippets());
                [renderer.render(&[group]), renderer.render(&[help])].join("\n")
            }
            Some(help) => renderer.render(&[group.element(Level::HELP.message(help.as_str()))]),
        }
    }

    /// The excerpts for rendering; two of one line are shown as one.
    fn snippets(&self) -> Vec<Snippet<'_, Annotation<'_>>> {
        let mut snippets: Vec<(u32, Snippet<'_, Annotation<'_>>)> = Vec::new();
        for excerpt in &self.excerpts {
            let kind = if snippets.is_empty() { AnnotationKind::Primary } else { AnnotationKind::Context };
            let annotation = kind.span(excerpt.marked.clone()).label(excerpt.label.as_deref());
            let snippet = match snippets.pop_if(|(line, _)| *line == excerpt.line) {
                Some((_, snippet)) => snippet,
                None => Snippet::source(excerpt.text.as_str())
                    .line_start(usize::try_from(excerpt.line).unwrap_or(1))
                    .path(self.file.as_str()),
            };
            snippets.push((excerpt.line, snippet.annotation(annotation)));
        }
        snippets.into_iter().map(|(_, snippet)| snippet).collect()
    }
}

impl fmt::Display for Fault {
    /// The fault in one line, for a log: `file:line:column: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}
