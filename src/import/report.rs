//! What an import left out, and what its reader should look at.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

/// The account of one import.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Operations of the document.
    pub operations: usize,
    /// Operations that became routes.
    pub routes: usize,
    /// Operations that did not, sorted.
    pub left_out: Vec<LeftOut>,
    /// What was decided without the document saying so.
    pub notes: Vec<Note>,
}

/// One operation that is not in the policy, and so is denied.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LeftOut {
    /// Method and template.
    pub route: String,
    /// Why.
    pub reason: Reason,
}

/// Why an operation is not in the policy.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// Another operation has the same method and a template that no path could tell apart.
    Duplicate,
    /// It is kept in another file.
    External(String),
    /// It has servers of its own, so it is not served at this upstream.
    OwnServers,
    /// It accepts only security schemes that were not chosen.
    OtherScheme(String),
    /// The document opens it to callers without a credential.
    Public,
    /// Its scopes are not written as a string or a list of scope names.
    Scopes(String),
    /// Its path cannot be a template.
    Template(String),
}

impl Reason {
    /// A stable name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::External(_) => "external_reference",
            Self::OwnServers => "own_servers",
            Self::OtherScheme(_) => "other_scheme",
            Self::Public => "public",
            Self::Scopes(_) => "unreadable_scopes",
            Self::Template(_) => "template",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate => f.write_str("another operation has this method on a path that cannot be told apart"),
            Self::External(place) => write!(f, "kept in another file, {place}"),
            Self::OwnServers => f.write_str("it has servers of its own"),
            Self::OtherScheme(names) => write!(f, "it accepts another security scheme: {names}"),
            Self::Public => f.write_str("open without a credential (security: [])"),
            Self::Scopes(what) => write!(f, "its scopes cannot be read: {what}"),
            Self::Template(what) => write!(f, "its path cannot be a template: {what}"),
        }
    }
}

/// Something to look at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// A route, `include=NAME`, or a part of the document.
    pub about: String,
    /// What was decided, and from what.
    pub text: String,
}

impl Report {
    /// The report for a human: a summary line, then what was left out, then the notes.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = format!(
            "{} of {} operations became routes, {} left out.\n",
            self.routes,
            self.operations,
            self.left_out.len()
        );
        if !self.left_out.is_empty() {
            out.push_str("\nLeft out:\n");
            for item in &self.left_out {
                // Writing into a String cannot fail.
                let _ = writeln!(out, "  {}: {}", item.route, item.reason);
            }
        }
        if !self.notes.is_empty() {
            out.push_str("\nTo look at:\n");
            for note in &self.notes {
                let _ = writeln!(out, "  {}: {}", note.about, note.text);
            }
        }
        out
    }

    /// The report for a program.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let left_out = self
            .left_out
            .iter()
            .map(|item| json!({"route": item.route, "reason": item.reason.code(), "detail": item.reason.to_string()}));
        let notes = self.notes.iter().map(|note| json!({"about": note.about, "text": note.text}));
        json!({
            "operations": self.operations,
            "routes": self.routes,
            "left_out": left_out.collect::<Vec<_>>(),
            "notes": notes.collect::<Vec<_>>(),
        })
    }
}
