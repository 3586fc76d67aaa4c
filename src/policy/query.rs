//! The query of a request against the ruled parameters: what is ambiguous, what is denied, and which scopes its members ask for.
//!
//! A pair within a value counts as well (`next=https%3A%2F%2Fhost%2F%3Fa%3D1%26include%3Dlists`): gateways that hand a query
//! over decoded, such as Amazon's to a function, and the adapters that join it again without encoding it make `include` a
//! parameter of its own, and so does whatever decodes a query before it parts it. Nothing tells a URL that is meant as a
//! value from one that is meant to smuggle a parameter, so it is refused where it names a ruled one; in another encoding,
//! such as base64url, it passes.

mod overrides;
mod sought;

use std::collections::HashSet;

use smallvec::SmallVec;

use super::lenient::Bytes;
use super::octets::{decoded_form, has_escape, shown};
use super::parameter::{List, Parameter, Parameters, Reading, RouteRule};
use super::route::Route;
use super::scope::ScopeSet;
pub(super) use overrides::has_override;
pub use sought::{Found as FoundInQuery, Sought};

/// So many distinct members are compared one by one; beyond that a table knows them, which costs an allocation each.
const FEW: usize = 16;

/// What the ruled parameters of a request came to. There is none for a request without ruled parameters.
#[derive(Debug, Default)]
pub(super) struct QueryReport {
    pub(super) demands: Vec<Demand>,
    pub(super) fault: Option<QueryFault>,
}

/// The scopes that a member asks for; however often it stands there. It is put into words only where somebody asks why.
#[derive(Debug)]
pub(super) struct Demand {
    pub(super) scopes: ScopeSet,
    /// The index of the parameter.
    parameter: usize,
    /// Decoded.
    member: SmallVec<[u8; 24]>,
}

impl Demand {
    /// `parameter=member`, fit to be shown.
    pub(super) fn from(&self, parameters: &Parameters) -> String {
        let name = parameters.at(self.parameter).map_or("", |parameter| &parameter.name);
        format!("{name}={}", shown(&self.member))
    }
}

/// What is wrong with a ruled parameter.
#[derive(Debug)]
pub(super) struct QueryFault {
    pub(super) kind: QueryFaultKind,
    pub(super) parameter: Box<str>,
    /// Fit to be shown.
    pub(super) member: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryFaultKind {
    /// Some parsers would read it otherwise.
    Ambiguous,
    /// The route denies the member or does not list it.
    Member,
    /// The route has no rule for the parameter.
    Parameter,
}

/// Holds a query against the declared parameters and the rules of a route. `None`: it has none of them.
pub(super) fn examine(parameters: &Parameters, route: &Route, query: &[u8]) -> Option<Box<QueryReport>> {
    if parameters.is_empty() {
        return None;
    }
    let mut ruled = false;
    for pair in pairs(query) {
        match read_pair(parameters, route, pair) {
            Reading::Lookalike(at) => {
                return Some(Box::new(fault(parameters.at(at)?, QueryFaultKind::Ambiguous, None)));
            }
            Reading::Ruled(_) => ruled = true,
            Reading::Unruled => {}
        }
    }
    ruled.then(|| Box::new(weigh(parameters, route, query)))
}

/// What a pair is. A ruled one whose value has a second reading is a lookalike too.
fn read_pair(parameters: &Parameters, route: &Route, pair: &[u8]) -> Reading {
    let (name, value) = name_and_value(pair);
    let reading = parameters.read(name);
    let mut hidden = None;
    let is_ruled = |other: &[u8]| {
        hidden = ruled_by(parameters, other);
        hidden.is_some()
    };
    if has_hidden_pair(pair, is_ruled)
        && let Some(at) = hidden
    {
        return Reading::Lookalike(at);
    }
    if reading == Reading::Unruled {
        return parameters.merged(name, value).map_or(reading, Reading::Lookalike);
    }
    if let Reading::Ruled(at) = reading {
        let cut_short = value.contains(&b';') && route.rule(at).is_some_and(RouteRule::has_rest);
        if cut_short || has_escape(decoded_form(value)) {
            return Reading::Lookalike(at);
        }
    }
    reading
}

/// The ruled parameter that some parser would read a pair as.
fn ruled_by(parameters: &Parameters, pair: &[u8]) -> Option<usize> {
    let (name, value) = name_and_value(pair);
    match parameters.read(name) {
        Reading::Ruled(at) | Reading::Lookalike(at) => Some(at),
        Reading::Unruled => parameters.merged(name, value),
    }
}

/// Whether a query has a ruled parameter or asks for another method, in any reading of it.
pub(super) fn says_anything(parameters: &Parameters, query: &[u8]) -> bool {
    let is_ruled = |pair: &[u8]| ruled_by(parameters, pair).is_some();
    has_override(parameters, (b"POST", query))
        || pairs(query).any(|pair| is_ruled(pair) || has_hidden_pair(pair, is_ruled))
}

/// Adds up what the members ask for, until one is denied.
fn weigh(parameters: &Parameters, route: &Route, query: &[u8]) -> QueryReport {
    let mut report = QueryReport::default();
    let mut many = HashSet::new();
    for pair in pairs(query) {
        let (name, value) = name_and_value(pair);
        let Reading::Ruled(at) = parameters.read(name) else {
            continue;
        };
        let Some(parameter) = parameters.at(at) else {
            continue;
        };
        let decoded: Vec<u8> = decoded_form(value).collect();
        for member in members(parameter, &decoded) {
            let same = |demand: &Demand| demand.parameter == at && *demand.member == *member;
            let is_known = match report.demands.len() {
                ..FEW => report.demands.iter().any(same),
                _ => !many.insert((at, Bytes::from_slice(member))),
            };
            if is_known {
                continue;
            }
            match weigh_member((parameter, route.rule(at)), member) {
                Ok(scopes) if scopes.is_empty() => {}
                Ok(scopes) => report.demands.push(Demand { scopes, parameter: at, member: member.into() }),
                Err(kind) => return QueryReport { demands: report.demands, ..fault(parameter, kind, Some(member)) },
            }
        }
    }
    report
}

fn weigh_member(
    (parameter, rule): (&Parameter, Option<&RouteRule>),
    member: &[u8],
) -> Result<ScopeSet, QueryFaultKind> {
    let rule = rule.ok_or(QueryFaultKind::Parameter)?;
    rule.scopes(member, parameter.dotted).ok_or(QueryFaultKind::Member)
}

/// The members of a decoded value; empty ones add nothing.
fn members<'v>(parameter: &Parameter, value: &'v [u8]) -> impl Iterator<Item = &'v [u8]> {
    let splits = parameter.list != List::None;
    value.split(move |byte| splits && *byte == b',').filter(|member| !member.is_empty())
}

fn fault(parameter: &Parameter, kind: QueryFaultKind, member: Option<&[u8]>) -> QueryReport {
    let fault = QueryFault { kind, parameter: parameter.name.clone(), member: member.map(shown) };
    QueryReport { demands: Vec::new(), fault: Some(fault) }
}

fn pairs(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|byte| *byte == b'&')
}

fn name_and_value(pair: &[u8]) -> (&[u8], &[u8]) {
    let Some(at) = pair.iter().position(|byte| *byte == b'=') else {
        return (pair, b"");
    };
    let (name, rest) = pair.split_at_checked(at).unwrap_or((pair, b""));
    (name, rest.get(1..).unwrap_or_default())
}

/// Whether one of the pairs in a pair is found that some parsers see and others do not: those behind a `;`, and those behind
/// an encoded `&`, `;` or `=`, for servers that decode a query before they part it.
fn has_hidden_pair(pair: &[u8], mut is_found: impl FnMut(&[u8]) -> bool) -> bool {
    let (name, _) = name_and_value(pair);
    if pair.contains(&b';') {
        let seen = usize::from(!name.contains(&b';'));
        if pair.split(|byte| *byte == b';').skip(seen).any(&mut is_found) {
            return true;
        }
    }
    if !pair.contains(&b'%') {
        return false;
    }
    let (mut name, mut pair) = (Bytes::from_slice(name), Bytes::from_slice(pair));
    for _ in 1..=3 {
        name = decoded_form(&name).collect();
        pair = decoded_form(&pair).collect();
        let mut behind = pair.split(|byte| matches!(byte, b'&' | b';')).skip(1);
        if (name.contains(&b'=') && is_found(&name)) || behind.any(&mut is_found) {
            return true;
        }
        if !pair.contains(&b'%') {
            break;
        }
    }
    false
}
