//! A gateway with a million keys: how long they take to import and to start with, how much memory they take, what a million
//! callers with keys that nobody made leave behind, how soon a revoke is in force, and how a gateway that runs already takes them
//! in. It prints; nothing asserts.
//!
//! `cargo bench --bench million -- KEYS STORE` (1,000,000, of which all but two are imported, and `sqlite`, unless given). The
//! other store is `postgres`, a server that is started from the programs of Debian's package `postgresql`.

#[path = "../tests/it/support/postgres.rs"]
#[expect(dead_code, unreachable_pub, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "it is shared")]
mod postgres;
#[expect(dead_code, reason = "descriptors, and what the metrics say, are for other benches")]
mod support;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use scopegate::key::digest::Hasher;
use serde_json::Value;

use self::support::{Gateway, Outcome, command, connect, exchange, in_folder};

const KEYS: usize = 1_000_000;
/// What the keys have in common: so many accounts, and so many lists of scopes.
const ACCOUNTS: usize = 5_000;
const LISTS: usize = 40;
/// Requests that are on their way at once.
const BATCH: usize = 500;
/// How long memory that is not needed any more has to be given back.
const REST: Duration = Duration::from_secs(3);
/// How long a gateway that runs may take to take them in.
const LONGEST: Duration = Duration::from_secs(300);

/// What a gateway is told of its keys at that place.
fn config(store: &str) -> String {
    format!("policy: policy.yaml\nkeys: {{ store: '{store}' }}\nlog: {{ access: false }}\n")
}

/// The scopes of the list of that number, and all of the policy.
fn scopes(list: usize) -> String {
    let names = (0..6).filter(|bit| (list + 1) >> bit & 1 == 1).map(|bit| format!("resource-{bit}:read"));
    names.collect::<Vec<_>>().join(" ")
}

fn policy() -> String {
    let route = |at| format!("  GET /resource-{at}: resource-{at}:read\n");
    format!("version: 1\nroutes:\n  GET /things: things:read\n{}", (0..6).map(route).collect::<String>())
}

/// Keys from elsewhere, by their digests.
fn write_keys(path: &Path, count: usize) -> Outcome<()> {
    let hasher = Hasher::new(None);
    let mut file = BufWriter::new(fs::File::create(path)?);
    writeln!(file, "name,scopes,account,sha256")?;
    for number in 0..count {
        let digest = hasher.digest(format!("key-number-{number}").as_bytes()).to_hex();
        let scopes = scopes(number % LISTS);
        writeln!(file, "exporter {number},{scopes},account-{},{digest}", number % ACCOUNTS)?;
    }
    Ok(file.flush()?)
}

/// A key that is made here: its id and itself.
fn make_key(folder: &Path) -> Outcome<(String, String)> {
    let arguments = ["keys", "create", "--name", "probe", "--scopes", "things:read", "--json"];
    let made: Value = serde_json::from_slice(&command(folder).args(arguments).output()?.stdout)?;
    let text = |field: &str| made.get(field).and_then(Value::as_str).map(str::to_owned).ok_or("no key was made");
    Ok((text("id")?, text("key")?))
}

fn request(key: &str) -> String {
    format!("GET /things HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n")
}

/// Sends requests with keys that nobody made, no two the same.
fn call_in_vain(address: SocketAddr, count: usize) -> Outcome<()> {
    let mut stream = connect(address)?;
    let mut input = vec![0; 1 << 16];
    for start in (0..count).step_by(BATCH) {
        let end = count.min(start + BATCH);
        let mut batch = String::new();
        for number in start..end {
            write!(batch, "{}", request(&format!("nobody-made-{number}")))?;
        }
        let mut sink = stream.try_clone()?;
        let sending = thread::spawn(move || sink.write_all(batch.as_bytes()));
        refuse_all(&mut stream, (end - start, &mut input))?;
        sending.join().map_err(|_| "sending failed")??;
    }
    Ok(())
}

/// Reads on until so many answers have begun, all of them 401.
fn refuse_all(stream: &mut TcpStream, (count, input): (usize, &mut [u8])) -> Outcome<()> {
    let (mut seen, mut kept) = (0, Vec::new());
    let refusal = b"HTTP/1.1 401 ";
    while seen < count {
        let length = stream.read(input)?;
        kept.extend_from_slice(input.get(..length).filter(|read| !read.is_empty()).ok_or("closed")?);
        seen += kept.windows(refusal.len()).filter(|window| window == refusal).count();
        // What may be the start of the next one stays.
        kept.drain(..kept.len().saturating_sub(refusal.len() - 1));
    }
    Ok(())
}

/// A folder within, with the policy.
fn make_folder(folder: &Path, name: &str) -> Outcome<PathBuf> {
    let made = folder.join(name);
    fs::create_dir_all(&made)?;
    fs::copy(folder.join("policy.yaml"), made.join("policy.yaml"))?;
    Ok(made)
}

/// Whether a request with that key is answered with 200, on a connection of its own.
fn is_served(address: SocketAddr, key: &str) -> Outcome<bool> {
    let mut stream = connect(address)?;
    stream.write_all(request(key).as_bytes())?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(status == *b"HTTP/1.1 200")
}

/// Runs a command, and tells how long it took and the most memory that it had, in MiB.
fn import(folder: &Path) -> Outcome<(Duration, f64)> {
    let begun = Instant::now();
    // It says a line for each account, more than a pipe holds that nobody reads.
    let told = folder.join("import.log");
    let mut command = command(folder);
    command.args(["keys", "import", "--create-accounts", "keys.csv"]).stdout(Stdio::null());
    command.stderr(fs::File::create(&told)?);
    let mut process = command.spawn()?;
    let mut most = 0.0;
    while process.try_wait()?.is_none() {
        most = peak(process.id()).unwrap_or(most);
        thread::sleep(Duration::from_millis(5));
    }
    let took = begun.elapsed();
    if process.wait()?.success() { Ok((took, most)) } else { Err(fs::read_to_string(told)?.into()) }
}

/// The most memory that a process had, in MiB.
fn peak(process: u32) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().next().ok_or("no number")?.parse::<f64>()? / 1024.0)
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn run(folder: &Path, (keys, store): (usize, &str)) -> Outcome<()> {
    let config = config(store);
    fs::write(folder.join("policy.yaml"), policy())?;
    fs::write(folder.join("scopegate.yaml"), format!("upstream: {{ url: \"http://127.0.0.1:9\" }}\n{config}"))?;
    write_keys(&folder.join("keys.csv"), keys.saturating_sub(2))?;
    let [(_, kept), (ended, revoked)] = [make_key(folder)?, make_key(folder)?];
    let behind = Gateway::start(&make_folder(folder, "behind")?, &config)?;
    let (took, most) = import(folder)?;
    println!("import          {:>8.2} s, {most:.1} MiB at most", took.as_secs_f64());
    let begun = Instant::now();
    let all = format!("\nscopegate_keys_cached {keys}\n");
    while !behind.admin("/metrics")?.contains(&all) {
        if begun.elapsed() > LONGEST {
            return Err("a gateway that ran does not take the keys in".into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    let (took, most) = (begun.elapsed(), peak(behind.process.id())?);
    println!("taken in        {:>8.2} s, {most:.1} MiB at most, by a gateway that ran", took.as_secs_f64());
    drop(behind);
    let begun = Instant::now();
    let gateway = Gateway::start(folder, &config)?;
    let most = peak(gateway.process.id())?;
    println!("start           {:>8.2} s, {most:.1} MiB at most", begun.elapsed().as_secs_f64());
    let tell_memory = |when: &str| -> Outcome<()> {
        thread::sleep(REST);
        println!("{when:<16}{:>8.1} MiB resident", gateway.size()?.memory as f64 / 1024.0);
        Ok(())
    };
    tell_memory("after start")?;
    let begun = Instant::now();
    call_in_vain(gateway.address, keys)?;
    println!("bad keys        {:>8.2} s", begun.elapsed().as_secs_f64());
    tell_memory("after bad keys")?;
    let mut stream = connect(gateway.address)?;
    exchange(&mut stream, request(&kept).as_bytes())?;
    exchange(&mut stream, request(&revoked).as_bytes())?;
    let begun = Instant::now();
    command(folder).args(["keys", "revoke", &ended]).output()?;
    let told = begun.elapsed();
    while is_served(gateway.address, &revoked)? {}
    println!("revoke          {:>8.0} ms, in force {:.0} ms later", millis(told), millis(begun.elapsed() - told));
    exchange(&mut stream, request(&kept).as_bytes())
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

fn main() -> Outcome<()> {
    // Cargo hands in options of its own.
    let keys = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(KEYS);
    if !std::env::args().any(|argument| argument == "postgres") {
        return in_folder("million", |folder| {
            let store = format!("sqlite:{}", folder.join("keys.db").display());
            run(folder, (keys, &store))
        });
    }
    let Some(place) = postgres::scratch() else { return Ok(()) };
    in_folder("million", |folder| run(folder, (keys, &place.url())))
}
