//! The decision: the one place where 401 and 403 part.

use std::fmt;

use super::binding;
use super::denial::Denial;
use super::known::Held;
use super::path::PathFault;
use super::principal::{Caller, Kind, Principal};
use super::query::{self, QueryFaultKind, QueryReport};
use super::refusal::Refusal;
use super::route::{Access, Route};
use super::scope::{ScopeId, ScopeSet};
use super::target::Target;
use super::trace::Trace;
use super::{Policy, explanation::Explanation};

/// Allow or deny. It is cheap to make; the reasons are put into words when they are asked for.
pub struct Decision<'a> {
    pub(super) policy: &'a Policy,
    pub(super) caller: Caller<'a>,
    pub(super) target: &'a Target<'a>,
    pub(super) denial: Option<Denial>,
    /// What the ruled parameters came to, where the request has some and they were looked at.
    pub(super) query: Option<Box<QueryReport>>,
}

/// Without the policy, which is long, and the query, which may hold a key.
impl fmt::Debug for Decision<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Decision").field("target", self.target).field("denial", &self.denial).finish_non_exhaustive()
    }
}

impl<'a> Decision<'a> {
    pub(super) fn make(policy: &'a Policy, caller: &Caller<'a>, target: &'a Target<'a>) -> Self {
        let mut decision = Self { policy, caller: *caller, target, denial: None, query: None };
        decision.denial = decision.first_fault().err();
        decision
    }

    /// The faults in the order of the contract: key, stray slash, route, kind of key, query, binding, scopes.
    fn first_fault(&mut self) -> Result<(), Denial> {
        // A target that another policy judged proves nothing about this one.
        let route = self.target.route().filter(|_| std::ptr::eq(self.policy, self.target.policy));
        if route.is_some_and(|route| route.access == Access::Anyone) {
            return Ok(());
        }
        let principal = known(self.caller)?;
        if self.target.has_stray_slash() {
            return Err(Denial::AmbiguousPath(PathFault::EncodedSlash));
        }
        let route = route.filter(|route| route.access != Access::Deny).ok_or(Denial::RouteNotAllowed)?;
        check_kind(route, principal)?;
        self.check_query(route)?;
        if binding::check(&self.policy.bindings, principal, (route, self.target)).is_some() {
            return Err(Denial::OutsideBinding);
        }
        self.check_scopes(route, principal)
    }

    fn check_query(&mut self, route: &Route) -> Result<(), Denial> {
        let query = self.target.query();
        self.query = query.and_then(|query| query::examine(&self.policy.parameters, route, query));
        match self.query.as_ref().and_then(|report| report.fault.as_ref()) {
            None => Ok(()),
            Some(fault) if fault.kind == QueryFaultKind::Ambiguous => Err(Denial::AmbiguousQuery),
            Some(_) => Err(Denial::QueryNotAllowed),
        }
    }

    /// What the ruled parameters would come to where the key was refused before they were looked at: an explanation
    /// says what the request needs, whoever asks.
    pub(super) fn unseen_query(&self) -> Option<Box<QueryReport>> {
        let route = self.route().filter(|_| self.denial.is_some_and(Denial::precedes_route))?;
        query::examine(&self.policy.parameters, route, self.target.query()?)
    }

    fn check_scopes(&self, route: &Route, principal: &Principal) -> Result<(), Denial> {
        let held = self.policy.known.held_by(Some(principal));
        let demands = self.query.iter().flat_map(|report| &report.demands);
        let enough = held.has_all(&route.requirement.all_of)
            && (route.requirement.any_of.is_empty()
                || route.requirement.any_of.iter().any(|alternative| held.has_all(alternative)))
            && demands.into_iter().all(|demand| held.has_all(&demand.scopes));
        if enough { Ok(()) } else { Err(Denial::InsufficientScope) }
    }

    /// Whether the request may be forwarded.
    #[must_use]
    pub const fn is_allow(&self) -> bool {
        self.denial.is_none()
    }

    /// Why it may not.
    #[must_use]
    pub const fn denial(&self) -> Option<Denial> {
        self.denial
    }

    /// The route that the request belongs to, allowed or not: for logs and metrics. Whether an answer may name it is
    /// for [`Denial::precedes_route`] to say; [`Decision::trace`] keeps to that.
    #[must_use]
    pub const fn route(&self) -> Option<&'a Route> {
        self.target.route()
    }

    /// Tells the scopes that it turned on, for whoever counts how scopes are used: of a request that is let through each scope
    /// that it needed, of alternatives those of the first that is held; of one that is denied for the lack of scopes each that
    /// is missing, of alternatives those of the nearest. One may be told more than once. Where the request is let through
    /// nothing is allocated.
    pub fn tell_scopes(&self, tell: &mut impl FnMut(ScopeId)) {
        let Some(route) = self.route() else { return };
        let (all_of, any_of) = (&route.requirement.all_of, &route.requirement.any_of);
        let demands = self.query.iter().flat_map(|report| &report.demands).map(|demand| &demand.scopes);
        match self.denial {
            None => {
                all_of.visit(tell);
                if !any_of.is_empty() {
                    let held = self.held();
                    any_of.iter().find(|scopes| held.has_all(scopes)).into_iter().for_each(|scopes| scopes.visit(tell));
                }
                demands.for_each(|scopes| scopes.visit(tell));
            }
            Some(Denial::InsufficientScope) => {
                let held = self.held();
                let nearest = nearest_alternative(route, &held);
                let needed = [all_of].into_iter().chain(nearest).chain(demands).flat_map(ScopeSet::iter);
                needed.filter(|scope| !held.has(*scope)).for_each(tell);
            }
            Some(_) => {}
        }
    }

    /// The reasons, fit for an answer to the caller: nothing of the route where the key is not known to be good.
    #[must_use]
    pub fn trace(&self) -> Trace {
        Trace::of(self)
    }

    /// What an answer to the caller says beyond the denial; `None` where that says all: nothing of the route is told where the
    /// key is not known to be good.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal<'a>> {
        Refusal::of(self)
    }

    /// The route, where all that is wrong is that it asks for scopes, each of them, and the key holds none of these: whose key
    /// it is makes no difference to what is told.
    #[must_use]
    pub fn lacks_all(&self) -> Option<&'a Route> {
        self.lacks_own().filter(|route| !self.held().has_any(&route.requirement.all_of))
    }

    /// The route, where scopes are missing that it asks for itself, and it has no alternatives.
    pub(super) fn lacks_own(&self) -> Option<&'a Route> {
        let is_own = self.denial == Some(Denial::InsufficientScope) && self.query.is_none();
        self.route().filter(|route| is_own && route.requirement.any_of.is_empty())
    }

    /// The reasons for whoever runs the gateway: everything, with the steps that led there.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        Explanation::of(self)
    }

    /// What the caller holds, where it has a key that was looked up.
    pub(super) fn held(&self) -> Held<'a> {
        self.policy.known.held_by(self.caller.principal())
    }
}

/// The principal of a key in force; what is wrong with the credential otherwise.
const fn known<'k>(caller: Caller<'k>) -> Result<&'k Principal, Denial> {
    match caller {
        Caller::Ambiguous => Err(Denial::AmbiguousKey),
        Caller::Anonymous => Err(Denial::MissingKey),
        Caller::Expired(_) => Err(Denial::ExpiredKey),
        Caller::Invalid(why) => Err(Denial::InvalidKey(why)),
        Caller::Known(principal) => Ok(principal),
        Caller::Misplaced(_) => Err(Denial::AddressNotAllowed),
        Caller::StoreUnavailable => Err(Denial::KeyStoreUnavailable),
    }
}

fn check_kind(route: &Route, principal: &Principal) -> Result<(), Denial> {
    let is_public = principal.kind() == Kind::Public;
    let wants_public = route.access == Access::PublicKey;
    if is_public == wants_public { Ok(()) } else { Err(Denial::KeyKindNotAllowed) }
}

/// The alternative that lacks fewest scopes, the first written on ties.
pub(super) fn nearest_alternative<'r>(route: &'r Route, held: &Held<'_>) -> Option<&'r ScopeSet> {
    route.requirement.any_of.iter().min_by_key(|alternative| held.lacking(alternative).len())
}
