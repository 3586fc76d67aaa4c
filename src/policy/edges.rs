//! The literal steps of the trie: one open-addressing table for all nodes, and one run of bytes for all literals, so
//! that a step touches as little memory as it can.

use super::octets::mix;
use super::trie::{NodeId, index};

/// Which child of a node a literal leads to.
#[derive(Debug)]
pub(super) struct Edges {
    /// A power of two of them, at most half in use.
    slots: Vec<Option<Slot>>,
    used: usize,
    literals: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: u64,
    parent: NodeId,
    child: NodeId,
    start: u32,
    length: u32,
}

impl Edges {
    pub(super) fn new() -> Self {
        Self { slots: vec![None; 16], used: 0, literals: Vec::new() }
    }

    /// The literals below `parent` whose folded hash is `hash`, with their children, in no order that means anything.
    pub(super) fn matching(&self, parent: NodeId, hash: u32) -> impl Iterator<Item = (NodeId, &[u8])> {
        let key = key_of(parent, hash);
        let same = move |slot: &Slot| slot.key == key && slot.parent == parent;
        self.run(key).filter(same).filter_map(|slot| Some((slot.child, self.literal(&slot)?)))
    }

    pub(super) fn insert(&mut self, (parent, hash): (NodeId, u32), literal: &[u8], child: NodeId) {
        let start = index(self.literals.len());
        self.literals.extend_from_slice(literal);
        self.used += 1;
        if self.used * 2 > self.slots.len() {
            let grown = vec![None; self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, grown).into_iter().flatten() {
                self.place(slot);
            }
        }
        self.place(Slot { key: key_of(parent, hash), parent, child, start, length: index(literal.len()) });
    }

    fn place(&mut self, slot: Slot) {
        let free = self.run(slot.key).count() + self.home(slot.key);
        let mask = self.slots.len() - 1;
        if let Some(free) = self.slots.get_mut(free & mask) {
            *free = Some(slot);
        }
    }

    /// The slots in use from the home of `key` on, up to the first that is free.
    fn run(&self, key: u64) -> impl Iterator<Item = Slot> {
        let mask = self.slots.len() - 1;
        let home = self.home(key);
        (home..home + self.slots.len()).map_while(move |at| self.slots.get(at & mask).copied().flatten())
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
    fn home(&self, key: u64) -> usize {
        key as usize & (self.slots.len() - 1)
    }

    fn literal(&self, slot: &Slot) -> Option<&[u8]> {
        let start = slot.start as usize;
        self.literals.get(start..start + slot.length as usize)
    }
}

fn key_of(parent: NodeId, hash: u32) -> u64 {
    mix(u64::from(hash), u64::from(parent.number()))
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
        let keys = edges.slots.iter().flatten().map(|slot| slot.key);
        let longest = keys.map(|key| edges.run(key).count()).max().unwrap();
        assert!(longest < 40, "{longest} slots in a row");
        for parent in 1..=40 {
            let hash = folded_hash(b"item-17");
            let found: Vec<_> = edges.matching(node(parent), hash).collect();
            assert_eq!(found, [(node(parent * 40 + 17), &b"item-17"[..])]);
        }
    }

    #[test]
    fn the_table_grows_once_more_than_half_of_it_is_in_use() {
        let sizes = [(8, 16), (9, 32), (16, 32), (17, 64), (1000, 2048), (1025, 4096)];
        for (literals, slots) in sizes {
            assert_eq!(filled(1, literals).slots.len(), slots, "{literals} literals");
        }
    }
}
