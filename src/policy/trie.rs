//! The table that finds a template by path: a trie of segments, each step a few hash look-ups.
//!
//! A literal beats a parameter, a parameter beats a wildcard, segment by segment from the left, with backtracking. A
//! segment is hashed once, when the path is judged; a step costs the same however many templates there are.
//!
//! Letter case is a second reading. A segment that equals a sibling literal but for letter case matches neither the
//! literal nor the parameter or the wildcard beside it. Their branches are still walked in their order, and where one
//! of them would have led to a template, no less specific template may match instead (`NearMiss`): a change of letter
//! case never leads from one template to another. What careless servers take off the ends of a segment (`admin.`,
//! `admin%20`) counts as letter case does, and so does a final slash that the best template has not, or that it lacks.
//! A format suffix (`export.json` for `export`) is a second reading of the last segment alone, and only where the literal
//! ends a template there. What follows a script (`/admin.php/x`) is one of the script, where no template has more of it.
//!
//! A literal that is encoded without need is no literal at all to servers which compare before they decode. So such a path
//! belongs to no template, unless those servers come to one that asks for the same.

mod readings;

use std::num::NonZeroU32;

use smallvec::SmallVec;

use super::edges::Edges;
use super::method::MethodTable;
use super::octets::{folded, folded_hash};
use super::path::{JudgedPath, Segment, worn};
use super::suffix::{is_script, literal_stem};
use super::template::{Piece, Template};

/// How letters of literals are compared with those of paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathCase {
    /// ASCII letters of literals match in either case, for upstreams that do so.
    Insensitive,
    /// Every byte counts.
    #[default]
    Sensitive,
}

impl PathCase {
    /// Whether two literals are one to a policy of this case.
    pub(super) fn same(self, left: &[u8], right: &[u8]) -> bool {
        match self {
            Self::Insensitive => left.eq_ignore_ascii_case(right),
            Self::Sensitive => left == right,
        }
    }
}

/// All templates of a policy.
#[derive(Debug)]
pub(super) struct Trie {
    case: PathCase,
    nodes: Vec<Node>,
    edges: Edges,
    leaves: Vec<MethodTable>,
}

/// A leaf: what all templates that no path can tell apart have in common. It counts from one, as nodes do, so that
/// having none takes no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LeafId(NonZeroU32);

/// A node of the trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(pub(super) NonZeroU32);

impl NodeId {
    pub(super) const fn number(self) -> u32 {
        self.0.get()
    }
}

/// What may follow the segments that lead here.
#[derive(Debug, Default)]
struct Node {
    end: Option<LeafId>,
    end_with_slash: Option<LeafId>,
    parameter: Option<NodeId>,
    wildcard: Option<LeafId>,
}

impl Node {
    /// The template that ends here, if it must be with the wrong final slash.
    fn ends(&self, path: &JudgedPath<'_>) -> Option<Candidate> {
        let (own, other) = match path.final_slash() {
            true => (self.end_with_slash, self.end),
            false => (self.end, self.end_with_slash),
        };
        let own = own.map(|leaf| (leaf, None));
        own.or_else(|| other.map(|leaf| (leaf, Some(NearMiss::FinalSlash))))
    }
}

/// What a path was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Leaf(LeafId),
    /// No template, since this one, which beats all that match, would have been meant by some servers.
    NearMiss(LeafId, NearMiss),
    Nothing,
}

/// What parts a path from a template that some servers would take it for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearMiss {
    /// A literal is encoded where it need not be, and servers that compare before they decode find another template or none.
    Encoding,
    /// The final slash, there or missing.
    FinalSlash,
    /// A format suffix such as `.json` at the end, there or missing.
    FormatSuffix,
    /// Segments behind a script, which it gets as its path information.
    PathInfo,
    /// A segment is a literal but for letter case, for dots and blanks at its ends, or for what follows an encoded `?` or
    /// `#`.
    Spelling,
}

impl NearMiss {
    /// In words: what the two differ in.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Encoding => "percent-encoding that nothing needs",
            Self::FinalSlash => "the final slash",
            Self::FormatSuffix => "a format suffix such as .json, which some servers take off",
            Self::PathInfo => "what stands behind the script, which some servers hand to it",
            Self::Spelling => "letter case, dots and blanks at the ends of a segment, or an encoded ? or #",
        }
    }
}

/// How a server comes from a path to a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// It decodes segments before it compares them, as policies do.
    Decoding,
    /// It compares literals with the bytes as sent, and decodes what parameters take.
    Raw,
}

/// A leaf on the way, and what parts the path from it, or from a literal that beats a segment before it.
type Candidate = (LeafId, Option<NearMiss>);

const ROOT: NodeId = NodeId(NonZeroU32::MIN);

impl Trie {
    pub(super) fn new(case: PathCase) -> Self {
        Self { case, nodes: vec![Node::default()], edges: Edges::new(), leaves: Vec::new() }
    }

    /// The leaf of a template, made if there is none.
    pub(super) fn leaf(&mut self, template: &Template) -> LeafId {
        let mut node = ROOT;
        for piece in &template.pieces {
            node = match piece {
                Piece::Literal(literal) => self.literal_child(node, literal),
                Piece::Parameter(_) => self.parameter_child(node),
                Piece::Wildcard(_) => return self.leaf_at(node, |node| &mut node.wildcard),
            };
        }
        match template.final_slash {
            true => self.leaf_at(node, |node| &mut node.end_with_slash),
            false => self.leaf_at(node, |node| &mut node.end),
        }
    }

    /// There are no more templates to come.
    pub(super) fn settle(&mut self) {
        self.edges.settle();
    }

    /// The routes of a leaf.
    pub(super) fn methods(&self, leaf: LeafId) -> &MethodTable {
        static NONE: MethodTable = MethodTable::EMPTY;
        self.leaves.get(place_of(leaf.0)).unwrap_or(&NONE)
    }

    /// The routes of a leaf, to put more in.
    pub(super) fn methods_mut(&mut self, leaf: LeafId) -> Option<&mut MethodTable> {
        self.leaves.get_mut(place_of(leaf.0))
    }

    /// The routes of every leaf.
    pub(super) fn tables(&self) -> impl Iterator<Item = &MethodTable> {
        self.leaves.iter()
    }

    /// The one template that a path belongs to.
    pub(super) fn find(&self, path: &JudgedPath<'_>) -> Found {
        match self.first_below((ROOT, Reader::Decoding), path, 0) {
            Some((leaf, None)) if self.has_other_reading(path, leaf) => Found::NearMiss(leaf, NearMiss::Encoding),
            Some((leaf, None)) => Found::Leaf(leaf),
            Some((leaf, Some(near))) => Found::NearMiss(leaf, near),
            None => Found::Nothing,
        }
    }

    /// The template that servers find which compare literals before they decode, and what parts the path from it.
    pub(super) fn find_raw(&self, path: &JudgedPath<'_>) -> Option<Candidate> {
        self.first_below((ROOT, Reader::Raw), path, 0)
    }

    /// Whether those servers would not find `leaf`.
    fn has_other_reading(&self, path: &JudgedPath<'_>, leaf: LeafId) -> bool {
        path.is_needlessly_encoded() && self.find_raw(path).is_none_or(|(other, _)| other != leaf)
    }

    /// The first candidate at or below `node` for the segments from `at` on. It goes no deeper than the longest template.
    fn first_below(&self, place: (NodeId, Reader), path: &JudgedPath<'_>, at: usize) -> Option<Candidate> {
        let (node, reader) = place;
        let here = self.node(node)?;
        let Some(segment) = path.segment(at) else {
            return here.ends(path);
        };
        let mut near = None;
        let is_literal = reader != Reader::Raw || !segment.is_needlessly_encoded();
        if is_literal {
            // Those that are the segment come before those that some servers would take for it.
            let mut has_kin = false;
            for (child, literal) in self.edges.matching(node, segment.hash()) {
                has_kin = true;
                if self.is(&segment, literal)
                    && let found @ Some(_) = self.first_below((child, reader), path, at + 1)
                {
                    return found;
                }
            }
            let mut spelled = None;
            if has_kin {
                (near, spelled) = self.lookalike_below(place, path, at);
            }
            // INVARIANT: what `resembling` finds has the hash of the segment, and then it has kin, or that of a part of it before
            // a dot, or it is a format alone, which begins with one. So nearly every segment is known to resemble nothing.
            let may_resemble = has_kin || segment.may_have_suffix();
            debug_assert!(
                may_resemble || self.resembling(node, path, at).next().is_none(),
                "a near miss would be overlooked"
            );
            let resembling = || if may_resemble { self.resembling(node, path, at).next() } else { None };
            if let found @ Some(_) = spelled.or_else(resembling) {
                return found;
            }
        }
        let parameter = here.parameter.and_then(|child| self.first_below((child, reader), path, at + 1));
        let (leaf, below) = parameter.or_else(|| {
            let wildcard = here.wildcard?;
            (!path.has_encoded_slash_from(at)).then_some((wildcard, None))
        })?;
        Some((leaf, near.or(below)))
    }

    /// The same below the literals that the segment is to servers which tell less apart, and what that is; neither where it is
    /// none of them.
    fn lookalike_below(
        &self,
        (node, reader): (NodeId, Reader),
        path: &JudgedPath<'_>,
        at: usize,
    ) -> (Option<NearMiss>, Option<Candidate>) {
        let Some(segment) = path.segment(at) else { return (None, None) };
        let literals = self.edges.matching(node, segment.hash());
        let lookalikes = literals.filter(|(_, literal)| self.reading(&segment, literal) == Some(false));
        let lookalikes: SmallVec<[NodeId; 2]> = lookalikes.map(|(child, _)| child).collect();
        let near = (!lookalikes.is_empty()).then_some(NearMiss::Spelling);
        let mut below = lookalikes.into_iter().map(|child| self.first_below((child, reader), path, at + 1));
        (near, below.find_map(|found| found.map(|(leaf, _)| (leaf, near))))
    }

    /// The templates that end in a literal which this segment is but for a format suffix or for what follows a script. Where
    /// the path ends in the script, it was found before.
    fn resembling<'p>(&'p self, node: NodeId, path: &'p JudgedPath<'p>, at: usize) -> impl Iterator<Item = Candidate> {
        self.with_other_suffix(node, path, at).chain(self.scripts(node, path, at))
    }

    fn with_other_suffix<'p>(
        &'p self,
        node: NodeId,
        path: &'p JudgedPath<'p>,
        at: usize,
    ) -> impl Iterator<Item = Candidate> {
        let last = path.segment(at).filter(|_| path.segment(at + 1).is_none());
        last.into_iter().flat_map(move |segment| {
            let parent = self.node(node).filter(|_| segment.is_format()).and_then(|node| node.end_with_slash);
            let hashes = [segment.hash()].into_iter().chain(segment.stem_hashes());
            let literals = hashes.flat_map(move |hash| self.edges.matching(node, hash));
            let children = literals.filter_map(move |(child, literal)| {
                let (leaf, _) = self.node(child)?.ends(path)?;
                segment.reads_like_with_suffix(literal).then_some(leaf)
            });
            parent.into_iter().chain(children).map(|leaf| (leaf, Some(NearMiss::FormatSuffix)))
        })
    }

    fn scripts<'p>(&'p self, node: NodeId, path: &'p JudgedPath<'p>, at: usize) -> impl Iterator<Item = Candidate> {
        path.segment(at).into_iter().flat_map(move |segment| {
            let literals = self.edges.matching(node, segment.hash());
            let scripts = literals.filter(move |(_, literal)| is_script(worn(literal)) && segment.reads_like(literal));
            let ends =
                scripts.filter_map(|(child, _)| self.node(child)).flat_map(|child| [child.end, child.end_with_slash]);
            ends.flatten().map(|leaf| (leaf, Some(NearMiss::PathInfo)))
        })
    }

    /// Whether a segment is a literal: to this policy (`true`), to servers that tell less apart (`false`), or to none.
    fn reading(&self, segment: &Segment<'_>, literal: &[u8]) -> Option<bool> {
        let exact = self.is(segment, literal);
        (exact || segment.reads_like(literal)).then_some(exact)
    }

    /// Whether a segment is a literal to this policy.
    fn is(&self, segment: &Segment<'_>, literal: &[u8]) -> bool {
        match self.case {
            PathCase::Insensitive => segment.equals_in_ascii_case(literal),
            PathCase::Sensitive => segment.equals(literal),
        }
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(place_of(id.0))
    }

    fn literal_child(&mut self, parent: NodeId, literal: &[u8]) -> NodeId {
        let hash = folded_hash(&folded(worn(literal)));
        let same = |other: &[u8]| self.case.same(other, literal);
        if let Some((child, _)) = self.edges.matching(parent, hash).find(|(_, other)| same(other)) {
            return child;
        }
        let child = self.add_node();
        self.edges.insert((parent, hash), literal, child);
        if let Some(stem) = literal_stem(worn(literal)) {
            self.edges.insert((parent, folded_hash(&folded(stem))), literal, child);
        }
        child
    }

    fn parameter_child(&mut self, parent: NodeId) -> NodeId {
        if let Some(child) = self.node(parent).and_then(|node| node.parameter) {
            return child;
        }
        let child = self.add_node();
        if let Some(node) = self.nodes.get_mut(place_of(parent.0)) {
            node.parameter = Some(child);
        }
        child
    }

    fn leaf_at(&mut self, node: NodeId, place: impl FnOnce(&mut Node) -> &mut Option<LeafId>) -> LeafId {
        let next = LeafId(number_after(self.leaves.len()));
        let leaf = self.nodes.get_mut(place_of(node.0)).map_or(next, |node| *place(node).get_or_insert(next));
        if leaf == next {
            self.leaves.push(MethodTable::default());
        }
        leaf
    }

    fn add_node(&mut self) -> NodeId {
        let id = NodeId(number_after(self.nodes.len()));
        self.nodes.push(Node::default());
        id
    }
}

#[expect(clippy::expect_used, reason = "a policy file is at most 4 MiB, far below four thousand million segments")]
pub(super) fn index(length: usize) -> u32 {
    u32::try_from(length).expect("fewer templates than u32 counts")
}

/// The number of the next of `count` things that are counted from one.
fn number_after(count: usize) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(index(count))
}

/// The place of the thing with this number.
const fn place_of(number: NonZeroU32) -> usize {
    number.get() as usize - 1
}
