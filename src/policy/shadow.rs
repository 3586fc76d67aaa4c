//! Templates that take paths from less specific ones without having all of their methods. The path chooses first, so
//! such requests are denied: rightly, but perhaps not as the author thought. `check` notes them.

mod overlaps;

use super::Policy;
use super::method::{Method, MethodTable};
use super::route::{Access, RouteId};
use super::template::Template;
use overlaps::Overlaps;

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
        let overlaps = Overlaps::of(self.options.case, leaves.iter().map(|leaf| &leaf.template));
        let mut shadows = Vec::new();
        for chosen in &leaves {
            let beaten = overlaps.beaten_by(&chosen.template);
            shadows.extend(beaten.into_iter().filter_map(|at| self.shadow(chosen, leaves.get(at)?)));
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
