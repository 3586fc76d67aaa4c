use std::collections::BTreeSet;

use super::super::*;

/// Ids beside every edge between two words.
const EDGES: [u32; 17] = [0, 1, 2, 63, 64, 127, 128, 129, 130, 190, 191, 192, 193, 255, 256, 257, 399];

fn vocabulary() -> (Vocabulary, Vec<ScopeId>) {
    let vocabulary = Vocabulary::new();
    let ids = (0..400).map(|at| vocabulary.intern(&format!("s{at:03}"))).collect();
    (vocabulary, ids)
}

fn set(ids: &[ScopeId], places: &BTreeSet<u32>) -> ScopeSet {
    places.iter().map(|place| ids[*place as usize]).collect()
}

/// Plain sets: nothing, each id alone, all but each, every second, all below and all from each on.
fn plain() -> Vec<BTreeSet<u32>> {
    let all: BTreeSet<u32> = EDGES.into();
    let mut sets = vec![BTreeSet::new(), all.clone(), EDGES.into_iter().step_by(2).collect()];
    for edge in EDGES {
        sets.push([edge].into());
        sets.push(all.iter().copied().filter(|other| *other != edge).collect());
        sets.push(all.range(..edge).copied().collect());
        sets.push(all.range(edge..).copied().collect());
    }
    sets
}

#[test]
fn a_set_of_scopes_is_what_a_plain_set_is() {
    let (vocabulary, ids) = vocabulary();
    for plain in plain() {
        let scopes = set(&ids, &plain);
        assert_eq!(scopes.iter().collect::<Vec<_>>(), plain.iter().map(|at| ids[*at as usize]).collect::<Vec<_>>());
        let mut visited = Vec::new();
        scopes.visit(&mut |id| visited.push(id));
        assert_eq!(visited, scopes.iter().collect::<Vec<_>>());
        assert_eq!((scopes.len(), scopes.is_empty()), (plain.len(), plain.is_empty()), "{plain:?}");
        assert_eq!(vocabulary.names(&scopes), plain.iter().map(|at| format!("s{at:03}")).collect::<Vec<_>>());
        for (at, id) in (0..).zip(&ids) {
            assert_eq!(scopes.contains(*id), plain.contains(&at), "{at} in {plain:?}");
        }
        let mut more = scopes.clone();
        for edge in EDGES {
            assert_eq!(more.insert(ids[edge as usize]), !plain.contains(&edge), "{edge} into {plain:?}");
            assert!(!more.insert(ids[edge as usize]), "{edge} is in by now");
        }
        assert_eq!(more, set(&ids, &EDGES.into()), "putting in takes nothing out");
    }
}

#[test]
fn two_sets_of_scopes_are_joined_and_compared_as_plain_sets_are() {
    let (_, ids) = vocabulary();
    for left in plain() {
        for right in plain() {
            let (one, other) = (set(&ids, &left), set(&ids, &right));
            assert_eq!(one == other, left == right, "{left:?} {right:?}");
            assert_eq!(one.is_subset(&other), left.is_subset(&right), "{left:?} {right:?}");
            assert_eq!(one.intersects(&other), !left.is_disjoint(&right), "{left:?} {right:?}");
            assert_eq!(one.union(&other), set(&ids, &(&left | &right)), "{left:?} {right:?}");
            assert_eq!(one.difference(&other), set(&ids, &(&left - &right)), "{left:?} {right:?}");
        }
    }
}

#[test]
fn a_scope_has_one_id_and_an_id_one_name() {
    let (vocabulary, ids) = vocabulary();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    for (at, id) in ids.iter().enumerate() {
        let name = format!("s{at:03}");
        assert_eq!((vocabulary.intern(&name), vocabulary.find(&name)), (*id, Some(*id)));
        assert_eq!(&*vocabulary.name(*id), name);
    }
    assert_eq!(vocabulary.find("none"), None);
    assert_eq!(&*Vocabulary::new().name(ids[0]), "", "an id of another vocabulary has no name");
}
