//! A drift in words, and for programs.

use serde_json::{Value, json};

use super::super::draft::Access;
use super::{Change, Drift, held_scopes};
use crate::key::visible::escaped;
use crate::policy::{Policy, Route};

/// What a policy asks for on a route.
pub(super) fn held(policy: &Policy, route: &Route) -> String {
    match route.access().as_str() {
        Some(auth) => format!("auth: {auth}"),
        None => asked(&held_scopes(policy, route)),
    }
}

/// What a document asks for on a route.
pub(super) fn asked(access: &Access) -> String {
    match access {
        Access::Anyone => String::from("auth: anyone"),
        Access::Key | Access::Unstated => String::from("auth: key"),
        Access::Scopes(alternatives) => {
            alternatives.iter().map(|list| list.join(" and ")).collect::<Vec<_>>().join(", or ")
        }
    }
}

impl Drift {
    /// A line for each difference, for a human.
    #[must_use]
    pub fn render(&self) -> String {
        let added = self.added.iter().map(|(route, asked)| format!("added    {route}: only in the document ({asked})"));
        let removed = self.removed.iter().map(|route| format!("removed  {route}: only in the policy"));
        let changed = self.changed.iter().map(|change| {
            let Change { route, document, policy } = change;
            format!("changed  {route}: {document} in the document, {policy} in the policy")
        });
        added.chain(removed).chain(changed).map(|line| escaped(&line)).collect::<Vec<_>>().join("\n")
    }

    /// The differences for a program.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let added = self.added.iter().map(|(route, document)| json!({ "route": route, "document": document }));
        let changed = self.changed.iter().map(|change| {
            let Change { route, document, policy } = change;
            json!({ "route": route, "document": document, "policy": policy })
        });
        json!({
            "added": added.collect::<Vec<_>>(),
            "removed": self.removed,
            "changed": changed.collect::<Vec<_>>(),
        })
    }
}
