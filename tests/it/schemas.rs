//! `scopegate schema`: what an editor is told of a file is what the reader of that file knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use scopegate::yaml::{CONFIG_LIMIT, Node, Scalar, Value as Yaml, parse};
use serde_json::{Value, json};

use crate::support::scopegate;

/// A field that no reader knows, and that is near to none.
const STRANGER: &str = "zzzzzzzzzzzzzzzz";

fn schema(of: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    scopegate(folder.path(), ["schema", of]).exits(0).json()
}

/// A file of `config/`, or text, as JSON: plain scalars as YAML 1.2 reads them.
fn read(text: &str) -> Value {
    fn scalar(scalar: &Scalar) -> Value {
        match (scalar.as_bool(), scalar.text.parse::<i64>()) {
            _ if !scalar.plain => json!(scalar.text),
            _ if scalar.is_null() => Value::Null,
            (Some(boolean), _) => json!(boolean),
            (None, Ok(number)) => json!(number),
            (None, Err(_)) => json!(scalar.text),
        }
    }
    fn node(it: &Node) -> Value {
        match &it.value {
            Yaml::List(items) => items.iter().map(node).collect(),
            Yaml::Map(entries) => entries.iter().map(|entry| (entry.key.to_string(), node(&entry.value))).collect(),
            Yaml::Scalar(it) => scalar(it),
        }
    }
    node(&parse(text, CONFIG_LIMIT).root.expect("a document"))
}

/// What a `$ref` stands for.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let path = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    path.map_or(schema, |path| root.pointer(path).unwrap_or_else(|| panic!("{path} is no place in the schema")))
}

/// Whether `value` is of the JSON type that the schema calls `name`.
fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        _ => panic!("{name} is no type"),
    }
}

/// Whether the value is valid: the keywords that our schemas use, `pattern` and `propertyNames` left aside.
fn is_valid(root: &Value, schema: &Value, value: &Value) -> bool {
    let schema = resolved(root, schema);
    let list = |name: &str| schema[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let within = |length: usize, least: &str, most: &str| {
        schema[least].as_u64().is_none_or(|least| length as u64 >= least)
            && schema[most].as_u64().is_none_or(|most| length as u64 <= most)
    };
    let types: Vec<&str> =
        schema["type"].as_str().into_iter().chain(list("type").iter().filter_map(Value::as_str)).collect();
    let valid = |schema: &&Value| is_valid(root, schema, value);
    let bounds = value.as_i64().is_none_or(|number| {
        schema["minimum"].as_i64().is_none_or(|least| number >= least)
            && schema["maximum"].as_i64().is_none_or(|most| number <= most)
    });
    let whole = (types.is_empty() || types.iter().any(|name| is_of(value, name)))
        && (schema.get("enum").is_none() || list("enum").contains(value))
        && schema.get("const").is_none_or(|only| only == value)
        && (list("anyOf").is_empty() || list("anyOf").iter().any(|one| valid(&one)))
        && (list("oneOf").is_empty() || list("oneOf").iter().filter(valid).count() == 1)
        && bounds;
    whole
        && match value {
            Value::Array(items) => {
                within(items.len(), "minItems", "maxItems")
                    && schema.get("items").is_none_or(|each| items.iter().all(|item| is_valid(root, each, item)))
            }
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| match (
                    schema["properties"].get(name),
                    &schema["additionalProperties"],
                ) {
                    (Some(own), _) => is_valid(root, own, value),
                    (None, Value::Bool(allowed)) => *allowed,
                    (None, Value::Null) => true,
                    (None, other) => is_valid(root, other, value),
                };
                within(fields.len(), "minProperties", "maxProperties")
                    && list("required").iter().all(|name| fields.contains_key(name.as_str().expect("a name")))
                    && fields.iter().all(field)
            }
            _ => true,
        }
}

#[test]
fn every_file_that_is_shipped_is_valid() {
    for (of, names) in
        [("config", ["scopegate.yaml", "klaviyo.yaml"]), ("policy", ["policy.yaml", "klaviyo-policy.yaml"])]
    {
        let schema = schema(of);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        for name in names {
            let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)).expect(name);
            assert!(is_valid(&schema, &schema, &read(&text)), "{name} against the schema {of}");
        }
    }
}

#[test]
fn what_the_readers_take_is_valid_and_what_they_refuse_by_its_shape_is_not() {
    let cases = [
        (
            "policy",
            "{ version: 1, routes: { GET /a: { any_of: [a, [b, c]], query: { include: { l: [a, b], m: allow } } } } }",
            true,
        ),
        (
            "policy",
            "{ version: 1, scopes: { a: A, b: { implies: a, access: read } }, routes: { GET /a: [a, b] }, tests: [{ request: GET /a, scopes: [], expect: deny }] }",
            true,
        ),
        ("policy", "{ version: 1, routes: { GET /a: [] } }", false),
        ("policy", "{ version: 1, routes: { GET /a: { credential: x } } }", false),
        ("policy", "{ version: 1, routes: { GET /a: { auth: anybody } } }", false),
        ("policy", "{ version: 2, routes: { GET /a: a } }", false),
        ("policy", "{ version: 1, routes: { GET /a: a }, tests: [{ request: GET /a, expect: deny }] }", false),
        (
            "config",
            "{ upstream: { url: http://127.0.0.1:1, credential: { header: A, value: b } }, policy: p.yaml, workers: 2, keys: { accept: [bearer, { header: X-Key }] } }",
            true,
        ),
        (
            "config",
            "{ listen: [127.0.0.1:1, { address: unix:/a }], limits: { body_bytes: none, connections: 5 } }",
            true,
        ),
        (
            "config",
            "{ listen: { address: 127.0.0.1:1, tls: true, proxy_protocol: [10.0.0.0/8] }, tls: { cert: a, key: b, min_version: '1.3' } }",
            true,
        ),
        ("config", "{ tls: { cert: a } }", false),
        ("config", "{ mode: enforced }", false),
        ("config", "{ keys: { accept: [] } }", false),
        ("config", "{ workers: 0 }", false),
        (
            "keys",
            "{ keys: [{ name: a, sha256: 00, scopes: [] }, { name: b, hmac_sha256: 00, grant: full, disabled: true }] }",
            true,
        ),
        ("keys", "{ keys: [{ name: a, sha256: 00 }] }", false),
        ("keys", "{ keys: [{ name: a, scopes: [x] }] }", false),
    ];
    for (of, text, expected) in cases {
        let schema = schema(of);
        assert_eq!(is_valid(&schema, &schema, &read(text)), expected, "{of}: {text}");
    }
}

/// Every map with fields of its own: a document that has a stranger in it, and the fields that the schema knows there.
fn strangers(root: &Value, schema: &Value, wrap: &dyn Fn(Value) -> Value) -> Vec<(Value, BTreeSet<String>)> {
    let schema = resolved(root, schema);
    let mut found = Vec::new();
    for one in ["anyOf", "oneOf"].iter().filter_map(|name| schema[*name].as_array()).flatten() {
        found.extend(strangers(root, one, wrap));
    }
    if let Some(fields) = schema["properties"].as_object() {
        found.push((wrap(json!({ STRANGER: 1 })), fields.keys().cloned().collect()));
        for (name, field) in fields {
            found.extend(strangers(root, field, &|inner| wrap(json!({ name: inner }))));
        }
    }
    if schema["additionalProperties"].is_object() {
        let name = if schema.get("propertyNames").is_some() { "GET /x" } else { "x" };
        found.extend(strangers(root, &schema["additionalProperties"], &|inner| wrap(json!({ name: inner }))));
    }
    if schema["items"].is_object() {
        found.extend(strangers(root, &schema["items"], &|inner| wrap(json!([inner]))));
    }
    found
}

/// The fields that a reader says it knows where it met the stranger.
fn known(told: &str) -> BTreeSet<String> {
    let at = told.find(STRANGER).unwrap_or_else(|| panic!("the stranger was not met: {told}"));
    let list = ["known here: ", "the fields of a key are ", "the only field of the file is "];
    let help = list.iter().find_map(|start| told[at..].split_once(start)).expect("the fields that are known").1;
    let help = help.lines().next().unwrap_or_default().split(')').next().unwrap_or_default();
    help.replace(" or ", ", ").split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn the_fields_of_a_schema_are_those_that_its_reader_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = [
        ("config", "scopegate.yaml", ["check", "-c", "scopegate.yaml"]),
        ("policy", "policy.yaml", ["check", "--policy", "policy.yaml"]),
        ("keys", "keys.yaml", ["keys", "list", "--store=file:keys.yaml"]),
    ];
    fs::write(folder.path().join("policy.yaml"), "version: 1\nroutes:\n  GET /a: a\n").expect("a policy");
    for (of, file, arguments) in arguments {
        let schema = schema(of);
        let documents = strangers(&schema, &schema, &|inner| inner);
        assert!(documents.len() > 1, "{of}");
        for (document, fields) in documents {
            if of == "keys" {
                let config = "upstream: { url: http://127.0.0.1:1 }\npolicy: { version: 1, routes: { GET /a: a } }\n";
                fs::write(folder.path().join("scopegate.yaml"), config).expect("a configuration");
            }
            fs::write(folder.path().join(file), document.to_string()).expect("a file");
            let output = scopegate(folder.path(), arguments);
            assert_eq!(known(&output.stderr), fields, "{of}: {document}\n{}", output.stderr);
        }
    }
}
