//! What each member of the `include` parameter adds to a route.
//!
//! No document says so. It is derived: the relationship of that name leads to a resource type; the operation that serves that type in its own
//! right says which scopes the type needs; else the operation below the route (`/profiles/{id}/lists` for `include=lists`) does; else the
//! route's own scopes, and those of the types that the resource links to. Where the operations disagree the strictest reading is taken, and said.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::document::{Document, enumeration};
use super::draft::{Access, Draft};
use super::{Note, Report, template};

/// The rules of the parameter over all routes.
#[derive(Debug, Default)]
pub(super) struct Included {
    /// Members that need the same scopes on every route that takes them.
    pub(super) members: BTreeMap<String, Member>,
    /// Whether a route has the parameter at all: then it is ruled, and what no route lists is denied.
    pub(super) is_ruled: bool,
    /// What each route takes, in the order of the drafts.
    pub(super) routes: Vec<Taken>,
}

/// What one route takes.
#[derive(Debug)]
pub(super) enum Taken {
    /// Members of the declaration, sorted.
    Declared(Vec<String>),
    /// Not the parameter at all.
    Nothing,
    /// A map of its own: a member here needs other scopes than on another route.
    Own(BTreeMap<String, Member>),
}

/// The rule of one member.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Member {
    /// All of these, sorted; the route's own are asked besides.
    pub(super) scopes: BTreeSet<String>,
    /// Why the rule may be too strict.
    pub(super) doubts: BTreeSet<String>,
}

/// The GET routes, by what they serve.
struct Served<'d> {
    document: &'d Document,
    /// Resource type to the scopes of the operations that serve it at top level.
    by_type: BTreeMap<&'d str, BTreeSet<String>>,
    /// Template shape to the draft's label and scopes.
    by_shape: BTreeMap<String, (String, BTreeSet<String>)>,
}

/// Derives the rules of the parameter `name` for all routes.
pub(super) fn derive<'d>(document: &'d Document, drafts: &'d [Draft<'d>], name: &str, report: &mut Report) -> Included {
    let served = Served::by(document, drafts);
    let mut all: Vec<Option<BTreeMap<String, Member>>> = Vec::new();
    let mut members: BTreeMap<String, Member> = BTreeMap::new();
    let mut differing = BTreeSet::new();
    for draft in drafts {
        report.notes.extend(draft.operations().flat_map(|operation| document.lost_parameters(operation)).map(
            |place| Note {
                about: draft.label(),
                text: format!("{place} could not be found: if it is {name}, that is not ruled"),
            },
        ));
        let Some((_, schema)) = draft.query(document).find(|(parameter, _)| *parameter == name) else {
            all.push(None);
            continue;
        };
        let schema_of_members = if schema.get("items").is_some() { document.item(schema) } else { schema };
        let (names, unsayable): (BTreeSet<&str>, BTreeSet<&str>) =
            enumeration(schema_of_members).partition(|member| is_member(member));
        report.notes.extend(unsayable.into_iter().map(|member| Note {
            about: draft.label(),
            text: format!("{name}={member:?} cannot be a member of a list and stays denied"),
        }));
        if names.is_empty() {
            let text = format!("takes {name}, but lists no members: every value is denied until the route lists some");
            report.notes.push(Note { about: draft.label(), text });
        }
        let taken: BTreeMap<String, Member> =
            names.into_iter().map(|member| (member.to_owned(), served.member(draft, member))).collect();
        for (member, rule) in &taken {
            let known = members.entry(member.clone()).or_insert_with(|| rule.clone());
            if known.scopes != rule.scopes {
                differing.insert(member.clone());
            }
            known.doubts.extend(rule.doubts.iter().cloned());
        }
        all.push(Some(taken));
    }
    for (member, rule) in &members {
        report
            .notes
            .extend(rule.doubts.iter().map(|doubt| Note { about: format!("{name}={member}"), text: doubt.clone() }));
    }
    members.retain(|member, _| !differing.contains(member));
    let is_ruled = all.iter().any(Option::is_some);
    let routes = all.into_iter().map(|taken| match taken {
        None => Taken::Nothing,
        Some(taken) if taken.is_empty() => Taken::Nothing,
        Some(taken) if taken.keys().any(|member| differing.contains(member)) => Taken::Own(taken),
        Some(taken) => Taken::Declared(taken.into_keys().collect()),
    });
    Included { is_ruled, routes: routes.collect(), members }
}

impl<'d> Served<'d> {
    fn by(document: &'d Document, drafts: &'d [Draft<'d>]) -> Self {
        let mut served = Self { document, by_type: BTreeMap::new(), by_shape: BTreeMap::new() };
        for draft in drafts.iter().filter(|draft| draft.operation.method == "GET") {
            let scopes = demanded(&draft.access);
            if let Some(kind) = served.primary_type(draft).filter(|_| template::is_top_level(&draft.template)) {
                served.by_type.entry(kind).or_default().extend(scopes.iter().cloned());
            }
            served.by_shape.insert(template::shape(&draft.template), (draft.label(), scopes));
        }
        served
    }

    fn member(&self, draft: &Draft<'d>, name: &str) -> Member {
        let own = demanded(&draft.access);
        let kind = self.relationship_type(draft, name);
        let related = self.related(draft, name);
        let mut member = Member::default();
        match (kind.and_then(|kind| self.by_type.get(kind)), related) {
            (Some(scopes), related) => {
                member.scopes.clone_from(scopes);
                if let Some((label, asked)) =
                    related.filter(|(_, asked)| !asked.is_superset(scopes) || !asked.is_superset(&own))
                {
                    member.doubts.insert(format!("{label} asks for {} alone", join(asked)));
                }
            }
            (None, Some((label, asked))) => {
                member.scopes.clone_from(asked);
                member.doubts.insert(format!("only {label} serves it"));
            }
            (None, None) => {
                let linked = kind.map(|kind| self.linked_types(draft, kind)).unwrap_or_default();
                member.scopes =
                    linked.iter().filter_map(|kind| self.by_type.get(kind)).flatten().cloned().chain(own).collect();
                let links = if linked.is_empty() { String::new() } else { format!("; it links to {}", join(linked)) };
                member.doubts.insert(format!("no operation serves {}{links}", kind.unwrap_or(name)));
            }
        }
        member
    }

    /// The operation that serves the relationship below the route, or below a member of the route's collection.
    fn related(&self, draft: &Draft<'_>, name: &str) -> Option<(&str, &BTreeSet<String>)> {
        let shape = template::shape(&draft.template);
        let parent = if shape.ends_with("/{}") { shape } else { format!("{shape}/{{}}") };
        self.by_shape.get(&format!("{parent}/{name}")).map(|(label, scopes)| (label.as_str(), scopes))
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

/// A name that stays whole where the list is parted at commas, and that does not stand for all members.
fn is_member(name: &str) -> bool {
    !name.is_empty() && !name.contains(',') && name != "*"
}

/// Every scope that a route may ask for. Alternatives count together: the strict reading.
pub(super) fn demanded(access: &Access) -> BTreeSet<String> {
    match access {
        Access::Anyone | Access::Key | Access::Unstated => BTreeSet::new(),
        Access::Scopes(alternatives) => alternatives.iter().flatten().cloned().collect(),
    }
}

fn join(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect::<Vec<_>>().join(", ")
}
