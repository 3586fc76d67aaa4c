//! A real gateway: files in a temporary folder, the built binary, ports of its own, what it says kept.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::{Call, Client};
use super::command::{self, Output};
use super::process::Process;
use super::upstream::Upstream;
use super::wire::Message;
use super::{PATIENCE, until};

/// The routes of a gateway that a test does not ask for others.
const ROUTES: &str = "  GET /profiles: profiles:read
  POST /profiles: profiles:write
  GET /profiles/{id}: { scopes: [profiles:read], query: { include: [lists, segments] } }
  POST|PATCH /profiles/{id}: [profiles:read, profiles:write]
  DELETE /profiles/{id}: profiles:write
  GET /files/{name}: files:read
  PUT|POST /files/{name}: files:write
  GET /health: { auth: anyone }
  ANY /internal/{*rest}: { auth: deny }
";

/// The part of the policy before its routes.
const HEAD: &str = "\
base: /api
parameters:
  include: { list: comma, nested: dot, members: { lists: lists:read, segments: segments:read } }
";

/// A gateway that is not started yet. Each method replaces a default.
pub struct Setup {
    folder: TempDir,
    upstream: String,
    policy: String,
    keys: String,
    more: String,
    environment: Vec<(String, String)>,
    listen: Option<String>,
}

impl Setup {
    /// In front of `upstream`, with keys in SQLite and the routes above.
    pub fn new(upstream: &Upstream) -> Setup {
        Setup::for_url(&upstream.url())
    }

    /// In front of several servers of one upstream.
    pub fn for_servers(urls: &[String]) -> Setup {
        let setup = Setup::for_url("");
        Setup { upstream: format!("  urls: [{}]\n", urls.join(", ")), ..setup }
    }

    pub fn for_url(url: &str) -> Setup {
        Setup {
            folder: tempfile::tempdir().expect("a temporary folder"),
            upstream: format!("  url: {url}\n"),
            policy: policy(HEAD, ROUTES),
            keys: "  store: sqlite:keys.db\n".to_owned(),
            more: String::new(),
            environment: Vec::new(),
            listen: None,
        }
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// More lines under `upstream:`, indented by two spaces.
    pub fn upstream(mut self, lines: &str) -> Setup {
        self.upstream.push_str(lines);
        self.upstream.push('\n');
        self
    }

    /// More lines under `keys:`, indented by two spaces.
    pub fn keys(mut self, lines: &str) -> Setup {
        self.keys.push_str(lines);
        self.keys.push('\n');
        self
    }

    /// More lines at the top level of the configuration.
    pub fn config(mut self, lines: &str) -> Setup {
        self.more.push_str(lines);
        self.more.push('\n');
        self
    }

    /// Other routes, each line indented by two spaces. `GET /api/whoami`, for any key, is always among them.
    pub fn routes(mut self, routes: &str) -> Setup {
        self.policy = policy(HEAD, routes);
        self
    }

    /// A whole policy. Where `Gateway::key` is used, `GET /api/whoami` must be in it.
    pub fn policy(mut self, policy: &str) -> Setup {
        self.policy = policy.to_owned();
        self
    }

    /// Keys come from this file instead of a database.
    pub fn with_key_file(mut self, name: &str) -> Setup {
        self.keys = self.keys.replace("sqlite:keys.db", &format!("file:{name}"));
        self
    }

    /// Keys come from this store instead of a database of its own.
    pub fn with_store(mut self, store: &str) -> Setup {
        self.keys = self.keys.replace("sqlite:keys.db", &format!("'{store}'"));
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Listens at a place of the test's choice, such as a Unix socket. `ADDRESS` in it stands for the usual one.
    pub fn listen(mut self, place: &str) -> Setup {
        self.listen = Some(place.to_owned());
        self
    }

    fn write(&self, listen: SocketAddr, admin: SocketAddr) {
        let listen = self.listen.as_deref().unwrap_or("ADDRESS").replace("ADDRESS", &listen.to_string());
        let Setup { upstream, keys, more, .. } = self;
        let workers = if more.contains("workers:") { "" } else { "workers: 2\n" };
        let log = if more.contains("log:") { "" } else { "log: { level: info, format: json }\n" };
        let config = format!(
            "listen: {listen}\nupstream:\n{upstream}policy: policy.yaml\nkeys:\n{keys}admin: {{ listen: \"{admin}\" }}\n{workers}{log}{more}"
        );
        fs::write(self.folder().join("scopegate.yaml"), config).expect("the configuration");
        fs::write(self.folder().join("policy.yaml"), &self.policy).expect("the policy");
    }

    /// Writes the files without starting anything, for commands that need no gateway.
    pub fn written(self) -> Setup {
        let (listen, admin) = (Port::free(), Port::free());
        self.write(listen.address, admin.address);
        self
    }

    /// The binary with the environment of this gateway.
    pub fn command(&self) -> Command {
        let mut command = command::command(self.folder());
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Starts the gateway and waits until it is ready.
    pub fn start(self) -> Gateway {
        self.start_by(|command| {
            command.arg("serve");
        })
    }

    /// Starts the gateway without waiting until it is ready, which it may not become.
    pub fn start_unready(self) -> Gateway {
        let (listen, admin) = (Port::free(), Port::free());
        self.write(listen.address, admin.address);
        let process = Process::start(self.command().arg("serve"));
        Gateway { process, listen, admin, setup: self }
    }

    /// The same; `prepare` says how, given the binary with the environment of this gateway.
    pub fn start_by(self, prepare: impl Fn(&mut Command)) -> Gateway {
        self.start_within(PATIENCE, prepare)
    }

    /// The same, for what takes its time: so long at most.
    pub fn start_within(self, patience: Duration, prepare: impl Fn(&mut Command)) -> Gateway {
        for _ in 0..5 {
            let (listen, admin) = (Port::free(), Port::free());
            self.write(listen.address, admin.address);
            let mut command = self.command();
            prepare(&mut command);
            let process = Process::start(&mut command);
            match wait_until_ready(&process, admin.address, patience) {
                Ok(()) => {
                    return Gateway { process, listen, admin, setup: self };
                }
                // Somebody took one of the ports between the look and the start.
                Err(said) if said.contains("in use") => {}
                Err(said) => panic!("the gateway did not start:\n{said}"),
            }
        }
        panic!("no free ports in five attempts");
    }
}

/// A policy with the route that the harness itself uses.
fn policy(head: &str, routes: &str) -> String {
    format!("version: 1\n{head}routes:\n  GET /whoami: {{ auth: key }}\n{routes}")
}

/// A port that no other gateway of these tests gets while this value lives. `SO_REUSEPORT` would let two of them share one in
/// silence, so the number is held on another loopback address, where nobody looks for it.
pub struct Port {
    pub address: SocketAddr,
    _held: TcpListener,
}

impl Port {
    pub fn free() -> Port {
        until("a free port", || {
            let held = TcpListener::bind("127.0.0.2:0").expect("a port on 127.0.0.2");
            let address = SocketAddr::from(([127, 0, 0, 1], held.local_addr().expect("its address").port()));
            TcpListener::bind(address).is_ok().then_some(Port { address, _held: held })
        })
    }
}

/// Waits until the admin listener says ready; what the process said where that does not come.
fn wait_until_ready(process: &Process, admin: SocketAddr, patience: Duration) -> Result<(), String> {
    let start = Instant::now();
    while !is_ready(admin) {
        if process.exited().is_some() {
            return Err(process.last_words());
        }
        if start.elapsed() > patience {
            return Err(format!("not ready after {patience:?}; it said:\n{}", process.said()));
        }
        thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}

fn is_ready(admin: SocketAddr) -> bool {
    // A connection that is refused, or cut in the middle, is an answer too: not yet.
    let Ok(stream) = TcpStream::connect(admin) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let sent = (&stream).write_all(b"GET /readyz HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    sent.is_ok() && (&stream).read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// A gateway that runs. It is killed when it is dropped.
pub struct Gateway {
    pub process: Process,
    listen: Port,
    admin: Port,
    setup: Setup,
}

impl Gateway {
    /// The usual one: see `Setup::new`.
    pub fn in_front_of(upstream: &Upstream) -> Gateway {
        Setup::new(upstream).start()
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        self.setup.folder()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub fn address(&self) -> SocketAddr {
        self.listen.address
    }

    /// A new connection.
    pub fn connect(&self) -> Client {
        Client::connect(self.listen.address)
    }

    /// The answer to one request on a connection of its own.
    pub fn answer(&self, call: &Call) -> Message {
        self.connect().send(call.bytes()).read()
    }

    /// The answer to `GET target` with `key`.
    pub fn get(&self, target: &str, key: &str) -> Message {
        self.answer(&Call::get(target).key(key))
    }

    /// The answer of the admin listener.
    pub fn admin(&self, target: &str) -> Message {
        Client::connect(self.admin.address).send(Call::get(target).bytes()).read()
    }

    /// Whether the admin listener says that it is ready; an admin listener that is gone is not.
    pub fn is_ready(&self) -> bool {
        is_ready(self.admin.address)
    }

    /// The sum of a metric over all series whose line has every one of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.admin("/metrics").body_text();
        let lines =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until nobody has anything open: no caller, and one idle connection to the upstream at most.
    pub fn wait_for_rest(&self) {
        let open = |side: &str| self.metric("scopegate_connections", &[&format!("side=\"{side}\"")]);
        until("rest", || (open("downstream") == 0.0 && open("upstream") <= 1.0).then_some(()));
    }

    /// Runs another command of the same binary with the same files.
    pub fn run(&self, arguments: &[&str]) -> Output {
        command::finish(self.setup.command().args(arguments))
    }

    /// The same, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.setup.command();
        command.args(arguments);
        command
    }

    /// Makes a key with `grant` (such as `--full`, or `--scopes` and a list) and waits until it is in force.
    pub fn key(&self, grant: &[&str]) -> String {
        let key = self.create_key(grant);
        until("a new key to be in force", || (self.get("/api/whoami", &key).status() == 200).then_some(()));
        key
    }

    /// Makes a key without waiting for anything.
    pub fn create_key(&self, grant: &[&str]) -> String {
        if let Some([_, account]) = grant.windows(2).find(|pair| pair[0] == "--account") {
            // It may be there already.
            self.run(&["accounts", "create", account]);
        }
        let output = self.run(&[&["keys", "create", "--name", "test"], grant].concat()).exits(0);
        output.stdout.trim_end().to_owned()
    }

    /// Kills it as `kill -9` does and starts it again with the same files.
    pub fn crash_and_restart(&mut self) {
        self.end_and_restart("KILL");
    }

    /// Ends it by a signal, waits for its end and starts it again with the same files.
    pub fn end_and_restart(&mut self, signal: &str) {
        self.process.signal(signal);
        self.process.exit_code();
        self.process = Process::start(self.setup.command().arg("serve"));
        wait_until_ready(&self.process, self.admin.address, PATIENCE)
            .unwrap_or_else(|said| panic!("the gateway did not start again:\n{said}"));
    }

    /// Replaces the policy's routes on disk, as an editor does that writes a new file and renames it.
    pub fn write_routes(&self, routes: &str) {
        self.write_policy(&policy(HEAD, routes));
    }

    /// Replaces the whole policy on disk.
    pub fn write_policy(&self, text: &str) {
        fs::write(self.file("policy.yaml.new"), text).expect("the new policy");
        fs::rename(self.file("policy.yaml.new"), self.file("policy.yaml")).expect("its rename");
    }

    /// A figure of /proc/PID/status in KiB, such as `VmHWM`.
    pub fn memory(&self, name: &str) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("the status of the process");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
        line.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().expect("a number of KiB")
    }

    /// Asserts that, of all that was sent to the gateway until now, the upstream has seen nothing but requests for
    /// the harness's own route. A request that had slipped through would be in the record before the last of them.
    pub fn assert_nothing_passed(&self, upstream: &Upstream, key: &str) {
        assert_eq!(self.get("/api/whoami", key).status(), 200, "the gateway still works");
        let seen = upstream.requests();
        let strange: Vec<_> =
            seen.iter().filter(|request| request.start != "GET /api/whoami HTTP/1.1").map(Message::text).collect();
        assert!(strange.is_empty(), "the upstream saw {strange:?}");
    }
}

/// Starts the binary as a service manager does: the socket is descriptor 3, and the variables name this very process.
pub fn activated(command: &mut Command, socket: OwnedFd) {
    let binary = command.get_program().to_owned();
    let mut shell = Command::new("sh");
    // The shell gets the socket as its standard input; its process becomes that of the binary.
    shell.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve 3<&0 </dev/null"]).arg(binary);
    shell.current_dir(command.get_current_dir().expect("a folder"));
    shell.stdin(Stdio::from(socket)).stdout(Stdio::piped()).stderr(Stdio::piped());
    *command = shell;
}

/// Starts the binary with so many descriptors at most.
pub fn with_descriptors(command: &mut Command, most: usize) {
    let binary = command.get_program().to_owned();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {most}; exec \"$0\" serve")]).arg(binary);
    shell.current_dir(command.get_current_dir().expect("a folder"));
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    *command = shell;
}
