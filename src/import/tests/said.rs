//! What an import cannot write as a route, and says instead: in the file, and in the report.

use super::traps::{plain, told};
use super::*;

#[test]
fn no_operation_that_is_left_out_is_opened_by_another_route() {
    insta::assert_snapshot!(told(
        "
openapi: 3.0.1
info: { title: Orders, version: 1.0 }
servers: [{ url: https://orders.example/v1 }]
paths:
  /orders/{id}: { get: { x-o-scopes: [orders:read] }, post: { x-o-scopes: [orders:write] } }
  /orders/{id}:cancel: { post: { x-o-scopes: [orders:cancel] } }
  /orders/{id}#annul: { post: { x-o-scopes: [orders:write], servers: [{ url: https://annul.example }] } }
  /orders/token: { post: { security: [] } }
  /orders/upload: { post: { x-o-scopes: [files:write], servers: [{ url: https://files.example }] } }
  /orders/odd: { get: { x-o-scopes: [7] } }
  /orders/there: { $ref: there.yaml }
  /orders/{id}/{part}: { get: { x-o-scopes: [orders:read] } }
  /orders/{id}/{part}.json: { get: { x-o-scopes: [orders:admin] } }
  /login: { post: { security: [] } }
",
        &plain()
    ));
}

#[test]
fn what_two_schemes_ask_for_at_once_is_said_where_one_is_left_aside() {
    insta::assert_snapshot!(told(
        "
openapi: 3.0.1
info: { title: Pipes, version: 1.0 }
security: [{ oauth: [pipes:read], api_key: [] }]
paths:
  /pipes: { get: {}, post: { security: [{ oauth: [pipes:write], org: [org:write] }] } }
  /open: { get: { security: [{ oauth: [pipes:read] }] } }
  /either: { get: { security: [{ oauth: [pipes:read] }, { api_key: [] }] } }
",
        &Options { scheme: Some(String::from("oauth")), ..plain() }
    ));
}

#[test]
fn a_member_that_a_silent_operation_serves_is_pointed_out() {
    insta::assert_snapshot!(told(
        "
openapi: 3.0.1
info: { title: Lists, version: 1.0 }
paths:
  /profiles/{id}:
    get:
      x-l-scopes: [profiles:read]
      parameters: [{ name: include, in: query, schema: { enum: [lists, tags] } }]
  /profiles/{id}/lists: { get: {} }
  /profiles/{id}/tags: { get: { x-l-scopes: [] } }
",
        &plain()
    ));
}

#[test]
fn the_words_of_a_document_are_shown_as_far_as_they_can_be() {
    let deceiving = format!("Read \u{202e}all\u{2066} \u{200b}\u{85}{} \"quoted\\\"", "long".repeat(100));
    let document = json!({
        "openapi": "3.0.0",
        "info": { "title": deceiving, "version": "1" },
        "components": { "securitySchemes": { "o": { "flows": { "f": { "scopes": { "a:read": deceiving } } } } } },
        "paths": {
            "/a": { "get": { "security": [{ "o": ["a:read"] }], "parameters": [
                { "name": "include", "in": "query", "schema": { "enum": ["\u{202e}b"] } },
            ] } },
            "/c\u{202e}": { "get": { "security": [{ "o": ["a:read"] }] } },
        },
    });
    let told = told(&document.to_string(), &plain());
    let raw = told.chars().find(|character| *character != '\n' && crate::key::visible::is_invisible(*character));
    assert_eq!(raw, None, "{told:?}");
    assert!(told.lines().all(|line| line.chars().count() <= 240), "{told}");
    insta::assert_snapshot!(told);
}
