//! What operations ask for at once with the scheme that counts, and what no route can ask for: another scheme, and its scopes.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::Draft;
use super::include::join;
use super::scoping::Scoping;
use super::{Note, Report};

/// What the routes leave unasked, by their places in the list of drafts.
#[derive(Debug, Default)]
pub(super) struct Companions {
    /// For each route the other schemes, each with the scopes that it lists there.
    routes: Vec<BTreeMap<String, BTreeSet<String>>>,
}

impl Companions {
    pub(super) fn of(drafts: &[Draft<'_>], scoping: &Scoping) -> Self {
        let of_draft = |draft: &Draft<'_>| {
            let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (scheme, scopes) in draft.operations().flat_map(|operation| scoping.beside(operation)) {
                all.entry(scheme).or_default().extend(scopes);
            }
            all
        };
        Self { routes: drafts.iter().map(of_draft).collect() }
    }

    /// What the document does, a clause for each other scheme, with how many routes ask for it.
    pub(super) fn clauses(&self) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for scheme in self.routes.iter().flat_map(BTreeMap::keys) {
            *counts.entry(scheme).or_default() += 1;
        }
        let all = self.routes.len();
        let clause = |(scheme, count): (&str, usize)| {
            format!("asks for {scheme} at once with the scopes on {count} of {all} routes: no route here does")
        };
        counts.into_iter().map(clause).collect()
    }

    /// What the route at `place` does not ask for, where another scheme lists scopes for it.
    pub(super) fn unasked(&self, place: usize) -> Option<String> {
        let lists = self.routes.get(place)?.iter().filter(|(_, scopes)| !scopes.is_empty());
        let lists: Vec<String> = lists.map(|(scheme, scopes)| format!("{} of {scheme}", join(scopes))).collect();
        (!lists.is_empty()).then(|| format!("the document also asks for {}: not asked for here", lists.join(" and ")))
    }

    pub(super) fn explain(&self, drafts: &[Draft<'_>], report: &mut Report) {
        let note = |clause: String| Note { about: String::from("scopes"), text: format!("the document {clause}") };
        report.notes.extend(self.clauses().into_iter().map(note));
        for (place, draft) in drafts.iter().enumerate() {
            if let Some(text) = self.unasked(place) {
                report.note(draft.label(), text);
            }
        }
    }
}
