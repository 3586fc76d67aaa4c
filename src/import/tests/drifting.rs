//! Where a policy and its document differ.

use super::*;
use crate::config::policy;
use crate::policy::scope::Vocabulary;

/// The difference between a policy and a document with these paths.
fn drift(paths: &Value, policy: &str) -> Drift {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, policy).unwrap();
    let loaded = policy::load(&path, &Vocabulary::default()).unwrap();
    import(paths).drift(&loaded.policy)
}

fn orchard() -> Value {
    json!({
        "/apples": {
            "get": { "x-o-scopes": ["apples:read"], "parameters": [{ "name": "include", "in": "query", "schema": { "enum": ["trees"] } }],
                "responses": { "200": { "content": { "a/json": { "schema": { "properties": { "data": { "properties": {
                    "relationships": { "properties": { "trees": { "properties": { "data": { "properties": { "type": { "enum": ["tree"] } } } } } } },
                } } } } } } } } },
            "post": { "x-o-scopes": ["apples:write", "trees:read"] },
        },
        "/apples/{id}": { "get": { "x-o-scopes": ["apples:read"] }, "delete": {} },
        "/login": { "post": { "security": [] } },
        "/trees": { "get": { "x-o-scopes": ["trees:read"], "responses": { "200": { "content": { "a/json": { "schema": {
            "properties": { "data": { "properties": { "type": { "enum": ["tree"] } } } },
        } } } } } } },
    })
}

#[test]
fn a_policy_agrees_with_the_document_that_it_was_made_of() {
    let policy = import(&orchard()).policy;
    let drift = drift(&orchard(), &policy);
    assert!(drift.is_empty(), "{}", drift.render());
}

#[test]
fn what_was_decided_by_hand_is_no_drift() {
    let policy = "
version: 1
base: /v2
paths: { case: insensitive }
parameters: { include: { list: comma, members: { trees: trees:read } } }
routes:
  GET /Apples: { scopes: apples:read, query: { include: [trees] } }
  POST /apples: { any_of: [[trees:read, apples:write]] }
  GET /apples/{apple}: { auth: deny }
  DELETE /apples/{apple}: apples:delete
  POST /login: { auth: anyone }
  GET /trees: trees:read
  ANY /internal/{*rest}: { auth: deny }
";
    let drift = drift(&orchard(), policy);
    assert!(drift.is_empty(), "{}", drift.render());
}

#[test]
fn every_difference_is_listed_in_a_stable_order() {
    let policy = "
version: 1
parameters: { include: { list: comma } }
routes:
  GET /v2/trees: { auth: key }
  GET /v2/apples: { scopes: apples:read, query: { include: { trees: allow } } }
  POST /v2/apples: apples:write
  DELETE /v2/apples/{id}: { auth: anyone }
  ANY /v2/pears: pears:read
  GET /{*rest}: everything:read
";
    let drift = drift(&orchard(), policy);
    insta::assert_snapshot!(drift.render());
    insta::assert_snapshot!(serde_json::to_string_pretty(&drift.to_json()).unwrap());
}

#[test]
fn a_member_that_the_policy_does_not_list_is_drift() {
    let policy = import(&orchard()).policy.replace(", query: { include: [trees] }", "");
    let drift = drift(&orchard(), &policy);
    insta::assert_snapshot!(drift.render(), @"changed  GET /v2/apples?include=trees: the document asks for trees:read, the policy for deny");
}

#[test]
fn a_new_operation_is_added_even_where_a_parameter_would_match_it() {
    let mut paths = orchard();
    paths["/apples/count"] = json!({ "get": { "x-o-scopes": ["apples:read"] } });
    let policy = import(&orchard()).policy;
    insta::assert_snapshot!(drift(&paths, &policy).render(), @"added    GET /v2/apples/count: the document asks for apples:read");
    insta::assert_snapshot!(drift(&orchard(), &import(&paths).policy).render(), @"removed  GET /v2/apples/count: the document has it no more");
}

#[test]
fn there_is_no_agreement_on_what_could_not_be_read() {
    let paths = json!({ "/apples": { "$ref": "gone.yaml" }, "/trees": { "get": { "x-o-scopes": ["trees:read"] } } });
    let policy = "{ version: 1, base: /v2, routes: { GET /trees: trees:read, PUT /apples: apples:write } }";
    insta::assert_snapshot!(drift(&paths, policy).render(), @"changed  PUT /v2/apples: the document asks for what gone.yaml would say, which cannot be followed, the policy for apples:write");
}
