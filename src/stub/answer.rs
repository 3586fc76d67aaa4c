//! From a request to an answer in Klaviyo's manner: JSON:API documents, 202 for what is done later, errors as objects.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::resources::{Resource, Resources, kind_of, link};

/// What an answer depends on.
pub(super) struct Call<'c> {
    pub(super) method: &'c str,
    /// As sent: path and query.
    pub(super) target: &'c str,
    /// Null where it is no JSON.
    pub(super) body: &'c Value,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
}

impl Answer {
    pub(super) fn reason(&self) -> &'static str {
        match self.status {
            200 => "OK",
            201 => "Created",
            202 => "Accepted",
            204 => "No Content",
            400 => "Bad Request",
            401 => "Unauthorized",
            405 => "Method Not Allowed",
            _ => "Not Found",
        }
    }
}

pub(super) fn answer(resources: &Resources, call: &Call<'_>) -> Answer {
    let (path, query) = call.target.split_once('?').unwrap_or((call.target, ""));
    let path = decode(path.strip_prefix("/api/").unwrap_or_default().trim_end_matches('/'));
    let segments: Vec<&str> = path.split('/').collect();
    let method = if call.method == "HEAD" { "GET" } else { call.method };
    match (method, segments.as_slice()) {
        ("GET", [collection]) => list(resources, collection, query),
        ("GET", [collection, id]) => one(resources, collection, id, query),
        ("GET", [collection, id, name]) => related(resources, resources.find(kind_of(collection), id), name),
        ("GET", [collection, id, "relationships", name]) => linkage(resources.find(kind_of(collection), id), name),
        ("POST", ["metric-aggregates"]) => aggregates(),
        ("POST", [name]) if name.ends_with("-reports") => report(name),
        ("POST", ["events"]) => accepted(),
        ("POST", [name]) if name.contains("-bulk-") => accepted(),
        ("POST", [collection]) if has(resources, collection) => create(collection, call.body),
        ("PATCH", [collection, id]) => update(resources.find(kind_of(collection), id), call.body),
        ("DELETE", [collection, id]) => done_to(resources.find(kind_of(collection), id)),
        ("DELETE" | "PATCH" | "POST", [collection, id, "relationships", _]) => {
            done_to(resources.find(kind_of(collection), id))
        }
        _ => not_found("The requested path could not be found."),
    }
}

/// An error document.
pub(super) fn refusal(status: u16, code: &str, title: &str, detail: &str) -> Answer {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let id = format!("00000000-0000-4000-8000-{:012x}", COUNT.fetch_add(1, Ordering::Relaxed));
    let error = json!({ "id": id, "status": status, "code": code, "title": title, "detail": detail, "source": { "pointer": "/data/" } });
    Answer { status, body: Some(json!({ "errors": [error] })) }
}

fn not_found(detail: &str) -> Answer {
    refusal(404, "not_found", "Not found.", detail)
}

fn ok(body: Value) -> Answer {
    Answer { status: 200, body: Some(body) }
}

fn accepted() -> Answer {
    Answer { status: 202, body: None }
}

fn has(resources: &Resources, collection: &str) -> bool {
    resources.collection(collection).next().is_some()
}

fn list(resources: &Resources, collection: &str, query: &str) -> Answer {
    if !has(resources, collection) {
        return not_found("The requested path could not be found.");
    }
    let names = parameter(query, "include");
    let size = parameter(query, "page[size]").parse().unwrap_or(usize::MAX);
    let found: Vec<&Resource> = resources.collection(collection).take(size).collect();
    let names = members(&names);
    let mut body = json!({
        "data": found.iter().map(|resource| resource.render(&names)).collect::<Vec<_>>(),
        "links": { "self": link(collection), "next": null, "prev": null },
    });
    with_included(resources, &mut body, &found, &names)
}

fn one(resources: &Resources, collection: &str, id: &str, query: &str) -> Answer {
    let Some(resource) = resources.find(kind_of(collection), id) else {
        return not_found(&format!("A {} with id {id} does not exist.", kind_of(collection)));
    };
    let names = parameter(query, "include");
    let names = members(&names);
    let mut body = json!({ "data": resource.render(&names), "links": { "self": link(&format!("{collection}/{id}")) } });
    with_included(resources, &mut body, &[resource], &names)
}

/// Adds each included resource once. A member that the resources do not have is an error, as in the real API.
fn with_included(resources: &Resources, body: &mut Value, primary: &[&Resource], names: &[&str]) -> Answer {
    let mut seen = BTreeSet::new();
    let mut included = Vec::new();
    for name in names {
        if !primary.iter().any(|resource| resource.relations.contains_key(*name)) {
            return refusal(
                400,
                "invalid",
                "Invalid input.",
                &format!("'{name}' is not a relationship that can be included."),
            );
        }
        let relations = primary.iter().filter_map(|resource| resource.relations.get(*name));
        for (kind, id) in relations.flat_map(|relation| relation.targets()) {
            if seen.insert((kind, id)) {
                included.extend(resources.find(kind, id).map(|resource| resource.render(&[])));
            }
        }
    }
    if let Some(object) = body.as_object_mut().filter(|_| !names.is_empty()) {
        object.insert(String::from("included"), Value::from(included));
    }
    ok(body.take())
}

fn related(resources: &Resources, parent: Option<&Resource>, name: &str) -> Answer {
    let Some((parent, relation)) = parent.and_then(|parent| Some((parent, parent.relations.get(name)?))) else {
        return not_found("The requested resource could not be found.");
    };
    let mut found = relation.targets().filter_map(|(kind, id)| resources.find(kind, id)).map(|resource| {
        let mut object = resource.render(&[]);
        // Members of a list or a segment say when they joined it.
        if let Some(attributes) =
            object.get_mut("attributes").and_then(Value::as_object_mut).filter(|_| name == "profiles")
        {
            attributes.insert(String::from("joined_group_at"), json!("2026-03-01T09:00:00+00:00"));
        }
        object
    });
    let is_one = relation.linkage().is_object();
    let data = if is_one { found.next().unwrap_or(Value::Null) } else { found.collect() };
    ok(json!({ "data": data, "links": { "self": link(&format!("{}s/{}/{name}", parent.kind, parent.id)) } }))
}

fn linkage(parent: Option<&Resource>, name: &str) -> Answer {
    match parent.and_then(|parent| Some((parent, parent.relations.get(name)?))) {
        Some((parent, relation)) => {
            let own = link(&format!("{}s/{}/relationships/{name}", parent.kind, parent.id));
            ok(json!({ "data": relation.linkage(), "links": { "self": own } }))
        }
        None => not_found("The requested resource could not be found."),
    }
}

fn create(collection: &str, body: &Value) -> Answer {
    let kind = kind_of(collection);
    let data = body.get("data").filter(|data| data.get("type").and_then(Value::as_str) == Some(kind));
    let Some(attributes) = data.and_then(|data| data.get("attributes")).filter(|attributes| attributes.is_object())
    else {
        return refusal(
            400,
            "invalid",
            "Invalid input.",
            &format!("The body must be a resource object of type {kind}."),
        );
    };
    let own = link(&format!("{collection}/NEW001"));
    let resource = json!({ "type": kind, "id": "NEW001", "attributes": attributes, "links": { "self": own } });
    Answer { status: 201, body: Some(json!({ "data": resource, "links": { "self": own } })) }
}

fn update(resource: Option<&Resource>, body: &Value) -> Answer {
    let Some(resource) = resource else {
        return not_found("The requested resource could not be found.");
    };
    let mut object = resource.render(&[]);
    let changes = body.pointer("/data/attributes").and_then(Value::as_object);
    if let (Some(attributes), Some(changes)) = (object.get_mut("attributes").and_then(Value::as_object_mut), changes) {
        attributes.extend(changes.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    let own = object.get("links").cloned();
    ok(json!({ "data": object, "links": own }))
}

fn done_to(resource: Option<&Resource>) -> Answer {
    match resource {
        Some(_) => Answer { status: 204, body: None },
        None => not_found("The requested resource could not be found."),
    }
}

fn aggregates() -> Answer {
    let own = link("metric-aggregates");
    let attributes = json!({
        "dates": ["2026-03-01T00:00:00+00:00", "2026-03-02T00:00:00+00:00"],
        "data": [{ "dimensions": [], "measurements": { "count": [12.0, 7.0] } }],
    });
    let data =
        json!({ "type": "metric-aggregate", "id": "AGG001", "attributes": attributes, "links": { "self": own } });
    ok(json!({ "data": data, "links": { "self": own } }))
}

fn report(name: &str) -> Answer {
    let results = json!([{ "groupings": { "send_channel": "email" }, "statistics": { "opens": 41.0 } }]);
    let data = json!({ "type": kind_of(name), "attributes": { "results": results }, "links": { "self": link(name) } });
    ok(json!({ "data": data, "links": { "self": link(name), "next": null, "prev": null } }))
}

/// The decoded value of a query parameter; empty where it is not there.
fn parameter(query: &str, name: &str) -> String {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.filter(|(key, _)| decode(key) == name).map(|(_, value)| decode(value)).next();
    value.unwrap_or_default()
}

fn members(names: &str) -> Vec<&str> {
    names.split(',').filter(|name| !name.is_empty()).collect()
}

/// Percent-decodes; an escape that is none stays as it is.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = (byte == b'%').then(|| after.first_chunk::<2>()).flatten();
        let decoded = escape.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}
