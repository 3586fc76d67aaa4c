//! What a fleet costs its database: CPU, commits, write-ahead log and memory of the server, and how long a change takes to the last
//! index, as the followers of one PostgreSQL grow in number. It prints; nothing asserts.
//!
//! `cargo bench --bench fleet -- WAYS SIZES` (all ways, and 10 50 100 200 500 1000, unless given). The ways are `direct`, `pgbouncer`
//! (in transaction mode, where the program is there) and `replica` (a streaming one). A follower is what a gateway has: a store of
//! its own, which is followed into an index of its own and says in a row of its own how far it has come. All are threads of this
//! process, over TLS; the server is started from the programs of Debian's package `postgresql`. Server, followers and writer share
//! the machine: where it has no processor left, the figures of lag are those of the machine.

#[path = "fleet/flock.rs"]
mod flock;
#[path = "fleet/meter.rs"]
mod meter;
#[path = "../tests/it/support/postgres.rs"]
#[expect(dead_code, unreachable_pub, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "it is shared")]
mod postgres;
#[path = "fleet/ways.rs"]
mod ways;

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use scopegate::database::Database;
use scopegate::key::digest::Hasher;
use scopegate::key::lifecycle::{self, Imprint, NewKey, Transition};
use scopegate::key::secret::Secret;
use scopegate::key::{GrantSpec, KeyId, KeyKind, Timestamp};
use scopegate::store::{self, KeyStore, Location, OpenMode, Stamp};

use self::flock::Flock;
use self::meter::Meter;
use self::ways::{DATABASE, Way};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SIZES: [usize; 6] = [10, 50, 100, 200, 500, 1000];
/// How long each rate of changes is looked at.
const SPAN: Duration = Duration::from_secs(10);
/// Changes a second.
const RATES: [u32; 3] = [0, 1, 10];
/// How long the last follower may take to come to a change, or to come back.
const PATIENCE: Duration = Duration::from_secs(120);

fn open(url: &str, mode: OpenMode) -> Outcome<Box<dyn KeyStore>> {
    Ok(store::open(&Location::Postgres(Box::new(Database::parse(url)?)), mode)?)
}

/// Makes the key that is changed all the time.
fn make_key(store: &mut dyn KeyStore) -> Outcome<KeyId> {
    let (secret, now) = (Secret::mint("sg")?, Timestamp::now());
    let imprint = Imprint::of(&secret, "sg", &Hasher::new(None));
    let new = NewKey::new("bench", GrantSpec::custom(["things:read"]));
    let record = lifecycle::create(new, KeyId::mint(KeyKind::Secret)?, imprint, now)?;
    store.create(std::slice::from_ref(&record), Stamp { by: "bench", at: now })?;
    Ok(record.id)
}

/// The one who changes keys.
struct Writer {
    store: Box<dyn KeyStore>,
    key: KeyId,
    /// Whether the key works.
    works: bool,
}

impl Writer {
    /// Makes one change, and tells its number and when it was committed.
    fn change(&mut self) -> Outcome<(u64, Instant)> {
        let transition = if self.works { Transition::Disable } else { Transition::Enable };
        let made = self.store.change(&self.key, &transition, Stamp { by: "bench", at: Timestamp::now() })?;
        self.works = !self.works;
        Ok((made.revision.ok_or("no change was made")?.0, Instant::now()))
    }

    /// Makes so many changes a second, for a while.
    fn change_for(&mut self, (rate, span): (u32, Duration)) -> Outcome<Vec<(u64, Instant)>> {
        let begun = Instant::now();
        let mut changes = Vec::new();
        for number in 0..span.as_secs() as u32 * rate {
            thread::sleep((Duration::from_secs(1) * number / rate).saturating_sub(begun.elapsed()));
            changes.push(self.change()?);
        }
        thread::sleep(span.saturating_sub(begun.elapsed()));
        Ok(changes)
    }
}

/// Looks at a flock under one rate of changes.
#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn look(flock: &Flock, writer: &mut Writer, (meter, rate): (&Meter<'_>, u32)) -> Outcome<()> {
    let before = meter.read()?;
    let changes = writer.change_for((rate, SPAN))?;
    let lags = flock.lags(&changes, PATIENCE)?;
    let spent = meter.read()?.since(&before);
    let made = changes.len() as f64 / spent.span.as_secs_f64();
    print!("  {made:>4.1} changes/s: {spent}");
    match lags {
        Some(lags) => println!("   any {}   last {}", lags.any, lags.last),
        None => println!(),
    }
    Ok(())
}

/// Looks at a flock of one size, under every rate of changes and through a restart of its server.
#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn run(way: &mut Way, writer: &mut Writer, size: usize) -> Outcome<()> {
    let begun = Instant::now();
    let flock = Flock::start(&way.url(), size)?;
    println!("{way}: {size} gateways, up after {:.1} s", begun.elapsed().as_secs_f64());
    // What the start has left behind is done by then.
    thread::sleep(Duration::from_secs(2));
    let meter = way.meter()?;
    for rate in RATES {
        look(&flock, writer, (&meter, rate))?;
    }
    println!("  {}", meter.memory()?);
    drop(meter);
    way.restart()?;
    let begun = Instant::now();
    // The writer's connection was lost as well; a change that was refused for that was not made.
    let change = loop {
        match writer.change() {
            Ok(change) => break change,
            Err(error) if begun.elapsed() > PATIENCE => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    };
    if let Some(lags) = flock.lags(&[change], PATIENCE)? {
        println!("  after a restart, from its first change on: any {}   last {}", lags.any, lags.last);
    }
    Ok(())
}

fn main() -> Outcome<()> {
    // Cargo hands in options of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut sizes: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    if sizes.is_empty() {
        sizes.extend(SIZES);
    }
    let names: Vec<&str> = words.iter().map(String::as_str).filter(|word| word.parse::<usize>().is_err()).collect();
    let most = sizes.iter().max().copied().unwrap_or_default();
    let Some(server) = ways::serve(most)? else { return Ok(()) };
    let mut store = open(&server.url_of("owner", DATABASE), OpenMode::Create)?;
    server.run(DATABASE, ways::GRANTS);
    let key = make_key(&mut *store)?;
    let mut writer = Writer { store, key, works: true };
    for name in ["direct", "pgbouncer", "replica"] {
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let Some(mut way) = Way::open(name, &server)? else { continue };
        for size in &sizes {
            run(&mut way, &mut writer, *size)?;
        }
    }
    Ok(())
}
