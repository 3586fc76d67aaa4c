//! A revoke in a fleet: how long from its commit until the last of many gateways refuses the key, on connections that were open
//! before. It prints; nothing asserts, but that every gateway comes to refuse it.
//!
//! `cargo bench --bench revocation -- ROUNDS GATEWAYS` (100 and 20 unless given). The gateways are processes of the built binary
//! on one PostgreSQL, which is started from the programs of Debian's package `postgresql`. A caller at each of them sends one
//! request after another on one connection and notes when the first is refused. `--wait` is then asked about the same change.

#[path = "../tests/it/support/postgres.rs"]
#[expect(dead_code, unreachable_pub, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "it is shared")]
mod postgres;
#[expect(dead_code, reason = "sizes are for other benches")]
mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use scopegate::database::Database;
use scopegate::key::digest::Hasher;
use scopegate::key::lifecycle::{self, Imprint, NewKey, Transition};
use scopegate::key::secret::Secret;
use scopegate::key::{GrantSpec, KeyId, KeyKind, Timestamp};
use scopegate::store::{self, KeyStore, Location, OpenMode, Stamp};

use self::support::{Gateway, Outcome, command, connect, in_folder};

/// The pause between two requests of a caller: all of them share the machine with what they measure.
const PACE: Duration = Duration::from_millis(2);
/// A round that takes longer is told by itself. A gateway that was not woken asks after a second.
const LATE: Duration = Duration::from_millis(300);
const POLICY: &str = "version: 1\nroutes: { 'GET /things': { scopes: [things:read] } }\n";

/// A key that was made, and a request with it.
struct Made {
    id: KeyId,
    request: Vec<u8>,
}

fn make(store: &mut dyn KeyStore) -> Outcome<Made> {
    let secret = Secret::mint("sg")?;
    let now = Timestamp::now();
    let imprint = Imprint::of(&secret, "sg", &Hasher::new(None));
    let new = NewKey::new("bench", GrantSpec::custom(["things:read"]));
    let record = lifecycle::create(new, KeyId::mint(KeyKind::Secret)?, imprint, now)?;
    store.create(std::slice::from_ref(&record), Stamp { by: "bench", at: now })?;
    let key = String::from_utf8_lossy(secret.expose()).into_owned();
    let request = format!("GET /things HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n");
    Ok(Made { id: record.id, request: request.into_bytes() })
}

/// Whether a request is let through. Its answer is read to the end.
fn is_served(stream: &mut TcpStream, request: &[u8]) -> Outcome<bool> {
    stream.write_all(request)?;
    let (mut answer, mut input) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut input)?;
        answer.extend_from_slice(input.get(..count).filter(|read| !read.is_empty()).ok_or("closed")?);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lengths = head
            .lines()
            .filter_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= lengths.next().unwrap_or(0) {
            return Ok(head.starts_with("HTTP/1.1 200"));
        }
    }
}

/// Calls until the key is refused, and tells when that was.
fn call(mut stream: TcpStream, request: &[u8], refused: &Sender<Instant>) -> Outcome<()> {
    while is_served(&mut stream, request)? {
        thread::sleep(PACE);
    }
    Ok(refused.send(Instant::now())?)
}

/// Revokes one key and gives how long the last of the gateways took from the commit on, the one before it, and the median one.
fn round(store: &mut dyn KeyStore, fleet: &[Gateway]) -> Outcome<[Duration; 3]> {
    let made = make(store)?;
    let (refused, moments) = mpsc::channel();
    let mut callers = Vec::new();
    for gateway in fleet {
        let mut stream = connect(gateway.address)?;
        // The connection is open from now on.
        while !is_served(&mut stream, &made.request)? {
            thread::sleep(PACE);
        }
        let (request, refused) = (made.request.clone(), refused.clone());
        callers.push(thread::spawn(move || call(stream, &request, &refused).map_err(|error| error.to_string())));
    }
    drop(refused);
    thread::sleep(Duration::from_millis(50));
    store.change(&made.id, &Transition::Revoke, Stamp { by: "bench", at: Timestamp::now() })?;
    let committed = Instant::now();
    let mut took: Vec<Duration> = moments.iter().map(|at| at.saturating_duration_since(committed)).collect();
    for caller in callers {
        caller.join().map_err(|_| "a caller failed")??;
    }
    took.sort();
    let at = |place: usize| took.get(place).copied().ok_or("no gateway");
    let last = took.len().saturating_sub(1);
    Ok([at(last)?, at(last.saturating_sub(1))?, at(took.len() / 2)?])
}

/// How late a thread is woken that does nothing but sleep: what the machine adds to each step of those that are measured.
struct Sleeper(Arc<AtomicU64>);

impl Sleeper {
    fn start() -> Self {
        let latest = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&latest);
        thread::spawn(move || {
            loop {
                let asleep = Instant::now();
                thread::sleep(PACE);
                let late = asleep.elapsed().saturating_sub(PACE);
                told.fetch_max(u64::try_from(late.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        Self(latest)
    }

    /// The worst since this was asked last, in milliseconds.
    fn worst(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// A round that took long, with what tells a gateway that was not woken from a machine that was busy with other things.
#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn tell_late(number: usize, took: [Duration; 3], late: u64) {
    let [last, second, middle] = took.map(|took| took.as_millis());
    println!(
        "  round {number}: the last {last} ms, the one before it {second}, the middle one {middle}; a thread that only sleeps was woken up to {late} ms late"
    );
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn tell(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |share: usize| took.get((took.len() * share / 100).min(took.len().saturating_sub(1)));
    let millis = |share| at(share).map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0);
    println!(
        "{what:<16} p50 {:>7.1}   p90 {:>7.1}   p99 {:>7.1}   max {:>7.1} ms",
        millis(50),
        millis(90),
        millis(99),
        millis(100)
    );
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn run(folder: &Path, (rounds, gateways): (usize, usize)) -> Outcome<()> {
    let Some(place) = postgres::scratch() else { return Ok(()) };
    let url = place.url();
    let mut store = store::open(&Location::Postgres(Box::new(Database::parse(&url)?)), OpenMode::Create)?;
    let mut fleet = Vec::new();
    for number in 0..gateways {
        let folder = folder.join(number.to_string());
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("policy.yaml"), POLICY)?;
        let config =
            format!("policy: policy.yaml\nkeys: {{ store: '{url}', record_use: none }}\nlog: {{ access: false }}\n");
        fleet.push(Gateway::start(&folder, &config)?);
    }
    println!("{gateways} gateways, {rounds} revokes; from the commit to the first refusal, on open connections:");
    let (mut last, mut median) = (Vec::new(), Vec::new());
    let sleeper = Sleeper::start();
    for number in 1..=rounds {
        sleeper.worst();
        let [slowest, second, middle] = round(&mut *store, &fleet)?;
        if slowest > LATE {
            tell_late(number, [slowest, second, middle], sleeper.worst());
        }
        last.push(slowest);
        median.push(middle);
    }
    tell("the last of them", last);
    tell("the middle one", median);
    let made = make(&mut *store)?;
    let waited = command(folder).args(["keys", "revoke", made.id.as_str(), "--wait", "--store", &url]).output()?;
    println!("keys revoke --wait: {}", String::from_utf8_lossy(&waited.stderr).trim().replace('\n', " "));
    Ok(())
}

fn main() -> Outcome<()> {
    // Cargo hands in options of its own.
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let sizes = (numbers.next().unwrap_or(100), numbers.next().unwrap_or(20));
    in_folder("revocation", |folder| run(folder, sizes))
}
