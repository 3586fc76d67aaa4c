//! Lists of scopes, checked and compiled.

use super::super::build_error::{BuildError, FaultKind, Part};
use super::super::known::ScopeInfo;
use super::super::scope::{ScopeSet, is_scope_name};
use super::{Builder, reserved};

/// What asks for scopes.
#[derive(Clone, Copy)]
pub(super) enum Asker<'n> {
    /// A route itself.
    Route,
    /// A member of a ruled parameter, with the parameter's name.
    Member(&'n str, &'n str),
}

impl<'n> Asker<'n> {
    /// The names that lead to it within a route.
    fn names(self) -> impl Iterator<Item = &'n str> {
        let names = match self {
            Self::Route => [None, None],
            Self::Member(parameter, member) => [Some(parameter), Some(member)],
        };
        names.into_iter().flatten()
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Route => "a route names",
            Self::Member(..) => "a member names",
        }
    }
}

impl Builder {
    /// The set of `names`, with what is wrong with them.
    pub(super) fn compile_scopes(
        &mut self,
        asker: Asker<'_>,
        names: &[String],
        faults: &mut Vec<BuildError>,
    ) -> ScopeSet {
        if names.is_empty() {
            let message = "a list of scopes is empty".to_owned();
            faults.push(
                BuildError::new(FaultKind::Empty, Part::Access, "", message)
                    .help("an empty list never means all: name scopes, or write `auth: key` for any valid key")
                    .within(asker.names()),
            );
        }
        let found = self.check_scopes(asker, names);
        if found.is_empty() && !self.declared {
            self.scopes.extend(names.iter().map(|name| (name.clone(), ScopeInfo::default())));
        }
        faults.extend(found);
        self.vocabulary.intern_all(names.iter().map(String::as_str))
    }

    /// What is wrong with the scopes of a declared member. They are looked at again when a route takes the member over;
    /// this is for those that none does, and for faults to be told where they stand.
    pub fn check_declared_member(&self, parameter: &str, member: &str, names: &[String]) -> Vec<BuildError> {
        self.check_scopes(Asker::Member(parameter, member), names)
    }

    fn check_scopes(&self, asker: Asker<'_>, names: &[String]) -> Vec<BuildError> {
        names.iter().filter_map(|name| self.check_scope(asker, name).err()).collect()
    }

    fn check_scope(&self, asker: Asker<'_>, name: &str) -> Result<(), BuildError> {
        let fault = match check_scope_name(name) {
            Err(fault) => fault,
            Ok(()) if self.declared && self.scopes.contains_key(name) => return Ok(()),
            Ok(()) => match (reserved::mend(name, asker), self.declared) {
                (Some(mend), _) => {
                    let message = format!("`{name}` stands where a scope is expected");
                    BuildError::new(FaultKind::Reserved, Part::Scope, name, message)
                        .help(format!("{mend}; a scope of that name must be declared under `scopes`"))
                }
                (None, true) => self.unknown_scope(name, asker.in_words()),
                (None, false) => return Ok(()),
            },
        };
        Err(fault.within(asker.names()))
    }

    pub(super) fn unknown_scope(&self, name: &str, who: &str) -> BuildError {
        let message = format!("{who} the scope `{name}`, which `scopes` does not declare");
        BuildError::new(FaultKind::Unknown, Part::Scope, name, message)
            .help("declare it under `scopes`")
            .suggest(self.guesses.nearest(name, self.scopes.keys().map(String::as_str)))
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
    let several: Vec<&str> = name.split([',', ' ']).filter(|part| !part.is_empty()).collect();
    let help = match several.len() > 1 && several.iter().all(|part| is_scope_name(part)) {
        true => format!("write a list: `[{}]`", several.join(", ")),
        false => "a scope is visible ASCII without `\"`, `\\`, `,` and `*`, such as `profiles:read`".to_owned(),
    };
    Err(BuildError::new(kind, Part::Scope, name, message).help(help))
}
