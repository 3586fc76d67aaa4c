//! Templates that take paths from less specific ones without having all of their methods. The path chooses first, so
//! such requests are denied: rightly, but perhaps not as the author thought. `check` notes them.

use std::collections::HashMap;

use super::Policy;
use super::method::{Method, MethodTable};
use super::route::{Access, RouteId};
use super::template::{Piece, Template};
use super::trie::PathCase;

/// Methods that a path has under one template and loses to a more specific one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// A route of the template that is chosen.
    pub chosen: RouteId,
    /// A route of the less specific template, whose methods those are.
    pub beaten: RouteId,
    /// The methods that are denied where both match.
    pub methods: Vec<&'static str>,
}

/// A template and the routes on it.
pub(super) struct Leaf<'p> {
    pub(super) first: RouteId,
    pub(super) template: Template,
    table: &'p MethodTable,
}

impl Policy {
    /// Every pair of templates where the more specific one lacks a method that the other has open.
    #[must_use]
    pub fn shadows(&self) -> Vec<Shadow> {
        let leaves = self.leaves();
        let depth = self.base_depth();
        let mut by_literal: HashMap<Option<Vec<u8>>, Vec<&Leaf<'_>>> = HashMap::new();
        for leaf in &leaves {
            by_literal.entry(leaf.literal_at(depth)).or_default().push(leaf);
        }
        let mut shadows = Vec::new();
        for chosen in &leaves {
            let literal = chosen.literal_at(depth);
            let same = by_literal.get(&literal).into_iter().flatten();
            let open = by_literal.get(&None).filter(|_| literal.is_some()).into_iter().flatten();
            let beaten = same.chain(open).filter(|other| beats(self.options.case, &chosen.template, &other.template));
            shadows.extend(beaten.filter_map(|beaten| self.shadow(chosen, beaten)));
        }
        shadows.sort_by_key(|shadow| (shadow.chosen, shadow.beaten));
        shadows
    }

    /// Every template with its routes.
    pub(super) fn leaves(&self) -> Vec<Leaf<'_>> {
        let leaf = |table: &'_ MethodTable| {
            let (_, first) = table.written().min_by_key(|(_, id)| *id)?;
            let template = Template::parse(self.route(first)?.template()).ok()?;
            Some((first, template))
        };
        let tables = self.trie.tables();
        tables.filter_map(|table| leaf(table).map(|(first, template)| Leaf { first, template, table })).collect()
    }

    /// How many segments all templates share as the base.
    fn base_depth(&self) -> usize {
        self.options.base.matches('/').count()
    }

    fn shadow(&self, chosen: &Leaf<'_>, beaten: &Leaf<'_>) -> Option<Shadow> {
        let open = |method: &str| {
            let id = beaten.table.choose(method.as_bytes())?;
            self.route(id).filter(|route| route.access() != Access::Deny).map(|_| id)
        };
        let lost = Method::ALL.into_iter().map(Method::as_str).filter_map(|method| {
            match chosen.table.choose(method.as_bytes()) {
                None => Some((method, open(method)?)),
                Some(_) => None,
            }
        });
        let (methods, ids): (Vec<&str>, Vec<RouteId>) = lost.unzip();
        ids.first().map(|beaten| Shadow { chosen: chosen.first, beaten: *beaten, methods })
    }
}

impl Leaf<'_> {
    fn literal_at(&self, depth: usize) -> Option<Vec<u8>> {
        match self.template.pieces.get(depth) {
            Some(Piece::Literal(literal)) => Some(literal.to_ascii_lowercase()),
            _ => None,
        }
    }
}

/// Whether some path matches both templates and belongs to the first.
fn beats(case: PathCase, first: &Template, second: &Template) -> bool {
    let mut ahead = false;
    for (left, right) in first.pieces.iter().zip(&second.pieces) {
        match (left, right) {
            (Piece::Wildcard(_), _) => return ahead,
            (_, Piece::Wildcard(_)) => return true,
            (Piece::Literal(left), Piece::Literal(right)) if !case.same(left, right) => {
                return false;
            }
            (Piece::Literal(_), Piece::Parameter(_)) => ahead = true,
            (Piece::Parameter(_), Piece::Literal(_)) if !ahead => return false,
            _ => {}
        }
    }
    ahead && first.pieces.len() == second.pieces.len() && first.final_slash == second.final_slash
}
