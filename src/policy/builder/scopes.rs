//! Lists of scopes, checked and compiled.

use super::super::build_error::{BuildError, FaultKind, Part};
use super::super::known::ScopeInfo;
use super::super::nearest::nearest;
use super::super::scope::{ScopeSet, is_scope_name};
use super::Builder;

impl Builder {
    /// The set of `names`, with what is wrong with them.
    pub(super) fn compile_scopes(&mut self, names: &[String], faults: &mut Vec<BuildError>) -> ScopeSet {
        if names.is_empty() {
            let message = "a list of scopes is empty".to_owned();
            faults.push(
                BuildError::new(FaultKind::Empty, Part::Access, "", message)
                    .help("an empty list never means all: name scopes, or write `auth: key` for any valid key"),
            );
        }
        for name in names {
            match check_scope_name(name) {
                Err(fault) => faults.push(fault),
                Ok(()) if self.scopes.contains_key(name) => {}
                Ok(()) if self.declared => faults.push(self.unknown_scope(name, "a route names")),
                Ok(()) => drop(self.scopes.insert(name.clone(), ScopeInfo::default())),
            }
        }
        self.vocabulary.intern_all(names.iter().map(String::as_str))
    }

    /// What of `names` should be declared and is not. A member of a declared parameter is looked at when a route takes it
    /// over; this is for those that none does.
    pub fn undeclared(&self, names: &[String]) -> Vec<BuildError> {
        let missing = names.iter().filter(|name| self.declared && !self.scopes.contains_key(*name));
        missing.map(|name| self.unknown_scope(name, "a member names")).collect()
    }

    pub(super) fn unknown_scope(&self, name: &str, who: &str) -> BuildError {
        let message = format!("{who} the scope `{name}`, which `scopes` does not declare");
        BuildError::new(FaultKind::Unknown, Part::Scope, name, message)
            .help("declare it under `scopes`")
            .suggest(nearest(name, self.scopes.keys().map(String::as_str)))
    }
}

pub(super) fn check_scope_name(name: &str) -> Result<(), BuildError> {
    if is_scope_name(name) {
        return Ok(());
    }
    let (kind, message) = match name.is_empty() {
        true => (FaultKind::Empty, "a scope has no name".to_owned()),
        false => (FaultKind::Malformed, format!("`{}` is not a scope", name.escape_debug())),
    };
    Err(BuildError::new(kind, Part::Scope, name, message)
        .help("a scope is visible ASCII without `\"`, `\\`, `,` and `*`, such as `profiles:read`"))
}
