//! The members of a ruled parameter on one route, in the document and in the policy.

use std::collections::BTreeSet;

use super::super::include::demanded;
use super::{Asked, Change, Drift, ExpectedRoute};
use crate::policy::{Policy, Route};

/// Compares the members that a document lists on a route with those that the policy lets pass.
pub(super) fn compare(expected: &ExpectedRoute, (policy, route, name): (&Policy, &Route, &str), drift: &mut Drift) {
    let label = |member: &str| format!("{} {}?{name}={member}", expected.method, expected.template);
    let own = demanded(&expected.access);
    for member in &expected.members {
        let ruled = policy.scopes_of_member(route.id(), name, &member.name);
        let held: Option<BTreeSet<String>> = ruled.map(|scopes| scopes.into_iter().collect());
        let agrees = match (&member.asked, &held) {
            (Asked::Undecided, _) => true,
            (Asked::Certain(_) | Asked::Doubtful(_), None) => false,
            (Asked::Certain(scopes), Some(held)) => held.difference(&own).eq(scopes),
            // Which scopes is for a human to say, that there are some is not.
            (Asked::Doubtful(scopes), Some(held)) => scopes.is_empty() || !held.is_empty(),
        };
        if !agrees {
            let document = match &member.asked {
                Asked::Certain(scopes) | Asked::Doubtful(scopes) => rule(scopes),
                Asked::Undecided => continue,
            };
            let beyond = held.map(|held| held.difference(&own).cloned().collect());
            let policy = beyond.as_ref().map_or_else(|| String::from("deny"), rule);
            drift.changed.push(Change { route: label(&member.name), document, policy });
        }
    }
    let open = policy.open_members(route.id(), name).into_iter();
    let extra = open.filter(|open| !expected.members.iter().any(|member| member.name == *open));
    drift.removed.extend(extra.map(|member| label(&member)));
}

fn rule(scopes: &BTreeSet<String>) -> String {
    if scopes.is_empty() { String::from("allow") } else { scopes.iter().cloned().collect::<Vec<_>>().join(" and ") }
}
