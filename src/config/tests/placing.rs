//! A fault marks the word that it is about, and not the same word where it is right.

use super::*;

/// What each fault of a policy marks, in the order of the file, as `line:column word`.
fn marks(text: &str) -> Vec<String> {
    let case = Case::new().file("scopegate.yaml", &with("")).file("policy.yaml", text);
    let faults = case.load().expect_err(text);
    let lines: Vec<&str> = text.lines().collect();
    let mark = |fault: Fault| {
        let line = lines.get(fault.line as usize - 1).unwrap_or(&"");
        let word: String = line.chars().skip(fault.column as usize - 1).take(fault.length as usize).collect();
        format!("{}:{} {word}", fault.line, fault.column)
    };
    faults.into_iter().map(mark).collect()
}

fn marks_of_routes(before: &str, routes: &str) -> Vec<String> {
    marks(&format!("version: 1\n{before}routes:\n  {routes}\n"))
}

#[test]
fn each_part_of_a_route_is_marked_where_it_stands_and_not_where_its_word_is_right() {
    let scopes = "scopes: { a: A }\n";
    let cases = [
        // Part::Scope, with decoys in the key and in other fields; the credential is not there either.
        (scopes, "GET /admin: { credential: admin, scopes: admin }", vec!["4:29 admin", "4:44 admin"]),
        (scopes, "GET /b: [a, b]", vec!["4:15 b"]),
        (scopes, "GET /x: { any_of: [a, [a, b]], credential: b }", vec!["4:29 b", "4:46 b"]),
        // Part::Method.
        ("", "POST|POS /POS: a", vec!["3:8 POS"]),
        ("", "GET|POST|GET /a: a", vec!["3:12 GET"]),
        ("", "'PSOT /a': a", vec!["3:4 PSOT"]),
        // Part::Template.
        ("", "GET /GET//: GET", vec!["3:7 /GET//"]),
        ("", "'GET /{id:[0-9]+}': a", vec!["3:8 /{id:[0-9]+}"]),
        // Part::Credential and Part::Unbound.
        ("bind: { t: id }\n", "GET /{id}/tt: { scopes: tt, unbound: [tt] }", vec!["4:41 tt"]),
        // Part::Parameter.
        ("", "GET /include: { scopes: include, query: { include: { x: allow } } }", vec!["3:45 include"]),
        (
            "parameters: { query: {} }\n",
            "GET /query: { auth: anyone, query: { query: { x: allow } } }",
            vec!["4:31 query"],
        ),
    ];
    for (before, routes, expected) in cases {
        assert_eq!(marks_of_routes(before, routes), expected, "{routes}");
    }
}

#[test]
fn members_and_their_scopes_are_marked_within_their_rule() {
    let ruled = "scopes: { a: A }\nparameters: { include: { list: comma, members: { m: a } }, include2: {} }\n";
    let cases = [
        ("GET /a: { scopes: a, query: { include: [include, inc] } }", vec!["5:43 include"]),
        ("GET /inc: { scopes: a, query: { include: [m, inc] } }", vec!["5:48 inc"]),
        ("GET /b: { scopes: a, query: { include2: { b: b } } }", vec!["5:48 b"]),
        ("GET /b: { scopes: a, query: { include: { 'b,b': b } } }", vec!["5:44 'b,b'"]),
        ("GET /b: { scopes: b, query: { include2: { m: a, b: [a, b] } } }", vec!["5:21 b", "5:58 b"]),
    ];
    for (routes, expected) in cases {
        assert_eq!(marks_of_routes(ruled, routes), expected, "{routes}");
    }
}

#[test]
fn declarations_are_marked_within_themselves() {
    let declared = |before: &str| marks_of_routes(before, "GET /a/{id}: a");
    assert_eq!(declared("scopes:\n  a: { description: b, implies: [a, b] }\n"), ["3:37 b"]);
    assert_eq!(declared("scopes: { a: A }\nparameters: { b: { members: { c: a, d: [a, b] } } }\n"), ["3:44 b"]);
    assert_eq!(declared("parameters: { b: { list: comma, members: { 'b,b': b } } }\n"), ["2:44 'b,b'"]);
    assert_eq!(declared("bind: { it: it }\n"), ["2:13 it"]);
    assert_eq!(declared("base: /v1/\n"), ["2:7 /v1/"]);
    assert_eq!(declared("parameters: { a: {}, A: { members: { A: a } } }\n"), ["2:22 A"]);
}
