//! Builds a policy from its parts, and checks each once.
//!
//! The order of the calls matters: scopes, parameters and bindings first, then routes, then [`Builder::finish`].

mod access;
mod reserved;
mod rules;
mod scopes;
mod spec;
mod words;

pub use spec::{AccessSpec, MemberSpec, ParameterSpec, RouteSpec, RuleSpec};

use std::collections::BTreeMap;

use super::binding::Binding;
use super::build_error::{BuildError, FaultKind, Part};
use super::known::{Known, ScopeInfo};
use super::method::Method;
use super::nearest::{Guesses, nearest};
use super::parameter::{Parameter, Parameters};
use super::route::{Route, RouteId};
use super::scope::Vocabulary;
use super::template::Template;
use super::trie::{Trie, index};
use super::{Options, Policy};
use access::check_upgrade;
use scopes::check_scope_name;
use words::{duplicate, parse_base, parse_methods};

/// A policy that is being built.
#[derive(Debug)]
pub struct Builder {
    options: Options,
    vocabulary: Vocabulary,
    base: Template,
    faults: Vec<BuildError>,
    /// The declared scopes; without any, every scope that a route names.
    scopes: BTreeMap<String, ScopeInfo>,
    declared: bool,
    parameters: Parameters,
    /// The members that each parameter declares, by its index.
    members: Vec<Vec<(String, MemberSpec)>>,
    bindings: Vec<Binding>,
    trie: Trie,
    routes: Vec<Route>,
    guesses: Guesses,
}

impl Builder {
    pub(super) fn new(options: Options, vocabulary: Vocabulary) -> Self {
        let (base, faults) = match parse_base(&options.base) {
            Ok(base) => (base, Vec::new()),
            Err(fault) => (Template { pieces: Vec::new(), final_slash: false }, vec![fault]),
        };
        Self {
            trie: Trie::new(options.case),
            options,
            vocabulary,
            base,
            faults,
            scopes: BTreeMap::new(),
            declared: false,
            parameters: Parameters::default(),
            members: Vec::new(),
            bindings: Vec::new(),
            routes: Vec::new(),
            guesses: Guesses::default(),
        }
    }

    /// Declares a scope. Once one is declared, every scope that is named must be.
    ///
    /// # Errors
    /// A name that is no scope, or declared already.
    pub fn declare_scope(&mut self, name: &str, info: ScopeInfo) -> Result<(), BuildError> {
        check_scope_name(name)?;
        self.declared = true;
        match self.scopes.insert(name.to_owned(), info) {
            None => Ok(()),
            Some(_) => Err(duplicate(Part::Scope, name, format!("the scope `{name}` is declared twice"))),
        }
    }

    /// Declares a ruled query parameter.
    ///
    /// # Errors
    /// A name or a member that cannot be, or one that lenient parsers would take for another.
    pub fn declare_parameter(&mut self, name: &str, spec: ParameterSpec) -> Result<(), BuildError> {
        if name.is_empty() {
            return Err(BuildError::new(
                FaultKind::Empty,
                Part::Parameter,
                name,
                "a query parameter has no name".to_owned(),
            ));
        }
        self.check_members(&spec.members, spec.list)?;
        let parameter = Parameter { name: name.into(), list: spec.list, dotted: spec.dotted };
        if let Err(taken) = self.parameters.insert(parameter) {
            let message = match &*taken.name == name {
                true => format!("the query parameter `{name}` is declared twice"),
                false => format!("lenient servers would take the query parameter `{name}` for `{}`", taken.name),
            };
            return Err(duplicate(Part::Parameter, name, message));
        }
        self.members.push(spec.members);
        Ok(())
    }

    /// Binds the path parameter `parameter` to the keys' `attribute`.
    ///
    /// # Errors
    /// A name that is empty, or an attribute that is bound already.
    pub fn bind(&mut self, attribute: &str, parameter: &str) -> Result<(), BuildError> {
        if attribute.is_empty() || parameter.is_empty() {
            let message = "a binding needs the name of an attribute and the name of a path parameter".to_owned();
            return Err(BuildError::new(FaultKind::Empty, Part::Binding, attribute, message)
                .help("write `bind: { account: account }`"));
        }
        if self.bindings.iter().any(|binding| &*binding.attribute == attribute) {
            return Err(duplicate(Part::Binding, attribute, format!("the attribute `{attribute}` is bound twice")));
        }
        self.bindings.push(Binding { attribute: attribute.into(), parameter: parameter.into() });
        Ok(())
    }

    /// Adds a route for each method of `spec`, or none at all.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn route(&mut self, spec: RouteSpec) -> Result<Vec<RouteId>, Vec<BuildError>> {
        let mut faults = Vec::new();
        let methods = note(parse_methods(&spec), &mut faults);
        let template = note(self.parse_template(&spec), &mut faults);
        let (access, requirement) = self.compile_access(&spec.access, &mut faults);
        let rules = self.compile_rules(&spec, &mut faults);
        self.check_names(&spec, &mut faults);
        let (Some(methods), Some(template)) = (methods, template) else {
            return Err(faults);
        };
        self.check_parameters(&spec, &template, &mut faults);
        check_upgrade(&spec, &methods, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let text = format!("{}{}", self.options.base, spec.template);
        let route = Route {
            id: RouteId::at(0),
            label: "".into(),
            method: Method::Any,
            template: text.into(),
            line: spec.line,
            access,
            requirement,
            rules,
            parameters: template.parameters().map(|(at, name)| (at, name.into())).collect(),
            unbound: spec.unbound.iter().map(|name| name.as_str().into()).collect(),
            credential: spec.credential.map(Into::into),
            encoded_slash: spec.encoded_slash,
            upgrade: spec.upgrade,
            timeouts: spec.timeouts,
        };
        self.insert(&route, &template, &methods)
    }

    fn insert(
        &mut self,
        route: &Route,
        template: &Template,
        methods: &[Method],
    ) -> Result<Vec<RouteId>, Vec<BuildError>> {
        let leaf = self.trie.leaf(template);
        let taken = methods.iter().filter_map(|method| Some((method, self.trie.methods(leaf).slot(*method)?)));
        let faults: Vec<BuildError> = taken.filter_map(|(method, id)| self.twice(*method, id, route)).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut ids = Vec::new();
        for method in methods {
            let id = RouteId::at(index(self.routes.len()));
            let label = format!("{} {}", method.as_str(), route.template);
            if let Some(table) = self.trie.methods_mut(leaf) {
                table.insert(*method, id);
            }
            self.routes.push(Route { id, label: label.into(), method: *method, ..route.clone() });
            ids.push(id);
        }
        Ok(ids)
    }

    fn twice(&self, method: Method, id: RouteId, route: &Route) -> Option<BuildError> {
        let other = self.routes.get(id.index())?;
        let method = method.as_str();
        let message = match other.template == route.template {
            true => format!("{method} {} is written twice", route.template),
            false => {
                format!("`{}` and `{}` match the same paths, and both have {method}", route.template, other.template)
            }
        };
        let error = duplicate(Part::Method, method, message).beside(other.line);
        Some(error.help(format!("keep one of them: the other one stands on line {}", other.line)))
    }

    /// Compiles the policy.
    ///
    /// # Errors
    /// All that is wrong with it beyond what the other calls have told.
    pub fn finish(mut self) -> Result<Policy, Vec<BuildError>> {
        let mut faults = std::mem::take(&mut self.faults);
        for (name, info) in &self.scopes {
            for implied in info.implies.iter().filter(|implied| !self.scopes.contains_key(*implied)) {
                faults.push(self.unknown_scope(implied, &format!("`{name}` implies")).within([name.as_str()]));
            }
        }
        faults.extend(self.bindings.iter().filter_map(|binding| self.check_binding(binding)));
        if !faults.is_empty() {
            return Err(faults);
        }
        self.trie.settle();
        Ok(Policy {
            options: self.options,
            trie: self.trie,
            encoded_slashes: self.routes.iter().any(Route::allows_encoded_slash),
            routes: self.routes,
            known: Known::new(self.scopes, self.vocabulary),
            parameters: self.parameters,
            bindings: self.bindings,
        })
    }

    fn check_binding(&self, binding: &Binding) -> Option<BuildError> {
        let names = || self.routes.iter().flat_map(|route| route.parameters.iter().map(|(_, name)| &**name));
        if self.routes.is_empty() || names().any(|name| name == &*binding.parameter) {
            return None;
        }
        let message = format!("no route has the path parameter `{{{}}}` that `bind` names", binding.parameter);
        let error = BuildError::new(FaultKind::Unknown, Part::Binding, &binding.parameter, message);
        let help =
            format!("write `{{{}}}` in the path of a route, or name a parameter that is there", binding.parameter);
        Some(error.help(help).suggest(nearest(&binding.parameter, names())))
    }

    /// The base and the template of a route as one.
    fn parse_template(&self, spec: &RouteSpec) -> Result<Template, BuildError> {
        let own = Template::parse(&spec.template)?;
        let pieces = self.base.pieces.iter().cloned().chain(own.pieces).collect();
        let template = Template { pieces, final_slash: own.final_slash };
        template.check_names(&spec.template)?;
        Ok(template)
    }
}

/// Keeps what went well, notes what did not.
fn note<T>(result: Result<T, BuildError>, faults: &mut Vec<BuildError>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

#[cfg(test)]
mod tests;
