//! A gateway at half of what it can do, for minutes or hours, with a reload each second: nothing may fail, and nothing may grow.
//!
//! `cargo bench --bench soak -- SECONDS` (600 unless given). It prints requests, errors, reloads, and memory and descriptors at
//! the start and at the end; it exits with 1 where anything failed, was not done, or grew.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Gateway, Outcome, Size, command, connect, exchange, in_folder};

/// Connections that send requests.
const CALLERS: u32 = 8;
/// Requests after which a caller connects anew, as callers do.
const EACH: usize = 500;
/// How long it is looked how much the gateway can do, and how long it then rests before it is looked how large it is.
const SPAN: Duration = Duration::from_secs(5);
/// How often the policy changes.
const RELOAD: Duration = Duration::from_secs(1);

/// What the memory may have grown by in the end, as an allocator settles: a part of what it was, and so many KiB.
const MEMORY_PERCENT: u64 = 25;
const MEMORY_KIB: u64 = 8 << 10;
/// What the descriptors may have grown by: connections to the upstream that rest.
const DESCRIPTORS: usize = 2 * CALLERS as usize;

/// The log is not beside the policy: a folder in which something is always written is one that always changes.
const CONFIG: &str = "\
log: { level: info, access: 1%, output: log/soak.log }
policy: policy.yaml
";

/// The policy, with one of two routes that nobody calls: each change is the other one.
fn policy(turn: u64) -> String {
    format!(
        "version: 1\nroutes:\n  GET /things: things:read\n  GET /open: {{ auth: anyone }}\n  GET /turn-{}: things:read\n",
        turn % 2
    )
}

/// What is called, and how.
struct Aim {
    gateway: Gateway,
    folder: PathBuf,
    request: String,
}

impl Aim {
    fn new(folder: &Path) -> Outcome<Self> {
        fs::create_dir_all(folder.join("log"))?;
        fs::write(folder.join("policy.yaml"), policy(0))?;
        let gateway = Gateway::start(folder, CONFIG)?;
        let made = command(folder).args(["keys", "create", "--name", "soak", "--scopes", "things:read"]).output()?;
        let key = String::from_utf8(made.stdout)?.trim().to_owned();
        let request = format!("GET /things HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n");
        let begun = Instant::now();
        while connect(gateway.address).and_then(|mut stream| exchange(&mut stream, request.as_bytes())).is_err() {
            if begun.elapsed() > SPAN {
                return Err("the key was not taken".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { gateway, folder: folder.to_owned(), request })
    }

    /// Writes the policy of this turn, and asks for it.
    fn reload(&self, turn: u64) -> Outcome<()> {
        let new = self.folder.join("policy.yaml.new");
        fs::write(&new, policy(turn))?;
        fs::rename(new, self.folder.join("policy.yaml"))?;
        Command::new("kill").args(["-HUP", &self.gateway.process.id().to_string()]).status()?;
        Ok(())
    }

    /// How many reloads have come to that.
    fn reloads(&self, result: &str) -> Outcome<f64> {
        let name = format!("scopegate_reloads_total{{result=\"{result}\"}}");
        let text = self.gateway.admin("/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix(&*name)).ok_or("no such metric")?;
        Ok(line.trim().parse()?)
    }
}

/// What came of the requests so far.
#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    errors: AtomicU64,
    over: AtomicBool,
}

impl Counts {
    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}

/// Sends requests one after the other, `pause` from each to the next, until it is over.
fn call(aim: &Aim, counts: &Counts, pause: Duration) {
    let mut next = Instant::now();
    while !counts.over.load(Ordering::Relaxed) {
        let Ok(mut stream) = connect(aim.gateway.address) else {
            counts.errors.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        for _ in 0..EACH {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            next += pause;
            counts.requests.fetch_add(1, Ordering::Relaxed);
            if exchange(&mut stream, aim.request.as_bytes()).is_err() {
                counts.errors.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if counts.over.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// Lets the callers call with `pause`, while `beside` is done beside them; and what that gave.
fn load<T>(aim: &Aim, pause: Duration, beside: impl FnOnce() -> Outcome<T>) -> Outcome<(Counts, T)> {
    let counts = Counts::default();
    let done = thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| call(aim, &counts, pause));
        }
        let done = beside();
        counts.over.store(true, Ordering::Relaxed);
        done
    });
    done.map(|done| (counts, done))
}

/// Changes the policy for as long as `span`; how often.
fn reload_for(aim: &Aim, span: Duration) -> Outcome<u64> {
    let begun = Instant::now();
    for turn in 1.. {
        thread::sleep(RELOAD.min(span.saturating_sub(begun.elapsed())));
        if begun.elapsed() >= span {
            return Ok(turn - 1);
        }
        aim.reload(turn)?;
    }
    Ok(0)
}

/// Whether the second size is no more than the first one may become.
fn is_stable(before: Size, after: Size) -> bool {
    after.memory <= before.memory + before.memory * MEMORY_PERCENT / 100 + MEMORY_KIB
        && after.descriptors <= before.descriptors + DESCRIPTORS
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn run(folder: &Path, span: Duration) -> Outcome<bool> {
    let aim = Aim::new(folder)?;
    let (whole, ()) = load(&aim, Duration::ZERO, || {
        thread::sleep(SPAN);
        Ok(())
    })?;
    let most = whole.requests() as f64 / SPAN.as_secs_f64();
    println!("at most {most:.0} requests a second, {} errors", whole.errors());
    thread::sleep(SPAN);
    let before = aim.gateway.size()?;
    println!("half of that for {span:?}, a reload each second");
    let pause = Duration::from_secs_f64(f64::from(2 * CALLERS) / most.max(1.0));
    let (counts, asked) = load(&aim, pause, || reload_for(&aim, span))?;
    thread::sleep(SPAN);
    let after = aim.gateway.size()?;
    let (applied, failed) = (aim.reloads("applied")?, aim.reloads("failed")?);
    println!("{} requests, {} errors", counts.requests(), counts.errors());
    println!("{asked} reloads were asked for, {applied} done, {failed} failed");
    for (when, Size { memory, descriptors }) in [("start", before), ("end", after)] {
        println!("at the {when:<6}{memory:>8} KiB {descriptors:>5} descriptors");
    }
    // Two changes in one look are one reload, or none where the second takes the first back.
    let reloaded = failed == 0.0 && asked > 0 && applied >= asked as f64 * 0.9;
    let served = whole.errors() + counts.errors() == 0 && counts.requests() > 0;
    for (what, held) in [("served", served), ("reloaded", reloaded), ("stable", is_stable(before, after))] {
        println!("{what:<9}{}", if held { "yes" } else { "NO" });
    }
    Ok(served && reloaded && is_stable(before, after))
}

fn main() -> Outcome<ExitCode> {
    // Cargo passes flags of its own.
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(600);
    let held = in_folder("soak", |folder| run(folder, Duration::from_secs(seconds)))?;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
