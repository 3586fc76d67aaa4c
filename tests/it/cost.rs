//! What a request costs, by what does not depend on the neighbours: the system calls and the instructions of the built binary.
//!
//! The build is the one of all tests, without optimisation: an optimised one would cost minutes more. It makes the same system
//! calls, and several times the instructions, of which each is there for something that the source asks for: what is added to the
//! path of a request is seen in it as well. What it is not good for is the size of a gain.
//!
//! Each test prints what it found, so that a ceiling can be moved: `cargo test --test it cost:: -- --nocapture`. Whoever makes a
//! request cheaper lowers it; whoever raises one says in the commit what that buys.

mod calls; // System calls, by strace.
mod instructions; // Instructions, by callgrind.

use std::process::{Command, Output};
use std::time::Duration;

use sha2::Digest;

use crate::support::{Call, Client, Gateway, Setup, Upstream};

/// What an API answers.
const ANSWER: &str = "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Type: application/json\r\n\
    Content-Length: 1024\r\nCache-Control: no-store\r\nRateLimit-Remaining: 149\r\nVary: Accept, Cookie\r\nServer: upstream\r\n\r\n";

/// A request that is asked again and again, and what it is answered.
struct Work {
    name: &'static str,
    request: Vec<u8>,
    status: u16,
}

impl Work {
    /// What is forwarded, and the two refusals that are usual. The fields are those of an SDK.
    fn all() -> [Work; 3] {
        [("GET", "a-key-that-reads", 200), ("401", "a-key-that-nobody-made", 401), ("403", "a-key-for-files", 403)].map(
            |(name, key, status)| {
                let call = Call::get("/api/profiles/01HZX3Q5?include=lists&page%5Bsize%5D=50").key(key);
                let call = call.field("User-Agent", "python-requests/2.32.3").field("Accept", "application/json");
                let call = call.field("Accept-Encoding", "gzip, deflate, br").field("Connection", "keep-alive");
                let request = call.field("Revision", "2026-10-15").field("Cache-Control", "no-cache").bytes();
                Work { name, request, status }
            },
        )
    }

    /// Asks so often on each of these connections: at once on all of them, again when the last is answered.
    fn ask(&self, callers: &mut [Client], times: usize) {
        for _ in 0..times {
            callers.iter_mut().for_each(|caller| {
                caller.send(&self.request);
            });
            for caller in callers.iter_mut() {
                assert_eq!(caller.read().status(), self.status, "{}", self.name);
            }
        }
    }
}

/// How long a gateway may take to start below another program, which slows it down many times.
const START: Duration = Duration::from_secs(60);

/// A gateway with one worker, which runs below another program: `prepare` puts that before it.
fn gateway_below(prepare: impl Fn(&mut Command)) -> (Gateway, Upstream) {
    let upstream = Upstream::answering(format!("{ANSWER}{}", "x".repeat(1024)));
    let setup = Setup::new(&upstream).config("workers: 1\nlog: { access: false }").with_key_file("keys.yaml");
    let key = |key: &str, scopes: &str| {
        let digest: String = sha2::Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("  - name: {key}\n    sha256: {digest}\n    scopes: [{scopes}]\n")
    };
    let keys = [key("a-key-that-reads", "profiles:read, lists:read"), key("a-key-for-files", "files:read")].concat();
    std::fs::write(setup.folder().join("keys.yaml"), format!("keys:\n{keys}")).expect("the key file");
    (setup.start_within(START, prepare), upstream)
}

/// Puts another program and its options before the binary.
fn put_before(command: &mut Command, program: &str, options: &[String]) {
    let mut other = Command::new(program);
    other.args(options).arg(command.get_program()).arg("serve").env_clear();
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    other.current_dir(command.get_current_dir().expect("a folder"));
    other.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    *command = other;
}

/// Whether a program, asked with the options of the test, does what it is there for.
fn is_able(program: &str, options: &[String], proof: impl Fn(&Output) -> bool) -> bool {
    let asked = Command::new(program).args(options).arg("true").output();
    let able = asked.is_ok_and(|output| output.status.success() && proof(&output));
    able || skip(&format!("{program} is not installed, or may not look at other processes here"))
}

/// Says why nothing is counted; tests/run tells it at the end. False, for whoever asks whether to go on.
fn skip(why: &str) -> bool {
    eprintln!("SKIPPED: {why}");
    false
}
