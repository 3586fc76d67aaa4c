//! A decision in words: what was required, what was held, what was missing, and what to do.

use super::decision::{Decision, nearest_alternative};
use super::reason;
use super::scope::ScopeSet;

/// How many reasons are told, about.
const MOST_REASONS: usize = 256;

/// Why a request was allowed or denied. Everything is owned and sorted; nothing in it is secret or unprintable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// `allow` or `deny`.
    pub decision: &'static str,
    /// The status of the answer; 200 stands for the upstream's own where the request is allowed.
    pub status: u16,
    /// The code of the denial.
    pub code: Option<&'static str>,
    /// One sentence that says what to do.
    pub reason: String,
    /// The label of the route.
    pub route: Option<String>,
    /// The scopes that the request needs; of alternatives, those of the one that lacks fewest.
    pub required: Vec<String>,
    /// The scopes that the caller's grant stands for.
    pub granted: Vec<String>,
    /// What is required and not held.
    pub missing: Vec<String>,
    /// Where each required scope comes from.
    pub because: Vec<Because>,
    /// All alternatives of the route, in the order written.
    pub any_of: Vec<Vec<String>>,
    /// The query parameter at fault, as the policy writes it.
    pub parameter: Option<String>,
    /// Its member at fault.
    pub member: Option<String>,
}

/// A required scope and what asks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Because {
    /// The scope.
    pub scope: String,
    /// The label of the route, or `parameter=member`.
    pub from: String,
}

impl Trace {
    /// What the caller may be told.
    pub(super) fn of(decision: &Decision<'_>) -> Self {
        let mut trace = Self::full(decision);
        if decision.denial.is_some_and(super::Denial::precedes_route) {
            trace.route = None;
            trace.any_of.clear();
            for list in [&mut trace.required, &mut trace.granted, &mut trace.missing] {
                list.clear();
            }
            trace.because.clear();
        }
        trace
    }

    /// All there is to know.
    pub(super) fn full(decision: &Decision<'_>) -> Self {
        let known = &decision.policy.known;
        let held = decision.held();
        let needs = Needs::of(decision);
        let fault = decision.query.as_ref().and_then(|report| report.fault.as_ref());
        let alternatives = decision.route().map(|route| &route.requirement.any_of);
        Self {
            decision: if decision.is_allow() { "allow" } else { "deny" },
            status: decision.denial.map_or(200, super::Denial::status),
            code: decision.denial.map(super::Denial::code),
            reason: reason::of(decision, &needs),
            route: decision.route().map(|route| route.label().to_owned()),
            required: known.names(&needs.required),
            granted: held.names(),
            missing: known.names(&needs.missing),
            because: needs.because,
            any_of: alternatives.into_iter().flatten().map(|scopes| known.names(scopes)).collect(),
            parameter: fault.map(|fault| fault.parameter.to_string()),
            member: fault.and_then(|fault| fault.member.clone()),
        }
    }
}

/// The scopes that a request needs, of the alternatives those of the nearest.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub(super) required: ScopeSet,
    pub(super) missing: ScopeSet,
    /// Sorted.
    pub(super) because: Vec<Because>,
}

impl Needs {
    pub(super) fn of(decision: &Decision<'_>) -> Self {
        let known = &decision.policy.known;
        let held = decision.held();
        let mut needs = Self::default();
        if let Some(route) = decision.route() {
            let alternative = nearest_alternative(route, &held);
            let own = alternative.map_or_else(ScopeSet::new, Clone::clone).union(&route.requirement.all_of);
            let from = route.label().to_owned();
            needs.because.extend(own.iter().map(|scope| Because { scope: known.name(scope), from: from.clone() }));
            needs.required = own;
        }
        let unseen = decision.unseen_query();
        let reports = decision.query.iter().chain(&unseen);
        for demand in reports.flat_map(|report| &report.demands) {
            needs.required = needs.required.union(&demand.scopes);
            // A query can have thousands of members, each with scopes: nobody reads so many reasons.
            if needs.because.len() < MOST_REASONS {
                let from = demand.from(&decision.policy.parameters);
                needs
                    .because
                    .extend(demand.scopes.iter().map(|scope| Because { scope: known.name(scope), from: from.clone() }));
            }
        }
        needs.because.sort();
        needs.because.dedup();
        needs.missing = held.lacking(&needs.required);
        needs
    }
}
