//! What a path is found to be does not depend on the order in which templates were told, nor on how many others there are: the
//! table of the literal steps may be small or large, and its rows may collide.
//!
//! `matcher` holds the choice itself against a model; here literals have suffixes, are scripts, resemble each other or share a
//! hash, and paths are encoded, for which there is no plain model.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use scopegate::policy::{AccessSpec, Options, PathCase, Policy, Request, RouteSpec, Vocabulary};

#[derive(Arbitrary, Debug)]
struct Input {
    insensitive: bool,
    templates: Vec<(Vec<u8>, u8)>,
    /// How many templates of no concern stand between the others, and where.
    strangers: u8,
    paths: Vec<(Vec<u8>, bool)>,
}

/// The last two share a hash: they are a pair of `two_names_with_one_hash_are_two_names` in src/policy/tests/hashes.rs, which says
/// when they do so no more.
const LITERALS: [&str; 14] = [
    "a",
    "b",
    "ab",
    "A",
    "a.json",
    "ab.tar.gz",
    "v1.0",
    "v1",
    "admin.php",
    "index.php5",
    ".well-known",
    "caf\u{e9}",
    "report-25491",
    "report-108928",
];
const SEGMENTS: [&str; 34] = [
    "a",
    "b",
    "ab",
    "A",
    "aB",
    "c",
    "a.",
    "%61",
    "%41b",
    "a.json",
    "a.xml",
    "A.JSON",
    "ab.tar.gz",
    "ab.tar",
    "ab.gz",
    "v1.0",
    "v1",
    "v1.0.json",
    "admin.php",
    "ADMIN.php",
    "admin",
    "index.php5",
    ".well-known",
    ".json",
    "%2ejson",
    "caf%c3%a9",
    "CAF%C3%89",
    "a%20",
    "a%2Fb",
    "a%3fb",
    "report-25491",
    "report-108928",
    "REPORT-108928",
    "report-108928.json",
];

fuzz_target!(|input: Input| {
    let mut templates: Vec<String> = Vec::new();
    for (pieces, end) in input.templates.iter().take(24) {
        let pieces: Vec<String> = pieces.iter().take(5).enumerate().map(piece).collect();
        let end = ["", "", "/", "/{*rest}"][usize::from(*end) % 4];
        let template = format!("/{}{end}", pieces.join("/")).replace("//", "/");
        if !templates.contains(&template) {
            templates.push(template);
        }
    }
    let vocabulary = Vocabulary::new();
    let case = if input.insensitive { PathCase::Insensitive } else { PathCase::Sensitive };
    let forwards = || templates.iter().enumerate();
    let Some(plain) = policy(forwards(), (case, &vocabulary)) else { return };
    let strangers: Vec<String> = (0..input.strangers).map(|at| format!("/stranger-{}/{at}/a", at % 7)).collect();
    let strangers: Vec<_> = strangers.iter().map(|template| (templates.len(), template)).collect();
    let (before, behind) = strangers.split_at(strangers.len() / 3);
    let others = before.iter().copied().chain(forwards().rev()).chain(behind.iter().copied());
    let other =
        policy(others, (case, &vocabulary)).expect("the same templates, and more that have nothing to do with them");
    for (segments, slash) in input.paths.iter().take(24) {
        let segments = segments.iter().take(6).map(|byte| SEGMENTS[usize::from(*byte) % SEGMENTS.len()]);
        let path = format!("/{}{}", segments.collect::<Vec<_>>().join("/"), if *slash { "/" } else { "" });
        assert_eq!(found(&other, &path), found(&plain, &path), "{path} of {templates:?}");
    }
});

/// A parameter for every third byte.
fn piece((at, byte): (usize, &u8)) -> String {
    match byte % 3 {
        0 => format!("{{p{at}}}"),
        _ => LITERALS[usize::from(byte / 3) % LITERALS.len()].to_owned(),
    }
}

/// Each asks for the scope of its number: where two ask for the same, it would not matter which of them is meant. `None` where
/// two templates are one.
fn policy<'t>(
    templates: impl Iterator<Item = (usize, &'t String)>,
    (case, vocabulary): (PathCase, &Vocabulary),
) -> Option<Policy> {
    let mut builder = Policy::builder(Options { case, ..Options::default() }, vocabulary);
    for (number, template) in templates {
        let access = AccessSpec::Scopes { all_of: vec![format!("s{number}")], any_of: Vec::new() };
        builder.route(RouteSpec::new(vec!["GET".to_owned()], template.clone(), access)).ok()?;
    }
    builder.finish().ok()
}

/// The template that a path belongs to, or why it has none.
fn found(policy: &Policy, path: &str) -> Result<Option<String>, String> {
    let request = Request { method: b"GET", target: path.as_bytes(), override_header: false };
    let judged = policy.judge(&request).map_err(|refusal| format!("{refusal:?}"))?;
    Ok(judged.route().map(|route| route.template().to_owned()))
}
