//! Tests of the tests: what can be taken out of a policy without any of its tests noticing.

use std::collections::{HashMap, HashSet};

use super::PolicyTest;
use crate::policy::{Ask, Policy, RouteId};

/// What came of taking out everything that a policy asks for, one at a time.
#[derive(Debug)]
pub struct Mutation {
    /// How many were taken out.
    pub tried: usize,
    /// Those that no test missed.
    pub survivors: Vec<Ask>,
    /// The routes that the request of a test belongs to.
    pub tested: HashSet<RouteId>,
}

/// Takes out each scope and each alternative in turn, and runs `tests`, all of which hold under the policy as it is.
pub fn mutate(policy: &mut Policy, tests: &[PolicyTest]) -> Mutation {
    let asks = policy.asks();
    let mut by_route: HashMap<RouteId, Vec<&PolicyTest>> = HashMap::new();
    for test in tests {
        if let (Some(route), _) = test.exercised(policy) {
            by_route.entry(route).or_default().push(test);
        }
    }
    let tried = asks.len();
    let survives = |ask: &Ask| {
        // A test of another route decides as before.
        let concerned = || ask.routes.iter().filter_map(|route| by_route.get(route)).flatten();
        !policy.without(ask, |mutant| concerned().any(|test| test.run(mutant).is_err()))
    };
    let survivors = asks.into_iter().filter(survives).collect();
    Mutation { tried, survivors, tested: by_route.into_keys().collect() }
}
