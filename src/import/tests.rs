use serde_json::{Value, json};

use super::*;

mod drifting;
mod include_members;
mod klaviyo;
mod said;
mod traps;

/// For a document that stands alone.
fn no_files(_: &str) -> Result<String, String> {
    Err(String::from("the document was read without the files beside it"))
}

fn import(paths: &Value) -> Imported {
    import_with(&document(paths), &Options::default())
}

fn import_with(document: &Value, options: &Options) -> Imported {
    openapi(&document.to_string(), options, &no_files).unwrap()
}

fn document(paths: &Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Orchard", "version": "2" },
        "servers": [{ "url": "https://api.orchard.example/v2" }],
        "security": [{ "oauth": [] }],
        "paths": paths,
    })
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_start).collect()
}

#[test]
fn scopes_of_one_requirement_are_all_of_and_alternatives_are_any_of() {
    let imported = import(&json!({
        "/apples": {
            "get": { "security": [{ "oauth": ["apples:read"] }] },
            "post": { "security": [{ "oauth": ["trees:read", "apples:write"] }] },
            "delete": { "security": [{ "oauth": ["admin"] }, { "oauth": ["apples:write", "apples:delete"] }] },
        }
    }));
    let lines = lines(&imported.policy);
    assert!(lines.contains(&"GET /v2/apples: apples:read"), "{}", imported.policy);
    assert!(lines.contains(&"POST /v2/apples: [apples:write, trees:read]"), "{}", imported.policy);
    assert!(
        lines.contains(&"DELETE /v2/apples: { any_of: [admin, [apples:delete, apples:write]] }"),
        "{}",
        imported.policy
    );
    assert_eq!((imported.report.operations, imported.report.routes), (3, 3));
}

#[test]
fn an_alternative_of_another_scheme_opens_nothing() {
    let imported = import(&json!({
        "/apples": { "get": { "security": [{ "oauth": ["apples:read"] }, { "token": [] }] } },
        "/pears": { "get": { "security": [{ "token": [] }] } },
    }));
    assert!(lines(&imported.policy).contains(&"GET /v2/apples: apples:read"), "{}", imported.policy);
    let expected = LeftOut::new("GET /v2/pears".to_owned(), Reason::OtherScheme("token".to_owned()));
    assert_eq!(imported.report.left_out, [expected]);
}

#[test]
fn several_schemes_with_scopes_need_a_choice() {
    let document = document(&json!({
        "/apples": { "get": { "security": [{ "oauth": ["apples:read"] }, { "granular": ["read:apple"] }] } },
    }));
    let error = openapi(&document.to_string(), &Options::default(), &no_files).unwrap_err();
    assert_eq!(error, ImportError::ManySchemes { names: vec!["granular".to_owned(), "oauth".to_owned()] });
    let imported = import_with(&document, &Options { scheme: Some("granular".to_owned()), ..Options::default() });
    assert!(lines(&imported.policy).contains(&"GET /v2/apples: read:apple"), "{}", imported.policy);
    assert!(lines(&imported.policy).contains(&"#     scopegate import openapi SPEC --scheme granular"));
}

#[test]
fn a_scheme_that_the_document_does_not_define_is_none_to_choose() {
    let mut document = document(&json!({
        "/apples": { "get": { "security": [{ "oauth": ["apples:read"] }, { "granular": ["read:apple"] }] } },
    }));
    document["components"] = json!({ "securitySchemes": { "oauth": { "type": "oauth2" } } });
    let imported = import_with(&document, &Options::default());
    assert!(lines(&imported.policy).contains(&"GET /v2/apples: apples:read"), "{}", imported.policy);
}

#[test]
fn the_only_extension_that_looks_like_scopes_is_found_and_two_need_a_choice() {
    let one = json!({
        "/apples": { "get": { "x-orchard-scopes": ["apples:read"] }, "post": { "x-orchard-scopes": "apples:write" } },
    });
    let imported = import(&one);
    assert!(lines(&imported.policy).contains(&"GET /v2/apples: apples:read"), "{}", imported.policy);
    assert!(lines(&imported.policy).contains(&"POST /v2/apples: apples:write"), "{}", imported.policy);

    let two = document(&json!({ "/apples": { "get": { "x-orchard-scopes": ["a"], "x-old-scope": "b" } } }));
    let error = openapi(&two.to_string(), &Options::default(), &no_files).unwrap_err();
    assert_eq!(
        error,
        ImportError::ManyExtensions { names: vec!["x-old-scope".to_owned(), "x-orchard-scopes".to_owned()] }
    );
    let chosen = Options { scopes_from: Some("x-old-scope".to_owned()), ..Options::default() };
    assert!(lines(&import_with(&two, &chosen).policy).contains(&"GET /v2/apples: b"));
    let absent = Options { scopes_from: Some("x-new".to_owned()), ..Options::default() };
    let error = openapi(&two.to_string(), &absent, &no_files).unwrap_err();
    assert_eq!(error, ImportError::UnknownName { option: "--scopes-from", name: "x-new".to_owned() });
}

#[test]
fn an_operation_without_scopes_is_for_any_key_and_reported() {
    let imported = import(&json!({
        "/apples": { "get": { "x-orchard-scopes": [] }, "post": { "x-orchard-scopes": null }, "put": {} },
    }));
    for method in ["GET", "POST", "PUT"] {
        let route = format!("{method} /v2/apples");
        assert!(lines(&imported.policy).contains(&format!("{route}: {{ auth: key }}").as_str()), "{}", imported.policy);
        assert!(imported.report.notes.iter().any(|note| note.about == route && note.text.contains("auth: key")));
    }
}

#[test]
fn public_operations_are_left_out_unless_asked_for() {
    let document = document(&json!({
        "/apples": { "get": { "security": [{ "oauth": ["apples:read"] }] } },
        "/token": { "post": { "security": [] }, "get": { "security": [{ "oauth": ["apples:read"] }, {}] } },
    }));
    let without = import_with(&document, &Options::default());
    let routes: Vec<&str> = without.report.left_out.iter().map(|item| item.route.as_str()).collect();
    assert_eq!(routes, ["GET /v2/token", "POST /v2/token"]);
    assert!(without.report.left_out.iter().all(|item| item.reason == Reason::Public));
    assert!(!lines(&without.policy).iter().any(|line| line.starts_with("POST /v2/token")));
    let with = import_with(&document, &Options { include_public: true, ..Options::default() });
    assert!(lines(&with.policy).contains(&"POST /v2/token: { auth: anyone }"), "{}", with.policy);
    assert!(with.report.left_out.is_empty());
}

#[test]
fn what_a_template_cannot_say_is_left_out_with_the_reason() {
    let scopes = json!({ "x-orchard-scopes": ["a"] });
    let with_servers = json!({ "x-orchard-scopes": ["a"], "servers": [{ "url": "https://files.orchard.example" }] });
    let imported = import(&json!({
        "/apples/{id}": { "get": scopes },
        "/apples/{id}.json": { "get": scopes },
        "/apples?name": { "put": scopes },
        "/apples//seeds": { "get": scopes },
        "/upload": { "post": with_servers },
        "/pears": { "$ref": "pears.yaml" },
        "/plums": { "get": { "x-orchard-scopes": [7] } },
        "/quinces": { "get": { "x-orchard-scopes": ["a,b"] } },
    }));
    let codes: Vec<(&str, &str)> =
        imported.report.left_out.iter().map(|item| (item.route.as_str(), item.reason.code())).collect();
    assert_eq!(
        codes,
        [
            ("* /v2/pears", "external_reference"),
            ("GET /v2/apples//seeds", "template"),
            ("GET /v2/apples/{id}.json", "template"),
            ("GET /v2/plums", "unreadable_scopes"),
            ("GET /v2/quinces", "unreadable_scopes"),
            ("POST /v2/upload", "own_servers"),
            ("PUT /v2/apples?name", "template"),
        ]
    );
    assert_eq!((imported.report.operations, imported.report.routes), (8, 1));
    assert_eq!(imported.report.to_json()["left_out"][2]["reason"], "template");
    assert!(imported.report.render().starts_with("1 of 8 operations became routes, 7 left out."));
}

#[test]
fn swagger_2_has_its_base_path_and_its_parameters() {
    let document = json!({
        "swagger": "2.0",
        "basePath": "/api/",
        "paths": { "/chat.post": {
            "parameters": [{ "name": "include", "in": "query", "type": "array", "items": { "enum": ["users"] } }],
            "post": { "security": [{ "slack": ["chat:write:user"] }] },
        }, "/users": { "get": { "security": [{ "slack": ["users:read"] }] } } },
    });
    let imported = import_with(&document, &Options::default());
    let route = "POST /api/chat.post: { scopes: chat:write:user, query: { include: [users] } }";
    assert!(lines(&imported.policy).contains(&route), "{}", imported.policy);
}

#[test]
fn a_document_in_yaml_reads_as_its_json_does() {
    let text = "\
# a comment
openapi: 3.0.3
info: { title: Orchard, version: '2' }
paths:
  /apples:
    get:
      x-orchard-scopes: [apples:read]
      responses:
        200: { description: ok }
    post: { security: [] }
";
    let imported = openapi(text, &Options::default(), &no_files).unwrap();
    assert!(lines(&imported.policy).contains(&"GET /apples: apples:read"), "{}", imported.policy);
    assert_eq!(imported.report.left_out[0].reason, Reason::Public);
    let swagger = "swagger: 2.0\nbasePath: /v1\npaths: { /pears: { get: { x-s-scopes: a } } }\n";
    assert!(openapi(swagger, &Options::default(), &no_files).unwrap().policy.contains("GET /v1/pears: a"));
    let error = openapi("openapi: 3.0.3\npaths: {\n", &Options::default(), &no_files).unwrap_err();
    assert!(error.to_string().contains("line "), "{error}");
    let error = openapi("openapi: 3.0.3\nopenapi: 3.0.3\npaths: {}\n", &Options::default(), &no_files).unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn servers_that_disagree_on_the_base_path_are_reported() {
    let mut document = document(&json!({ "/apples": { "get": { "x-orchard-scopes": ["a"] } } }));
    document["servers"] = json!([{ "url": "https://{host}/{base}", "variables": { "base": { "default": "one" }, "host": { "default": "a" } } }, { "url": "/two" }]);
    let imported = import_with(&document, &Options::default());
    assert!(lines(&imported.policy).contains(&"GET /one/apples: a"), "{}", imported.policy);
    assert!(imported.report.notes.iter().any(|note| note.about == "servers"));
}

#[test]
fn what_is_no_openapi_document_is_refused_by_name() {
    let refused = |text: &str| openapi(text, &Options::default(), &no_files).unwrap_err().to_string();
    assert!(refused("{").contains("cannot be read"));
    assert!(refused("").contains("empty"));
    assert!(refused("{}").contains("neither `openapi` nor `swagger`"));
    assert!(refused(r#"{"openapi":"4.0.0","paths":{}}"#).contains("its version is neither 3.x nor 2.0"));
    assert!(refused(r#"{"openapi":"3.0.0"}"#).contains("`paths`"));
    assert!(refused(r#"{"openapi":"3.0.0","paths":{}}"#).contains("no operation"));
}

#[test]
fn the_order_of_the_document_does_not_change_the_policy() {
    let (a, b) = (
        json!({ "get": { "x-s-scopes": ["b", "a"] }, "post": { "x-s-scopes": ["c"] } }),
        json!({ "get": { "x-s-scopes": ["a"] } }),
    );
    let one = import(&json!({ "/apples": a, "/pears": b }));
    let other = import(&json!({ "/pears": b, "/apples": { "post": a["post"], "get": a["get"] } }));
    assert_eq!(one.policy, other.policy);
}

#[test]
fn a_base_path_that_is_no_path_is_made_one_and_said() {
    let base = |document: Value| {
        let imported = import_with(&document, &Options::default());
        let said =
            imported.report.notes.iter().any(|note| note.text.contains("relative to where the document is served"));
        let line = lines(&imported.policy).iter().find(|line| line.starts_with("GET ")).unwrap().to_string();
        (line, said)
    };
    let paths = json!({ "/apples": { "get": { "x-o-scopes": ["a"] } } });
    for (url, route, is_said) in [
        ("v2", "GET /v2/apples: a", true),
        ("//orchard.example/v2?x=/y", "GET /v2/apples: a", false),
        ("https://orchard.example", "GET /apples: a", false),
    ] {
        let document = json!({ "openapi": "3.1.0", "paths": paths, "servers": [{ "url": url }] });
        assert_eq!(base(document), (route.to_owned(), is_said), "{url}");
    }
    let swagger = json!({ "swagger": "2.0", "paths": paths, "basePath": "api" });
    assert_eq!(base(swagger), ("GET /api/apples: a".to_owned(), true));
}
