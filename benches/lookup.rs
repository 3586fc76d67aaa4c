//! What finding a key costs: its digest and the look-up, with keys chosen at random over all of them.

mod keyring;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use scopegate::key::digest::Hasher;
use scopegate::key::secret::Secret;

use keyring::{fill, is_known};

fn bench_lookup(criterion: &mut Criterion) {
    let plain = Hasher::new(None);
    let peppered = Hasher::new(Some(&Secret::new("a pepper of thirty-two characters")));
    let key = Secret::new("sg_0123456789ABCDEFGHIJKLMNOPQRST4YaTr7");
    let mut group = criterion.benchmark_group("digest");
    group.bench_function("sha-256", |bench| {
        bench.iter(|| plain.digest(black_box(key.expose())));
    });
    group.bench_function("hmac-sha-256", |bench| {
        bench.iter(|| peppered.digest(black_box(key.expose())));
    });
    group.finish();

    let mut group = criterion.benchmark_group("digest and look-up");
    for count in [10_000, 1_000_000] {
        let (index, keys) = fill(count, &plain);
        // A step that shares no factor with the count visits every key once, far from the one before.
        let mut next = 0;
        let mut choose = || {
            next = (next + 618_033) % keys.len();
            // Copied out, as a request brings its key in a buffer that was just read: the key itself is not far away.
            keys.get(next).map_or_else(Vec::new, |key| key.expose().to_vec())
        };
        group.bench_function(BenchmarkId::new("known", count), |bench| {
            bench.iter_batched(&mut choose, |key| is_known(&index, &plain, &key), BatchSize::SmallInput);
        });
        group.bench_function(BenchmarkId::new("unknown", count), |bench| {
            bench.iter_batched(|| choose().split_off(1), |key| is_known(&index, &plain, &key), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, bench_lookup);
criterion_main!(benches);
