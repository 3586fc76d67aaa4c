//! Which templates match a path that belongs to another.

use std::collections::HashMap;

use crate::policy::template::{Piece, Template};
use crate::policy::trie::PathCase;

/// Templates by their segments, so that those which overlap one are found without a look at the others.
#[derive(Debug)]
pub(super) struct Overlaps {
    case: PathCase,
    nodes: Vec<Node>,
}

/// What may follow the segments that lead here. Templates are known by their places in the list.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<[u8]>, usize>,
    parameter: Option<usize>,
    wildcards: Vec<usize>,
    /// Those that end here, each with whether it ends in a slash.
    ends: Vec<(usize, bool)>,
}

/// A way through the templates beside one that is looked at: where it has come to, and whether that one has had a literal
/// where this has a parameter, so that paths of both belong to that one.
type Way = (usize, bool);

impl Overlaps {
    pub(super) fn of<'t>(case: PathCase, templates: impl Iterator<Item = &'t Template>) -> Self {
        let mut overlaps = Self { case, nodes: vec![Node::default()] };
        for (at, template) in templates.enumerate() {
            overlaps.add(at, template);
        }
        overlaps
    }

    fn add(&mut self, at: usize, template: &Template) {
        let mut node = 0;
        for piece in &template.pieces {
            let fresh = self.nodes.len();
            let Some(known) = self.nodes.get_mut(node) else { return };
            node = match piece {
                Piece::Literal(literal) => *known.literals.entry(folded(self.case, literal)).or_insert(fresh),
                Piece::Parameter(_) => *known.parameter.get_or_insert(fresh),
                Piece::Wildcard(_) => return known.wildcards.push(at),
            };
            if node == fresh {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.ends.push((at, template.final_slash));
        }
    }

    /// The places of the templates that have a path in common with `template` which belongs to it.
    pub(super) fn beaten_by(&self, template: &Template) -> Vec<usize> {
        let mut beaten = Vec::new();
        let mut ways: Vec<Way> = vec![(0, false)];
        for piece in &template.pieces {
            if let Piece::Wildcard(_) = piece {
                ways.iter().filter(|(_, ahead)| *ahead).for_each(|(node, _)| self.below(*node, &mut beaten));
                return beaten;
            }
            let mut next = Vec::new();
            for (node, ahead) in ways.iter().filter_map(|(node, ahead)| Some((self.nodes.get(*node)?, *ahead))) {
                beaten.extend(&node.wildcards);
                match piece {
                    Piece::Literal(literal) => {
                        let same = node.literals.get(&folded(self.case, literal));
                        next.extend(same.map(|node| (*node, ahead)));
                        next.extend(node.parameter.map(|node| (node, true)));
                    }
                    Piece::Parameter(_) | Piece::Wildcard(_) => {
                        next.extend(node.parameter.map(|node| (node, ahead)));
                        // Where it is not ahead yet, the path belongs to the literal.
                        next.extend(node.literals.values().filter(|_| ahead).map(|node| (*node, true)));
                    }
                }
            }
            ways = next;
        }
        let ahead = ways.iter().filter(|(_, ahead)| *ahead).filter_map(|(node, _)| self.nodes.get(*node));
        let ends = ahead.flat_map(|node| &node.ends).filter(|(_, slash)| *slash == template.final_slash);
        beaten.extend(ends.map(|(at, _)| *at));
        beaten
    }

    /// All templates that go on from a node.
    fn below(&self, from: usize, found: &mut Vec<usize>) {
        let mut open = vec![from];
        while let Some(node) = open.pop().and_then(|node| self.nodes.get(node)) {
            found.extend(&node.wildcards);
            let children: Vec<usize> = node.literals.values().copied().chain(node.parameter).collect();
            let ends = children.iter().filter_map(|child| self.nodes.get(*child)).flat_map(|child| &child.ends);
            found.extend(ends.map(|(at, _)| *at));
            open.extend(children);
        }
    }
}

/// A literal as the policy compares it.
fn folded(case: PathCase, literal: &[u8]) -> Box<[u8]> {
    match case {
        PathCase::Insensitive => literal.to_ascii_lowercase().into(),
        PathCase::Sensitive => literal.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether some path matches both templates and belongs to the first, by the two alone.
    fn beats(case: PathCase, first: &Template, second: &Template) -> bool {
        let mut ahead = false;
        for (left, right) in first.pieces.iter().zip(&second.pieces) {
            match (left, right) {
                (Piece::Wildcard(_), _) => return ahead,
                (_, Piece::Wildcard(_)) => return true,
                (Piece::Literal(left), Piece::Literal(right)) if !case.same(left, right) => return false,
                (Piece::Literal(_), Piece::Parameter(_)) => ahead = true,
                (Piece::Parameter(_), Piece::Literal(_)) if !ahead => return false,
                _ => {}
            }
        }
        ahead && first.pieces.len() == second.pieces.len() && first.final_slash == second.final_slash
    }

    fn template() -> impl Strategy<Value = String> {
        let segment = prop_oneof!["[abA]", Just("{p}".to_owned())];
        let end = prop_oneof![Just(""), Just("/"), Just("/{*rest}")];
        (prop::collection::vec(segment, 1..5), end).prop_map(|(segments, end)| {
            let named = segments.iter().enumerate().map(|(at, piece)| piece.replace('p', &format!("p{at}")));
            format!("/{}{end}", named.collect::<Vec<_>>().join("/"))
        })
    }

    proptest! {
        #[test]
        fn the_templates_found_are_those_that_a_comparison_of_each_pair_finds(
            texts in prop::collection::btree_set(template(), 1..24), insensitive: bool,
        ) {
            let case = if insensitive { PathCase::Insensitive } else { PathCase::Sensitive };
            let templates: Vec<Template> = texts.iter().map(|text| Template::parse(text).unwrap()).collect();
            let overlaps = Overlaps::of(case, templates.iter());
            for first in &templates {
                let mut found = overlaps.beaten_by(first);
                found.sort_unstable();
                let all = templates.iter().enumerate();
                let expected: Vec<usize> =
                    all.filter(|(_, second)| beats(case, first, second)).map(|(at, _)| at).collect();
                prop_assert_eq!(found, expected, "{:?}", first);
            }
        }
    }

    #[test]
    fn templates_that_share_what_comes_first_are_not_compared_with_each_other() {
        let templates: Vec<Template> =
            (0..1_000).map(|at| Template::parse(&format!("/{{tenant}}/v1/r{at}/{{id}}")).unwrap()).collect();
        let overlaps = Overlaps::of(PathCase::Sensitive, templates.iter());
        // A node for each segment; those of the common ones once.
        assert_eq!(overlaps.nodes.len(), 3 + 2 * templates.len());
        assert!(templates.iter().all(|template| overlaps.beaten_by(template).is_empty()));
    }
}
