//! Raw requests that servers read in different ways, against one policy full of overlaps, judged by what the upstream got.
//!
//! A case is a request as it is sent, without version, Host and key, and what becomes of it: `allow`, or the code of the
//! refusal. More lines of the head, and a body, may follow the first. The key holds `things:read`, `things:write` and
//! `lists:read`, and the routes for these reach far: whatever is `admin`, `export`, `secret` or closed must stay out of
//! reach in every spelling. What is allowed must arrive byte for byte, and nothing else may arrive at all.

mod heads; // Fields that ask for another method, path, host or body.
mod paths; // Spellings of a path that some server resolves, decodes, cuts or folds.
mod queries; // Spellings of a ruled parameter or of one of its members.
mod routes; // Which of several templates a path belongs to.
mod sound; // Requests that look odd and are not: they pass untouched.

use scopegate::policy::Denial;
use scopegate::proxy::error::ProxyError;

use crate::support::{Gateway, Message, Setup, Upstream};

/// A request, and `allow` or the code of its refusal.
type Case = (&'static [u8], &'static str);

const POLICY: &str = "\
version: 1
base: /api
parameters:
  include: { list: comma, nested: dot, members: { lists: lists:read, secret: secret:read } }
  additional-fields[profile]: { list: comma, members: { plain: allow, secret: secret:read } }
  user_fields: { list: brackets, members: { name: allow, email: secret:read } }
  view: { members: { \"*\": allow, secret: secret:read } }
routes:
  GET /whoami: { auth: key }
  GET /things: things:read
  POST /things: things:write
  GET /things/export: export:read
  GET /things/{id}:
    scopes: things:read
    query: { include: [lists, secret], \"additional-fields[profile]\": [plain, secret], user_fields: [name, email], view: [\"*\", secret] }
  PATCH|DELETE /things/{id}: things:write
  GET /things/{id}/parts/: things:read
  GET /things/{id}/parts/{part}: admin:read
  GET /things/{*rest}: things:read
  GET /admin: admin:read
  POST /admin/keys: admin:read
  GET /files/{name}: { scopes: things:read, encoded_slash: allow }
  PUT /files/{name}: things:write
  GET /shut/{name}: { scopes: things:read, encoded_slash: allow }
  ANY /shut/{*rest}: { auth: deny }
  GET /report.php: admin:read
  GET /same/export: things:read
  GET /same/{id}: things:read
  GET /reports/{year}/summary: things:read
  GET /reports/2026/{name}: admin:read
  GET /open: { auth: anyone }
  ANY /closed/{*rest}: { auth: deny }
  GET|PUT /{*rest}: things:read
";

/// The status that goes with a code.
fn status_of(code: &str) -> Option<u16> {
    let denials = Denial::ALL.iter().map(|denial| (denial.code(), denial.status()));
    let errors = ProxyError::ALL.iter().map(|error| (error.code(), error.status()));
    denials.chain(errors).find_map(|(known, status)| (known == code).then_some(status))
}

#[test]
fn no_spelling_of_a_path_reaches_what_the_key_does_not_open() {
    hold(paths::CASES);
}

#[test]
fn no_spelling_of_a_parameter_reaches_what_the_key_does_not_open() {
    hold(queries::CASES);
}

#[test]
fn the_most_specific_template_keeps_its_paths_in_every_spelling() {
    hold(routes::CASES);
}

#[test]
fn no_field_makes_another_request_of_a_judged_one() {
    let upstream = hold(heads::CASES);
    let names = ["x-original-url", "x-rewrite-url", "x-forwarded-prefix", "upgrade", "connection", "http2-settings"];
    for request in upstream.requests() {
        for name in names {
            assert!(!request.has(name), "{name} went on: {}", request.text());
        }
    }
}

#[test]
fn what_has_one_reading_arrives_byte_for_byte() {
    hold(sound::CASES);
}

#[test]
fn a_long_query_arrives_byte_for_byte_up_to_the_limit() {
    let long = format!("GET /api/things?filter={}", "any(id,[%22x%22])%2C".repeat(390)).into_bytes();
    let longer = [&long[..], &b"y".repeat(1000)].concat();
    let (upstream, gateway, key) = parties();
    assert_eq!(outcome(&send(&gateway, &key, &long)), "allow");
    assert_eq!(outcome(&send(&gateway, &key, &longer)), "target_too_long");
    assert_eq!(arrived(&upstream), [forwarded(&long)]);
}

#[test]
fn there_are_at_least_two_hundred_cases_and_none_twice() {
    let tables = [heads::CASES, paths::CASES, queries::CASES, routes::CASES, sound::CASES].concat();
    let mut requests: Vec<&[u8]> = tables.iter().map(|(request, _)| *request).collect();
    requests.sort_unstable();
    requests.dedup();
    assert_eq!(requests.len(), tables.len(), "a case stands twice");
    assert!(requests.len() >= 200, "{} cases", requests.len());
}

/// Sends every case and holds the answers, and what the upstream got, against the table.
fn hold(cases: &[Case]) -> Upstream {
    let (upstream, gateway, key) = parties();
    let mut faults = Vec::new();
    let mut expected = Vec::new();
    for (request, expect) in cases {
        let answer = send(&gateway, &key, request);
        if outcome(&answer) != *expect {
            faults.push(format!("{}: {}, not {expect}", request.escape_ascii(), outcome(&answer)));
        }
        if *expect == "allow" {
            expected.push(forwarded(request));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
    assert_eq!(arrived(&upstream), expected);
    upstream
}

fn parties() -> (Upstream, Gateway, String) {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).policy(POLICY).start();
    let key = gateway.key(&["--scopes", "things:read,things:write,lists:read"]);
    (upstream, gateway, key)
}

fn send(gateway: &Gateway, key: &str, request: &[u8]) -> Message {
    let end = request.windows(2).position(|pair| pair == b"\r\n").unwrap_or(request.len());
    let (line, more) = request.split_at(end);
    let fields = format!(" HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer {key}");
    let finish: &[u8] = if more.windows(4).any(|bytes| bytes == b"\r\n\r\n") { b"" } else { b"\r\n\r\n" };
    gateway.connect().send([line, fields.as_bytes(), more, finish].concat()).read()
}

/// `allow`, or the code of the refusal, whose status is asserted.
fn outcome(answer: &Message) -> String {
    if answer.status() == 200 {
        return "allow".to_owned();
    }
    let code = answer.code();
    assert_eq!(Some(answer.status()), status_of(&code), "{}", answer.text());
    code
}

/// The request line and the body that the upstream must get: the caller's, the target in origin form.
fn forwarded(request: &[u8]) -> (String, Vec<u8>) {
    let line = String::from_utf8_lossy(request.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    let (method, target) = line.split_once(' ').expect("a method and a target");
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => &rest[rest.find('/').expect("a path")..],
        _ => target,
    };
    let body = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|end| &request[end + 4..]);
    (format!("{method} {path} HTTP/1.1"), body.unwrap_or_default().to_vec())
}

/// The request lines and bodies that the upstream got, but for the harness's own.
fn arrived(upstream: &Upstream) -> Vec<(String, Vec<u8>)> {
    let requests = upstream.requests().into_iter().map(|request| (request.start, request.body));
    requests.filter(|(line, _)| line != "GET /api/whoami HTTP/1.1").collect()
}
