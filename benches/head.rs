//! What reading a head costs, by wall time. Run with `cargo bench --bench head`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scopegate::http1::head::AnswerTo;
use scopegate::http1::{Limits, request, response};

/// Ten fields, as an SDK sends them.
const REQUEST: &[u8] = b"GET /api/profiles/01HZX3Q5?include=lists,segments&page%5Bsize%5D=50 HTTP/1.1\r\n\
    Host: api.example.com\r\n\
    User-Agent: python-requests/2.32.3\r\n\
    Accept: application/vnd.api+json\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Connection: keep-alive\r\n\
    Authorization: Bearer sg_5Jx0aYtR1bK8mQ2vW7cN4dZ9eL3fH6gT0uXy\r\n\
    Revision: 2026-10-15\r\n\
    X-Request-Id: 6f1c7a52-9c1f-4a1d-8f27-0c7d3d1a9b11\r\n\
    Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
    Cache-Control: no-cache\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n\
    Content-Type: application/vnd.api+json\r\n\
    Content-Length: 1024\r\n\
    Cache-Control: no-store\r\n\
    RateLimit-Remaining: 149\r\n\
    Vary: Accept, Cookie\r\n\
    Server: upstream\r\n\r\n";

fn head(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("head");
    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    group.bench_function("request", |bencher| {
        bencher.iter(|| request(black_box(REQUEST), &limits).map(|head| head.is_some()))
    });
    let part = REQUEST.get(..REQUEST.len() - 2).unwrap_or_default();
    group.bench_function("request, all but its last two bytes", |bencher| {
        bencher.iter(|| request(black_box(part), &limits).map(|head| head.is_some()));
    });
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    group.bench_function("response", |bencher| {
        bencher.iter(|| response(black_box(RESPONSE), &limits, AnswerTo::Other).map(|head| head.is_some()));
    });
    group.finish();
}

criterion_group!(benches, head);
criterion_main!(benches);
