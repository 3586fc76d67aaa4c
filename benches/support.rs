//! A gateway before an upstream of its own, for the benches that measure the built binary.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// How long anything may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway that ends with the bench.
pub(crate) struct Gateway {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A process that is gone already need not be stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How large a process is: resident memory in KiB, and open descriptors.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) memory: u64,
    pub(crate) descriptors: usize,
}

impl Gateway {
    /// Starts one with one worker in `folder`, where `config` says the rest.
    pub(crate) fn start(folder: &Path, config: &str) -> Outcome<Self> {
        let (upstream, address, admin) = (serve_upstream()?, free()?, free()?);
        let places =
            format!("listen: {address}\nadmin: {{ listen: {admin} }}\nupstream: {{ url: \"http://{upstream}\" }}\n");
        fs::write(folder.join("scopegate.yaml"), format!("{places}workers: 1\n{config}"))?;
        let process = command(folder).arg("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let gateway = Self { process, address, admin };
        let begun = Instant::now();
        while !gateway.admin("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            if begun.elapsed() > PATIENCE {
                return Err("the gateway did not start".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(gateway)
    }

    /// The answer of its admin listener.
    pub(crate) fn admin(&self, target: &str) -> Outcome<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET {target} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    pub(crate) fn size(&self) -> Outcome<Size> {
        let process = format!("/proc/{}", self.process.id());
        let status = fs::read_to_string(format!("{process}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let memory = line.split_whitespace().next().ok_or("no number")?.parse()?;
        Ok(Size { memory, descriptors: fs::read_dir(format!("{process}/fd"))?.count() })
    }
}

/// The built binary in `folder`.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scopegate"));
    command.current_dir(folder).env_remove("SCOPEGATE_LISTEN");
    command
}

fn free() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
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

/// A connection that waits for no answer for longer than patience lasts.
pub(crate) fn connect(address: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One request and its answer, which must be the upstream's.
pub(crate) fn exchange(stream: &mut TcpStream, request: &[u8]) -> Outcome<()> {
    stream.write_all(request)?;
    let (mut answer, mut input) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"\r\n\r\nok") {
        let count = stream.read(&mut input)?;
        answer.extend_from_slice(input.get(..count).filter(|read| !read.is_empty()).ok_or("closed")?);
    }
    if answer.starts_with(b"HTTP/1.1 200 OK\r\n") { Ok(()) } else { Err("another answer".into()) }
}

/// Runs `bench` in a new folder, which is gone afterwards.
pub(crate) fn in_folder<T>(name: &str, bench: impl FnOnce(&Path) -> Outcome<T>) -> Outcome<T> {
    let folder = std::env::temp_dir().join(format!("scopegate-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let outcome = bench(&folder);
    // The folder is in the system's place for what may be forgotten.
    let _ = fs::remove_dir_all(&folder);
    outcome
}
