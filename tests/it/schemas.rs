//! `scopegate schema`: what an editor is told of a file is what the reader of that file knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
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

/// Whether the text has what the pattern of the schema says, where there is one.
fn matches(schema: &Value, text: &str) -> bool {
    let pattern = schema["pattern"].as_str();
    pattern
        .is_none_or(|pattern| Regex::new(pattern).expect("a pattern that Rust and ECMA have in common").is_match(text))
}

/// Whether the value is valid: the keywords that our schemas use.
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
        && schema.get("not").is_none_or(|never| !valid(&never))
        && schema.get("if").is_none_or(|condition| {
            let branch = if valid(&condition) { "then" } else { "else" };
            schema.get(branch).is_none_or(|then| valid(&then))
        })
        && bounds;
    whole
        && match value {
            Value::String(text) => matches(schema, text),
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
                    && fields.keys().all(|name| matches(&schema["propertyNames"], name))
                    && list("required").iter().all(|name| fields.contains_key(name.as_str().expect("a name")))
                    && fields.iter().all(field)
            }
            _ => true,
        }
}

#[test]
fn every_file_that_is_shipped_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let (config, policy) = (schema("config"), schema("policy"));
    assert_eq!(policy["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !name.ends_with(".yaml") {
            continue;
        }
        seen += 1;
        let schema = if name.ends_with("policy.yaml") { &policy } else { &config };
        let text = fs::read_to_string(&path).expect(&name);
        assert!(is_valid(schema, schema, &read(&text)), "{name}");
    }
    assert!(seen >= 6, "{seen}");
}

/// What an upstream, a policy and so on come to when only one section is of interest.
fn config(section: &str) -> String {
    format!(
        "{{ upstream: {{ url: \"http://127.0.0.1:9\" }}, policy: {{ version: 1, routes: {{ GET /a: a }} }}, {section} }}"
    )
}

fn upstream(section: &str) -> String {
    format!(
        "{{ upstream: {{ url: \"http://127.0.0.1:1\", {section} }}, policy: {{ version: 1, routes: {{ GET /a: a }} }} }}"
    )
}

fn policy(section: &str) -> String {
    format!("{{ version: 1, routes: {{ GET /a: a }}, {section} }}")
}

fn routes(section: &str) -> String {
    format!("{{ version: 1, parameters: {{ include: {{}} }}, routes: {{ {section} }} }}")
}

/// Files, and whether they are good.
fn cases() -> Vec<(&'static str, String, bool)> {
    let of = |kind: &'static str, wrap: fn(&str) -> String, good: &[&str], bad: &[&str]| {
        let good = good.iter().map(move |text| (kind, wrap(text), true));
        good.chain(bad.iter().map(move |text| (kind, wrap(text), false))).collect::<Vec<_>>()
    };
    let mut all = of(
        "policy",
        routes,
        &[
            "GET /a: { any_of: [a, [b, c]], query: { include: { l: [a, b], m: allow } } }",
            "GET /: a, 'GET|POST /a/{id}/': [a, b], 'ANY /x/{*rest}': { auth: deny }",
            "OPTIONS /a: { scopes: a, any_of: [b] }, HEAD /a%20b: 12",
            "GET /a: { scopes: a, timeouts: { connect: 250ms, response: 5m, request: none } }",
        ],
        &[
            "GET /a: []",
            "GET /a: { credential: x }",
            "GET /a: { auth: anybody }",
            "GET /a: { auth: key, scopes: a }",
            "GET /a: { auth: key, any_of: [a] }",
            "GET /a: '*'",
            "GET /a: { scopes: a, timeouts: { response: none } }",
            "GET /a: { scopes: a, timeouts: { request: 0s } }",
            "GET /a: { scopes: a, timeouts: { idle: 5s } }",
            "GET /a: { scopes: a, timeouts: 5s }",
            "GET /a: 'a, b'",
            "GET /a: ['a b']",
            "FOO /a: a",
            "GETS /a: a",
            "get /a: a",
            "GET a: a",
            "GET /a/*: a",
            "'GET /a/{id}.json': a",
            "GET /a//b: a",
        ],
    );
    all.extend(of(
        "policy",
        policy,
        &[
            "base: ''",
            "base: /v1",
            "scopes: { a: A, b: { implies: a, access: read } }",
            "tests: [{ request: GET /a, scopes: [], expect: deny, code: insufficient_scope }]",
        ],
        &[
            "base: /v1/",
            "base: v1",
            "paths: { case: ignore }",
            "tests: [{ request: GET /a, expect: deny }]",
            "tests: [{ request: GET /a, key: none, expect: deny, code: missing-key }]",
        ],
    ));
    all.extend(of(
        "config",
        config,
        &[
            "workers: 2",
            "workers: \"1\"",
            "keys: { accept: [bearer, { header: X-Key }], prefix: 12, pepper: none }",
            "limits: { body_bytes: none, connections: 5, header_bytes: 32KiB, target_bytes: 4096, idle: 1m, headers: 256 }",
            "log: { access: \"true\" }",
            "limits: { connections_per_address: none, requests_per_connection: 5, connection_age: none, h2_streams: 5 }",
            "listen: { address: \"127.0.0.1:1\", tls: false, proxy_protocol: [10.0.0.0/8] }",
            "cors: { origins: [\"https://app.example\"], headers: [X-A], max_age: 1h }",
            "cors: { origins: [\"*\"] }",
        ],
        &[
            "mode: enforced",
            "keys: { accept: [] }",
            "keys: { pepper: null }",
            "tls: null",
            "cors: null",
            "workers: 0",
            "limits: { headers: 257 }",
            "limits: { idle: 5 }",
            "limits: { idle: soon }",
            "limits: { header_bytes: 32KB }",
            "drain: { timeout: none }",
            "tls: { cert: a }",
            "limits: { connections_per_address: some }",
            "cors: true",
            "cors: {}",
            "cors: { origins: [] }",
            "cors: { origins: [app.example] }",
            "cors: { origins: [\"*\"], max_age: soon }",
        ],
    ));
    all.extend(of(
        "config",
        upstream,
        &[
            "credential: { header: A, value: b }",
            "credential: { query: a, value: 12 }",
            "credential: { basic: { username: a, password: 12 } }",
            "tls: { ca: system, server_name: null, client_cert: null }",
            "timeouts: { connect: 250ms, request: none }, retries: { budget: 20%, connect: \"2\" }",
        ],
        &[
            "credential: { header: A }",
            "credential: null",
            "tls: { ca: null }",
            "credential: { value: b }",
            "credential: { header: A, query: b, value: c }",
            "credential: { header: A, value: b, basic: { username: a, password: b } }",
            "timeouts: { connect: none }",
            "retries: { budget: 20 }",
            "retries: { connect: 11 }",
        ],
    ));
    let key = |text: &str| format!("{{ keys: [{{ name: a, {text} }}] }}");
    all.extend(of(
        "keys",
        key,
        &[
            "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, scopes: [x], disabled: true",
            "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, tripwire: true",
            "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, tripwire: true, scopes: []",
            "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, tripwire: false, grant: full",
            "kind: public, account: acme, key: Ab12Cd",
            "kind: public, account: acme, key: Ab12Cd, scopes: []",
        ],
        &[
            "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "scopes: [x]",
            "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, tripwire: true, scopes: [x]",
            "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, tripwire: true, grant: full",
            "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, tripwire: false",
            "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, grant: full, attrs: { account: acme }",
            "kind: public, key: Ab12Cd",
            "kind: public, account: acme",
            "kind: public, account: acme, key: Ab12C",
            "kind: public, account: acme, key: Ab12Cd, scopes: [x]",
            "kind: public, account: acme, key: Ab12Cd, expires: 2099-01-31",
            "grant: full, key: Ab12Cd",
        ],
    ));
    let account = |text: &str| format!("{{ accounts: [{{ {text} }}], keys: [] }}");
    all.extend(of(
        "keys",
        account,
        &["id: acme", "id: acme, name: Acme, credential: sms, disabled: true"],
        &["name: Acme", "id: acme, colour: red", "id: acme, disabled: maybe"],
    ));
    all
}

#[test]
fn a_schema_takes_what_the_reader_takes_and_refuses_what_it_refuses_by_its_shape() {
    let folder = tempfile::tempdir().expect("a folder");
    for (of, text, good) in cases() {
        let schema = schema(of);
        assert_eq!(is_valid(&schema, &schema, &read(&text)), good, "the schema {of}: {text}");
        if of == "keys" {
            fs::write(folder.path().join("scopegate.yaml"), config("mode: enforce")).expect("a configuration");
        }
        let (file, arguments) = reader_of(of);
        fs::write(folder.path().join(file), &text).expect("a file");
        let output = scopegate(folder.path(), arguments);
        // A test of the policy may fail, which is 3; a key file that is refused is a store that cannot be opened, which is 1.
        assert_eq!(matches!(output.code, 0 | 3), good, "the reader of {of}: {text}\n{}", output.stderr);
    }
}

/// The name of a file of this kind, and what reads it.
fn reader_of(kind: &str) -> (&'static str, [&'static str; 3]) {
    match kind {
        "config" => ("scopegate.yaml", ["check", "-c", "scopegate.yaml"]),
        "policy" => ("policy.yaml", ["check", "--policy", "policy.yaml"]),
        _ => ("keys.yaml", ["keys", "list", "--store=file:keys.yaml"]),
    }
}

/// Every map with fields of its own: a document that has a stranger in it, and the fields that the schema knows there.
fn strangers(root: &Value, schema: &Value, wrap: &dyn Fn(Value) -> Value) -> Vec<(Value, BTreeSet<String>)> {
    let schema = resolved(root, schema);
    let mut found = Vec::new();
    // What a map with fields of its own says of them besides is no other map.
    let is_map = schema["properties"].is_object();
    let others = ["anyOf", "oneOf"].iter().filter_map(|name| schema[*name].as_array()).flatten();
    for one in others.filter(|_| !is_map) {
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
    let list =
        ["known here: ", "the fields of a key are ", "the fields of an account are ", "the fields of the file are "];
    let help = list.iter().find_map(|start| told[at..].split_once(start)).expect("the fields that are known").1;
    let help = help.lines().next().unwrap_or_default().split(')').next().unwrap_or_default();
    help.replace(" or ", ", ").split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn the_fields_of_a_schema_are_those_that_its_reader_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("policy.yaml"), "version: 1\nroutes:\n  GET /a: a\n").expect("a policy");
    for of in ["config", "policy", "keys"] {
        let (file, arguments) = reader_of(of);
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
