//! A decision with the steps that led to it, for `explain`.

mod binding;

pub use binding::Bound;

use super::decision::Decision;
use super::denial::Denial;
use super::known::Implied;
use super::path::JudgedPath;
use super::route::{Access, Route, Upgrade};
use super::scope::{Grant, ScopeSet};
use super::timeouts::RouteTimeouts;
use super::trace::Trace;
use super::trie::NearMiss;

/// A decision, its reasons and its steps, told to whoever runs the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The reasons. Unlike in an answer, the route is named whoever asked.
    pub trace: Trace,
    /// The line of the policy file that the route stands on.
    pub line: Option<u32>,
    /// The protocol that a connection may switch to on the route, where a request asks for it.
    pub upgrade: Option<Upgrade>,
    /// How long the upstream may take over requests of the route, where it says so itself.
    pub timeouts: RouteTimeouts,
    /// The decoded segments of the path, as they were compared.
    pub segments: Vec<String>,
    /// Whether the path ends in a slash.
    pub final_slash: bool,
    /// Every template whose shape the path has, the most specific first.
    pub candidates: Vec<Candidate>,
    /// What alone parts the path from a more specific template than any it matches, so that no template matches it.
    pub near_miss: Option<NearMiss>,
    /// The bindings that concern the request. Of a caller without a key, those that its key would have to keep to.
    pub bound: Vec<Bound>,
    /// The scopes that the caller holds beside `trace.granted`, since one of those implies them; sorted.
    pub implied: Vec<Implied>,
    /// What a key would have to hold; `None` where no grant alone opens the route to this request.
    pub sufficient: Option<Sufficient>,
}

/// A template that a path could belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The template, base included, as the first route on it writes it.
    pub template: String,
    /// The methods that it has.
    pub methods: Vec<&'static str>,
    /// The line of the first route on it.
    pub line: u32,
    /// Whether the path chose it.
    pub chosen: bool,
    /// What parts the path from it, where no less specific template matches because of that.
    pub near_miss: Option<NearMiss>,
}

/// Grants that open a route to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sufficient {
    /// The attributes that the key must have beside, each with the value that the path has.
    pub attributes: Vec<(String, String)>,
    /// Lists of scopes, each of which does. An empty one: no scope is needed.
    pub scopes: Vec<Vec<String>>,
    /// The levels that do.
    pub levels: Vec<&'static str>,
}

impl Explanation {
    pub(super) fn of(decision: &Decision<'_>) -> Self {
        Self {
            trace: Trace::full(decision),
            line: decision.route().map(Route::line),
            upgrade: decision.route().and_then(Route::upgrade),
            timeouts: decision.route().map_or_else(RouteTimeouts::default, |route| *route.timeouts()),
            segments: decision.target.segments(),
            final_slash: decision.target.judged().is_some_and(JudgedPath::final_slash),
            candidates: decision.policy.candidates(decision.target),
            near_miss: decision.target.near_miss().map(|(_, near)| near),
            bound: binding::bound(decision),
            implied: decision.held().implied(),
            sufficient: Sufficient::of(decision),
        }
    }
}

impl Sufficient {
    fn of(decision: &Decision<'_>) -> Option<Self> {
        let route = decision.route().filter(|route| !matches!(route.access, Access::Anyone | Access::Deny))?;
        // Another grant changes nothing about the kind of a key, or about the address that it came from.
        let for_others = matches!(decision.denial, Some(Denial::KeyKindNotAllowed | Denial::AddressNotAllowed));
        let unseen = decision.unseen_query();
        let reports = || decision.query.iter().chain(&unseen);
        if for_others || reports().any(|report| report.fault.is_some()) {
            return None;
        }
        let demands: ScopeSet =
            reports().flat_map(|report| &report.demands).flat_map(|demand| demand.scopes.iter()).collect();
        let base = route.requirement.all_of.union(&demands);
        let mut lists: Vec<ScopeSet> = route.requirement.any_of.iter().map(|scopes| base.union(scopes)).collect();
        if lists.is_empty() {
            lists.push(base);
        }
        let known = &decision.policy.known;
        let does = |level: &Grant| lists.iter().any(|list| known.holding(known.expand(level)).has_all(list));
        let levels = [("read-only", Grant::ReadOnly), ("full", Grant::Full)];
        let bound = binding::bound(decision).into_iter();
        Some(Self {
            attributes: bound.filter_map(|bound| Some((bound.attribute, bound.value?))).collect(),
            scopes: lists.iter().map(|list| known.names(list)).collect(),
            levels: levels.iter().filter(|(_, level)| does(level)).map(|(name, _)| *name).collect(),
        })
    }
}
