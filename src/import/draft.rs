//! Operations as routes: those that no path could tell apart are one, and what each of them asks for is asked of all.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::document::{Document, Operation};
use super::scoping::{Scoping, Stated};
use super::{LeftOut, Options, Reason, Report, template, write};

/// Alternatives that a route may have, where several operations are one.
const MAX_ALTERNATIVES: usize = 64;

/// What becomes one route.
#[derive(Debug)]
pub(super) struct Draft<'d> {
    pub(super) operation: Operation<'d>,
    /// Other operations of the same method whose paths are the same.
    pub(super) twins: Vec<Operation<'d>>,
    /// The full template, base path in front.
    pub(super) template: String,
    pub(super) access: Access,
}

/// Who may call a route, as far as the document says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Access {
    Anyone,
    /// The document says that a key needs no scope.
    Key,
    /// Alternatives of all-of lists, all sorted, none empty.
    Scopes(Vec<Vec<String>>),
    /// The document states no scope.
    Unstated,
}

impl<'d> Draft<'d> {
    pub(super) fn label(&self) -> String {
        format!("{} {}", self.operation.method, self.template)
    }

    /// The scopes that the route asks for in any case.
    pub(super) fn own_scopes(&self) -> &[String] {
        match &self.access {
            Access::Scopes(alternatives) => match alternatives.as_slice() {
                [only] => only,
                _ => &[],
            },
            Access::Anyone | Access::Key | Access::Unstated => &[],
        }
    }

    pub(super) fn operations(&self) -> impl Iterator<Item = &Operation<'d>> {
        std::iter::once(&self.operation).chain(&self.twins)
    }

    /// The query parameters of the route: name and schema.
    pub(super) fn query(&self, document: &'d Document) -> impl Iterator<Item = (&'d str, &'d Value)> {
        self.operations().flat_map(|operation| document.query(operation))
    }
}

impl Access {
    /// What both ask for, so that neither is let through on the other's terms. `None` where that has too many alternatives.
    fn and(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Scopes(ours), Self::Scopes(theirs)) => {
                if ours.len().saturating_mul(theirs.len()) > MAX_ALTERNATIVES {
                    return None;
                }
                let both = |a: &Vec<String>, b: &Vec<String>| a.iter().chain(b).cloned().collect::<BTreeSet<_>>();
                Self::of(ours.iter().flat_map(|a| theirs.iter().map(move |b| both(a, b))))
            }
            (scopes @ Self::Scopes(_), _) | (_, scopes @ Self::Scopes(_)) => scopes,
            (Self::Unstated, _) | (_, Self::Unstated) => Self::Unstated,
            (Self::Key, _) | (_, Self::Key) => Self::Key,
            (Self::Anyone, Self::Anyone) => Self::Anyone,
        })
    }

    /// Alternatives in their order, less those that ask for more than another.
    pub(super) fn of(alternatives: impl IntoIterator<Item = BTreeSet<String>>) -> Self {
        let all: BTreeSet<BTreeSet<String>> = alternatives.into_iter().collect();
        let least = |one: &&BTreeSet<String>| !all.iter().any(|other| other != *one && other.is_subset(one));
        Self::Scopes(all.iter().filter(least).map(|list| list.iter().cloned().collect()).collect())
    }
}

/// An operation that may become a route, or part of one.
struct Candidate<'d> {
    operation: Operation<'d>,
    label: String,
    template: String,
    access: Result<Access, Reason>,
}

/// Makes routes of the document's operations, sorted by path and method. What becomes none goes into the report.
pub(super) fn make<'d>(
    document: &'d Document,
    scoping: &Scoping,
    options: &Options,
    report: &mut Report,
) -> Vec<Draft<'d>> {
    let base = document.base(report);
    let mut groups: BTreeMap<(String, String), Vec<Candidate<'d>>> = BTreeMap::new();
    for operation in document.operations(&base, report) {
        let full = format!("{base}{}", operation.path);
        let label = format!("{} {full}", operation.method);
        // A fragment is never sent: it tells operations apart in the document alone.
        let template = full.split_once('#').map_or(full.as_str(), |(path, _)| path).to_owned();
        // Behind a base it would look like another path.
        if let Err(reason) = template::check_start(operation.path).and_then(|()| template::check(&template)) {
            report.lose(label, reason);
            continue;
        }
        report.operations += 1;
        let access = access(&operation, scoping, options);
        let key = (operation.method.clone(), template::shape(&template));
        groups.entry(key).or_default().push(Candidate { operation, label, template, access });
    }
    let mut drafts: Vec<Draft<'d>> = groups.into_values().filter_map(|group| join(group, report)).collect();
    drafts.sort_by(|a, b| write::order(a).cmp(&write::order(b)));
    report.routes = drafts.len();
    drafts
}

fn access(operation: &Operation<'_>, scoping: &Scoping, options: &Options) -> Result<Access, Reason> {
    if operation.has_own_servers {
        return Err(Reason::OwnServers);
    }
    match scoping.stated(operation)? {
        Stated::Free => Ok(Access::Key),
        Stated::Nothing => Ok(Access::Unstated),
        Stated::Public if options.include_public => Ok(Access::Anyone),
        Stated::Public => Err(Reason::Public),
        Stated::Scopes(alternatives) => Ok(Access::of(alternatives)),
    }
}

/// One route of operations that are the same request. Where it cannot be told what one of them asks for, none is a route.
fn join<'d>(group: Vec<Candidate<'d>>, report: &mut Report) -> Option<Draft<'d>> {
    let obscure = |candidate: &&Candidate<'_>| {
        matches!(candidate.access, Err(Reason::OtherScheme(_) | Reason::Scopes(_) | Reason::Unsayable))
    };
    let obscure = group.iter().find(obscure).map(|candidate| candidate.label.clone());
    let mut draft: Option<Draft<'d>> = None;
    let mut asked: Vec<(String, Access)> = Vec::new();
    for candidate in group {
        let Candidate { operation, label, template, access } = candidate;
        let access = match (access, &obscure) {
            (Ok(_), Some(other)) => Err(Reason::Twin(other.clone())),
            (access, _) => access,
        };
        match access {
            Err(reason) => report.left_out.push(LeftOut::new(label, reason)),
            Ok(access) => {
                asked.push((label, access.clone()));
                match &mut draft {
                    None => draft = Some(Draft { operation, twins: Vec::new(), template, access }),
                    Some(draft) => draft.twins.push(operation),
                }
            }
        }
    }
    let mut draft = draft?;
    let is_named_apart = asked.iter().any(|(label, _)| label.contains('#'));
    let is_said = if draft.twins.is_empty() && !is_named_apart { true } else { together(&mut draft, &asked, report) };
    is_said.then_some(draft)
}

/// Lets a route ask for what each of its operations asks for. False where that cannot be said.
fn together(draft: &mut Draft<'_>, asked: &[(String, Access)], report: &mut Report) -> bool {
    let accesses = || asked.iter().map(|(_, access)| access.clone());
    let Some(access) = accesses().map(Some).reduce(|a, b| a?.and(b?)).flatten() else {
        report.left_out.extend(asked.iter().map(|(label, _)| LeftOut::new(label.clone(), Reason::Unsayable)));
        return false;
    };
    let labels: Vec<&str> = asked.iter().map(|(label, _)| label.as_str()).collect();
    let outcome = if accesses().all(|one| one == access) { "" } else { ": it asks for what each of them asks for" };
    let text = match labels.as_slice() {
        [only] => format!("the document calls it {only}: what follows # is never sent"),
        several => format!("no path tells {} apart{outcome}", several.join(", ")),
    };
    report.note(draft.label(), text);
    report.merged += draft.twins.len();
    draft.access = access;
    true
}
