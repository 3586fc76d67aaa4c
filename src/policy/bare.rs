//! Wildcards whose own prefix belongs to another template: `/internal/{*rest}` needs a segment behind `/internal`, so the
//! bare path may go to a less specific template. Rightly, but perhaps not as the author thought. `check` notes them.

use super::Policy;
use super::path::JudgedPath;
use super::route::{Access, RouteId};
use super::shadow::Leaf;
use super::template::Piece;
use super::trie::Found;

/// A wildcard, and who gets the path before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarePrefix {
    /// A route of the template with the wildcard.
    pub wildcard: RouteId,
    /// A route of the template that takes the path before the wildcard.
    pub taker: RouteId,
    /// That path, without or with a final slash.
    pub path: String,
}

impl Policy {
    /// Every wildcard behind a literal, where a less specific template takes the path before it.
    #[must_use]
    pub fn bare_prefixes(&self) -> Vec<BarePrefix> {
        let leaves = self.leaves();
        let mut found: Vec<BarePrefix> = leaves.iter().filter_map(|leaf| self.bare_prefix(leaf)).collect();
        found.sort_by_key(|bare| bare.wildcard);
        found
    }

    fn bare_prefix(&self, leaf: &Leaf<'_>) -> Option<BarePrefix> {
        let (Piece::Wildcard(_), [.., Piece::Literal(_)]) = leaf.template.pieces.split_last()? else {
            return None;
        };
        let (prefix, _) = self.route(leaf.first)?.template().rsplit_once("/{*")?;
        let bare = filled(prefix);
        let taker = |path: &str| {
            let judged = JudgedPath::judge(path.as_bytes()).ok()?;
            let Found::Leaf(leaf) = self.trie.find(&judged) else { return None };
            let mut routes = self.trie.methods(leaf).written().filter_map(|(_, id)| self.route(id));
            let open = routes.find(|route| route.access() != Access::Deny)?;
            let is_own = filled(open.template().trim_end_matches('/')) == bare;
            (!is_own).then_some(open.id())
        };
        let slashed = format!("{bare}/");
        let (taker, slash) = taker(&bare).map(|id| (id, "")).or_else(|| taker(&slashed).map(|id| (id, "/")))?;
        Some(BarePrefix { wildcard: leaf.first, taker, path: format!("{prefix}{slash}") })
    }
}

/// A template with a segment in place of each parameter.
fn filled(template: &str) -> String {
    let fill = |piece| if str::starts_with(piece, '{') { "0" } else { piece };
    template.split('/').map(fill).collect::<Vec<&str>>().join("/")
}
