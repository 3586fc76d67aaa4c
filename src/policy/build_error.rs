//! What is wrong with a policy: said once, with the part at fault and the mend.

/// One fault of a policy, found while it is built. Whoever read the policy knows the place; `part` and `subject` say
/// which of the words there is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// What sort of fault it is.
    pub kind: FaultKind,
    /// Which part of the policy is at fault.
    pub part: Part,
    /// The word at fault, as written: a method, a template, a scope.
    pub subject: String,
    /// The names that lead to the word where the part alone does not: the ruled parameter and its member, or the scope
    /// that implies it.
    pub within: Vec<String>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// The line of the other half of a contradiction or a duplicate.
    pub other_line: Option<u32>,
}

/// The sorts of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Two things that are both written cannot both hold.
    Contradiction,
    /// The same thing twice.
    Duplicate,
    /// Nothing where something must stand.
    Empty,
    /// It is not of the form that it must have.
    Malformed,
    /// A form that is kept for later.
    Reserved,
    /// A name that was not declared.
    Unknown,
}

/// The parts of a policy that a fault can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `scopes`, `any_of` or `auth` of a route.
    Access,
    /// The `base`.
    Base,
    /// An attribute or a path parameter of `bind`.
    Binding,
    /// The `credential` of a route.
    Credential,
    /// A member of a ruled parameter.
    Member,
    /// The method of a route.
    Method,
    /// The name of a ruled parameter.
    Parameter,
    /// The name of a scope.
    Scope,
    /// The path template of a route.
    Template,
    /// An attribute of `unbound`.
    Unbound,
}

impl BuildError {
    /// A fault of `kind` in `part`, about the word `subject`.
    pub(super) fn new(kind: FaultKind, part: Part, subject: &str, message: String) -> Self {
        Self { kind, part, subject: subject.to_owned(), within: Vec::new(), message, help: None, other_line: None }
    }

    /// Says within what the word stands.
    pub(super) fn within<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.within = names.into_iter().map(str::to_owned).collect();
        self
    }

    /// Says how to mend it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Suggests the nearest known name, if one is near.
    pub(super) fn suggest(mut self, name: Option<&str>) -> Self {
        if let Some(name) = name {
            self.help = Some(format!("did you mean `{name}`?"));
        }
        self
    }

    /// Points at the other place.
    pub(super) fn beside(mut self, line: u32) -> Self {
        self.other_line = Some(line);
        self
    }
}
