//! A gateway at half of what it can do, for minutes or hours, with a reload each second: nothing may fail, and nothing may grow.
//!
//! `cargo bench --bench soak -- MINUTES` (10 unless given). It prints requests, errors, reloads, and memory and descriptors at
//! the start and at the end; it exits with 1 where anything failed.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Connections that send requests.
const CALLERS: u32 = 8;
/// Requests after which a caller connects anew, as callers do.
const EACH: usize = 500;
/// How long it is looked how much the gateway can do, and how long it then rests before it is looked how large it is.
const SPAN: Duration = Duration::from_secs(5);
/// How often the policy changes.
const RELOAD: Duration = Duration::from_secs(1);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A gateway that ends with the bench.
struct Gateway {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
    admin: SocketAddr,
    key: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A process that is gone already need not be stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How large the process is: resident memory in KiB, and open descriptors.
#[derive(Clone, Copy)]
struct Size {
    memory: u64,
    descriptors: usize,
}

/// The policy, with one of two routes that nobody calls: each change is the other one.
fn policy(turn: u64) -> String {
    format!(
        "version: 1\nroutes:\n  GET /things: things:read\n  GET /open: {{ auth: anyone }}\n  GET /turn-{}: things:read\n",
        turn % 2
    )
}

fn free() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Gateway {
    fn start(folder: &Path) -> Outcome<Self> {
        let (upstream, address, admin) = (serve_upstream()?, free()?, free()?);
        let config = format!(
            "listen: {address}\nupstream: {{ url: \"http://{upstream}\" }}\nadmin: {{ listen: {admin} }}\nworkers: 1\n\
             log: {{ level: warn, output: soak.log }}\npolicy: policy.yaml\n"
        );
        fs::write(folder.join("scopegate.yaml"), config)?;
        fs::write(folder.join("policy.yaml"), policy(0))?;
        let mut create = command(folder);
        let made = create.args(["keys", "create", "--name", "soak", "--scopes", "things:read"]).output()?;
        let key = String::from_utf8(made.stdout)?.trim().to_owned();
        let process = command(folder).arg("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let gateway = Self { process, folder: folder.to_owned(), address, admin, key };
        let begun = Instant::now();
        while !gateway.admin("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            if begun.elapsed() > Duration::from_secs(30) {
                return Err("the gateway did not start".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(gateway)
    }

    fn admin(&self, target: &str) -> Outcome<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET {target} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// The figure of a metric whose line begins so.
    fn metric(&self, name: &str) -> Outcome<f64> {
        let text = self.admin("/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such metric")?;
        Ok(line.trim().parse()?)
    }

    fn size(&self) -> Outcome<Size> {
        let process = format!("/proc/{}", self.process.id());
        let status = fs::read_to_string(format!("{process}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let memory = line.split_whitespace().next().ok_or("no number")?.parse()?;
        Ok(Size { memory, descriptors: fs::read_dir(format!("{process}/fd"))?.count() })
    }

    /// Writes the policy of this turn, and asks for it.
    fn reload(&self, turn: u64) -> Outcome<()> {
        let new = self.folder.join("policy.yaml.new");
        fs::write(&new, policy(turn))?;
        fs::rename(new, self.folder.join("policy.yaml"))?;
        Command::new("kill").args(["-HUP", &self.process.id().to_string()]).status()?;
        Ok(())
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scopegate"));
    command.current_dir(folder).env_remove("SCOPEGATE_LISTEN");
    command
}

/// An upstream that answers every request with `ok`.
fn serve_upstream() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) {
    let mut input = [0; 4096];
    while stream.read(&mut input).is_ok_and(|count| count > 0) && stream.write_all(ANSWER).is_ok() {}
}

/// What came of the requests so far.
#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    errors: AtomicU64,
    over: AtomicBool,
}

/// Sends requests one after the other, `pause` from each to the next, until it is over.
fn call(gateway: &Gateway, counts: &Counts, pause: Duration) {
    let request = format!("GET /things HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\r\n", gateway.key);
    let mut next = Instant::now();
    while !counts.over.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(gateway.address) else {
            counts.errors.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        // Without it a request may be late, and is answered all the same.
        let _ = stream.set_nodelay(true);
        for _ in 0..EACH {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            next += pause;
            counts.requests.fetch_add(1, Ordering::Relaxed);
            if exchange(&mut stream, request.as_bytes()).is_none() {
                counts.errors.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if counts.over.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// One request and its answer, which must be the right one and come in time.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(request).ok()?;
    let (mut answer, mut input) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"\r\n\r\nok") {
        let count = stream.read(&mut input).ok()?;
        answer.extend_from_slice(input.get(..count).filter(|read| !read.is_empty())?);
    }
    answer.starts_with(b"HTTP/1.1 200 OK\r\n").then_some(())
}

/// Lets the callers call for `span`, while `beside` is done beside them.
fn load(
    gateway: &Gateway,
    (span, pause): (Duration, Duration),
    beside: impl FnOnce(Duration) -> Outcome<()>,
) -> Outcome<Counts> {
    let counts = Counts::default();
    let done = thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| call(gateway, &counts, pause));
        }
        let done = beside(span);
        counts.over.store(true, Ordering::Relaxed);
        done
    });
    done.map(|()| counts)
}

fn wait(span: Duration) -> Outcome<()> {
    thread::sleep(span);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn run(folder: &Path, minutes: u64) -> Outcome<bool> {
    let gateway = Gateway::start(folder)?;
    let whole = load(&gateway, (SPAN, Duration::ZERO), wait)?;
    let most = whole.requests.load(Ordering::Relaxed) as f64 / SPAN.as_secs_f64();
    thread::sleep(SPAN);
    let (before, span) = (gateway.size()?, Duration::from_secs(60 * minutes));
    println!("at most {most:.0} requests a second; half of that for {minutes} min, a reload each second");
    let reload = |span: Duration| {
        let begun = Instant::now();
        for turn in 1.. {
            thread::sleep(RELOAD.min(span.saturating_sub(begun.elapsed())));
            if begun.elapsed() >= span {
                break;
            }
            gateway.reload(turn)?;
        }
        Ok(())
    };
    let counts = load(&gateway, (span, Duration::from_secs_f64(f64::from(2 * CALLERS) / most)), reload)?;
    thread::sleep(SPAN);
    let after = gateway.size()?;
    let [requests, errors] = [&counts.requests, &counts.errors].map(|count| count.load(Ordering::Relaxed));
    let [applied, failed] =
        ["applied", "failed"].map(|result| gateway.metric(&format!("scopegate_reloads_total{{result=\"{result}\"}}")));
    let (applied, failed) = (applied?, failed?);
    println!("{requests} requests, {errors} errors; {applied} reloads, {failed} failed");
    for (when, Size { memory, descriptors }) in [("start", before), ("end", after)] {
        println!("at the {when:<6}{memory:>8} KiB {descriptors:>5} descriptors");
    }
    Ok(errors == 0 && failed == 0.0 && applied > 0.0)
}

fn main() -> Outcome<ExitCode> {
    // Cargo passes flags of its own.
    let minutes = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10);
    let folder = std::env::temp_dir().join(format!("scopegate-soak-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let outcome = run(&folder, minutes);
    // The folder is in the system's place for what may be forgotten.
    let _ = fs::remove_dir_all(&folder);
    Ok(if outcome? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
