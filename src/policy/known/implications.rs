//! Which scopes imply which, however far.

use std::collections::{BTreeMap, HashMap};

use super::ScopeInfo;
use crate::policy::scope::{ScopeId, ScopeSet};

/// For each scope, by its place among all, the places of those that it leads to directly.
#[derive(Debug)]
pub(super) struct Implications(Vec<Vec<usize>>);

impl Implications {
    pub(super) fn of(infos: &BTreeMap<String, ScopeInfo>) -> Self {
        let places: HashMap<&str, usize> = infos.keys().map(String::as_str).zip(0..).collect();
        let of_one =
            |info: &ScopeInfo| info.implies.iter().filter_map(|name| places.get(name.as_str()).copied()).collect();
        Self(infos.values().map(of_one).collect())
    }

    /// From each scope to those that imply it.
    pub(super) fn reversed(&self) -> Self {
        let mut reversed = vec![Vec::new(); self.0.len()];
        for (from, targets) in self.0.iter().enumerate() {
            for target in targets {
                if let Some(sources) = reversed.get_mut(*target) {
                    sources.push(from);
                }
            }
        }
        Self(reversed)
    }

    /// What each scope leads to, however far, itself included; `None` where it leads nowhere. `ids` has their ids, by place.
    ///
    /// A scope takes over, a word of the set at a time, what those have that it leads to. They come before it, so that one
    /// round is enough, unless there is a circle: then the rounds go on until nothing is new.
    pub(super) fn reach(&self, ids: &[ScopeId]) -> Vec<Option<ScopeSet>> {
        let order = self.deepest_first();
        let mut sets: Vec<Option<ScopeSet>> = vec![None; self.0.len()];
        let mut is_new = true;
        while std::mem::take(&mut is_new) {
            for &(from, targets) in &order {
                let mut set = sets.get_mut(from).and_then(Option::take).unwrap_or_default();
                // No reason for another round: in the first one its arrows are, unless they lead to itself alone.
                if let Some(id) = ids.get(from) {
                    set.insert(*id);
                }
                for target in targets {
                    match sets.get(*target).and_then(Option::as_ref) {
                        Some(more) if !more.is_subset(&set) => {
                            set = set.union(more);
                            is_new = true;
                        }
                        Some(_) => {}
                        None => is_new |= ids.get(*target).is_some_and(|id| set.insert(*id)),
                    }
                }
                if let Some(place) = sets.get_mut(from) {
                    *place = Some(set);
                }
            }
        }
        sets
    }

    /// The scopes that lead anywhere, those that others lead to first where there is no circle.
    fn deepest_first(&self) -> Vec<(usize, &[usize])> {
        let mut order = Vec::new();
        let mut seen = vec![false; self.0.len()];
        for start in 0..self.0.len() {
            // A scope and how many of its targets have been gone to.
            let mut open = vec![(start, 0)];
            while let Some((at, next)) = open.pop() {
                let targets = self.0.get(at).map_or(&[][..], Vec::as_slice);
                let is_first = next == 0 && seen.get_mut(at).is_some_and(|seen| !std::mem::replace(seen, true));
                if targets.is_empty() || (next == 0 && !is_first) {
                    continue;
                }
                match targets.get(next) {
                    Some(target) => open.extend([(at, next + 1), (*target, 0)]),
                    None => order.push((at, targets)),
                }
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::scope::Vocabulary;

    /// What each of `count` scopes leads to, with these arrows, by place.
    fn reach(count: usize, arrows: &[(usize, usize)]) -> Vec<Vec<usize>> {
        let vocabulary = Vocabulary::new();
        let ids: Vec<ScopeId> = (0..count).map(|at| vocabulary.intern(&at.to_string())).collect();
        let mut targets = vec![Vec::new(); count];
        arrows.iter().for_each(|(from, to)| targets[*from].push(*to));
        let places = |set: Option<ScopeSet>| {
            let set = set.unwrap_or_default();
            (0..count).filter(|at| set.contains(ids[*at])).collect()
        };
        Implications(targets).reach(&ids).into_iter().map(places).collect()
    }

    #[test]
    fn what_leads_anywhere_leads_there_however_far_and_round_in_circles() {
        assert_eq!(reach(4, &[(0, 1), (1, 2)]), [vec![0, 1, 2], vec![1, 2], vec![], vec![]]);
        assert_eq!(reach(4, &[(2, 1), (1, 0), (3, 2)]), [vec![], vec![0, 1], vec![0, 1, 2], vec![0, 1, 2, 3]]);
        assert_eq!(reach(3, &[(0, 1), (1, 2), (2, 0)]), vec![vec![0, 1, 2]; 3]);
        assert_eq!(reach(2, &[(0, 0)]), [vec![0], vec![]]);
        // Two circles with one scope in common, and one that leads into them.
        let all = vec![0, 1, 2, 3, 4];
        assert_eq!(
            reach(6, &[(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 2), (5, 4)]),
            [all.clone(), all.clone(), all.clone(), all.clone(), all, vec![0, 1, 2, 3, 4, 5]]
        );
    }

    #[test]
    fn a_circle_is_gone_through_whatever_scopes_that_bring_nothing_new_come_after_it() {
        let circles = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 2)];
        // The last arrow leads where the one before it has led.
        let arrows = [&circles[..], &[(5, 6), (6, 7), (5, 7)]].concat();
        assert!(reach(8, &arrows).iter().take(5).all(|reached| *reached == [0, 1, 2, 3, 4]));
    }

    #[test]
    fn a_chain_and_a_circle_of_a_thousand_are_gone_through_in_a_few_rounds() {
        let count = 1_000;
        let chain: Vec<(usize, usize)> = (1..count).map(|at| (at - 1, at)).collect();
        let reached = reach(count, &chain);
        assert!((0..count - 1).all(|at| reached[at].len() == count - at));
        let mut circle = chain;
        circle.push((count - 1, 0));
        assert!(reach(count, &circle).iter().all(|reached| reached.len() == count));
    }
}
