//! The matcher against a naive model, and against matchit on what both express.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use scopegate::policy::{AccessSpec, Options, Policy, Request, RouteSpec, Vocabulary};
use scopegate_fuzz::paths::{End, Piece, Template, choose};

#[derive(Arbitrary, Debug)]
struct Input {
    routes: Vec<(Vec<u8>, u8, u8)>,
    paths: Vec<(Vec<u8>, bool)>,
}

const PIECES: [Piece; 5] =
    [Piece::Literal("a"), Piece::Literal("b"), Piece::Literal("ab"), Piece::Parameter, Piece::Parameter];
const ENDS: [End; 5] = [End::Plain, End::Plain, End::Plain, End::Slash, End::Wildcard];
const METHODS: [&str; 8] = ["GET", "GET", "ANY", "HEAD", "POST", "OPTIONS", "PUT|DELETE", "POST|ANY"];
const ASKED: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"];
const SEGMENTS: [&str; 10] = ["a", "b", "ab", "c", "A", "aB", "a", "abc", "a.json", "AB.x.y"];

fuzz_target!(|input: Input| {
    let mut builder = Policy::builder(Options::default(), &Vocabulary::new());
    let mut templates: Vec<Template> = Vec::new();
    // By their number: which template a route has, and for which method it stands. Several methods are several routes.
    let mut routes: Vec<(usize, &str)> = Vec::new();
    for (pieces, end, methods) in input.routes.iter().take(16) {
        let pieces = pieces.iter().take(6).map(|byte| PIECES[usize::from(*byte) % PIECES.len()]).collect();
        let template = Template { pieces, end: ENDS[usize::from(*end) % ENDS.len()] };
        let methods = METHODS[usize::from(*methods) % METHODS.len()];
        let known = templates.iter().position(|known| known.text() == template.text());
        let taken = |method: &str| routes.iter().any(|(at, other)| Some(*at) == known && *other == method);
        let fits = !methods.split('|').any(taken);
        assert_eq!(
            builder.route(route(&template.text(), methods, routes.len())).is_ok(),
            fits,
            "{methods} {template:?} of {routes:?}"
        );
        if fits {
            routes.extend(methods.split('|').map(|method| (known.unwrap_or(templates.len()), method)));
            if known.is_none() {
                templates.push(template);
            }
        }
    }
    let Ok(policy) = builder.finish() else { return };
    let mut other = matchit::Router::new();
    let is_expressed = templates.iter().enumerate().all(|(at, template)| other.insert(template.text(), at).is_ok());

    for (segments, slash) in input.paths.iter().take(12) {
        let segments: Vec<&str> =
            segments.iter().take(8).map(|byte| SEGMENTS[usize::from(*byte) % SEGMENTS.len()]).collect();
        let slash = *slash && !segments.is_empty();
        let path = format!("/{}{}", segments.join("/"), if slash { "/" } else { "" });
        let expected = choose(&templates, &segments, slash);
        for method in ASKED {
            let request = Request { method: method.as_bytes(), target: path.as_bytes(), override_header: false };
            let judged = policy.judge(&request).expect("a plain path has one reading");
            let ours = judged.route().map(|route| route.id().index());
            let template = expected.ok().flatten();
            let route = template.and_then(|template| by_method(&routes, template, method));
            assert_eq!(ours, route, "{method} {path} of {routes:?} with {templates:?}");
        }
        if let (true, Ok(expected)) = (is_expressed, expected) {
            assert_eq!(other.at(&path).ok().map(|found| *found.value), expected, "matchit: {path} of {templates:?}");
        }
    }
});

/// The route of a template for a method: the path has been chosen, and nothing leads back to another.
fn by_method(routes: &[(usize, &str)], template: usize, method: &str) -> Option<usize> {
    let named = |method: &str| routes.iter().position(|route| *route == (template, method));
    match method {
        "GET" | "POST" | "PUT" | "PATCH" | "DELETE" => named(method).or_else(|| named("ANY")),
        "HEAD" => named("HEAD").or_else(|| named("GET")).or_else(|| named("ANY")),
        "OPTIONS" => named("OPTIONS"),
        _ => None,
    }
}

/// Each asks for a scope of its own: where two ask for the same, it would not matter which of them is meant.
fn route(template: &str, methods: &str, at: usize) -> RouteSpec {
    let access = AccessSpec::Scopes { all_of: vec![format!("s{at}")], any_of: Vec::new() };
    RouteSpec::new(methods.split('|').map(str::to_owned).collect(), template, access)
}
