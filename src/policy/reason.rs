//! The one sentence of a decision: what is the matter and what to do. What a caller sent appears in it only as
//! printable text of bounded length.

use super::binding::{self, BindingFault};
use super::decision::{Decision, nearest_alternative};
use super::denial::Denial;
use super::nearest::nearest;
use super::octets::shown;
use super::parameter::{MemberRule, Reading};
use super::principal::Kind;
use super::query::{QueryFault, QueryFaultKind};
use super::route::{Access, Route};
use super::trace::Needs;
use super::trie::{LeafId, NearMiss};

pub(super) fn of(decision: &Decision<'_>, needs: &Needs) -> String {
    match (decision.denial, decision.route()) {
        (None, Some(route)) => of_allow(decision, route),
        (Some(Denial::RouteNotAllowed), route) => of_route(decision, route),
        (Some(denial), Some(route)) => of_denial(decision, (denial, route), needs),
        (Some(denial), None) => denial.detail().to_owned(),
        (None, None) => String::new(),
    }
}

fn of_allow(decision: &Decision<'_>, route: &Route) -> String {
    let label = route.label();
    match route.access {
        Access::Anyone => format!("{label} is open to anyone."),
        Access::Key => format!("{label} is open to any secret key."),
        Access::PublicKey => format!("{label} is open to any public key."),
        Access::Deny | Access::Scopes => match decision.query {
            Some(_) => format!("The key holds what {label} and the members of its query ask for."),
            None => format!("The key holds what {label} asks for."),
        },
    }
}

fn of_route(decision: &Decision<'_>, route: Option<&Route>) -> String {
    let target = decision.target;
    let method = shown(target.method());
    if let Some(route) = route {
        return format!("The policy closes {} to every key; call another route.", route.label());
    }
    if let Some((leaf, near)) = target.near_miss() {
        return of_near_miss(decision, (leaf, near));
    }
    if matches!(target.method(), b"CONNECT" | b"TRACE") {
        return format!("{method} is never served, whatever the policy says; use another method.");
    }
    let methods = decision.policy.methods_at(target);
    if methods.is_empty() {
        return "No route of the policy has this path; check the path, a final slash included.".to_owned();
    }
    format!("The policy has this path with {} and not with {method}; use one of its methods.", list(&methods, "and"))
}

fn of_near_miss(decision: &Decision<'_>, (leaf, near): (LeafId, NearMiss)) -> String {
    let template = decision.policy.template_at(leaf);
    match (near, template.ends_with('/')) {
        (NearMiss::Encoding | NearMiss::Spelling, _) => {
            format!("The path is that of a route but for {}; send it as the route writes it.", near.as_str())
        }
        (NearMiss::FormatSuffix, _) => format!(
            "Some servers take a format suffix such as .json off and would read the path as {template}; send the path as that route writes it, or let the policy have a route for this very path."
        ),
        (NearMiss::PathInfo, _) => format!(
            "Some servers run {template} for the path and hand it what stands behind; send the path as that route writes it, or let the policy have a route for this very path."
        ),
        (NearMiss::FinalSlash, true) => {
            format!("The policy has {template} with a final slash, and not without; send the path with it.")
        }
        (NearMiss::FinalSlash, false) => {
            format!("The policy has {template} without a final slash, and not with one; send the path without it.")
        }
    }
}

fn of_denial(decision: &Decision<'_>, (denial, route): (Denial, &Route), needs: &Needs) -> String {
    match denial {
        Denial::AmbiguousQuery | Denial::QueryNotAllowed => {
            let fault = decision.query.as_ref().and_then(|report| report.fault.as_ref());
            fault.map_or_else(|| denial.detail().to_owned(), |fault| of_query(decision, fault, route))
        }
        Denial::InsufficientScope => of_scopes(decision, route, needs),
        Denial::KeyKindNotAllowed => of_kind(decision, route),
        Denial::OutsideBinding => of_binding(decision, route),
        _ => denial.detail().to_owned(),
    }
}

fn of_query(decision: &Decision<'_>, fault: &QueryFault, route: &Route) -> String {
    let (parameter, label) = (&fault.parameter, route.label());
    let member = fault.member.as_deref().unwrap_or_default();
    match fault.kind {
        QueryFaultKind::Ambiguous => match lookalike(decision) {
            Some((name, could_be_another)) => {
                let declared = match could_be_another {
                    true => format!(", or declare {name} in the policy if it is a parameter of its own"),
                    false => String::new(),
                };
                format!(
                    "The query has {name}, which only some servers would read as {parameter}; write {parameter} as it stands here{declared}."
                )
            }
            None => format!(
                "Only some servers would find {parameter} in the query, or read its value so: behind a ; or an encoded &, encoded twice, or in the value of a shorter name; leave that out, or send it in another form, such as base64url."
            ),
        },
        QueryFaultKind::Member => match near_member(decision, fault, route) {
            Some(near) => {
                format!("{label} does not allow {parameter}={member}; leave {member} out, or did you mean {near}?")
            }
            None => format!("{label} does not allow {parameter}={member}; leave {member} out."),
        },
        QueryFaultKind::Parameter => {
            format!("{label} does not take {parameter}; leave the parameter out.")
        }
    }
}

/// The first name in the query that only lenient parsers would take for a ruled one, as it was sent, and whether it could be
/// declared itself.
fn lookalike(decision: &Decision<'_>) -> Option<(String, bool)> {
    let pieces = decision.target.query()?.split(|byte| matches!(byte, b'&' | b';'));
    let mut names = pieces.map(|piece| piece.split(|byte| *byte == b'=').next().unwrap_or_default());
    let parameters = &decision.policy.parameters;
    let is_one = |name: &&[u8]| matches!(parameters.read(name), Reading::Lookalike(_));
    names.find(is_one).map(|name| (shown(name), parameters.could_hold(name)))
}

/// The member that the route takes and that was meant, if one is near.
fn near_member(decision: &Decision<'_>, fault: &QueryFault, route: &Route) -> Option<String> {
    let (at, _) = decision.policy.parameters.find(&fault.parameter)?;
    let taken = route.rule(at)?.members().filter(|(_, rule)| **rule != MemberRule::Deny);
    let mut taken: Vec<String> = taken.map(|(member, _)| shown(member)).collect();
    taken.sort_unstable();
    let near = nearest(fault.member.as_deref()?, taken.iter().map(String::as_str).filter(|member| *member != "*"));
    near.map(str::to_owned)
}

fn of_kind(decision: &Decision<'_>, route: &Route) -> String {
    let is_public = decision.caller.principal().is_some_and(|principal| principal.kind() == Kind::Public);
    match is_public {
        true => format!("{} does not take public keys; use a secret key.", route.label()),
        false => format!("{} takes public keys alone; use a public key.", route.label()),
    }
}

fn of_binding(decision: &Decision<'_>, route: &Route) -> String {
    let label = route.label();
    let fault = decision
        .caller
        .principal()
        .and_then(|principal| binding::check(&decision.policy.bindings, principal, (route, decision.target)));
    match fault {
        Some(BindingFault::Differs(binding)) => format!(
            "The path names another {} than those the key is bound to; use a key that is bound to it.",
            binding.attribute
        ),
        Some(BindingFault::Lacks(binding)) => format!(
            "{label} takes only keys that carry the attribute {0}, and this key has none; use one made for that {0}.",
            binding.attribute
        ),
        Some(BindingFault::Unplaced(binding)) => format!(
            "The key is bound by {}, and {label} has no {{{}}} in its path; use a key without this binding.",
            binding.attribute, binding.parameter
        ),
        None => Denial::OutsideBinding.detail().to_owned(),
    }
}

fn of_scopes(decision: &Decision<'_>, route: &Route, needs: &Needs) -> String {
    let missing = decision.policy.known.names(&needs.missing);
    let clauses = asking(&missing, needs, route.label());
    let last = clauses.len().saturating_sub(1);
    let told: Vec<String> = clauses
        .iter()
        .enumerate()
        .map(|(at, (scopes, from))| {
            let on = match at == last && *from != route.label() {
                true => format!(" on {}", route.label()),
                false => String::new(),
            };
            format!("{}, which {from} asks for{on}", list(scopes, "and"))
        })
        .collect();
    let them = if missing.len() == 1 { "it" } else { "them" };
    let others = other_alternatives(decision, route);
    format!("The key lacks {}; use a key that holds {them}{others}.", told.join(", and "))
}

/// The sentence where the route itself asks for all that is missing, and has no alternatives.
pub(super) fn of_lacking<T: AsRef<str>>(missing: &[T], label: &str) -> String {
    let them = if missing.len() == 1 { "it" } else { "them" };
    let names = missing.iter().map(|name| name.as_ref().len() + 5).sum::<usize>();
    let mut words = String::with_capacity(64 + names + label.len());
    words.push_str("The key lacks ");
    push_list(missing, "and", &mut words);
    for part in [", which ", label, " asks for; use a key that holds ", them, "."] {
        words.push_str(part);
    }
    words
}

/// The missing scopes, gathered by what asks for them. A member is named before the route: leaving it out is a way to
/// mend the request.
fn asking<'n>(missing: &[String], needs: &'n Needs, label: &'n str) -> Vec<(Vec<String>, &'n str)> {
    let mut clauses: Vec<(Vec<String>, &str)> = Vec::new();
    for scope in missing {
        let mut asking = needs.because.iter().filter(|because| because.scope == *scope).map(|because| &*because.from);
        let from = asking.clone().find(|from| *from != label).or_else(|| asking.next()).unwrap_or(label);
        match clauses.iter_mut().find(|(_, other)| *other == from) {
            Some((scopes, _)) => scopes.push(scope.clone()),
            None => clauses.push((vec![scope.clone()], from)),
        }
    }
    clauses
}

/// The alternatives that would have done as well as the one that is told.
fn other_alternatives(decision: &Decision<'_>, route: &Route) -> String {
    let held = decision.held();
    let alternatives = &route.requirement.any_of;
    if alternatives.iter().any(|alternative| held.has_all(alternative)) {
        return String::new();
    }
    let told = nearest_alternative(route, &held);
    let others = alternatives.iter().filter(|alternative| Some(*alternative) != told);
    let others: Vec<String> = others.map(|scopes| list(&decision.policy.known.names(scopes), "and")).collect();
    match others.is_empty() {
        true => others.concat(),
        false => format!(", or in place of what the route asks for, {}", others.join(", or ")),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn list<T: AsRef<str>>(words: &[T], before_last: &str) -> String {
    let mut told = String::new();
    push_list(words, before_last, &mut told);
    told
}

fn push_list<T: AsRef<str>>(words: &[T], before_last: &str, told: &mut String) {
    let last = words.len().saturating_sub(1);
    for (at, word) in words.iter().enumerate() {
        match at {
            0 => {}
            at if at == last => [" ", before_last, " "].iter().for_each(|part| told.push_str(part)),
            _ => told.push_str(", "),
        }
        told.push_str(word.as_ref());
    }
}
