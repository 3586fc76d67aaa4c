//! What the benches of the policy ask, and of what.

use std::error::Error;
use std::sync::Arc;

use scopegate::policy::{
    AccessSpec, Caller, Grant, Kind, List, MemberSpec, Options, ParameterSpec, Policy, Principal, Request, Rights,
    RouteSpec, RuleSpec, Vocabulary,
};

/// How many scopes the policy knows, and how many different requests are asked in turn.
const SCOPES: usize = 46;
const REQUESTS: usize = 1024;

/// Four routes for each resource, in the shapes of JSON:API.
fn shape(route: usize) -> (&'static str, String) {
    let resource = route / 4;
    match route % 4 {
        0 => ("GET", format!("/resource-{resource}")),
        1 => ("GET", format!("/resource-{resource}/{{id}}")),
        2 => ("PATCH", format!("/resource-{resource}/{{id}}")),
        _ => ("GET", format!("/resource-{resource}/{{id}}/relationships/lists")),
    }
}

fn scope(route: usize) -> String {
    format!("scope-{}:read", route % SCOPES)
}

fn make_policy(routes: usize, vocabulary: &Vocabulary) -> Result<Policy, Box<dyn Error>> {
    let options = Options { base: "/api".to_owned(), ..Options::default() };
    let mut builder = Policy::builder(options, vocabulary);
    builder.declare_parameter("include", ParameterSpec { list: List::Comma, ..ParameterSpec::default() })?;
    for route in 0..routes {
        let (method, template) = shape(route);
        let include = vec![("lists".to_owned(), MemberSpec::Scopes(vec![scope(route + 1)]))];
        let access = AccessSpec::Scopes { all_of: vec![scope(route)], any_of: Vec::new() };
        let mut spec = RouteSpec::new(vec![method.to_owned()], template, access);
        spec.query = vec![("include".to_owned(), RuleSpec::Own(include))];
        let added = builder.route(spec);
        added.map_err(|faults| format!("{faults:?}"))?;
    }
    builder.finish().map_err(|faults| format!("{faults:?}").into())
}

/// Requests for routes in no order that a cache could guess.
fn make_requests(routes: usize, query: &str) -> Vec<(&'static str, String)> {
    let request = |at: usize| {
        let (method, template) = shape(at.wrapping_mul(0x9E37_79B9_7F4A_7C15) % routes);
        (method, format!("/api{}{query}", template.replace("{id}", &format!("01HX{at:016x}"))))
    };
    (1..=REQUESTS).map(request).collect()
}

fn make_key(vocabulary: &Vocabulary) -> Principal {
    let scopes: Vec<String> = (0..SCOPES).map(scope).collect();
    let grant = Grant::Custom(vocabulary.intern_all(scopes.iter().map(String::as_str)));
    Principal::new(None, Arc::new(Rights::new(Kind::Secret, (grant, scopes.join(" ")), Box::default())))
}

/// A policy of so many routes, a key that holds every scope, and requests that are all allowed.
pub(crate) struct Workload {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) policy: Policy,
    pub(crate) key: Principal,
    pub(crate) requests: Vec<(&'static str, String)>,
}

impl Workload {
    pub(crate) fn new(routes: usize, query: &str) -> Result<Self, Box<dyn Error>> {
        let vocabulary = Vocabulary::new();
        let (policy, key) = (make_policy(routes, &vocabulary)?, make_key(&vocabulary));
        Ok(Self { vocabulary, policy, key, requests: make_requests(routes, query) })
    }

    /// Whether that request of the workload is allowed.
    pub(crate) fn is_allowed(&self, (method, target): &(&'static str, String)) -> bool {
        let request = Request { method: method.as_bytes(), target: target.as_bytes(), override_header: false };
        let Ok(target) = self.policy.judge(&request) else { return false };
        self.policy.decide(&Caller::Known(&self.key), &target).is_allow()
    }
}
