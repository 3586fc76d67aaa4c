//! What an import left out, and what its reader should look at.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::key::visible::escaped;

/// The account of one import.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Operations of the document.
    pub operations: usize,
    /// Operations that became routes.
    pub routes: usize,
    /// Operations that are the same request as another, and are part of its route.
    pub merged: usize,
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
    /// The route that takes its requests all the same, where no route can be written that closes it.
    pub taken_by: Option<String>,
}

/// Why an operation is not in the policy.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// It is kept in another place, which cannot be followed.
    External(String),
    /// Its method never passes.
    Method,
    /// What stands in its place is no operation.
    NoOperation,
    /// It accepts only security schemes that were not chosen.
    OtherScheme(String),
    /// It has servers of its own, so it is not served at this upstream.
    OwnServers,
    /// The document opens it to callers without a credential.
    Public,
    /// Its scopes are not written as a string or a list of scope names.
    Scopes(String),
    /// Its path cannot be a template.
    Template(String),
    /// It is the same request as this operation, of which nothing can be told.
    Twin(String),
    /// It is one of several operations that are one request, and what they ask for together has too many alternatives.
    Unsayable,
}

impl LeftOut {
    pub(super) const fn new(route: String, reason: Reason) -> Self {
        Self { route, reason, taken_by: None }
    }
}

impl fmt::Display for LeftOut {
    /// Which, why, and what takes its requests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.route, self.reason)?;
        self.taken_by.as_ref().map_or(Ok(()), |route| write!(f, "; NOT denied: {route} takes its requests, too"))
    }
}

impl Reason {
    /// A stable name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::External(_) => "external_reference",
            Self::Method => "method",
            Self::NoOperation => "no_operation",
            Self::OtherScheme(_) => "other_scheme",
            Self::OwnServers => "own_servers",
            Self::Public => "public",
            Self::Scopes(_) => "unreadable_scopes",
            Self::Template(_) => "template",
            Self::Twin(_) => "twin",
            Self::Unsayable => "too_many_alternatives",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::External(place) => write!(f, "kept at {place}, which cannot be followed"),
            Self::Method => f.write_str("no route can have its method"),
            Self::NoOperation => f.write_str("what stands there is no operation"),
            Self::OtherScheme(names) => write!(f, "it accepts another security scheme: {names}"),
            Self::OwnServers => f.write_str("it has servers of its own"),
            Self::Public => f.write_str("open without a credential"),
            Self::Scopes(what) => write!(f, "its scopes cannot be read: {what}"),
            Self::Template(what) => f.write_str(what),
            Self::Twin(other) => write!(f, "no path could tell it apart from {other}, which is left out"),
            Self::Unsayable => {
                f.write_str("it is one request with others, and together they have too many alternatives")
            }
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
    /// Counts an operation that is left out.
    pub(super) fn lose(&mut self, route: String, reason: Reason) {
        self.operations += 1;
        self.left_out.push(LeftOut::new(route, reason));
    }

    pub(super) fn note(&mut self, about: impl Into<String>, text: impl Into<String>) {
        self.notes.push(Note { about: about.into(), text: text.into() });
    }

    /// Puts everything in its order, whatever that of the document was.
    pub(super) fn sort(&mut self) {
        self.left_out.sort();
        let mut seen = std::collections::BTreeSet::new();
        self.notes.retain(|note| seen.insert((note.about.clone(), note.text.clone())));
    }

    /// How many operations are part of another's route, as the end of a clause.
    pub(super) fn merged(&self) -> String {
        match self.merged {
            0 => String::new(),
            1 => String::from(", 1 is part of another"),
            more => format!(", {more} are part of others"),
        }
    }

    /// The report for a human: a summary line, then what was left out, then the notes.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = format!(
            "{} of {} operations became routes{}, {} left out.\n",
            self.routes,
            self.operations,
            self.merged(),
            self.left_out.len()
        );
        if !self.left_out.is_empty() {
            out.push_str("\nLeft out:\n");
            for item in &self.left_out {
                // Writing into a String cannot fail.
                let _ = writeln!(out, "  {}", escaped(&item.to_string()));
            }
        }
        if !self.notes.is_empty() {
            out.push_str("\nTo look at:\n");
            for note in &self.notes {
                let _ = writeln!(out, "  {}", escaped(&format!("{}: {}", note.about, note.text)));
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
            .map(|item| json!({"route": item.route, "reason": item.reason.code(), "detail": item.reason.to_string(), "taken_by": item.taken_by}));
        let notes = self.notes.iter().map(|note| json!({"about": note.about, "text": note.text}));
        json!({
            "operations": self.operations,
            "routes": self.routes,
            "merged": self.merged,
            "left_out": left_out.collect::<Vec<_>>(),
            "notes": notes.collect::<Vec<_>>(),
        })
    }
}
