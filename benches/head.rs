//! What reading and writing a head costs, by wall time. Run with `cargo bench --bench head`.

mod heads;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scopegate::http1::{Limits, request};

use heads::{REQUEST, RESPONSE, is_request, is_response, write_fields};

fn head(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("head");
    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    group.bench_function("request", |bencher| bencher.iter(|| is_request(black_box(REQUEST), &limits)));
    let part = REQUEST.get(..REQUEST.len() - 2).unwrap_or_default();
    group.bench_function("request, all but its last two bytes", |bencher| {
        bencher.iter(|| is_request(black_box(part), &limits));
    });
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    group.bench_function("response", |bencher| {
        bencher.iter(|| is_response(black_box(RESPONSE), &limits));
    });
    if let Ok(Some(head)) = request(REQUEST, &limits) {
        let mut out = Vec::with_capacity(4096);
        group.throughput(Throughput::Bytes(REQUEST.len() as u64));
        group.bench_function("request, written", |bencher| {
            bencher.iter(|| {
                out.clear();
                write_fields(black_box(&head), &mut out);
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, head);
criterion_main!(benches);
