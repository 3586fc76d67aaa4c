//! Routes: their methods, their templates, who may call them, what their query may have.

use super::*;

#[test]
fn methods() {
    insta::assert_snapshot!(of_routes(
        "/a: x
        GET: x
        GET b: x
        get /c: x
        FETCH /d: x
        TRACE /e: x
        GET|GET /f: x
        '|GET /g': x
        GET  /h: x"
    ));
}

#[test]
fn templates() {
    let deep = format!("GET {}: x", "/a".repeat(129));
    let documents = [
        "GET /a//b: x
        GET /{id}.json: x
        GET /{id: x
        GET /{a{b}}: x
        GET /{}: x
        GET /{a*}: x
        GET /a*: x
        GET /{id}/b/{id}: x
        GET /{*rest}/c: x
        GET /{*rest}/: x",
        "\"GET /a\\tb\": x
        GET /a?b=c: x
        GET /a;b: x
        GET /100%: x
        GET /a%2Fb: x
        GET /a/../b: x
        GET /a%FF: x
        GET /a%2541: x",
        &deep,
        "GET /x/:id: x
        GET /users/me: x
        GET|POST /users/{id}: x
        GET /files/{*rest}: x
        GET /{page}: x",
    ];
    insta::assert_snapshot!(pictures(documents, of_routes));
}

#[test]
fn duplicates() {
    let documents =
        ["GET /a: x\nGET /a: y", "GET /b/{id}: x\nPOST|GET /b/{other}: y", "GET /Caf%C3%A9: x\nGET /Café: y"];
    insta::assert_snapshot!(pictures(documents, of_routes));
}

#[test]
fn who_may_call() {
    insta::assert_snapshot!(of_routes(
        "GET /a:
        GET /b: ~
        GET /c: {}
        GET /d: []
        GET /e: { any_of: [] }
        GET /f: { any_of: [x, []] }
        GET /g: { any_of: x }
        GET /h: { auth: key, scopes: x }
        GET /i: { auth: everybody }
        GET /j: { scope: x }
        GET /k: { scopes: { x: y } }
        GET /l: { auth: public-key }
        GET /m: ''
        GET /n: 'a b'"
    ));
}

#[test]
fn a_route_for_public_keys_is_warned_of() {
    insta::assert_snapshot!(of_routes("GET /a: { auth: public-key }"));
}

#[test]
fn what_else_a_route_says() {
    let documents = [
        "bind: { account: account, team: rest }
routes:
  GET /accounts/{account}: { scopes: x, unbound: [account] }
  GET /a: { scopes: x, unbound: [acount] }
  GET /b: { scopes: x, unbound: [elsewhere, other] }
  GET /b2: { scopes: x, unbound: [] }
  GET /c/{*rest}: x
  GET /d: { scopes: x, encoded_slash: allow }
  GET /e/{*all}: { scopes: x, encoded_slash: allow }
  GET /f/{id}: { scopes: x, encoded_slash: always }
  GET /g: { scopes: x, credential: '' }
  GET /h: { scopes: x, credential: sms }
  GET /i: { scopes: x, upgrade: websocket }
  GET /j: { scopes: x, quary: { include: [a] } }
  GET /k: { scopes: x, timeouts: 5s }
  GET /l: { scopes: x, timeouts: { connect: 5, response: 0s, request: never, idle: 5s } }
  GET /m: { scopes: x, bind: { account: id } }",
        "bind: { account: account }
routes:
  GET /other: x",
        "scopes: { account: A, other: O }
routes:
  GET /other: othre
  GET /account: { scopes: accuont }
  POST /x-account: x-account",
        "bind: { account: acount }
routes:
  GET /accounts/{account}: x",
        "bind: { '': account, team: '' }
routes:
  GET /accounts/{account}: x",
        "bind: account
routes:
  GET /a: x",
    ];
    insta::assert_snapshot!(pictures(documents, of_policy));
}

#[test]
fn queries() {
    let documents = ["parameters:
  include: { list: comma, members: { lists: lists:read, tags: allow } }
routes:
  GET /a: { scopes: x, query: { include: [list] } }
  GET /b: { scopes: x, query: { inclde: [lists] } }
  GET /c: { scopes: x, query: { sort: [name] } }
  GET /d: { scopes: x, query: { include: [] } }
  GET /e: { scopes: x, query: { include: {} } }
  GET /f: { scopes: x, query: { include: [tags, tags] } }
  GET /g: { scopes: x, query: { include: { '': x } } }
  GET /h: { scopes: x, query: { include: { 'a,b': x } } }
  GET /i: { scopes: x, query: { include: { lists: [] } } }
  GET /j: { scopes: x, query: { include: { lists: } } }
  GET /k: { auth: anyone, query: { include: [lists] } }
  GET /l: { auth: deny, query: { include: [lists] } }
  GET /m: { scopes: x, query: include }
  GET /n: { scopes: x, query: { include: other } }"];
    insta::assert_snapshot!(pictures(documents, of_policy));
}
