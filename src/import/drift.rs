//! Where a policy and a document differ: what an API has gained, lost or changed since its policy was made.
//!
//! A policy is edited by hand, and what is decided there is no drift: a route that is denied, scopes where the document states none, the
//! rule of a member that could only be guessed, a route for an operation that an import leaves out.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::draft::{Access, Draft};
use super::include::{Included, Taken, demanded};
use super::report::printable;
use super::{LeftOut, Reason, Report, template};
use crate::policy::scope::Grant;
use crate::policy::{self, Caller, Kind, Method, Policy, Principal, Request, Route, RouteId};

/// What stands in the place of a path parameter, so that no literal is met.
const PLACEHOLDER: &str = "scopegate-import-placeholder";

/// Where a policy and a document differ, sorted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Drift {
    /// Routes that the document has and the policy lacks, with what they ask for.
    pub added: Vec<(String, String)>,
    /// Routes that the policy has and the document lacks.
    pub removed: Vec<String>,
    /// Routes of both that ask for different things.
    pub changed: Vec<Change>,
}

/// A route that asks for one thing in the document and for another in the policy.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Change {
    /// Method and template; for a member, `?include=NAME` after it.
    pub route: String,
    /// What the document asks for.
    pub document: String,
    /// What the policy asks for.
    pub policy: String,
}

/// What a document asks for on one route.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    method: String,
    template: String,
    access: Access,
    members: Vec<ExpectedMember>,
}

#[derive(Clone, Debug)]
struct ExpectedMember {
    parameter: String,
    name: String,
    /// Beyond what the route asks for; `None` where it could only be guessed.
    scopes: Option<BTreeSet<String>>,
}

/// What the routes of an import ask for.
pub(super) fn expected(drafts: &[Draft<'_>], included: &Included, parameter: &str) -> Vec<Expected> {
    let members = |draft: &Draft<'_>, taken: &Taken| -> Vec<ExpectedMember> {
        let own = demanded(&draft.access);
        let rules: Vec<_> = match taken {
            Taken::Nothing => Vec::new(),
            Taken::Own(rules) => rules.iter().collect(),
            Taken::Declared(names) => names.iter().filter_map(|name| included.members.get_key_value(name)).collect(),
        };
        let member = |(name, rule): (&String, &super::include::Member)| ExpectedMember {
            parameter: parameter.to_owned(),
            name: name.clone(),
            scopes: rule.doubts.is_empty().then(|| rule.scopes.difference(&own).cloned().collect()),
        };
        rules.into_iter().map(member).collect()
    };
    let expect = |(draft, taken): (&Draft<'_>, &Taken)| Expected {
        method: draft.operation.method.clone(),
        template: draft.template.clone(),
        access: draft.access.clone(),
        members: members(draft, taken),
    };
    drafts.iter().zip(&included.routes).map(expect).collect()
}

/// Compares what a document asks for with a policy.
pub(super) fn between(expected: &[Expected], report: &Report, policy: &Policy) -> Drift {
    let mut drift = Drift::default();
    let mut met = BTreeSet::new();
    for one in expected {
        let label = format!("{} {}", one.method, one.template);
        let Some(route) = route_of(policy, &one.method, &one.template) else {
            drift.added.push((label, asked(&one.access)));
            continue;
        };
        met.insert(route.id());
        if route.access() == policy::Access::Deny {
            continue;
        }
        if differs(&one.access, policy, route) {
            drift.changed.push(Change { route: label, document: asked(&one.access), policy: held(policy, route) });
        }
        drift.changed.extend(one.members.iter().filter_map(|member| member_change(one, member, policy)));
    }
    // An operation that is left out is in the document all the same: who wrote a route for it has decided by hand. But where the
    // document could not be read there is no agreement.
    for (item, route) in
        report.left_out.iter().flat_map(|item| left_out_routes(item, policy).map(move |route| (item, route)))
    {
        let is_new = met.insert(route.id());
        if let (true, Reason::External(place)) = (is_new, &item.reason) {
            let document = format!("what {place} would say, which cannot be followed");
            drift.changed.push(Change { route: route.label().to_owned(), document, policy: held(policy, route) });
        }
    }
    let gone = |route: &&Route| !met.contains(&route.id()) && route.access() != policy::Access::Deny;
    drift.removed = policy.routes().iter().filter(gone).map(|route| route.label().to_owned()).collect();
    drift.added.sort();
    drift.removed.sort();
    drift.changed.sort();
    drift
}

/// The routes of a policy for an operation that an import leaves out; `*` stands for every method.
fn left_out_routes<'p>(item: &LeftOut, policy: &'p Policy) -> impl Iterator<Item = &'p Route> {
    let (method, template) = item.route.split_once(' ').unwrap_or_default();
    let methods = Method::ALL.into_iter().map(Method::as_str).filter(move |one| method == "*" || *one == method);
    methods.filter_map(move |method| route_of(policy, method, template))
}

/// The route of a policy with this method and template, whatever its parameters are called.
fn route_of<'p>(policy: &'p Policy, method: &str, path: &str) -> Option<&'p Route> {
    let target = concrete(path);
    let id: RouteId = policy
        .judge(&Request { method: method.as_bytes(), target: target.as_bytes(), override_header: false })
        .ok()?
        .route()?
        .id();
    let route = policy.route(id)?;
    // The judge has looked at letter case as the policy wants it.
    let same = template::shape(route.template()).eq_ignore_ascii_case(&template::shape(path));
    same.then_some(route)
}

fn concrete(path: &str) -> String {
    template::shape(path).replace("{}", PLACEHOLDER)
}

fn differs(document: &Access, policy: &Policy, route: &Route) -> bool {
    match (document, route.access()) {
        (Access::Unstated, policy::Access::Key | policy::Access::Scopes)
        | (Access::Key, policy::Access::Key)
        | (Access::Anyone, policy::Access::Anyone) => false,
        (Access::Scopes(alternatives), policy::Access::Scopes) => {
            Access::Scopes(alternatives.clone()) != held_scopes(policy, route)
        }
        _ => true,
    }
}

fn held_scopes(policy: &Policy, route: &Route) -> Access {
    let requirement = route.requirement();
    let all: BTreeSet<String> = policy.names(&requirement.all_of).into_iter().collect();
    if requirement.any_of.is_empty() {
        return Access::of([all]);
    }
    Access::of(requirement.any_of.iter().map(|one| policy.names(one).into_iter().chain(all.iter().cloned()).collect()))
}

fn held(policy: &Policy, route: &Route) -> String {
    match route.access().as_str() {
        Some(auth) => format!("auth: {auth}"),
        None => asked(&held_scopes(policy, route)),
    }
}

fn asked(access: &Access) -> String {
    match access {
        Access::Anyone => String::from("auth: anyone"),
        Access::Key | Access::Unstated => String::from("auth: key"),
        Access::Scopes(alternatives) => {
            alternatives.iter().map(|list| list.join(" and ")).collect::<Vec<_>>().join(", or ")
        }
    }
}

/// What the policy makes of a member, where that is not what the document asks for.
fn member_change(route: &Expected, member: &ExpectedMember, policy: &Policy) -> Option<Change> {
    let value: String = member.name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let name: String = member.parameter.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let target = format!("{}?{name}={value}", concrete(&route.template));
    let request = Request { method: route.method.as_bytes(), target: target.as_bytes(), override_header: false };
    let judged = policy.judge(&request).ok()?;
    let caller = Principal {
        key_id: Box::from("import"),
        name: Box::from("import"),
        account: None,
        kind: Kind::Secret,
        grant: Grant::Full,
        attributes: Box::default(),
    };
    let trace = policy.decide(&Caller::Known(&caller), &judged).explain().trace;
    let own = demanded(&route.access);
    let rule = |scopes: &BTreeSet<String>| {
        if scopes.is_empty() { String::from("allow") } else { scopes.iter().cloned().collect::<Vec<_>>().join(" and ") }
    };
    let document = member.scopes.as_ref().map_or_else(|| String::from("a rule"), rule);
    let policy = if trace.code == Some("query_not_allowed") {
        String::from("deny")
    } else {
        let label = trace.route.unwrap_or_default();
        let asked = trace.because.into_iter().filter(|because| because.from != label).map(|because| because.scope);
        let asked: BTreeSet<String> = asked.filter(|scope| !own.contains(scope)).collect();
        if member.scopes.as_ref().is_none_or(|scopes| *scopes == asked) {
            return None;
        }
        rule(&asked)
    };
    let route = format!("{} {}?{}={}", route.method, route.template, member.parameter, member.name);
    Some(Change { route, document, policy })
}

impl Drift {
    /// True when policy and document agree.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// A line for each difference, for a human.
    #[must_use]
    pub fn render(&self) -> String {
        let added = self.added.iter().map(|(route, asked)| format!("added    {route}: the document asks for {asked}"));
        let removed = self.removed.iter().map(|route| format!("removed  {route}: the document has it no more"));
        let changed = self.changed.iter().map(|change| {
            let Change { route, document, policy } = change;
            format!("changed  {route}: the document asks for {document}, the policy for {policy}")
        });
        added.chain(removed).chain(changed).map(|line| printable(&line)).collect::<Vec<_>>().join("\n")
    }

    /// The differences for a program.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let added = self.added.iter().map(|(route, document)| json!({ "route": route, "document": document }));
        let changed = self.changed.iter().map(|change| {
            let Change { route, document, policy } = change;
            json!({ "route": route, "document": document, "policy": policy })
        });
        json!({
            "added": added.collect::<Vec<_>>(),
            "removed": self.removed,
            "changed": changed.collect::<Vec<_>>(),
        })
    }
}
