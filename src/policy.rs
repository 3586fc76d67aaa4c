//! The policy core: what a request needs and whether a caller holds it.
//!
//! FLOOR 0: pure and total. Bytes in, values out; no clock, no randomness, no IO, nothing from the rest of the crate.
//! A front judges a request once ([`Policy::judge`]) and forwards exactly the bytes that were judged; then it asks
//! [`Policy::decide`] with the caller it has authenticated. 401 and 403 part in `decide` and nowhere else.
//!
//! A policy is made by a [`Builder`], which checks everything once: a request can never meet a fault of the policy.

mod alike;
mod asks;
mod bare;
mod binding;
mod build_error;
mod builder;
mod colon;
mod decision;
mod denial;
mod difference;
mod edges;
mod explanation;
mod known;
mod lenient;
mod method;
mod nearest;
mod octets;
mod parameter;
mod path;
mod principal;
mod query;
mod reach;
mod reason;
mod refusal;
mod route;
mod ruling;
pub mod scope;
mod shadow;
mod suffix;
mod target;
mod template;
mod timeouts;
mod trace;
mod trie;

#[cfg(test)]
mod tests;

pub use asks::{Ask, AskPart};
pub use bare::BarePrefix;
pub use build_error::{BuildError, FaultKind, Part};
pub use builder::{AccessSpec, Builder, MemberSpec, ParameterSpec, RouteSpec, RuleSpec};
pub use colon::ColonSegment;
pub use decision::Decision;
pub use denial::Denial;
pub(crate) use denial::refusals;
pub use difference::{OptionDifference, Presence, RouteDifference, Shift};
pub use explanation::{Bound, Candidate, Explanation, Sufficient};
pub use known::{Implied, ScopeInfo};
pub use method::Method;
pub use nearest::{Guesses, nearest};
pub use parameter::List;
pub use path::PathFault;
pub use principal::{Account, Caller, Invalid, Kind, Principal, Rights};
pub use query::{FoundInQuery, Sought};
pub use reach::Reach;
pub use refusal::Refusal;
pub use route::{Access, Requirement, Route, RouteId, Upgrade};
pub use scope::{Grant, ScopeId, ScopeSet, Vocabulary};
pub use shadow::Shadow;
pub use target::{Request, Target};
pub use template::check_template;
pub use timeouts::RouteTimeouts;
pub use trace::{Because, Trace};
pub use trie::{NearMiss, PathCase};

use binding::Binding;
use known::Known;
use parameter::Parameters;
use trie::{Found, LeafId, Trie};

/// What holds for a whole policy.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Prefixes every template; empty, or `/` and more without a slash at the end.
    pub base: String,
    /// Whether the letters of path literals match in either case.
    pub case: PathCase,
    /// What becomes of a request with a method override header.
    pub method_override: MethodOverride,
}

/// What becomes of a request that has `X-HTTP-Method-Override` or one of its kin. `_method` in the query is refused in
/// either case, since a query is never rewritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodOverride {
    /// The front drops the header.
    Drop,
    /// The request is refused.
    #[default]
    Refuse,
}

/// A policy: compiled, immutable, shared between threads.
#[derive(Debug)]
pub struct Policy {
    options: Options,
    trie: Trie,
    routes: Vec<Route>,
    /// Whether any route allows encoded slashes.
    encoded_slashes: bool,
    known: Known,
    parameters: Parameters,
    bindings: Vec<Binding>,
}

impl Policy {
    /// Starts a policy whose scope ids come from `vocabulary`.
    #[must_use]
    pub fn builder(options: Options, vocabulary: &Vocabulary) -> Builder {
        Builder::new(options, vocabulary.clone())
    }

    /// Judges a request target and finds its route.
    ///
    /// # Errors
    /// [`Denial::AmbiguousPath`] and [`Denial::MethodOverride`], whoever calls.
    pub fn judge<'t>(&'t self, request: &Request<'t>) -> Result<Target<'t>, Denial> {
        Target::judge(self, request)
    }

    /// Decides whether `caller` may send the request of `target`, which this policy must have judged: one that another
    /// has judged is denied. Allocates nothing where the request is allowed and has no ruled parameter.
    #[must_use]
    pub fn decide<'a>(&'a self, caller: &Caller<'a>, target: &'a Target<'a>) -> Decision<'a> {
        Decision::make(self, caller, target)
    }

    /// What stands before every template; may be empty.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.options.base
    }

    /// The routes, in the order in which they were built; a [`RouteId`] is a place here.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// One route.
    #[must_use]
    pub fn route(&self, id: RouteId) -> Option<&Route> {
        self.routes.get(id.index())
    }

    /// The known scopes, sorted by name: the vocabulary, or without one every name in the policy.
    pub fn scopes(&self) -> impl Iterator<Item = (&str, &ScopeInfo)> {
        self.known.iter()
    }

    /// Whether the policy knows a scope.
    #[must_use]
    pub fn knows(&self, scope: &str) -> bool {
        self.known.contains(scope)
    }

    /// The known scope nearest to an unknown one, if one is near.
    #[must_use]
    pub fn nearest(&self, scope: &str) -> Option<&str> {
        self.known.nearest(scope)
    }

    /// The set of the names that the policy knows among `names`.
    #[must_use]
    pub fn set_of<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> ScopeSet {
        self.known.set_of(names)
    }

    /// What a key with this one scope holds: itself and all that it implies, however far.
    #[must_use]
    pub fn held_with(&self, scope: &str) -> ScopeSet {
        self.known.held_with(scope)
    }

    /// The names of a set of scopes, sorted.
    #[must_use]
    pub fn names(&self, scopes: &ScopeSet) -> Vec<String> {
        self.known.names(scopes)
    }

    fn refuses_override_header(&self) -> bool {
        self.options.method_override == MethodOverride::Refuse
    }

    /// The methods of the template that the path of a target chose.
    fn methods_at(&self, target: &Target<'_>) -> Vec<&'static str> {
        match target.judged().map(|path| self.trie.find(path)) {
            Some(Found::Leaf(leaf)) => self.written_methods(leaf),
            _ => Vec::new(),
        }
    }

    fn written_methods(&self, leaf: LeafId) -> Vec<&'static str> {
        self.trie.methods(leaf).written().map(|(method, _)| method.as_str()).collect()
    }

    /// The route of a leaf for a method.
    fn route_at(&self, leaf: LeafId, method: &[u8]) -> Option<&Route> {
        self.route(self.trie.methods(leaf).choose(method)?)
    }

    /// Whether a leaf is `/{*rest}` alone: whatever no other template is about.
    fn is_catch_all(&self, leaf: LeafId) -> bool {
        self.template_at(leaf).strip_prefix(self.base()).is_some_and(|own| own.starts_with("/{*"))
    }

    /// The template of a leaf, as its first route writes it.
    fn template_at(&self, leaf: LeafId) -> &str {
        self.first_route(leaf).map_or("", Route::template)
    }

    /// The route of a leaf that was written first.
    fn first_route(&self, leaf: LeafId) -> Option<&Route> {
        let (_, first) = self.trie.methods(leaf).written().min_by_key(|(_, id)| *id)?;
        self.route(first)
    }

    /// The templates whose shape the path of a target has.
    fn candidates(&self, target: &Target<'_>) -> Vec<Candidate> {
        let Some(path) = target.judged() else {
            return Vec::new();
        };
        let found = self.trie.find(path);
        let is_chosen = |leaf: LeafId| match (target.route(), target.near_miss()) {
            (Some(route), _) => self.trie.methods(leaf).written().any(|(_, id)| id == route.id()),
            (None, Some(_)) => false,
            (None, None) => found == Found::Leaf(leaf),
        };
        let near_miss = |leaf: LeafId| target.near_miss().filter(|(meant, _)| *meant == leaf).map(|(_, near)| near);
        let candidate = |leaf: LeafId| {
            let first = self.first_route(leaf)?;
            Some(Candidate {
                template: first.template().to_owned(),
                line: first.line(),
                methods: self.written_methods(leaf),
                chosen: is_chosen(leaf),
                near_miss: near_miss(leaf),
            })
        };
        self.trie.readings(path).into_iter().filter_map(|(leaf, _)| candidate(leaf)).collect()
    }
}
