//! The routes as the policy will have them, so that an import never gives one that its own `check` refuses or warns of, and that no
//! operation which was left out is open by another's route.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::{LeftOut, Reason, Report, template};
use crate::policy::{AccessSpec, Builder, Method, Options, Policy, Request, Route, RouteSpec, Vocabulary};

/// What is closed by hand, and what cannot be.
#[derive(Debug, Default)]
pub(super) struct Closed {
    /// Methods of a template that a less specific template has: the path alone chooses, so they are denied also unsaid.
    pub(super) methods: Vec<Lines>,
    /// Operations that are left out, and that a less specific template would open.
    pub(super) left_out: Vec<Lines>,
    /// Operations that are left out and that no template can close, by the label of the route that takes their requests.
    pub(super) open: BTreeMap<String, Vec<String>>,
}

/// Methods of one template.
#[derive(Debug)]
pub(super) struct Lines {
    /// As a route has them: `GET|PUT`.
    pub(super) methods: String,
    pub(super) template: String,
}

/// Methods that are denied, by template.
type Denied = BTreeMap<String, Vec<&'static str>>;

/// Builds the routes, who may call them left aside. What the policy refuses goes into the report.
pub(super) fn settle(drafts: &mut Vec<Draft<'_>>, report: &mut Report) -> Closed {
    let mut builder = empty();
    drafts.retain(|draft| match builder.route(bare(draft)) {
        Ok(_) => true,
        Err(faults) => {
            let what = faults.into_iter().next().map(|fault| fault.message).unwrap_or_default();
            let labels = draft.operations().map(|one| format!("{} {}", one.method, draft.template));
            report.left_out.extend(labels.map(|route| LeftOut::new(route, Reason::Template(what.clone()))));
            false
        }
    });
    report.routes = drafts.len();
    let mut closed = Closed::default();
    let Ok(policy) = builder.finish() else { return closed };
    let denied = close(&policy, report, &mut closed);
    let mut builder = empty();
    for draft in drafts.iter() {
        // It was built once.
        let _ = builder.route(bare(draft));
    }
    for (template, methods) in &denied {
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        let _ = builder.route(spec(methods, template, AccessSpec::Deny));
    }
    if let Ok(policy) = builder.finish() {
        closed.methods = hidden_methods(&policy, report);
    }
    closed.left_out = lines(denied);
    closed
}

/// Finds the operations that are left out and that a route takes all the same: those that can be closed, by template.
fn close(policy: &Policy, report: &mut Report, closed: &mut Closed) -> Denied {
    let mut denied = Denied::new();
    let mut notes = Vec::new();
    for item in report.left_out.iter_mut().filter(|item| item.reason != Reason::Method) {
        let Some((method, path)) = item.route.split_once(' ') else { continue };
        let path = path.split(['?', '#']).next().unwrap_or(path);
        let methods = Method::ALL.into_iter().filter(|one| *one != Method::Any).map(Method::as_str);
        for method in methods.filter(|one| method == "*" || *one == method) {
            let Some(route) = taker(policy, method, path) else { continue };
            let is_itself = template::shape(path).eq_ignore_ascii_case(&template::shape(route.template()));
            if is_itself || template::check(path).is_err() {
                item.taken_by = Some(route.label().to_owned());
                closed.open.entry(route.label().to_owned()).or_default().push(item.route.clone());
                notes.push((
                    route.label().to_owned(),
                    format!("it also matches the requests of {}, which is left out", item.route),
                ));
            } else {
                denied.entry(path.to_owned()).or_default().push(method);
                notes.push((
                    item.route.clone(),
                    format!("left out, but {} would take its requests: written as auth: deny", route.label()),
                ));
            }
        }
    }
    notes.into_iter().for_each(|(about, text)| report.note(about, text));
    denied
}

/// The route that takes a request of the operation with this path.
pub(super) fn taker<'p>(policy: &'p Policy, method: &str, path: &str) -> Option<&'p Route> {
    let target = template::example(path);
    let request = Request { method: method.as_bytes(), target: target.as_bytes(), override_header: false };
    let id = policy.judge(&request).ok()?.route()?.id();
    policy.route(id)
}

/// The methods that a template lacks and that a less specific one has.
fn hidden_methods(policy: &Policy, report: &mut Report) -> Vec<Lines> {
    let mut hidden = Denied::new();
    for shadow in policy.shadows() {
        let Some(route) = policy.route(shadow.chosen) else { continue };
        hidden.entry(route.template().to_owned()).or_default().extend(shadow.methods);
    }
    if !hidden.is_empty() {
        let templates: Vec<&str> = hidden.keys().map(String::as_str).collect();
        let text = "methods that a less specific template has, and these lack, are denied";
        report.note("routes", format!("{text}: {}", templates.join(", ")));
    }
    lines(hidden)
}

fn lines(denied: Denied) -> Vec<Lines> {
    let line = |(template, mut methods): (String, Vec<&'static str>)| {
        methods.sort_unstable();
        methods.dedup();
        // HEAD follows GET.
        if methods.contains(&"GET") {
            methods.retain(|method| *method != "HEAD");
        }
        Lines { methods: methods.join("|"), template }
    };
    denied.into_iter().map(line).collect()
}

fn empty() -> Builder {
    Policy::builder(Options::default(), &Vocabulary::new())
}

fn bare(draft: &Draft<'_>) -> RouteSpec {
    spec(vec![draft.operation.method.clone()], &draft.template, AccessSpec::Key)
}

fn spec(methods: Vec<String>, template: &str, access: AccessSpec) -> RouteSpec {
    RouteSpec { line: 0, ..RouteSpec::new(methods, template, access) }
}
