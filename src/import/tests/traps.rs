//! Traps of real documents, each in a small one of our own.

use std::collections::BTreeMap;

use super::*;
use crate::config::policy;
use crate::import::text;
use crate::policy::scope::Vocabulary;

/// Files that stand beside a document.
type Beside = BTreeMap<&'static str, &'static str>;

/// The policy and the report of a document; the policy is one that the gateway takes, and neither depends on the document's order.
pub(super) fn told(document: &str, options: &Options) -> String {
    told_with(document, options, &Beside::new())
}

fn told_with(document: &str, options: &Options, beside: &Beside) -> String {
    let read = |path: &str| beside.get(path).map(|text| (*text).to_owned()).ok_or_else(|| String::from("no such file"));
    let told = |text: &str| match openapi(text, options, &read) {
        Ok(Imported { policy, report, .. }) => format!("{policy}\n{:-<80}\n{}", "", report.render()),
        Err(ImportError::NoRoutes { report }) => {
            format!("{}\n{}", ImportError::NoRoutes { report: report.clone() }, report.render())
        }
        Err(error) => error.to_string(),
    };
    let first = told(document);
    let mirrored = mirrored(text::read(document).unwrap()).to_string();
    assert_eq!(told(&mirrored), first, "the order of the document matters");
    if let Some((policy, _)) = first.split_once("\n-----") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        std::fs::write(&path, policy).unwrap();
        let loaded = policy::load(&path, &Vocabulary::default());
        match loaded {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{:?}\n{policy}", loaded.warnings),
            Err(faults) => panic!("{faults:?}\n{policy}"),
        }
    }
    first
}

/// The same document, the fields of every object in the reverse order.
fn mirrored(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(mirrored).collect(),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().rev().map(|(name, field)| (name, mirrored(field))).collect())
        }
        other => other,
    }
}

pub(super) fn plain() -> Options {
    Options::default()
}

#[test]
fn a_fragment_tells_operations_apart_in_the_document_alone() {
    insta::assert_snapshot!(told(
        "
openapi: 3.0.2
info: { title: Crates, version: 2024.0 }
servers: [{ url: https://api.crates.example/2.0 }]
security: [{ oauth: [] }]
paths:
  /files/{file_id}: { get: { security: [{ oauth: [files:read] }] }, put: { security: [{ oauth: [files:write] }] } }
  /files/{file_id}#add_shared_link: { put: { security: [{ oauth: [links:write] }] } }
  /files/{file_id}#get_shared_link: { get: { security: [{ oauth: [files:read] }] } }
  /files/{file_id}/thumbnail.{extension}: { get: { security: [{ oauth: [files:read] }] } }
  /files/content: { post: { security: [{ oauth: [files:write] }] } }
  /folders#new: { post: { security: [{ oauth: [files:write] }] } }
",
        &plain()
    ));
}

#[test]
fn a_parameter_with_a_literal_tail_is_left_out_and_what_it_hides_behind_is_named() {
    insta::assert_snapshot!(told(
        "
openapi: 3.0.1
info: { title: Voices, version: 1.0 }
paths:
  /Accounts.json: { get: { x-voice-scopes: [accounts:read] } }
  /Accounts/{Sid}.json: { get: { x-voice-scopes: [accounts:admin] } }
  /Accounts/{Sid}: { get: { x-voice-scopes: [accounts:read] } }
  /Accounts/{AccountSid}/Numbers/{CountryCode}/Local.json: { get: { x-voice-scopes: [numbers:read] } }
",
        &plain()
    ));
}

#[test]
fn a_null_list_and_an_empty_one_mean_any_key_and_no_list_means_nobody() {
    insta::assert_snapshot!(told(
        "
openapi: 3.0.0
info: { title: Tills, version: 2.0 }
components:
  securitySchemes:
    oauth2: { type: oauth2, flows: { authorizationCode: { scopes: { PAYMENTS_READ: 'Read payments: all of them', PAYMENTS_WRITE: Take payments } } } }
paths:
  /v2/payments: { get: { security: [{ oauth2: [PAYMENTS_READ] }] }, post: { security: [{ oauth2: [PAYMENTS_WRITE, PAYMENTS_READ] }] } }
  /v2/payments/{id}: { get: { security: [{ oauth2: [PAYMENTS_READ] }] } }
  /v2/payments/cancel: { post: { security: [{ oauth2: [PAYMENTS_WRITE] }] } }
  /v2/locations: { get: { security: [{ oauth2: [] }] } }
  /oauth2/revoke: { post: { security: [{ oauth2: null }] } }
  /oauth2/token: { post: { security: [] } }
",
        &plain()
    ));
}

const CHAT: &str = "
swagger: '2.0'
info: { title: Chatter, version: 1.7.0 }
host: chatter.example
basePath: /api
schemes: [https]
securityDefinitions:
  chatAuth: { type: oauth2, flow: accessCode, scopes: { none: No scope required, 'chat:write:bot': Speak as a bot } }
paths:
  /api.test: { get: { security: [{ chatAuth: [none] }] } }
  /chat.postMessage: { post: { security: [{ chatAuth: ['chat:write:user', 'chat:write:bot'] }] } }
  /users.list: { get: { security: [{ chatAuth: [none, 'users:read'] }] } }
";

#[test]
fn a_pseudo_scope_is_pointed_out() {
    insta::assert_snapshot!(told(CHAT, &plain()));
}

#[test]
fn a_pseudo_scope_means_any_key_and_a_list_can_mean_any_of_it() {
    insta::assert_snapshot!(told(
        CHAT,
        &Options { no_scope: vec![String::from("none")], any_of: true, ..Options::default() }
    ));
}

#[test]
fn a_pseudo_scope_that_nothing_lists_is_a_mistake() {
    let options = Options { no_scope: vec![String::from("nil")], ..Options::default() };
    insta::assert_snapshot!(told(CHAT, &options), @"--no-scope nil: the document does not use that name anywhere");
}

#[test]
fn of_five_alternatives_the_one_with_scopes_counts() {
    insta::assert_snapshot!(told(
        "
openapi: 3.0.1
info: { title: Hubs, version: v3 }
paths:
  /crm/v3/objects/{type}:
    get:
      security: [{ app_cookie: [] }, { hapikey: [] }, { internal_cookie: [] }, { oauth2: [objects.read] }, { shhkey: [] }]
      x-hubs-auth-scoping-type: ALL
    post: { security: [{ hapikey: [] }, { shhkey: [] }] }
    delete: { security: [{ oauth2: [objects.delete, objects.read] }, { oauth2: [objects.admin] }, { oauth2: [objects.admin, a] }] }
",
        &plain()
    ));
}

const DRAWINGS: &str = "
openapi: 3.1.0
info: { title: Drawings, version: 0.1.0 }
servers: [{ url: https://api.drawings.example }]
webhooks: { ping: { post: { responses: {} } } }
paths:
  /v1/files/{key}: { get: { security: [{ PersonalAccessToken: [] }, { OAuth2: [files:read, file_content:read] }] } }
  /v1/files/{file_key}/comments: { get: { security: [{ PersonalAccessToken: [] }, { OAuth2: [file_comments:read] }] } }
";

#[test]
fn an_alternative_without_scopes_frees_nothing_and_one_node_may_have_two_names() {
    insta::assert_snapshot!(told(DRAWINGS, &plain()));
}

#[test]
fn a_scheme_and_any_of_are_kept_in_the_command_that_makes_the_policy_again() {
    let options = Options {
        source: Some(String::from("drawings.yaml")),
        scheme: Some(String::from("OAuth2")),
        any_of: true,
        ..Options::default()
    };
    insta::assert_snapshot!(told(DRAWINGS, &options));
}

#[test]
fn operations_in_other_files_are_found_and_those_with_servers_of_their_own_are_left_out() {
    let beside = Beside::from([
        (
            "droplets/list.yml",
            "security: [{ bearer_auth: [droplet:read] }]\nparameters: [{ $ref: '../shared/include.yml' }]\n",
        ),
        ("shared/include.yml", "name: include\nin: query\nschema: { $ref: 'members.json#/kinds' }\n"),
        ("shared/members.json", r#"{"kinds": {"type": "array", "items": {"enum": ["images", "tags"]}}}"#),
        (
            "domains.yml",
            "get: { security: [{ bearer_auth: ['domain:create'] }, { bearer_auth: ['domain:update'] }] }\npost: { $ref: 'openapi.yml#/x-operations/create' }\n",
        ),
        ("circle/a.yml", "$ref: b.yml\n"),
        ("circle/b.yml", "$ref: a.yml\n"),
    ]);
    let document = "
openapi: 3.0.0
info: { title: Ocean, version: '2.0', description: { $ref: readme.md } }
components: { securitySchemes: { bearer_auth: { type: http, scheme: bearer }, inference: { type: http, scheme: bearer } } }
x-operations: { create: { security: [{ bearer_auth: ['domain:create'] }] } }
paths:
  /v2/droplets: { get: { $ref: droplets/list.yml }, post: { $ref: droplets/create.yml } }
  /v2/domains: { $ref: './domains.yml' }
  /v2/circle: { $ref: circle/a.yml }
  /v2/remote: { $ref: 'https://elsewhere.example/remote.yml' }
  /v2/chat: { servers: [{ url: https://inference.example }], post: { security: [{ inference: [] }] } }
  /v2/models: { get: { servers: [{ url: https://inference.example }], security: [{ bearer_auth: ['models:read'] }] } }
  /<upload_url>: { put: { security: [] } }
  /v2/volumes: { get: { security: [{ bearer_auth: ['volumes:read'] }], parameters: [{ $ref: parameters/none.yml }] } }
";
    let options = Options { source: Some(String::from("openapi.yml")), ..Options::default() };
    insta::assert_snapshot!(told_with(document, &options, &beside));
}

#[test]
fn a_parameter_may_be_the_first_segment_and_stand_beside_literals() {
    insta::assert_snapshot!(told(
        "
openapi: 3.0.2
info: { title: Alarms, version: 2.0.0 }
security: [{ api_key: [] }]
paths:
  /{entity_type}/{id}/tags: { get: { x-alarm-requires-scope: tags.read } }
  /{entity_type}/{id}/change_tags: { post: { x-alarm-requires-scope: tags.write } }
  /users/{id}: { get: { x-alarm-requires-scope: users.read } }
  /users/me: { get: {} }
  /users/{id}/tags: { post: { x-alarm-requires-scope: tags.write } }
",
        &plain()
    ));
}

#[test]
fn an_extension_with_objects_is_refused_in_words() {
    insta::assert_snapshot!(told(
        "
openapi: 3.0.1
info: { title: Tickets, version: '1' }
paths:
  /rest/issue:
    get:
      security: [{ OAuth2: ['read:work'] }]
      x-tickets-oauth2-scopes: [{ scheme: OAuth2, state: Current, scopes: ['read:work'] }]
    post: { x-tickets-oauth2-scopes: { OAuth2: ['write:work'] } }
",
        &plain()
    ));
}

#[test]
fn one_request_asks_for_what_all_its_operations_ask_for() {
    insta::assert_snapshot!(told(
        "
openapi: 3.0.1
info: { title: Twins, version: '1' }
paths:
  /a/{id}: { get: { x-t-scopes: [a:read] }, put: { x-t-scopes: [a:write] }, delete: { x-t-scopes: [a:write] } }
  /a/{key}: { get: { x-t-scopes: [a:read, a:all] }, put: { x-t-scopes: [{}] }, delete: { security: [] } }
  /b?kind=x: { get: { x-t-scopes: [b:admin] } }
  /b: { get: { x-t-scopes: [b:read] } }
  /c: { get: not an operation, post: { x-t-scopes: [c:write] }, trace: { x-t-scopes: [c:write] } }
",
        &plain()
    ));
}

#[test]
fn a_member_that_no_route_lists_is_denied_even_where_nothing_lists_any() {
    insta::assert_snapshot!(told(
        "
openapi: 3.0.1
info: { title: Open, version: '1' }
servers: [{ url: 'https://{region}.open.example/{version}', variables: { region: { default: eu }, version: { default: v7 } } }]
paths:
  /a: { get: { x-o-scopes: [a:read], parameters: [{ name: include, in: query, schema: { type: string } }] } }
",
        &plain()
    ));
}

#[test]
fn the_words_of_a_document_cannot_write_a_route() {
    let break_out = "\n  GET /admin: { auth: anyone }\n#\u{2028}\r\u{1b}[2J";
    let document = json!({
        "openapi": "3.0.0",
        "info": { "title": break_out, "version": break_out },
        "components": { "securitySchemes": { "o": { "flows": { "f": { "scopes": { "a:read": break_out } } } } } },
        "paths": {
            "/a": { "get": { "security": [{ "o": ["a:read"] }], "parameters": [
                { "name": "include", "in": "query", "schema": { "enum": [break_out] } },
                { "name": format!("additional-fields[{break_out}"), "in": "query", "schema": { "enum": [break_out] } },
            ] } },
            format!("/b{break_out}"): { "get": { "security": [{ "o": ["a:read"] }] } },
            "/c": { "get": { "security": [{ break_out: [] }] } },
            "/d": { "get": { "$ref": break_out } },
        },
    });
    let options = Options { source: Some(break_out.to_owned()), ..Options::default() };
    let told = told(&document.to_string(), &options);
    assert!(!told.contains(['\r', '\u{1b}', '\u{2028}']), "{told}");
    let routes: Vec<&str> = told.lines().map(str::trim_start).filter(|line| line.starts_with("GET /admin")).collect();
    assert_eq!(routes, [""; 0], "{told}");
}

/// Documents whose policies `check` once refused or warned of.
#[test]
fn an_import_passes_its_own_check_without_a_warning() {
    let deep = "/a".repeat(140);
    let scopes = json!({ "x-o-scopes": ["a"] });
    let include = |members: &[&str]| json!({ "x-o-scopes": ["a"], "parameters": [{ "name": "include", "in": "query", "schema": { "enum": members } }] });
    let mut lines_of_carts = include(&["lines", "owner"]);
    lines_of_carts["x-o-scopes"] = json!(["carts"]);
    let document = document(&json!({
        "/l/{id}/{id}": { "get": scopes },
        "/a/.../b": { "get": scopes },
        "/a/:id": { "get": scopes },
        "/a/[id]": { "get": scopes },
        "/a/<id>": { "get": scopes },
        "/a/{*rest}": { "get": scopes },
        deep: { "get": scopes },
        "/orders/{id}": { "get": scopes, "put": scopes },
        "/orders/search": { "post": scopes },
        "/{kind}/{id}": { "delete": scopes },
        // `owner` needs another scope on each: no route takes the declared lines over.
        "/orders": { "get": include(&["lines", "owner"]) },
        "/carts": { "get": lines_of_carts },
        "/orders/{id}/owner": { "get": { "x-o-scopes": ["people"] } },
        "/carts/{id}/owner": { "get": { "x-o-scopes": ["firms"] } },
        "/lines": { "get": { "x-o-scopes": ["none"] } },
    }));
    let told = told(&document.to_string(), &plain());
    assert!(told.contains("9 of 16 operations are routes"), "{told}");
    assert!(told.contains("DELETE|GET|PUT /v2/orders/search: { auth: deny }"), "{told}");
}

#[test]
fn a_scope_that_is_called_like_a_word_of_the_policy_stays_a_scope() {
    let mut orders = json!({ "x-o-scopes": ["read"] });
    orders["parameters"] = json!([{ "name": "include", "in": "query", "schema": { "enum": ["customer"] } }]);
    let document =
        document(&json!({ "/orders": { "get": orders }, "/customers": { "get": { "x-o-scopes": ["allow"] } } }));
    let told = told(&document.to_string(), &plain());
    assert!(told.contains("\n      customer: [allow]\n"), "{told}");
}
