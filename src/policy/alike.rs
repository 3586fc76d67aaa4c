//! Whether two routes ask for exactly the same. Where they do, it does not matter which of them a server takes a request
//! for.

use super::Policy;
use super::route::{Access, Route};

impl Policy {
    /// Whether whoever may call one of two routes may call the other with the same path and query, to the same effect.
    /// Routes that nobody may call are not compared.
    pub(super) fn are_alike(&self, one: &Route, other: &Route) -> bool {
        one.id() == other.id()
            || (one.access != Access::Deny
                && one.access == other.access
                && one.requirement == other.requirement
                && one.credential == other.credential
                && one.encoded_slash == other.encoded_slash
                && one.upgrade == other.upgrade
                && have_same_rules(one, other)
                && self.have_same_bindings(one, other))
    }

    fn have_same_bindings(&self, one: &Route, other: &Route) -> bool {
        self.bindings.iter().all(|binding| {
            let place = |route: &Route| {
                let mut parameters = route.parameters.iter();
                parameters.find(|(_, name)| *name == binding.parameter).map(|(at, _)| *at)
            };
            let is_unbound = |route: &Route| route.unbound.contains(&binding.attribute);
            place(one) == place(other) && is_unbound(one) == is_unbound(other)
        })
    }
}

fn have_same_rules(one: &Route, other: &Route) -> bool {
    let rules_as = |rule| other.rules.iter().any(|theirs| theirs == rule);
    one.rules.len() == other.rules.len() && one.rules.iter().all(rules_as)
}
