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
    insta::assert_snapshot!(drift.render(), @"changed  GET /v2/apples?include=trees: trees:read in the document, deny in the policy");
}

#[test]
fn a_new_operation_is_added_even_where_a_parameter_would_match_it() {
    let mut paths = orchard();
    paths["/apples/count"] = json!({ "get": { "x-o-scopes": ["apples:read"] } });
    let policy = import(&orchard()).policy;
    insta::assert_snapshot!(drift(&paths, &policy).render(), @"added    GET /v2/apples/count: only in the document (apples:read)");
    insta::assert_snapshot!(drift(&orchard(), &import(&paths).policy).render(), @"removed  GET /v2/apples/count: only in the policy");
}

#[test]
fn there_is_no_agreement_on_what_could_not_be_read() {
    let paths = json!({ "/apples": { "$ref": "gone.yaml" }, "/trees": { "get": { "x-o-scopes": ["trees:read"] } } });
    let policy = "{ version: 1, base: /v2, routes: { GET /trees: trees:read, PUT /apples: apples:write } }";
    insta::assert_snapshot!(drift(&paths, policy).render(), @"changed  PUT /v2/apples: unknown (gone.yaml cannot be followed) in the document, apples:write in the policy");
}

/// The document of the orchard against its own policy with one thing written otherwise.
fn changed(from: &str, to: &str) -> String {
    let policy = import(&orchard()).policy;
    assert!(policy.contains(from), "{policy}");
    drift(&orchard(), &policy.replace(from, to)).render()
}

#[test]
fn members_that_the_document_does_not_list_are_drift() {
    let extra = changed("include: [trees]", "include: { trees: trees:read, roots: allow, leaves: deny, \"*\": allow }");
    insta::assert_snapshot!(extra, @r"
    removed  GET /v2/apples?include=*: only in the policy
    removed  GET /v2/apples?include=roots: only in the policy
    ");
    let mut dropped = orchard();
    dropped["/apples"]["get"]["parameters"][0]["schema"]["enum"] = json!(["leaves"]);
    let drift = drift(&dropped, &import(&orchard()).policy).render();
    insta::assert_snapshot!(drift, @"removed  GET /v2/apples?include=trees: only in the policy");
}

#[test]
fn a_parameter_that_is_not_ruled_any_more_is_drift() {
    let policy = "{ version: 1, base: /v2, routes: { GET /apples: apples:read, POST /apples: [apples:write, trees:read], 'GET /apples/{id}': apples:read, 'DELETE /apples/{id}': { auth: key }, GET /trees: trees:read } }";
    insta::assert_snapshot!(drift(&orchard(), policy).render(), @"changed  parameters: include: a rule for each member in the document, no rule: every member passes in the policy");
}

#[test]
fn a_scope_that_brings_another_with_it_is_drift() {
    let told = changed("  apples:read: Read apples\n", "  apples:read: { implies: [trees:read, apples:write] }\n");
    insta::assert_snapshot!(told, @"changed  scopes: apples:read: implies nothing in the document, implies apples:write and trees:read in the policy");
}

#[test]
fn methods_that_any_opens_beyond_the_document_are_drift() {
    let told = changed("DELETE /v2/apples/{id}: { auth: key }", "ANY /v2/apples/{id}: apples:read");
    insta::assert_snapshot!(told, @r"
    removed  PATCH /v2/apples/{id}: only in the policy
    removed  POST /v2/apples/{id}: only in the policy
    removed  PUT /v2/apples/{id}: only in the policy
    ");
}

#[test]
fn what_is_left_out_may_be_written_by_hand_but_not_opened_to_anyone_against_the_document() {
    let paths = json!({
        "/login": { "post": { "security": [] } },
        "/odd": { "get": { "x-o-scopes": [7] } },
        "/trees": { "get": { "x-o-scopes": ["trees:read"] } },
    });
    let policy = |odd: &str| {
        format!(
            "version: 1\nbase: /v2\nroutes:\n  GET /trees: trees:read\n  POST /login: {{ auth: anyone }}\n  GET /odd: {odd}\n"
        )
    };
    assert!(drift(&paths, &policy("odd:read")).is_empty());
    insta::assert_snapshot!(drift(&paths, &policy("{ auth: anyone }")).render(), @"changed  GET /v2/odd: not open (its scopes cannot be read: x-o-scopes lists 7, not the name of a scope) in the document, auth: anyone in the policy");
}

#[test]
fn a_doubtful_member_may_ask_for_other_scopes_but_not_for_none() {
    let mut paths = orchard();
    paths["/trees"] = json!({ "get": { "x-o-scopes": ["trees:read"] } });
    paths["/apples"]["get"].as_object_mut().unwrap().remove("responses");
    let policy = import(&paths).policy;
    let with = |rule: &str| {
        drift(&paths, &policy.replace("      trees: trees:read\n", &format!("      trees: {rule}\n"))).render()
    };
    assert!(policy.contains("      trees: trees:read\n"), "{policy}");
    assert_eq!(with("apples:write"), "");
    insta::assert_snapshot!(with("allow"), @"changed  GET /v2/apples?include=trees: trees:read in the document, allow in the policy");
}

#[test]
fn what_somebody_decided_for_a_member_that_nothing_serves_is_no_drift() {
    let mut paths = orchard();
    paths["/apples"]["get"]["parameters"][0]["schema"]["enum"] = json!(["roots"]);
    let policy = import(&paths).policy;
    assert!(drift(&paths, &policy).is_empty());
    let decided = policy
        .replace("    # members:\n", "    members:\n")
        .replace("    #   roots: SCOPE", "      roots: trees:read")
        .replace("GET /v2/apples: apples:read", "GET /v2/apples: { scopes: apples:read, query: { include: [roots] } }");
    assert_ne!(policy, decided);
    let drift = drift(&paths, &decided);
    assert!(drift.is_empty(), "{}", drift.render());
}

#[test]
fn what_is_left_out_and_opened_by_a_wider_route_is_drift_until_somebody_writes_a_route() {
    let paths = json!({
        "/apples/{id}": { "get": { "x-o-scopes": ["a"] }, "post": { "x-o-scopes": ["a"] } },
        "/apples/token": { "post": { "security": [] } },
    });
    let made = import(&paths).policy;
    assert!(made.contains("\n  POST /v2/apples/token: { auth: deny }\n"), "{made}");
    assert!(drift(&paths, &made).is_empty());
    let lines: Vec<&str> = made.lines().filter(|line| !line.contains("/token: {")).collect();
    let opened = drift(&paths, &lines.join("\n")).render();
    assert_eq!(
        opened,
        "changed  POST /v2/apples/token: left out in the document, a, as POST /v2/apples/{id} in the policy"
    );
    let by_hand = made.replace("POST /v2/apples/token: { auth: deny }", "POST /v2/apples/token: { auth: anyone }");
    assert!(drift(&paths, &by_hand).is_empty());
}
