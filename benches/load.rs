//! What starting from ten thousand keys costs: read from a store into an index.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use scopegate::key::digest::Hasher;
use scopegate::key::lifecycle::{self, Imprint, NewKey};
use scopegate::key::secret::Secret;
use scopegate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, Timestamp};
use scopegate::policy::scope::Vocabulary;
use scopegate::store::file::Form;
use scopegate::store::index::Index;
use scopegate::store::{self, Location, OpenMode, Revision, Stamp};

const KEYS: usize = 10_000;

fn make_records() -> Result<Vec<KeyRecord>, Box<dyn Error>> {
    let (hasher, now) = (Hasher::new(None), Timestamp::now());
    let make = |number| {
        let grant = GrantSpec::custom(["lists:read", "profiles:read", "profiles:write"]);
        let imprint = Imprint::of(&Secret::mint("sg")?, "sg", &hasher);
        Ok(lifecycle::create(
            NewKey::new(format!("exporter {number}"), grant),
            KeyId::mint(KeyKind::Secret)?,
            imprint,
            now,
        )?)
    };
    (0..KEYS).map(make).collect()
}

fn write_file(path: &Path, records: &[KeyRecord]) -> Result<(), Box<dyn Error>> {
    let mut text = String::from("keys:\n");
    for record in records {
        let digest = record.value.digest.to_hex();
        let scopes = record.grant.to_header().replace(' ', ", ");
        writeln!(text, "  - name: {}\n    sha256: {digest}\n    scopes: [{scopes}]", record.name)?;
    }
    Ok(fs::write(path, text)?)
}

/// How many keys are in a new index after a load.
fn load(location: &Location) -> Result<usize, Box<dyn Error>> {
    let index = Index::new(Vocabulary::new());
    let mut store = store::open(location, OpenMode::Existing)?;
    store.load(Revision::START, &mut |change| index.apply(&change))?;
    Ok(index.len())
}

fn bench_load(criterion: &mut Criterion) {
    let folder = std::env::temp_dir().join(format!("scopegate-load-{}", std::process::id()));
    let sqlite = Location::Sqlite(folder.join("scopegate.db"));
    let file = Location::File(folder.join("keys.yaml"), Form::Sha256);
    let prepare = || -> Result<(), Box<dyn Error>> {
        fs::create_dir_all(&folder)?;
        let records = make_records()?;
        let stamp = Stamp { by: "bench", at: Timestamp::now() };
        store::open(&sqlite, OpenMode::Create)?.create(&records, stamp)?;
        write_file(&folder.join("keys.yaml"), &records)
    };
    if let Err(error) = prepare() {
        #[expect(clippy::print_stderr, reason = "a bench talks to its terminal")]
        return eprintln!("nothing to load: {error}");
    }
    let mut group = criterion.benchmark_group("load ten thousand keys");
    group.sample_size(20);
    for (name, location) in [("sqlite", &sqlite), ("file", &file)] {
        group.bench_function(name, |bench| bench.iter(|| load(location).map_err(|error| error.to_string())));
    }
    group.finish();
    // The folder is in the system's place for what may be forgotten.
    let _ = fs::remove_dir_all(&folder);
}

criterion_group!(benches, bench_load);
criterion_main!(benches);
