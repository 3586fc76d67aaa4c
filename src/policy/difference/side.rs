//! One side of a comparison: a policy, and its route for the requests that are compared.

use super::super::Policy;
use super::super::parameter::{Parameter, RouteRule};
use super::super::route::{Access, Requirement, Route, Upgrade};
use super::super::scope::ScopeSet;

/// A policy, and its route for the requests that are compared.
pub(super) struct Side<'p> {
    pub(super) policy: &'p Policy,
    pub(super) route: Option<&'p Route>,
}

/// All of a route that decides about a request or about what becomes of it. What is not compared is named where it is made.
pub(super) struct Deciding<'p> {
    pub(super) credential: Option<&'p str>,
    pub(super) encoded_slash: bool,
    pub(super) parameters: &'p [(usize, Box<str>)],
    pub(super) requirement: &'p Requirement,
    pub(super) rules: &'p [RouteRule],
    pub(super) unbound: &'p [Box<str>],
    pub(super) upgrade: Option<Upgrade>,
}

/// How keys that are bound by an attribute, and keys that are not, meet a route.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound<'p> {
    /// This segment of the path, by this name, must be the key's.
    At(usize, &'p str),
    /// Nothing is compared.
    Free,
    /// Keys that have the attribute are refused.
    Refused,
}

impl<'p> Side<'p> {
    pub(super) fn access(&self) -> Access {
        self.route.map_or(Access::Deny, |route| route.access)
    }

    /// The parts of the route, where requests of some caller pass. A part that is added to routes must be put on one of the
    /// two lists here.
    pub(super) fn deciding(&self) -> Option<Deciding<'p>> {
        let Route {
            id: _,
            label: _,
            line: _,
            method: _,
            template: _,
            timeouts: _,
            access,
            credential,
            encoded_slash,
            parameters,
            requirement,
            rules,
            unbound,
            upgrade,
        } = self.route?;
        (*access != Access::Deny).then_some(Deciding {
            credential: credential.as_deref(),
            encoded_slash: *encoded_slash,
            parameters,
            requirement,
            rules,
            unbound,
            upgrade: *upgrade,
        })
    }

    /// What a secret key must hold; `None` where none may.
    pub(super) fn needs(&self) -> Option<&'p Requirement> {
        let route = self.route?;
        match route.access {
            Access::Anyone | Access::Key | Access::Scopes => Some(&route.requirement),
            Access::Deny | Access::PublicKey => None,
        }
    }

    /// The ruled parameter of this name, and the route's rule for it; `None` where it passes untouched.
    pub(super) fn ruled(&self, name: &str) -> Option<(&'p Parameter, Option<&'p RouteRule>)> {
        let (at, parameter) = self.policy.parameters.find(name)?;
        let rules = self.deciding().map_or(&[][..], |route| route.rules);
        Some((parameter, rules.iter().find(|rule| rule.parameter == at)))
    }

    /// What a member asks for; `None` where it is denied.
    pub(super) fn asks(&self, name: &str, member: &str) -> Option<ScopeSet> {
        match self.ruled(name) {
            None => Some(ScopeSet::new()),
            Some((parameter, rule)) if member != "*" => rule?.scopes(member.as_bytes(), parameter.dotted),
            Some((_, rule)) => rule?.rest_scopes(),
        }
    }

    pub(super) fn bound(&self, attribute: &str) -> Bound<'p> {
        let binding = self.policy.bindings.iter().find(|binding| &*binding.attribute == attribute);
        let (Some(binding), Some(route)) = (binding, self.deciding()) else { return Bound::Free };
        match route.parameters.iter().find(|(_, name)| *name == binding.parameter) {
            Some((at, name)) => Bound::At(*at, name),
            None if route.unbound.contains(&binding.attribute) => Bound::Free,
            None => Bound::Refused,
        }
    }
}
