//! The matcher against a naive model, and against matchit on what both express.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use scopegate::policy::{AccessSpec, Options, Policy, Request, RouteSpec, Vocabulary};
use scopegate_fuzz::paths::{End, Piece, Template, choose};

#[derive(Arbitrary, Debug)]
struct Input {
    templates: Vec<(Vec<u8>, u8)>,
    paths: Vec<(Vec<u8>, bool)>,
}

const PIECES: [Piece; 5] =
    [Piece::Literal("a"), Piece::Literal("b"), Piece::Literal("ab"), Piece::Parameter, Piece::Parameter];
const ENDS: [End; 5] = [End::Plain, End::Plain, End::Plain, End::Slash, End::Wildcard];
const SEGMENTS: [&str; 10] = ["a", "b", "ab", "c", "A", "aB", "a", "abc", "a.json", "AB.x.y"];

fuzz_target!(|input: Input| {
    let mut builder = Policy::builder(Options::default(), &Vocabulary::new());
    let mut templates: Vec<Template> = Vec::new();
    for (pieces, end) in input.templates.iter().take(12) {
        let pieces = pieces.iter().take(6).map(|byte| PIECES[usize::from(*byte) % PIECES.len()]).collect();
        let template = Template { pieces, end: ENDS[usize::from(*end) % ENDS.len()] };
        if builder.route(route(&template.text())).is_ok() {
            templates.push(template);
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
        let request = Request { method: b"GET", target: path.as_bytes(), override_header: false };
        let judged = policy.judge(&request).expect("a plain path has one reading");
        let ours = judged.route().map(|route| route.id().index());
        let expected = choose(&templates, &segments, slash);
        assert_eq!(ours, expected.ok().flatten(), "{path} of {templates:?}");
        if let (true, Ok(expected)) = (is_expressed, expected) {
            assert_eq!(other.at(&path).ok().map(|found| *found.value), expected, "matchit: {path} of {templates:?}");
        }
    }
});

fn route(template: &str) -> RouteSpec {
    RouteSpec {
        methods: vec!["GET".to_owned()],
        template: template.to_owned(),
        access: AccessSpec::Key,
        query: Vec::new(),
        credential: None,
        encoded_slash: false,
        upgrade: None,
        unbound: Vec::new(),
        line: 1,
    }
}
