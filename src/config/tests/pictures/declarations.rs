//! What a policy says beside its routes: version, base, scopes, parameters, tests.

use super::*;

#[test]
fn the_head_of_a_policy() {
    let whole = |policy: &str| told(&Case::new().file("scopegate.yaml", &with("")).file("policy.yaml", policy));
    let documents = [
        "",
        "- a\n",
        "routes:\n  GET /a: x\n",
        "version:\nroutes:\n  GET /a: x\n",
        "version: 2\nroutes:\n  GET /a: x\n",
        "version: 1\n",
        "vesion: 1\nrouts:\n  GET /a: x\n",
        "version: 1\nroutes: {}\n",
        "version: 1\nroutes: [GET /a]\n",
        "version: 1\nroute:\n  GET /a: x\nroutes:\n  GET /b: x\n",
        "version: 1\nbase: api\nroutes:\n  GET /a: x\n",
        "version: 1\nbase: /\nroutes:\n  GET /a: x\n",
        "version: 1\nbase: /api/\nroutes:\n  GET /a: x\n",
        "version: 1\nbase: /{*all}\nroutes:\n  GET /a: x\n",
        "version: 1\nbase: /{id}\nroutes:\n  GET /{id}: x\n",
        "version: 1\nbase: ${env:BASE}\nroutes:\n  GET /a: x\n",
        "version: 1\npaths: { case: ignore }\nmethod_override: allow\nroutes:\n  GET /a: x\n",
        "upstream: { url: http://a }\npolicy: policy.yaml\n",
    ];
    insta::assert_snapshot!(pictures(documents, whole));
}

#[test]
fn scopes() {
    let documents = [
        "scopes: {}\nroutes:\n  GET /a: x",
        "scopes: [x, y]\nroutes:\n  GET /a: x",
        "scopes:
  profiles:read: Read profiles
  profiles:write: { description: Write, implies: [profiles:raed] }
  lists:read:
  lists:write: { implies: [] }
  tags:read: { implies: [elsewhere] }
  tags:write: { access: all, describtion: Tags }
  '': Nothing
  'a b': Two words
  a*: All of a
  é: No ASCII
routes:
  GET /a: profiles:raed
  GET /b: { any_of: [profiles:read, [lists:read, admin]] }",
        "scopes: { used: Used, unused: Unused, implied: Implied, implying: { implies: [implied] } }
parameters:
  include: { members: { never: used } }
  fields: { list: comma }
routes:
  GET /a: used",
    ];
    insta::assert_snapshot!(pictures(documents, of_policy));
}

#[test]
fn parameters() {
    let documents = [
        "parameters:
  include: { list: comma, members: { lists: lists:read } }
  'include[]': { list: brackets }
  Include: { list: semicolon }
  page: { nested: slash }
  '': { list: comma }
  sort: { list: comma, members: {} }
  filter: { list: comma, members: { 'a,b': x, '': y } }
  extra: { members: { a: } }
  more: { members: { a: [] } }
  most: { member: { a: x } }
  other: comma
routes:
  GET /a: x",
        "scopes: { x: X }
parameters:
  include: { list: comma, members: { lists: list:read } }
routes:
  GET /a: { scopes: x, query: { include: [lists] } }",
    ];
    insta::assert_snapshot!(pictures(documents, of_policy));
}

#[test]
fn tests_of_a_policy() {
    let documents = ["scopes: { a:read: A }
routes:
  GET /a: a:read
tests:
  - { request: GET, scopes: [], expect: deny }
  - { request: GET /a b, scopes: [], expect: deny }
  - { scopes: [], expect: deny }
  - { request: GET /a, scopes: [a:raed], expect: deny }
  - { request: GET /a, scopes: [other], expect: deny }
  - { request: GET /a, scopes: { a: b }, expect: deny }
  - { request: GET /a, expect: deny }
  - { request: GET /a, grant: full, key: none, expect: allow }
  - { request: GET /a, grant: all, expect: allow }
  - { request: GET /a, key: some, expect: allow }
  - { request: GET /a, grant: full }
  - { request: GET /a, grant: full, expect: maybe }
  - { request: GET /a, grant: full, expect: allow, code: missing_key }
  - { request: GET /a, grant: full, expect: allow, missing: [a:read] }
  - { request: GET /a, key: none, expect: deny, code: missing-key }
  - { request: GET /a, key: none, expect: deny, code: nonsense }
  - { request: GET /a, scopes: [], expect: deny, missing: [] }
  - { request: GET /a, scopes: [], expect: deny, missing: [a:raed] }
  - { request: GET /a, scopes: [], attributes: [a], expect: deny }
  - { request: GET /a, scopes: [], attributes: { a: [] }, expect: deny }
  - { request: GET /a, scopes: [], attributes: { a: }, expect: deny }
  - { request: GET /a, grant: full, expects: allow }"];
    insta::assert_snapshot!(pictures(documents, of_policy));
}

#[test]
fn tests_that_are_no_list() {
    insta::assert_snapshot!(of_policy("routes:\n  GET /a: x\ntests: { request: GET /a }"));
}
