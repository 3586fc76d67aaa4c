//! The instructions of the same work that `decide`, `head` and `lookup` time, counted by callgrind: the same on a busy machine.
//!
//! `cargo bench --bench instructions` needs valgrind, and the program that the crate comes with:
//! `cargo install --locked gungraun-runner` in the version that Cargo.lock has of `gungraun`. A row is of 1,024 requests, keys or
//! heads. valgrind has no SHA extensions: what a digest costs here is several times what it costs where there are some.
//!
//! What is counted stands in functions beside those of the benches. INVARIANT: there is no closure in a function of a bench. Callgrind
//! begins and ends to count where one is entered whose name begins like that of the bench, as a closure's does that is not inlined:
//! it would not be counted itself, and it is all the work.

#![expect(missing_docs, unused_qualifications, reason = "so is what the macros of gungraun make")]

mod heads;
mod keyring;
#[expect(dead_code, reason = "the vocabulary is for another bench")]
mod workload;

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{library_benchmark_group, main};
use scopegate::http1::{Limits, request};
use scopegate::key::digest::Hasher;
use scopegate::store::index::Index;

use heads::{REQUEST, RESPONSE, is_request, is_response, write_fields};
use keyring::{fill, is_known};
use workload::Workload;

const TIMES: usize = 1024;

/// A policy of so many routes.
fn routes(count: usize) -> Option<Workload> {
    Workload::new(count, "").ok()
}

fn decide_all(workload: &Workload) -> usize {
    workload.requests.iter().filter(|request| workload.is_allowed(black_box(request))).count()
}

#[library_benchmark(setup = routes)]
#[bench::at_10_routes(10)]
#[bench::at_345_routes(345)]
#[bench::at_10_000_routes(10_000)]
fn judge_and_decide(workload: Option<Workload>) -> (Option<Workload>, usize) {
    let allowed = workload.as_ref().map_or(0, decide_all);
    // Handed out, so that it is not this that takes it down.
    (workload, allowed)
}

/// An index, and keys that stand far from each other in it.
fn keys(count: u64) -> (Index, Vec<Vec<u8>>) {
    let (index, keys) = fill(count, &Hasher::new(None));
    let far = keys.iter().step_by(1 + keys.len() / TIMES).cycle().take(TIMES);
    let far = far.map(|key| key.expose().to_vec()).collect();
    (index, far)
}

fn find_all(index: &Index, keys: &[Vec<u8>]) -> usize {
    let hasher = Hasher::new(None);
    keys.iter().filter(|key| is_known(index, &hasher, black_box(key))).count()
}

#[library_benchmark(setup = keys)]
#[bench::of_10_000_keys(10_000)]
fn find_a_key((index, keys): (Index, Vec<Vec<u8>>)) -> (Index, usize) {
    let known = find_all(&index, &keys);
    (index, known)
}

fn read_all(is_head: fn(&[u8], &Limits) -> bool, bytes: &[u8]) -> usize {
    let limits = Limits::default();
    (0..TIMES).filter(|_| is_head(black_box(bytes), &limits)).count()
}

#[library_benchmark]
fn read_a_request_head() -> usize {
    read_all(is_request, REQUEST)
}

#[library_benchmark]
fn read_an_answer_head() -> usize {
    read_all(is_response, RESPONSE)
}

#[library_benchmark]
fn write_a_request_head() -> usize {
    let Ok(Some(head)) = request(REQUEST, &Limits::default()) else { return 0 };
    let mut out = Vec::with_capacity(4096);
    for _ in 0..TIMES {
        out.clear();
        write_fields(black_box(&head), &mut out);
    }
    out.len()
}

library_benchmark_group!(
    name = benches,
    benchmarks = [judge_and_decide, find_a_key, read_a_request_head, read_an_answer_head, write_a_request_head]
);
main!(library_benchmark_groups = benches);
