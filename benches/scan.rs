//! What looking for keys in files costs: bytes a second of one core, the file being cached.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Read, Write};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scopegate::key::search::Search;
use scopegate::key::secret::Secret;

/// Bytes of the file.
const SIZE: usize = 64 << 20;

/// Lines as source code has them; `sg_` and a key stand in some.
fn fill(file: &mut File) -> io::Result<()> {
    let key = Secret::mint("sg").map_err(io::Error::other)?;
    let line = b"    let message = format!(\"{name} has {count} messages in {folder}\"); // seg_ment, msg_id\n";
    let mut text = Vec::with_capacity(SIZE);
    while text.len() < SIZE {
        for _ in 0..1000 {
            text.extend_from_slice(line);
        }
        text.extend_from_slice(key.expose());
        text.push(b'\n');
    }
    file.write_all(&text)
}

/// How many keys the file has.
fn search(search: &mut Search, file: &mut impl Read) -> io::Result<usize> {
    search.begin();
    let mut keys = 0;
    loop {
        match file.read(search.room())? {
            0 => return Ok(keys),
            count => keys += search.take(count).len(),
        }
    }
}

fn bench_scan(criterion: &mut Criterion) {
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if fill(file.as_file_mut()).is_err() {
        return;
    }
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Bytes(fs::metadata(file.path()).map_or(0, |found| found.len()))).sample_size(20);
    for prefixes in [["sg"].as_slice(), &["acme", "acme_test", "sg"]] {
        let mut searcher = Search::new(prefixes.iter().copied());
        group.bench_function(format!("{} prefixes", prefixes.len()), |bench| {
            bench.iter(|| File::open(file.path()).and_then(|mut file| search(black_box(&mut searcher), &mut file)));
        });
    }
    group.finish();
}

criterion_group!(benches, bench_scan);
criterion_main!(benches);
