//! Which routes and scopes of a policy its tests exercise.

use std::collections::BTreeSet;

use super::PolicyTest;
use crate::policy::{Ask, Policy, RouteId};

/// What no test of a policy exercises.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The routes to which no test sends a request.
    pub routes: Vec<RouteId>,
    /// How many scopes the policy asks for.
    pub asked: usize,
    /// The scopes that no test's request needs, each with the line that declares it or first asks for it. A request
    /// that is refused for another reason exercises none.
    pub scopes: Vec<(String, u32)>,
}

/// Finds what `tests` leave out of the policy that they were read with.
pub fn measure(policy: &Policy, tests: &[PolicyTest]) -> Coverage {
    let (mut routes, mut scopes) = (BTreeSet::new(), BTreeSet::new());
    for test in tests {
        let (route, needed) = test.exercised(policy);
        routes.extend(route);
        scopes.extend(needed);
    }
    let asked = policy.asked();
    let asks = policy.asks();
    let left_out = asked.iter().filter(|scope| !scopes.contains(*scope));
    Coverage {
        routes: policy.routes().iter().map(|route| route.id()).filter(|id| !routes.contains(id)).collect(),
        scopes: left_out.map(|scope| (scope.clone(), line(policy, &asks, scope))).collect(),
        asked: asked.len(),
    }
}

/// The line that declares a scope, or else the first that asks for it.
fn line(policy: &Policy, asks: &[Ask], scope: &str) -> u32 {
    let declared = policy.scopes().find(|(name, _)| *name == scope).map_or(0, |(_, info)| info.line);
    if declared > 0 {
        return declared;
    }
    let asking = asks.iter().filter(|ask| ask.scopes.iter().any(|asked| asked == scope));
    let lines = asking.flat_map(|ask| &ask.routes).filter_map(|id| policy.route(*id)).map(|route| route.line());
    lines.min().unwrap_or(0)
}
