//! Judging a target and deciding on it, under a policy full of overlaps: what is allowed has one reading.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use scopegate::config::policy;
use scopegate::policy::{Caller, Grant, Policy, Request, RouteId, Vocabulary};
use scopegate_fuzz::paths::{decode, encoded_again, resolved};
use scopegate_fuzz::principal;
use scopegate_fuzz::queries::lenient;

static POLICY: LazyLock<(Policy, Vocabulary)> = LazyLock::new(|| {
    let vocabulary = Vocabulary::new();
    let file = std::env::temp_dir().join(format!("scopegate-fuzz-decide-{}.yaml", std::process::id()));
    fs::write(&file, include_str!("../policy.yaml")).expect("a temporary file");
    let loaded = policy::load(&file, &vocabulary).unwrap_or_else(|faults| panic!("{faults:?}"));
    let _ = fs::remove_file(&file);
    (loaded.policy, vocabulary)
});

/// Names of query parameters that the policy rules, and what opens none of their members.
const RULED: [&str; 2] = ["include", "user_fields"];
const METHODS: [&[u8]; 6] = [b"GET", b"POST", b"HEAD", b"DELETE", b"OPTIONS", b"CONNECT"];

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (method, full, target) = input;
    let (policy, vocabulary) = &*POLICY;
    let request = Request { method: METHODS[usize::from(method) % METHODS.len()], target, override_header: false };
    let Ok(judged) = policy.judge(&request) else { return };
    let grant = if full { Grant::Full } else { Grant::Custom(vocabulary.intern_all(["basic"])) };
    let key = principal(grant);
    let decision = policy.decide(&Caller::Known(&key), &judged);
    let trace = decision.explain().trace;
    assert_eq!(decision.is_allow(), trace.code.is_none());
    assert!(trace.reason.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    if !decision.is_allow() {
        return;
    }
    let route = judged.route().expect("nothing is allowed without a route");
    let path = judged.path();
    assert!(target.windows(path.len()).any(|part| part == path) || path == b"/", "other bytes than were sent");

    if !route.allows_encoded_slash() {
        let pieces = path.split(|byte| *byte == b'/').map(decode).filter(|piece| !piece.is_empty());
        assert_eq!(pieces.collect::<Vec<_>>(), resolved(path), "a server that resolves reads another path");
    }
    same_route(policy, (&request, route.id()), &encoded_again(path));
    for other in [path.to_ascii_lowercase(), path.to_ascii_uppercase(), other_end(path)] {
        no_other_route(policy, (&request, route.id()), &other);
    }
    if !full && route.access().as_str() != Some("anyone") {
        for (name, value) in lenient(judged.query().unwrap_or_default()) {
            let asks = value.split(',').any(|member| !member.is_empty());
            assert!(!asks || !RULED.contains(&name.as_str()), "{name}={value} was let through");
        }
    }
});

fn found(policy: &Policy, request: &Request<'_>, path: &[u8]) -> Option<RouteId> {
    policy.judge(&Request { target: path, ..*request }).ok()?.route().map(|route| route.id())
}

/// The path, encoded in another way, belongs to the same route or, where servers differ about it, to none.
fn same_route(policy: &Policy, (request, route): (&Request<'_>, RouteId), path: &[u8]) {
    assert_eq!(found(policy, request, path).unwrap_or(route), route, "{}", path.escape_ascii());
}

/// A server that overlooks the difference comes to no other route, unless that asks for the same.
fn no_other_route(policy: &Policy, (request, route): (&Request<'_>, RouteId), path: &[u8]) {
    let other = found(policy, request, path).filter(|other| *other != route);
    let template = |id: RouteId| policy.route(id).map(|route| route.template().trim_end_matches('/').to_owned());
    let asks = |id: RouteId| {
        let found = policy.route(id).expect("a route of this policy");
        let any_of: Vec<_> = found.requirement().any_of.iter().map(|scopes| policy.names(scopes)).collect();
        let members = RULED.map(|name| policy.open_members(id, name));
        (found.access(), policy.names(&found.requirement().all_of), any_of, members)
    };
    if let Some(other) = other.filter(|other| template(*other) != template(route)) {
        assert_eq!(asks(other), asks(route), "{}", path.escape_ascii());
    }
}

/// The path with a final slash, or without the one that it has.
fn other_end(path: &[u8]) -> Vec<u8> {
    match path.strip_suffix(b"/") {
        Some(b"") => path.to_vec(),
        Some(shorter) => shorter.to_vec(),
        None => [path, b"/"].concat(),
    }
}
