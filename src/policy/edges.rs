//! The literal steps of the trie: one open-addressing table for all nodes, and one run of bytes for all literals, so
//! that a step touches as little memory as it can: of thousands of routes, what is asked for next is seldom in the nearest cache.

use std::collections::HashMap;

use super::octets::mix;
use super::trie::{NodeId, index};

/// Which child of a node a literal leads to.
#[derive(Debug)]
pub(super) struct Edges {
    /// A power of two of them, at most half in use.
    slots: Vec<Option<Slot>>,
    used: usize,
    /// A bit for each node that has a literal below it: nearly all that stands for a parameter is found to be no literal here.
    parents: Vec<u64>,
    /// Each literal once, behind its length.
    literals: Vec<u8>,
    /// Where each begins, while there are more to come.
    starts: HashMap<Box<[u8]>, u32>,
}

/// Four of them are one line of the cache.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    parent: NodeId,
    child: NodeId,
    literal: u32,
}

impl Edges {
    pub(super) fn new() -> Self {
        Self { slots: vec![None; 16], used: 0, parents: Vec::new(), literals: Vec::new(), starts: HashMap::new() }
    }

    /// The literals below `parent` whose folded hash is `hash`, with their children, in no order that means anything.
    pub(super) fn matching(&self, parent: NodeId, hash: u32) -> impl Iterator<Item = (NodeId, &[u8])> {
        let most = if self.is_parent(parent) { self.slots.len() } else { 0 };
        let same = move |slot: &Slot| slot.hash == hash && slot.parent == parent;
        self.run((parent, hash), most).filter(same).filter_map(|slot| Some((slot.child, self.literal(&slot)?)))
    }

    pub(super) fn insert(&mut self, (parent, hash): (NodeId, u32), literal: &[u8], child: NodeId) {
        let literal = self.start_of(literal);
        self.used += 1;
        if self.used * 2 > self.slots.len() {
            let grown = vec![None; self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, grown).into_iter().flatten() {
                self.place(slot);
            }
        }
        self.place(Slot { hash, parent, child, literal });
        let (word, bit) = bit_of(parent);
        self.parents.resize(self.parents.len().max(word + 1), 0);
        self.parents.get_mut(word).into_iter().for_each(|word| *word |= bit);
    }

    /// There are no more literals to come.
    pub(super) fn settle(&mut self) {
        self.starts = HashMap::new();
        self.literals.shrink_to_fit();
    }

    /// Whether any literal is below `parent`.
    fn is_parent(&self, parent: NodeId) -> bool {
        let (word, bit) = bit_of(parent);
        self.parents.get(word).is_some_and(|word| word & bit != 0)
    }

    fn start_of(&mut self, literal: &[u8]) -> u32 {
        if let Some(start) = self.starts.get(literal) {
            return *start;
        }
        let start = index(self.literals.len());
        self.literals.extend_from_slice(&index(literal.len()).to_le_bytes());
        self.literals.extend_from_slice(literal);
        self.starts.insert(literal.into(), start);
        start
    }

    fn place(&mut self, slot: Slot) {
        let step = (slot.parent, slot.hash);
        let free = self.run(step, self.slots.len()).count() + self.home(step);
        let mask = self.slots.len() - 1;
        if let Some(free) = self.slots.get_mut(free & mask) {
            *free = Some(slot);
        }
    }

    /// The slots in use from the home of a step on, up to the first that is free, or so many.
    fn run(&self, step: (NodeId, u32), most: usize) -> impl Iterator<Item = Slot> {
        let mask = self.slots.len() - 1;
        let home = self.home(step);
        (home..home + most).map_while(move |at| self.slots.get(at & mask).copied().flatten())
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
    fn home(&self, (parent, hash): (NodeId, u32)) -> usize {
        mix(u64::from(hash), u64::from(parent.number())) as usize & (self.slots.len() - 1)
    }

    fn literal(&self, slot: &Slot) -> Option<&[u8]> {
        let (length, rest) = self.literals.get(slot.literal as usize..)?.split_first_chunk()?;
        rest.get(..u32::from_le_bytes(*length) as usize)
    }
}

/// The word and the mask of a node in a set of nodes.
const fn bit_of(node: NodeId) -> (usize, u64) {
    let number = node.number();
    ((number / u64::BITS) as usize, 1 << (number % u64::BITS))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::octets::folded_hash;
    use super::*;

    fn node(number: u32) -> NodeId {
        NodeId(NonZeroU32::new(number).unwrap())
    }

    /// The same literals below each of many nodes.
    fn filled(nodes: u32, literals: u32) -> Edges {
        let mut edges = Edges::new();
        for parent in 1..=nodes {
            for at in 0..literals {
                let literal = format!("item-{at}");
                let hash = folded_hash(literal.as_bytes());
                edges.insert((node(parent), hash), literal.as_bytes(), node(parent * literals + at));
            }
        }
        edges
    }

    #[test]
    fn a_step_looks_at_few_slots_however_many_literals_there_are() {
        let edges = filled(40, 40);
        let steps = edges.slots.iter().flatten().map(|slot| (slot.parent, slot.hash));
        let longest = steps.map(|step| edges.run(step, edges.slots.len()).count()).max().unwrap();
        assert!(longest < 40, "{longest} slots in a row");
        for parent in 1..=40 {
            let hash = folded_hash(b"item-17");
            let found: Vec<_> = edges.matching(node(parent), hash).collect();
            assert_eq!(found, [(node(parent * 40 + 17), &b"item-17"[..])]);
        }
    }

    #[test]
    fn a_literal_is_kept_once_whatever_it_is_below() {
        let (one, many) = (filled(1, 40), filled(40, 40));
        assert_eq!(many.literals.len(), one.literals.len());
        let sizes = [0, 1, 255, 256, 70_000];
        let mut edges = Edges::new();
        let literals = sizes.map(|size| vec![b'a'; size]);
        for (literal, child) in literals.iter().zip(2..) {
            edges.insert((node(1), 7), literal, node(child));
        }
        edges.settle();
        let found: Vec<_> =
            edges.matching(node(1), 7).map(|(child, literal)| (child.number(), literal.len())).collect();
        assert_eq!(found, [(2, 0), (3, 1), (4, 255), (5, 256), (6, 70_000)]);
    }

    #[test]
    fn nothing_is_below_a_node_without_literals() {
        let mut edges = filled(200, 1);
        edges.insert((node(1000), 7), b"a", node(1001));
        for number in [201, 256, 999, 1001, 9999] {
            assert!(!edges.is_parent(node(number)), "{number}");
            assert_eq!(edges.matching(node(number), 7).count(), 0, "{number}");
        }
        assert!((1..=200).chain([1000]).all(|number| edges.is_parent(node(number))));
    }

    #[test]
    fn the_table_grows_once_more_than_half_of_it_is_in_use() {
        let sizes = [(8, 16), (9, 32), (16, 32), (17, 64), (1000, 2048), (1025, 4096)];
        for (literals, slots) in sizes {
            assert_eq!(filled(1, literals).slots.len(), slots, "{literals} literals");
        }
    }
}
