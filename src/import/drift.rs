//! Where a policy and a document differ: what an API has gained, lost or changed since its policy was made, and what a policy opens that the
//! document does not.
//!
//! A policy is edited by hand, and what is decided there is no drift: a route that is denied, scopes where the document states none, the
//! scopes of a member that could only be guessed, a route for an operation that an import leaves out. But a request that passes with less
//! than the document asks for is one.

mod members;
mod words;

use std::collections::BTreeSet;

use super::closed::{Closed, Lines, taker};
use super::draft::{Access, Draft};
use super::include::{Included, Taken, demanded};
use super::{LeftOut, Reason, Report, template};
use crate::policy::{self, Method, Policy, Route};

/// Where a policy and a document differ, sorted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Drift {
    /// Routes that the document has and the policy lacks, with what they ask for.
    pub added: Vec<(String, String)>,
    /// Routes, methods of routes, and members that the policy has and the document lacks.
    pub removed: Vec<String>,
    /// Routes of both that ask for different things.
    pub changed: Vec<Change>,
}

/// A route that asks for one thing in the document and for another in the policy.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Change {
    /// Method and template; for a member, `?include=NAME` after it. Or `scopes: NAME`, or `parameters: NAME`.
    pub route: String,
    /// What the document asks for.
    pub document: String,
    /// What the policy asks for.
    pub policy: String,
}

/// What a document asks for.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    routes: Vec<ExpectedRoute>,
    /// The parameter that adds resources, where any route takes it.
    parameter: Option<String>,
    /// Operations that are left out and that an import denies by name, as method and template.
    denied: Vec<(String, String)>,
}

/// What a document asks for on one route.
#[derive(Clone, Debug)]
struct ExpectedRoute {
    method: String,
    template: String,
    access: Access,
    members: Vec<ExpectedMember>,
}

#[derive(Clone, Debug)]
struct ExpectedMember {
    name: String,
    asked: Asked,
}

/// What a document asks for a member, beyond what the route asks for.
#[derive(Clone, Debug)]
enum Asked {
    /// These scopes.
    Certain(BTreeSet<String>),
    /// These scopes, or others: there is more than one reading.
    Doubtful(BTreeSet<String>),
    /// Nobody knows: it is denied until somebody decides.
    Undecided,
}

/// What the routes of an import ask for.
pub(super) fn expected((drafts, closed): (&[Draft<'_>], &Closed), included: &Included, parameter: &str) -> Expected {
    let members = |draft: &Draft<'_>, taken: &Taken| -> Vec<ExpectedMember> {
        let own = demanded(&draft.access);
        let rules: Vec<_> = match taken {
            Taken::Nothing => Vec::new(),
            Taken::Own(rules) => rules.iter().collect(),
            Taken::Declared(names) => names.iter().filter_map(|name| included.members.get_key_value(name)).collect(),
        };
        let decided = rules.into_iter().map(|(name, rule)| {
            let scopes = rule.scopes.difference(&own).cloned().collect();
            let asked = if rule.doubts.is_empty() { Asked::Certain(scopes) } else { Asked::Doubtful(scopes) };
            ExpectedMember { name: name.clone(), asked }
        });
        let label = draft.label();
        let undecided = included.undecided.iter().filter(|(_, routes)| routes.contains(&label));
        let undecided = undecided.map(|(name, _)| ExpectedMember { name: name.clone(), asked: Asked::Undecided });
        decided.chain(undecided).collect()
    };
    let expect = |(draft, taken): (&Draft<'_>, &Taken)| ExpectedRoute {
        method: draft.operation.method.clone(),
        template: draft.template.clone(),
        access: draft.access.clone(),
        members: members(draft, taken),
    };
    let routes = drafts.iter().zip(&included.routes).map(expect).collect();
    let of = |lines: &Lines| -> Vec<(String, String)> {
        lines.methods.split('|').map(|method| (method.to_owned(), lines.template.clone())).collect()
    };
    let denied = closed.left_out.iter().flat_map(of).collect();
    Expected { routes, parameter: included.is_ruled.then(|| parameter.to_owned()), denied }
}

/// Compares what a document asks for with a policy.
pub(super) fn between(expected: &Expected, report: &Report, policy: &Policy) -> Drift {
    let mut drift = Drift::default();
    let mut met = BTreeSet::new();
    let parameter = expected.parameter.as_deref().filter(|parameter| policy.rules(parameter));
    for one in &expected.routes {
        let label = format!("{} {}", one.method, one.template);
        let Some(route) = route_of(policy, &one.method, &one.template) else {
            drift.added.push((label, words::asked(&one.access)));
            continue;
        };
        met.insert(route.id());
        if route.access() == policy::Access::Deny {
            continue;
        }
        if differs(&one.access, policy, route) {
            let (document, policy) = (words::asked(&one.access), words::held(policy, route));
            drift.changed.push(Change { route: label, document, policy });
        }
        if let Some(parameter) = parameter.filter(|_| route.access() != policy::Access::Anyone) {
            members::compare(one, (policy, route, parameter), &mut drift);
        }
    }
    if let (Some(name), None) = (&expected.parameter, parameter) {
        let (document, policy) = ("a rule for each member".to_owned(), "no rule: every member passes".to_owned());
        drift.changed.push(Change { route: format!("parameters: {name}"), document, policy });
    }
    left_out(report, policy, (&mut met, &mut drift));
    drift.changed.extend(expected.denied.iter().filter_map(|(method, template)| opened(policy, method, template)));
    let is_open = |route: &&Route| route.access() != policy::Access::Deny;
    let gone = policy.routes().iter().filter(|route| !met.contains(&route.id())).filter(is_open);
    drift.removed.extend(gone.map(|route| route.label().to_owned()));
    let others = policy.routes().iter().filter(|route| met.contains(&route.id())).filter(is_open);
    drift.removed.extend(others.flat_map(|route| beyond(expected, report, (policy, route))));
    implications(policy, &mut drift);
    drift.added.sort();
    drift.removed.sort();
    drift.changed.sort();
    drift
}

/// An operation that is left out is in the document all the same: who wrote a route for it has decided by hand. But where the document could
/// not be read there is no agreement, and one that asks for a credential is not open to callers without.
fn left_out<'p>(report: &Report, policy: &'p Policy, (met, drift): (&mut BTreeSet<policy::RouteId>, &mut Drift)) {
    let routes = |item: &'_ LeftOut| left_out_routes(item, policy).collect::<Vec<&'p Route>>();
    for (item, route) in
        report.left_out.iter().flat_map(|item| routes(item).into_iter().map(move |route| (item, route)))
    {
        let is_new = met.insert(route.id());
        let document = match &item.reason {
            Reason::External(place) if is_new => format!("unknown ({place} cannot be followed)"),
            Reason::Public => continue,
            reason if route.access() == policy::Access::Anyone => format!("not open ({reason})"),
            _ => continue,
        };
        let policy = words::held(policy, route);
        drift.changed.push(Change { route: route.label().to_owned(), document, policy });
    }
}

/// An operation that is left out and that a route for other paths opens: nobody has decided that.
fn opened(policy: &Policy, method: &str, template: &str) -> Option<Change> {
    let route = taker(policy, method, template).filter(|route| route.access() != policy::Access::Deny)?;
    let is_written = template::shape(route.template()).eq_ignore_ascii_case(&template::shape(template));
    (!is_written).then(|| Change {
        route: format!("{method} {template}"),
        document: "left out".to_owned(),
        policy: format!("{}, as {}", words::held(policy, route), route.label()),
    })
}

/// The methods that `ANY` opens and the document lacks.
fn beyond(expected: &Expected, report: &Report, (policy, route): (&Policy, &Route)) -> Vec<String> {
    if route.method() != Method::Any {
        return Vec::new();
    }
    let shape = template::shape(route.template());
    let is_there = |method: &str, of: &str, path: &str| {
        (of == method || of == "*") && template::shape(path).eq_ignore_ascii_case(&shape)
    };
    let methods = Method::ALL.into_iter().filter(|method| !matches!(method, Method::Any | Method::Head));
    let taken = methods
        .map(Method::as_str)
        .filter(|method| route_of(policy, method, route.template()).is_some_and(|taken| taken.id() == route.id()));
    let beyond = taken.filter(|method| {
        let left_out = report.left_out.iter().filter_map(|item| item.route.split_once(' '));
        let all = expected.routes.iter().map(|one| (one.method.as_str(), one.template.as_str())).chain(left_out);
        !all.into_iter().any(|(of, path)| is_there(method, of, path))
    });
    beyond.map(|method| format!("{method} {}", route.template())).collect()
}

/// A document knows of no scope that brings another with it.
fn implications(policy: &Policy, drift: &mut Drift) {
    for (name, info) in policy.scopes().filter(|(_, info)| !info.implies.is_empty()) {
        let mut implied = info.implies.clone();
        implied.sort();
        drift.changed.push(Change {
            route: format!("scopes: {name}"),
            document: "implies nothing".to_owned(),
            policy: format!("implies {}", implied.join(" and ")),
        });
    }
}

/// The routes of a policy for an operation that an import leaves out; `*` stands for every method.
fn left_out_routes<'p>(item: &LeftOut, policy: &'p Policy) -> impl Iterator<Item = &'p Route> {
    let (method, template) = item.route.split_once(' ').unwrap_or_default();
    let methods = Method::ALL.into_iter().map(Method::as_str).filter(move |one| method == "*" || *one == method);
    methods.filter_map(move |method| route_of(policy, method, template))
}

/// The route of a policy with this method and template, whatever its parameters are called.
fn route_of<'p>(policy: &'p Policy, method: &str, path: &str) -> Option<&'p Route> {
    let route = taker(policy, method, path)?;
    // The judge has looked at letter case as the policy wants it.
    let same = template::shape(route.template()).eq_ignore_ascii_case(&template::shape(path));
    same.then_some(route)
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

impl Drift {
    /// True when policy and document agree.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}
