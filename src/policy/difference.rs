//! How two policies differ, by what requests come to under each, not by how they are written.
//!
//! Both must be compiled with one vocabulary. Every template of either policy gives a path of its shape; the route that
//! takes that path under the one policy is held against the one that takes it under the other, method by method.

mod compare;
mod shift;
mod side;
mod words;

use std::collections::HashSet;

use super::method::Method;
use super::route::Route;
use super::target::Request;
use super::{MethodOverride, Options, PathCase, Policy};
use compare::{Change, compare};
pub use shift::Shift;
use side::Side;

/// Stands in a path for what a parameter takes.
const PROBE: &str = "scopegate~probe";

/// How many segments stand for what a wildcard takes.
const WILD: usize = 6;

/// A route that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteDifference {
    /// Whether the route is in one of the policies alone.
    pub presence: Presence,
    /// Its name: method and template.
    pub route: String,
    /// The route that takes such requests under the older policy, and its line.
    pub before: Option<(String, u32)>,
    /// The same under the newer policy.
    pub after: Option<(String, u32)>,
    /// Which way it went for callers.
    pub shift: Shift,
    /// What of it changed, in a few words each.
    pub what: Vec<String>,
}

/// An option that holds for the whole policy and differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionDifference {
    /// Its name in the policy file.
    pub option: &'static str,
    /// Which way it went for callers.
    pub shift: Shift,
    /// What it was and what it is.
    pub what: String,
}

/// In which of the policies a route is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In the newer alone.
    Added,
    /// In both, or in neither: a template of the one policy took its requests from a less specific one.
    Kept,
    /// In the older alone.
    Removed,
}

impl Policy {
    /// The routes that differ from those of this policy under `newer`, in the order of `newer`; then those that it lacks.
    #[must_use]
    pub fn differences(&self, newer: &Self) -> Vec<RouteDifference> {
        let mut found: Vec<RouteDifference> = Vec::new();
        let mut seen = HashSet::new();
        for route in newer.routes.iter().chain(&self.routes) {
            let path = probe(&route.template);
            if !seen.insert(path.clone()) {
                continue;
            }
            for method in Method::ALL.into_iter().filter(|method| *method != Method::Any) {
                let difference = difference((self, newer), (method, &path), route);
                found.extend(difference.filter(|difference| !found.contains(difference)));
            }
        }
        found
    }

    /// What holds for the whole policy and differs under `newer`.
    #[must_use]
    pub fn option_differences(&self, newer: &Self) -> Vec<OptionDifference> {
        let Options { base: _, case, method_override } = &self.options;
        let mut found = Vec::new();
        if *case != newer.options.case {
            let word = |case| if case == PathCase::Insensitive { "insensitive" } else { "sensitive" };
            found.push(OptionDifference {
                option: "paths.case",
                shift: Shift::of(*case == PathCase::Insensitive, newer.options.case == PathCase::Insensitive),
                what: format!("{} → {}", word(*case), word(newer.options.case)),
            });
        }
        if *method_override != newer.options.method_override {
            let drops = |rule| rule == MethodOverride::Drop;
            let word = |rule| if drops(rule) { "drop" } else { "refuse" };
            found.push(OptionDifference {
                option: "method_override",
                shift: Shift::of(drops(*method_override), drops(newer.options.method_override)),
                what: format!("{} → {}", word(*method_override), word(newer.options.method_override)),
            });
        }
        found
    }

    fn route_of<'p>(&'p self, method: &str, path: &str) -> Option<&'p Route> {
        let request = Request { method: method.as_bytes(), target: path.as_bytes(), override_header: false };
        let id = self.judge(&request).ok()?.route()?.id();
        self.route(id)
    }
}

/// How requests of one method and shape differ; `None` where they do not.
fn difference(
    (old, new): (&Policy, &Policy),
    (method, path): (Method, &str),
    shape: &Route,
) -> Option<RouteDifference> {
    let of = |policy: &'_ Policy, method: &str| policy.route_of(method, path).map(Route::id);
    let (before, after) = (of(old, method.as_str()), of(new, method.as_str()));
    // HEAD follows GET unless it is named.
    if method == Method::Head && before == of(old, "GET") && after == of(new, "GET") {
        return None;
    }
    let (before, after) = (before.and_then(|id| old.route(id)), after.and_then(|id| new.route(id)));
    let is_own = |route: &&Route| probe(&route.template) == path;
    let (own_before, own_after) = (before.filter(is_own), after.filter(is_own));
    let presence = match (own_before, own_after) {
        (None, Some(_)) => Presence::Added,
        (Some(_), None) => Presence::Removed,
        _ => Presence::Kept,
    };
    let Change { shift, what } = compare(&Side { policy: old, route: before }, &Side { policy: new, route: after });
    if presence == Presence::Kept && what.is_empty() {
        return None;
    }
    let named = own_after.or(own_before).map(|route| route.label.to_string());
    let place = |route: &Route| (route.label.to_string(), route.line);
    Some(RouteDifference {
        presence,
        route: named.unwrap_or_else(|| format!("{} {}", method.as_str(), shape.template)),
        before: before.map(place),
        after: after.map(place),
        shift,
        what,
    })
}

/// A path of the shape of a template, the same for every template of that shape.
fn probe(template: &str) -> String {
    let segment = |segment: &str| match segment {
        wild if wild.starts_with("{*") => [PROBE; WILD].join("/"),
        parameter if parameter.starts_with('{') => PROBE.to_owned(),
        literal => literal.bytes().map(encoded).collect(),
    };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// A byte as a target may have it.
fn encoded(byte: u8) -> String {
    if byte.is_ascii() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

#[cfg(test)]
mod tests {
    use super::super::scope::Vocabulary;
    use super::super::{AccessSpec, Options, RouteSpec, Upgrade};
    use super::*;

    #[test]
    fn a_protocol_that_a_route_lets_connections_switch_to_is_compared() {
        let vocabulary = Vocabulary::new();
        let policy = |upgrade| {
            let mut builder = Policy::builder(Options::default(), &vocabulary);
            let spec = RouteSpec::new(vec!["GET".to_owned()], "/live", AccessSpec::Key);
            builder.route(RouteSpec { upgrade, ..spec }).unwrap();
            builder.finish().unwrap()
        };
        let (plain, live) = (policy(None), policy(Some(Upgrade::WebSocket)));
        let told = |old: &Policy, new: &Policy| {
            old.differences(new).into_iter().map(|one| (one.shift.loosened, one.what.join("; "))).collect::<Vec<_>>()
        };
        assert_eq!(told(&plain, &live), [(true, "upgrade: none → websocket".to_owned())]);
        assert_eq!(told(&live, &plain), [(false, "upgrade: websocket → none".to_owned())]);
        assert_eq!(told(&live, &live), []);
    }
}
