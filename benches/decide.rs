//! How long the policy takes to judge and to decide, at 10, 345 and 10,000 routes, and what it adds to count the use of a key.
//! It prints; nothing asserts.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use scopegate::key::Timestamp;
use scopegate::key::digest::Hasher;
use scopegate::policy::{
    AccessSpec, Caller, Grant, Kind, List, MemberSpec, Options, ParameterSpec, Policy, Principal, Request, Rights,
    RouteSpec, RuleSpec, Vocabulary,
};
use scopegate::store::reach::Reach;
use scopegate::store::uses::Recorder;
use scopegate::store::{self, Location, OpenMode};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// Nothing is written before the end.
const DAY: Duration = Duration::from_secs(86_400);

/// How many scopes the policy knows, and how many different requests are asked in turn.
const SCOPES: usize = 46;
const REQUESTS: usize = 1024;

/// Four routes for each resource, in the shapes of JSON:API.
fn shape(route: usize) -> (&'static str, String) {
    let resource = route / 4;
    match route % 4 {
        0 => ("GET", format!("/resource-{resource}")),
        1 => ("GET", format!("/resource-{resource}/{{id}}")),
        2 => ("PATCH", format!("/resource-{resource}/{{id}}")),
        _ => ("GET", format!("/resource-{resource}/{{id}}/relationships/lists")),
    }
}

fn scope(route: usize) -> String {
    format!("scope-{}:read", route % SCOPES)
}

fn policy(routes: usize, vocabulary: &Vocabulary) -> Result<Policy, Box<dyn std::error::Error>> {
    let options = Options { base: "/api".to_owned(), ..Options::default() };
    let mut builder = Policy::builder(options, vocabulary);
    builder.declare_parameter("include", ParameterSpec { list: List::Comma, ..ParameterSpec::default() })?;
    for route in 0..routes {
        let (method, template) = shape(route);
        let include = vec![("lists".to_owned(), MemberSpec::Scopes(vec![scope(route + 1)]))];
        let access = AccessSpec::Scopes { all_of: vec![scope(route)], any_of: Vec::new() };
        let mut spec = RouteSpec::new(vec![method.to_owned()], template, access);
        spec.query = vec![("include".to_owned(), RuleSpec::Own(include))];
        let added = builder.route(spec);
        added.map_err(|faults| format!("{faults:?}"))?;
    }
    builder.finish().map_err(|faults| format!("{faults:?}").into())
}

/// Requests for routes in no order that a cache could guess.
fn requests(routes: usize, query: &str) -> Vec<(&'static str, String)> {
    let request = |at: usize| {
        let (method, template) = shape(at.wrapping_mul(0x9E37_79B9_7F4A_7C15) % routes);
        (method, format!("/api{}{query}", template.replace("{id}", &format!("01HX{at:016x}"))))
    };
    (1..=REQUESTS).map(request).collect()
}

fn key(vocabulary: &Vocabulary) -> Principal {
    let scopes: Vec<String> = (0..SCOPES).map(scope).collect();
    let grant = Grant::Custom(vocabulary.intern_all(scopes.iter().map(String::as_str)));
    Principal::new(None, Arc::new(Rights::new(Kind::Secret, (grant, scopes.join(" ")), Box::default())))
}

fn judge_and_decide(criterion: &mut Criterion) {
    for (name, query) in [("plain", ""), ("query", "?page[size]=20&sort=-created"), ("include", "?include=lists")] {
        let mut group = criterion.benchmark_group(format!("judge and decide, {name}"));
        for routes in [10, 345, 10_000] {
            let vocabulary = Vocabulary::new();
            let Ok(policy) = policy(routes, &vocabulary) else {
                continue;
            };
            let (key, requests) = (key(&vocabulary), requests(routes, query));
            let mut turn = requests.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(routes), |bencher| {
                bencher.iter(|| {
                    let (method, target) = turn.next()?;
                    let request = Request {
                        method: method.as_bytes(),
                        target: black_box(target).as_bytes(),
                        override_header: false,
                    };
                    let target = policy.judge(&request).ok()?;
                    let caller = Caller::Known(&key);
                    let decision = policy.decide(&caller, &target);
                    decision.is_allow().then(|| decision.route().map(|route| route.id()))
                });
            });
        }
        group.finish();
    }
}

/// What it adds to a request that its use is counted, with one value in use and with a thousand.
fn count(criterion: &mut Criterion) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let vocabulary = Vocabulary::new();
    let Ok(policy) = policy(345, &vocabulary) else { return };
    let store = store::open(&Location::Sqlite(folder.path().join("keys.db")), OpenMode::Create);
    let recorder = store.and_then(|store| Recorder::start(Reach::of(store), vocabulary.clone(), || DAY, |_| {}));
    let Ok(recorder) = recorder else { return };
    let (tally, key) = (recorder.tally(), key(&vocabulary));
    let requests = requests(345, "");
    let targets = requests.iter().filter_map(|(method, target)| {
        let request = Request { method: method.as_bytes(), target: target.as_bytes(), override_header: false };
        policy.judge(&request).ok()
    });
    let targets: Vec<_> = targets.collect();
    let decisions: Vec<_> = targets.iter().map(|target| policy.decide(&Caller::Known(&key), target)).collect();
    let mut group = criterion.benchmark_group("count the use");
    for values in [1, 1000_u32] {
        let hasher = Hasher::new(None);
        let digests: Vec<_> = (0..values).map(|value| hasher.digest(&value.to_le_bytes())).collect();
        let mut turn = digests.iter().cycle().zip(decisions.iter().cycle());
        group.bench_function(BenchmarkId::from_parameter(values), |bencher| {
            bencher.iter(|| turn.next().map(|(digest, decision)| tally.count(black_box(digest), decision, NOW)));
        });
    }
    group.finish();
}

criterion_group!(benches, judge_and_decide, count);
criterion_main!(benches);
