//! Every template that a path may be taken for, by one server or another.

use smallvec::SmallVec;

use super::{JudgedPath, LeafId, NodeId, ROOT, Trie};

/// The templates of a path, each with whether the path is one of it letter by letter.
pub(crate) type Readings = SmallVec<[(LeafId, bool); 6]>;

impl Trie {
    /// Every leaf that some server may take the path for, in the order of precedence, whatever beats it.
    pub(in super::super) fn readings(&self, path: &JudgedPath<'_>) -> Readings {
        let mut found = Readings::new();
        self.collect_below((ROOT, true), path, (0, &mut found));
        found
    }

    fn collect_below(&self, place: (NodeId, bool), path: &JudgedPath<'_>, (at, found): (usize, &mut Readings)) {
        let (id, is_exact) = place;
        let Some(node) = self.node(id) else { return };
        let Some(segment) = path.segment(at) else {
            found.extend(node.ends(path).map(|(leaf, near)| (leaf, is_exact && near.is_none())));
            return;
        };
        for is_literal in [true, false] {
            for (child, literal) in self.edges.matching(id, segment.hash()) {
                if self.reading(&segment, literal) == Some(is_literal) {
                    self.collect_below((child, is_exact && is_literal), path, (at + 1, found));
                }
            }
        }
        for (leaf, _) in self.resembling(id, path, at) {
            if !found.iter().any(|(known, _)| *known == leaf) {
                found.push((leaf, false));
            }
        }
        if let Some(child) = node.parameter {
            self.collect_below((child, is_exact), path, (at + 1, found));
        }
        let is_exact = is_exact && !path.has_encoded_slash_from(at);
        found.extend(node.wildcard.map(|leaf| (leaf, is_exact)));
    }
}
