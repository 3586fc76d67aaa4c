//! Who may call a route, and the names it uses, checked.

use super::super::build_error::{BuildError, FaultKind, Part};
use super::super::method::Method;
use super::super::route::{Access, Requirement};
use super::super::template::Template;
use super::scopes::Asker;
use super::{AccessSpec, Builder, RouteSpec};

impl Builder {
    pub(super) fn compile_access(&mut self, spec: &AccessSpec, faults: &mut Vec<BuildError>) -> (Access, Requirement) {
        let access = match spec {
            AccessSpec::Anyone => Access::Anyone,
            AccessSpec::Deny => Access::Deny,
            AccessSpec::Key => Access::Key,
            AccessSpec::PublicKey => Access::PublicKey,
            AccessSpec::Scopes { all_of, any_of } => {
                let mut requirement = Requirement::default();
                if !all_of.is_empty() || any_of.is_empty() {
                    requirement.all_of = self.compile_scopes(Asker::Route, all_of, faults);
                }
                let mut compile = |names: &Vec<String>| self.compile_scopes(Asker::Route, names, faults);
                requirement.any_of = any_of.iter().map(&mut compile).collect();
                return (Access::Scopes, requirement);
            }
        };
        (access, Requirement::default())
    }

    /// Checks the names of a route that are neither scopes nor ruled parameters.
    pub(super) fn check_names(&self, spec: &RouteSpec, faults: &mut Vec<BuildError>) {
        if spec.credential.as_deref() == Some("") {
            let message = "`credential` has no name".to_owned();
            faults.push(
                BuildError::new(FaultKind::Empty, Part::Credential, "", message)
                    .help("name one of the upstream's credentials, or leave the field out"),
            );
        }
        for name in &spec.unbound {
            if !self.bindings.iter().any(|binding| *binding.attribute == **name) {
                let message = format!("`unbound` names `{name}`, which `bind` does not bind");
                let near = self.guesses.nearest(name, self.bindings.iter().map(|binding| &*binding.attribute));
                faults.push(
                    BuildError::new(FaultKind::Unknown, Part::Unbound, name, message)
                        .help("name an attribute of `bind`, or leave it out")
                        .suggest(near),
                );
            }
        }
    }

    /// Checks what a route says against the parameters of its path.
    pub(super) fn check_parameters(&self, spec: &RouteSpec, template: &Template, faults: &mut Vec<BuildError>) {
        let text = &spec.template;
        if spec.encoded_slash && template.parameters().next().is_none() {
            let message = format!("`encoded_slash` on `{text}`, which has no parameter that could hold a slash");
            faults.push(
                BuildError::new(FaultKind::Contradiction, Part::Template, text, message)
                    .help("a wildcard does not take encoded slashes: use `{name}`, or leave the field out"),
            );
        }
        for binding in &self.bindings {
            let parameter = &*binding.parameter;
            if template.wildcard() == Some(parameter) {
                let message = format!("`bind` names `{parameter}`, which is a wildcard in `{text}`");
                faults.push(BuildError::new(FaultKind::Contradiction, Part::Template, text, message).help(format!(
                    "one segment is compared with a key's attribute: use `{{{parameter}}}`, or another name"
                )));
            }
            let placed = template.parameters().any(|(_, name)| name == parameter);
            if placed && spec.unbound.iter().any(|name| **name == *binding.attribute) {
                let message = format!("`unbound` names `{}`, yet the path has `{{{parameter}}}`", binding.attribute);
                faults.push(
                    BuildError::new(FaultKind::Contradiction, Part::Unbound, &binding.attribute, message)
                        .help("the parameter is compared whatever `unbound` says: leave it out"),
                );
            }
        }
    }
}

/// Checks that a route which lets connections switch protocols has the method that asks for it (RFC 6455, 4.1).
pub(super) fn check_upgrade(spec: &RouteSpec, methods: &[Method], faults: &mut Vec<BuildError>) {
    if spec.upgrade.is_some() && !methods.iter().any(|method| matches!(method, Method::Any | Method::Get)) {
        let message = format!("`upgrade` on `{}`, which has no GET", spec.template);
        faults.push(
            BuildError::new(FaultKind::Contradiction, Part::Template, &spec.template, message)
                .help("a WebSocket handshake is a GET: add that method, or leave the field out"),
        );
    }
}
