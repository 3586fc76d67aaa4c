//! What an answer says of a denial: as much of a [`Trace`] as its caller reads, borrowed from the policy where it can be.

use std::borrow::Cow;

use super::decision::Decision;
use super::known::Held;
use super::reason;
use super::route::Route;
use super::scope::ScopeSet;
use super::trace::Trace;

/// The reasons of a denial, fit for an answer to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// One sentence that says what to do.
    pub reason: String,
    /// The label of the route.
    pub route: Option<Cow<'a, str>>,
    /// The scopes that the request needs; of alternatives, those of the one that lacks fewest.
    pub required: Vec<Cow<'a, str>>,
    /// What is required and not held.
    pub missing: Vec<Cow<'a, str>>,
    /// All alternatives of the route, in the order written.
    pub any_of: Vec<Vec<String>>,
    /// The query parameter at fault, as the policy writes it.
    pub parameter: Option<String>,
    /// Its member at fault.
    pub member: Option<String>,
}

impl<'a> Refusal<'a> {
    /// `None` where a denial says all by itself: of an allowed request, and of one whose key is not known to be good.
    pub(super) fn of(decision: &Decision<'a>) -> Option<Self> {
        decision.denial.filter(|denial| !denial.precedes_route())?;
        Some(match decision.lacks_own() {
            Some(route) => Self::lacking(route, &decision.held()),
            None => Trace::of(decision).into(),
        })
    }

    /// The most frequent one: scopes are missing that the route itself asks for, each of them.
    fn lacking(route: &'a Route, held: &Held<'a>) -> Self {
        let required = &route.requirement.all_of;
        let missing = named(held, &held.lacking(required));
        Self {
            reason: reason::of_lacking(&missing, route.label()),
            route: Some(route.label().into()),
            required: named(held, required),
            missing,
            any_of: Vec::new(),
            parameter: None,
            member: None,
        }
    }
}

impl From<Trace> for Refusal<'_> {
    fn from(trace: Trace) -> Self {
        let names = |names: Vec<String>| names.into_iter().map(Cow::Owned).collect();
        Self {
            reason: trace.reason,
            route: trace.route.map(Cow::Owned),
            required: names(trace.required),
            missing: names(trace.missing),
            any_of: trace.any_of,
            parameter: trace.parameter,
            member: trace.member,
        }
    }
}

fn named<'a>(held: &Held<'a>, scopes: &ScopeSet) -> Vec<Cow<'a, str>> {
    let mut names = Vec::new();
    scopes.visit(&mut |scope| names.push(held.name(scope)));
    names.sort_unstable();
    names
}
