//! How long the policy takes to judge and to decide, at 10, 345 and 10,000 routes, and what it adds to count the use of a key.
//! It prints; nothing asserts. `cargo bench --bench decide -- --ratio` compares 10,000 routes with 10 and does nothing else.

mod workload;

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group};
use scopegate::key::Timestamp;
use scopegate::key::digest::Hasher;
use scopegate::policy::{Caller, Request};
use scopegate::store::reach::Reach;
use scopegate::store::uses::Recorder;
use scopegate::store::{self, Location, OpenMode};
use workload::Workload;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// Nothing is written before the end.
const DAY: Duration = Duration::from_secs(86_400);

/// Judgements of one sample, and samples, where two numbers of routes are compared.
const SAMPLE: usize = 4096;
const SAMPLES: usize = 101;

fn judge_and_decide(criterion: &mut Criterion) {
    for (name, query) in [("plain", ""), ("query", "?page[size]=20&sort=-created"), ("include", "?include=lists")] {
        let mut group = criterion.benchmark_group(format!("judge and decide, {name}"));
        for routes in [10, 345, 10_000] {
            let Ok(workload) = Workload::new(routes, query) else {
                continue;
            };
            let mut turn = workload.requests.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(routes), |bencher| {
                bencher.iter(|| turn.next().map(|request| workload.is_allowed(black_box(request))));
            });
        }
        group.finish();
    }
}

/// How long a sample of judgements and decisions takes.
fn time(workload: &Workload) -> Duration {
    let begun = Instant::now();
    for request in workload.requests.iter().cycle().take(SAMPLE) {
        black_box(workload.is_allowed(black_box(request)));
    }
    begun.elapsed()
}

/// What a decision costs at 10,000 routes, as a multiple of what it costs at 10: pairs of samples, so that both have the same machine.
#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn print_ratio() -> Result<(), Box<dyn Error>> {
    let (few, many) = (Workload::new(10, "")?, Workload::new(10_000, "")?);
    time(&few);
    time(&many);
    let ratio = |turn| {
        // Each goes first as often as the other.
        let (few, many) = if turn % 2 == 0 {
            let few = time(&few);
            (few, time(&many))
        } else {
            let many = time(&many);
            (time(&few), many)
        };
        many.as_secs_f64() / few.as_secs_f64()
    };
    let mut ratios: Vec<f64> = (0..SAMPLES).map(ratio).collect();
    for ratio in &ratios {
        println!("ratio {ratio:.4}");
    }
    ratios.sort_by(f64::total_cmp);
    let at = |percent: usize| ratios.get(ratios.len() * percent / 100).copied().unwrap_or_default();
    println!("decision at 10,000 routes / at 10: {:.2} ({:.2} to {:.2})", at(50), at(25), at(75));
    Ok(())
}

/// What it adds to a request that its use is counted, with one value in use and with a thousand.
fn count(criterion: &mut Criterion) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let Ok(Workload { vocabulary, policy, key, requests }) = Workload::new(345, "") else { return };
    let store = store::open(&Location::Sqlite(folder.path().join("keys.db")), OpenMode::Create);
    let recorder = store.and_then(|store| Recorder::start(Reach::of(store), vocabulary, || DAY, |_| {}));
    let Ok(recorder) = recorder else { return };
    let tally = recorder.tally();
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

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|argument| argument == "--ratio") {
        return print_ratio();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
    Ok(())
}
