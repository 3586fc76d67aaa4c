//! The stub's resources: a JSON file of our own making, in the style of JSON:API.

use std::collections::BTreeMap;
use std::io;

use serde::Deserialize;
use serde_json::{Map, Value, json};

const MADE_UP: &str = include_str!("resources.json");
/// What links of answers start with, as the real API has it.
const ORIGIN: &str = "https://a.klaviyo.com/api";

#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Resources {
    all: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resource {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) attributes: Map<String, Value>,
    #[serde(default)]
    pub(super) relations: BTreeMap<String, Relation>,
}

/// Where a relationship leads.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Relation {
    Many {
        #[serde(rename = "type")]
        kind: String,
        ids: Vec<String>,
    },
    One {
        #[serde(rename = "type")]
        kind: String,
        id: String,
    },
}

impl Relation {
    pub(super) fn targets(&self) -> impl Iterator<Item = (&str, &str)> {
        let (kind, ids) = match self {
            Self::Many { kind, ids } => (kind, ids.as_slice()),
            Self::One { kind, id } => (kind, std::slice::from_ref(id)),
        };
        ids.iter().map(move |id| (kind.as_str(), id.as_str()))
    }

    /// Resource identifiers: a list, or one.
    pub(super) fn linkage(&self) -> Value {
        let mut identifiers = self.targets().map(|(kind, id)| json!({ "type": kind, "id": id }));
        match self {
            Self::Many { .. } => identifiers.collect(),
            Self::One { .. } => identifiers.next().unwrap_or(Value::Null),
        }
    }
}

impl Resources {
    /// Reads the data that is built in.
    pub(super) fn made_up() -> io::Result<Self> {
        serde_json::from_str(MADE_UP).map_err(io::Error::from)
    }

    pub(super) fn find(&self, kind: &str, id: &str) -> Option<&Resource> {
        self.all.iter().find(|resource| resource.kind == kind && resource.id == id)
    }

    /// The resources under `/api/{collection}`; empty where there is no such collection.
    pub(super) fn collection(&self, collection: &str) -> impl Iterator<Item = &Resource> {
        let kind = kind_of(collection).to_owned();
        self.all.iter().filter(move |resource| resource.kind == kind)
    }
}

impl Resource {
    /// The resource object. The relationships that are included have their data, the others their links alone.
    pub(super) fn render(&self, included: &[&str]) -> Value {
        let own = link(&format!("{}s/{}", self.kind, self.id));
        let relationships = self.relations.iter().map(|(name, relation)| {
            let mut object = json!({ "links": { "self": format!("{own}relationships/{name}/"), "related": format!("{own}{name}/") } });
            if included.contains(&name.as_str())
                && let Some(object) = object.as_object_mut()
            {
                object.insert(String::from("data"), relation.linkage());
            }
            (name.clone(), object)
        });
        let relationships: Map<String, Value> = relationships.collect();
        json!({ "type": self.kind, "id": self.id, "attributes": self.attributes, "relationships": relationships, "links": { "self": own } })
    }
}

/// The type that a collection holds.
pub(super) fn kind_of(collection: &str) -> &str {
    collection.strip_suffix('s').unwrap_or_default()
}

pub(super) fn link(path: &str) -> String {
    format!("{ORIGIN}/{path}/")
}
