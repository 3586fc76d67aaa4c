//! What the GET routes serve, by which an included resource is known.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::document::{Document, enumeration};
use super::super::draft::{Access, Draft};
use super::super::template;
use super::{Member, demanded, join, names};

/// The GET routes, by what they serve.
pub(super) struct Served<'d> {
    document: &'d Document,
    /// Resource type to the operations that serve it at top level.
    by_type: BTreeMap<&'d str, Serving>,
    /// The operations at top level, by the last literal segment of their paths.
    by_name: BTreeMap<&'d str, Serving>,
    /// Template shape to what is served there.
    by_shape: BTreeMap<String, Related>,
}

/// An operation that serves a relationship.
struct Related {
    label: String,
    scopes: BTreeSet<String>,
    /// The document states no scope for it.
    is_unstated: bool,
}

impl Related {
    fn of(draft: &Draft<'_>) -> Self {
        let is_unstated = draft.access == Access::Unstated;
        Self { label: draft.label(), scopes: demanded(&draft.access), is_unstated }
    }

    /// What it asks for, in words.
    fn asks(&self) -> String {
        match (self.scopes.is_empty(), self.is_unstated) {
            (true, true) => format!("the document states no scope for {}", self.label),
            (true, false) => format!("{} asks for no scope", self.label),
            (false, _) => format!("{} asks for {} alone", self.label, join(&self.scopes)),
        }
    }
}

/// Operations that serve one resource.
#[derive(Clone, Debug, Default)]
struct Serving {
    scopes: BTreeSet<String>,
    labels: BTreeSet<String>,
    /// Those of which the document states no scope.
    unstated: BTreeSet<String>,
}

impl Serving {
    fn add(&mut self, draft: &Draft<'_>) {
        self.scopes.extend(demanded(&draft.access));
        self.labels.insert(draft.label());
        if draft.access == Access::Unstated {
            self.unstated.insert(draft.label());
        }
    }

    /// The rule of a member that these serve. Without a scope of any of them it is open, which is said where the document is silent.
    fn rule(&self) -> Member {
        let mut member = Member { scopes: self.scopes.clone(), doubts: BTreeSet::new() };
        if self.scopes.is_empty() && !self.unstated.is_empty() {
            member.doubts.insert(format!("the document states no scope for {}", join(&self.unstated)));
        }
        member
    }
}

impl<'d> Served<'d> {
    pub(super) fn by(document: &'d Document, drafts: &'d [Draft<'d>]) -> Self {
        let (by_type, by_name, by_shape) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut served = Self { document, by_type, by_name, by_shape };
        for draft in drafts.iter().filter(|draft| draft.operation.method == "GET") {
            if template::is_top_level(&draft.template) {
                if let Some(kind) = served.primary_type(draft) {
                    served.by_type.entry(kind).or_default().add(draft);
                }
                if let Some(name) = template::last_literal(&draft.template) {
                    served.by_name.entry(name).or_default().add(draft);
                }
            }
            served.by_shape.insert(template::shape(&draft.template), Related::of(draft));
        }
        served
    }

    /// The rule of a member on a route; `None` where no operation says what it needs.
    pub(super) fn member(&self, draft: &Draft<'d>, name: &str) -> Option<Member> {
        let mut parts = name.split('.');
        let mut member = self.relation(draft, parts.next()?)?;
        // What is below an included resource is known by its name alone.
        for part in parts {
            let Member { scopes, doubts } = self.named(part)?;
            member.scopes.extend(scopes);
            member.doubts.extend(doubts);
        }
        Some(member)
    }

    fn relation(&self, draft: &Draft<'d>, name: &str) -> Option<Member> {
        let own = demanded(&draft.access);
        let kind = self.relationship_type(draft, name);
        let related = self.related(draft, name);
        let asked: BTreeSet<String> = related.iter().flat_map(|one| one.scopes.iter()).cloned().collect();
        if let Some(serving) = kind.and_then(|kind| self.by_type.get(kind)) {
            let mut member = serving.rule();
            let lenient = |asked: &BTreeSet<String>| !asked.is_superset(&serving.scopes) || !asked.is_superset(&own);
            member.doubts.extend(related.iter().filter(|one| lenient(&one.scopes)).map(|one| one.asks()));
            member.scopes.extend(asked.difference(&own).cloned());
            return Some(member);
        }
        if let Some(mut member) = self.named(kind.unwrap_or(name)) {
            member.scopes.extend(asked.difference(&own).cloned());
            return Some(member);
        }
        if !related.is_empty() {
            let mut doubts = BTreeSet::from([format!("served only by {}", join(related.iter().map(|one| &one.label)))]);
            doubts.extend(related.iter().filter(|one| one.scopes.is_empty()).map(|one| one.asks()));
            return Some(Member { scopes: asked, doubts });
        }
        self.linked(draft, kind?)
    }

    /// What the operations ask for that have this name in their paths, in the singular or the plural.
    fn named(&self, name: &str) -> Option<Member> {
        let mut found = Serving::default();
        for (_, serving) in self.by_name.iter().filter(|(other, _)| names::are_one(name, other)) {
            found.scopes.extend(serving.scopes.iter().cloned());
            found.labels.extend(serving.labels.iter().cloned());
            found.unstated.extend(serving.unstated.iter().cloned());
        }
        let mut member = found.rule();
        member.doubts.insert(format!("by the name alone, from {}", join(&found.labels)));
        // Operations that ask for nothing and share a name alone prove nothing.
        (!found.labels.is_empty() && !member.scopes.is_empty()).then_some(member)
    }

    /// What the types ask for that a resource links to, where each of them is served; the route's own scopes besides.
    fn linked(&self, draft: &Draft<'d>, kind: &str) -> Option<Member> {
        let linked = self.linked_types(draft, kind);
        let mut scopes = demanded(&draft.access);
        for kind in &linked {
            scopes.extend(self.by_type.get(kind)?.scopes.iter().cloned());
        }
        let doubt = format!("no operation serves {kind}; it links to {}", join(&linked));
        (!linked.is_empty()).then(|| Member { scopes, doubts: BTreeSet::from([doubt]) })
    }

    /// The operations that serve the relationship below the route, or below a member of the route's collection.
    fn related(&self, draft: &Draft<'_>, name: &str) -> Vec<&Related> {
        let shape = template::shape(&draft.template);
        let parent = if shape.ends_with("/{}") { format!("{shape}/") } else { format!("{shape}/{{}}/") };
        let below = self.by_shape.iter().filter(|(shape, _)| {
            let last = shape.strip_prefix(&parent);
            last.is_some_and(|last| !last.contains(['/', '{']) && names::are_one(name, last))
        });
        below.map(|(_, related)| related).collect()
    }

    /// The `data` of the response: a resource, or the items of a collection.
    fn primary(&self, draft: &Draft<'d>) -> Option<&'d Value> {
        let schema = self.document.response_schema(&draft.operation)?;
        Some(self.document.item(self.document.property(schema, "data")?))
    }

    fn primary_type(&self, draft: &Draft<'d>) -> Option<&'d str> {
        self.type_of(self.primary(draft)?)
    }

    fn type_of(&self, resource: &'d Value) -> Option<&'d str> {
        enumeration(self.document.property(resource, "type")?).next()
    }

    fn relationship_type(&self, draft: &Draft<'d>, name: &str) -> Option<&'d str> {
        let relationships = self.document.property(self.primary(draft)?, "relationships")?;
        let data = self.document.property(self.document.property(relationships, name)?, "data")?;
        self.type_of(self.document.item(data))
    }

    /// The types that the relationships of the included resource of this type lead to.
    fn linked_types(&self, draft: &Draft<'d>, kind: &str) -> BTreeSet<&'d str> {
        let linked = || {
            let schema = self.document.response_schema(&draft.operation)?;
            let items = self.document.item(self.document.property(schema, "included")?);
            let choices = ["oneOf", "anyOf"].into_iter().find_map(|name| items.get(name)?.as_array());
            let mut resources = choices.map_or(std::slice::from_ref(items), Vec::as_slice).iter();
            let resource = resources.find(|resource| self.type_of(resource) == Some(kind))?;
            self.document.property(resource, "relationships")?.get("properties")?.as_object()
        };
        let relationships = linked().into_iter().flatten();
        relationships
            .filter_map(|(_, schema)| self.type_of(self.document.item(self.document.property(schema, "data")?)))
            .collect()
    }
}
