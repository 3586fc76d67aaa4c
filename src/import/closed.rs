//! The routes as the policy will have them, so that an import never gives one that its own `check` refuses or warns of.

use super::draft::Draft;
use super::{Reason, Report};
use crate::policy::{AccessSpec, Options, Policy, RouteSpec, Vocabulary};

/// Methods of a template that are closed by hand: a less specific template has them, and the path alone chooses.
#[derive(Debug)]
pub(super) struct Closed {
    /// As a route has them: `GET|PUT`.
    pub(super) methods: String,
    pub(super) template: String,
}

/// Builds the routes, who may call them left aside. What the policy refuses goes into the report; what it would warn of is returned.
pub(super) fn settle(drafts: &mut Vec<Draft<'_>>, report: &mut Report) -> Vec<Closed> {
    let mut builder = Policy::builder(Options::default(), &Vocabulary::new());
    drafts.retain(|draft| match builder.route(bare(draft)) {
        Ok(_) => true,
        Err(faults) => {
            let what = faults.into_iter().next().map(|fault| fault.message).unwrap_or_default();
            let labels = draft.operations().map(|one| format!("{} {}", one.method, draft.template));
            report
                .left_out
                .extend(labels.map(|route| super::LeftOut { route, reason: Reason::Template(what.clone()) }));
            false
        }
    });
    report.routes = drafts.len();
    let Ok(policy) = builder.finish() else { return Vec::new() };
    let mut closed: Vec<Closed> = Vec::new();
    for shadow in policy.shadows() {
        let Some(route) = policy.route(shadow.chosen) else { continue };
        let template = route.template().to_owned();
        let known = closed.iter_mut().find(|one| one.template == template);
        let mut methods: Vec<&str> = known.as_ref().map(|one| one.methods.split('|').collect()).unwrap_or_default();
        methods.extend(shadow.methods);
        methods.sort_unstable();
        methods.dedup();
        // HEAD follows GET.
        if methods.contains(&"GET") {
            methods.retain(|method| *method != "HEAD");
        }
        let methods = methods.join("|");
        match known {
            Some(one) => one.methods = methods,
            None => closed.push(Closed { methods, template }),
        }
    }
    closed.sort_by(|one, other| one.template.cmp(&other.template));
    if !closed.is_empty() {
        let templates: Vec<&str> = closed.iter().map(|one| one.template.as_str()).collect();
        let text = "methods that a less specific template has, and these lack, are denied";
        report.note("routes", format!("{text}: {}", templates.join(", ")));
    }
    closed
}

fn bare(draft: &Draft<'_>) -> RouteSpec {
    RouteSpec {
        methods: vec![draft.operation.method.clone()],
        template: draft.template.clone(),
        access: AccessSpec::Key,
        query: Vec::new(),
        credential: None,
        encoded_slash: false,
        upgrade: None,
        unbound: Vec::new(),
        line: 0,
    }
}
