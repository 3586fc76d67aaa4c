//! A client beside a crowd: 10,000 idle connections and 1,000 that send a head byte by byte. It prints; nothing asserts.
//!
//! `ulimit -n` must allow the crowd on both sides: 12,000 descriptors in this process and in the gateway.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const IDLE: usize = 10_000;
const SLOW: usize = 1_000;
/// How long the client is measured each time.
const SPAN: Duration = Duration::from_secs(5);
const REQUEST: &[u8] = b"GET /things HTTP/1.1\r\nHost: bench\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A gateway that ends with the bench.
struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        // A process that is gone already need not be stopped.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Gateway {
    fn start(folder: &Path, address: SocketAddr) -> Outcome<Self> {
        let upstream = serve_upstream()?;
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = format!(
            "listen: {address}\nupstream: {{ url: \"http://{upstream}\" }}\nworkers: 1\nadmin: {{ listen: {free} }}\nlog: {{ access: false }}\n\
             limits: {{ connections: 20000, idle: 10m, header_timeout: 10m }}\n\
             policy: {{ version: 1, routes: {{ GET /things: {{ auth: anyone }} }} }}\n"
        );
        let file = folder.join("scopegate.yaml");
        fs::write(&file, config)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_scopegate"));
        let child = command.arg("serve").arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let gateway = Self(child);
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > Duration::from_secs(30) {
                return Err("the gateway did not start".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(gateway)
    }

    /// Resident memory in MiB, and open descriptors.
    fn size(&self) -> Outcome<(usize, usize)> {
        let process = format!("/proc/{}", self.0.id());
        let status = fs::read_to_string(format!("{process}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: usize = line.split_whitespace().next().ok_or("no number")?.parse()?;
        Ok((kib / 1024, fs::read_dir(format!("{process}/fd"))?.count()))
    }
}

/// An upstream that answers every read with `ok`.
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

/// One client, one request after the other; its latencies in microseconds, sorted.
fn measure(address: SocketAddr) -> Outcome<Vec<u128>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut latencies, mut input) = (Vec::new(), [0; 4096]);
    let begun = Instant::now();
    while begun.elapsed() < SPAN {
        let sent = Instant::now();
        stream.write_all(REQUEST)?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok") {
            let count = stream.read(&mut input)?;
            answer.extend_from_slice(input.get(..count).filter(|read| !read.is_empty()).ok_or("closed")?);
        }
        latencies.push(sent.elapsed().as_micros());
    }
    latencies.sort_unstable();
    Ok(latencies)
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn report(name: &str, gateway: &Gateway, latencies: &[u128]) -> Outcome<()> {
    let at = |percent: usize| latencies.get(latencies.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0);
    let (memory, descriptors) = gateway.size()?;
    println!("{name:<22} p50 {:>5} us  p99 {:>5} us  {memory:>4} MiB  {descriptors:>6} descriptors", at(50), at(99));
    Ok(())
}

/// Sends one byte of a head on each connection in turn, until one is gone.
fn trickle(mut crowd: Vec<TcpStream>) {
    let head = b"GET /things HTTP/1.1\r\nHost: bench\r\nX-Slow: ";
    let bytes = head.iter().copied().chain(std::iter::repeat(b'x'));
    for byte in bytes {
        for stream in &mut crowd {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
        }
        thread::sleep(Duration::from_millis(500));
    }
}

fn run(folder: &Path) -> Outcome<()> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let gateway = Gateway::start(folder, address)?;
    report("alone", &gateway, &measure(address)?)?;
    let connect = |_| TcpStream::connect(address);
    let idle: Vec<TcpStream> = (0..IDLE).map(connect).collect::<Result<_, _>>()?;
    report("10,000 idle", &gateway, &measure(address)?)?;
    let slow: Vec<TcpStream> = (0..SLOW).map(connect).collect::<Result<_, _>>()?;
    let gone: Vec<TcpStream> = slow.iter().map(TcpStream::try_clone).collect::<Result<_, _>>()?;
    thread::spawn(move || trickle(slow));
    report("and 1,000 slow", &gateway, &measure(address)?)?;
    drop(idle);
    for stream in gone {
        // One that is closed already is as good.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    report("alone again", &gateway, &measure(address)?)
}

fn main() -> Outcome<()> {
    let folder = std::env::temp_dir().join(format!("scopegate-crowd-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let outcome = run(&folder);
    // The folder is in the system's place for what may be forgotten.
    let _ = fs::remove_dir_all(&folder);
    outcome
}
