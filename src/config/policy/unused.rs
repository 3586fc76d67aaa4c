//! What a policy declares for nothing: scopes that nothing asks for, members that no route takes over.

use std::collections::HashSet;

use crate::config::read::{Fields, Reader};
use crate::config::text::quoted;
use crate::policy::Policy;
use crate::yaml::{Entry, Node, Value};

/// Warns of both, each where it is declared. The policy has compiled, so that the tree holds what it should.
pub(super) fn warn(reader: &mut Reader<'_>, fields: &Fields<'_>, policy: &Policy) {
    let members = declared_members(fields);
    warn_of_scopes(reader, fields, (policy, &members));
    let taken = taken_members(fields);
    for (parameter, member) in members {
        if !taken.contains(&(parameter, &*member.key)) {
            let message = format!("no route lists the member {} of `{parameter}`", quoted(&member.key));
            reader.warning(
                member.key_span,
                message,
                "name it under `query` of a route that may have it, or take it out",
            );
        }
    }
}

fn warn_of_scopes(reader: &mut Reader<'_>, fields: &Fields<'_>, (policy, members): (&Policy, &[(&str, &Entry)])) {
    let asked = policy.asked();
    let in_members = members.iter().flat_map(|(_, member)| words(&member.value));
    let used = policy.set_of(asked.iter().map(String::as_str).chain(in_members));
    let Some(declared) = fields.find("scopes") else { return };
    for entry in entries(declared.node) {
        if !policy.held_with(&entry.key).intersects(&used) {
            let message = format!("no route and no member asks for the scope {}", quoted(&entry.key));
            reader.warning(
                entry.key_span,
                message,
                "a key with it can do no more than one without: use it, or take it out",
            );
        }
    }
}

/// The members that `parameters` declares, each with its parameter.
fn declared_members<'n>(fields: &Fields<'n>) -> Vec<(&'n str, &'n Entry)> {
    let parameters = fields.find("parameters").map_or(&[][..], |parameters| entries(parameters.node));
    let of = |parameter: &'n Entry| {
        let members = parameter.value.entry("members").map_or(&[][..], |members| entries(&members.value));
        members.iter().map(|member| (&*parameter.key, member))
    };
    parameters.iter().flat_map(of).collect()
}

/// The declared members that routes name, each with its parameter.
fn taken_members<'n>(fields: &Fields<'n>) -> HashSet<(&'n str, &'n str)> {
    let routes = fields.find("routes").map_or(&[][..], |routes| entries(routes.node));
    let queries = routes.iter().filter_map(|route| route.value.entry("query"));
    let rules = queries.flat_map(|query| entries(&query.value));
    let lists = rules.filter(|rule| !matches!(rule.value.value, Value::Map(_)));
    lists.flat_map(|rule| words(&rule.value).into_iter().map(|word| (&*rule.key, word))).collect()
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        Value::List(_) | Value::Scalar(_) => &[],
    }
}

/// The words of a list, or the one word that stands for a list.
fn words(node: &Node) -> Vec<&str> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) | Value::Scalar(_) => std::slice::from_ref(node),
    };
    items.iter().filter_map(Node::scalar).map(|scalar| &*scalar.text).collect()
}
