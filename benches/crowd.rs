//! A client beside a crowd: 10,000 idle connections and 1,000 that send a head byte by byte. It prints; nothing asserts.
//!
//! `ulimit -n` must allow the crowd on both sides: 12,000 descriptors in this process and in the gateway.

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use support::{Gateway, Outcome, Size, connect, exchange, in_folder};

const IDLE: usize = 10_000;
const SLOW: usize = 1_000;
/// How long the client is measured each time.
const SPAN: Duration = Duration::from_secs(5);
const REQUEST: &[u8] = b"GET /things HTTP/1.1\r\nHost: bench\r\n\r\n";

const CONFIG: &str = "\
log: { access: false }
limits: { connections: 20000, idle: 10m, header_timeout: 10m }
policy: { version: 1, routes: { GET /things: { auth: anyone } } }
";

/// One client, one request after the other; its latencies in microseconds, sorted.
fn measure(address: SocketAddr) -> Outcome<Vec<u128>> {
    let (mut stream, mut latencies) = (connect(address)?, Vec::new());
    let begun = Instant::now();
    while begun.elapsed() < SPAN {
        let sent = Instant::now();
        exchange(&mut stream, REQUEST)?;
        latencies.push(sent.elapsed().as_micros());
    }
    latencies.sort_unstable();
    Ok(latencies)
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn report(name: &str, gateway: &Gateway) -> Outcome<()> {
    let latencies = measure(gateway.address)?;
    let at = |percent: usize| latencies.get(latencies.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0);
    let Size { memory, descriptors } = gateway.size()?;
    let memory = memory / 1024;
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
    let gateway = Gateway::start(folder, CONFIG)?;
    report("alone", &gateway)?;
    let crowd = |count| (0..count).map(|_| TcpStream::connect(gateway.address)).collect::<Result<Vec<_>, _>>();
    let idle = crowd(IDLE)?;
    report("10,000 idle", &gateway)?;
    let slow = crowd(SLOW)?;
    let gone: Vec<TcpStream> = slow.iter().map(TcpStream::try_clone).collect::<Result<_, _>>()?;
    thread::spawn(move || trickle(slow));
    report("and 1,000 slow", &gateway)?;
    drop(idle);
    for stream in gone {
        // One that is closed already is as good.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    report("alone again", &gateway)
}

fn main() -> Outcome<()> {
    in_folder("crowd", run)
}
