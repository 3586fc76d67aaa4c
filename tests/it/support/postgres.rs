//! Real PostgreSQL servers, of the programs that Debian's package `postgresql` installs.
//!
//! One server is shared by all tests that run at the same time, in whatever processes: each test has a database of its own in it.
//! Whoever needs it first starts it, and holds a lock as long as it is needed; a process beside ends it when nobody has held the
//! lock for a while, so that nothing is left running. A test that kills its server starts one for itself.
//!
//! Where the programs are missing a test passes and says so, unless SCOPEGATE_TEST_POSTGRES is set, as `tests/run` does.

use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to come or go on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The password of every role that is not the superuser. It has what must be escaped in an address.
pub const PASSWORD: &str = "ge/h@im";
/// The same, as it stands in an address.
pub const ESCAPED: &str = "ge%2Fh%40im";

/// A server.
pub struct Server {
    /// Where the programs are.
    pub programs: PathBuf,
    /// Where all of it is: the cluster in `data`, the socket, its certificate.
    pub folder: PathBuf,
    /// Where it listens, for TCP on 127.0.0.1 and in the name of its Unix socket.
    pub port: u16,
    is_private: bool,
}

/// A database of a server, dropped with this.
pub struct Scratch {
    server: &'static Server,
    pub name: String,
}

/// The server that tests share; `None` where the programs are missing.
pub fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<(Server, File)>> = OnceLock::new();
    let start = || {
        let programs = programs()?;
        let folder = std::env::temp_dir().join(format!("scopegate-postgres-{}", whose()));
        fs::create_dir_all(&folder).expect("a folder for the server");
        let users = File::create(folder.join("users.lock")).expect("a lock");
        users.lock_shared().expect("the server is wanted");
        let starting = File::create(folder.join("start.lock")).expect("a lock");
        starting.lock().expect("nobody else starts it");
        let port = fs::read_to_string(folder.join("port")).ok().and_then(|port| port.parse().ok());
        let mut server = Server { programs, folder, port: port.unwrap_or_default(), is_private: false };
        if !server.is_up() {
            server.make();
            server.start();
            server.end_when_unused();
        }
        Some((server, users))
    };
    SERVER.get_or_init(start).as_ref().map(|(server, _)| server)
}

/// A new database, which belongs to the role `owner`; `None` where the programs are missing.
pub fn scratch() -> Option<Scratch> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let server = shared()?;
    let name = format!("t_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    server.run("postgres", &format!("CREATE DATABASE {name} OWNER owner STRATEGY file_copy"));
    Some(Scratch { server, name })
}

impl Scratch {
    /// The address of it for its owner, over the Unix socket.
    pub fn url(&self) -> String {
        self.url_of("owner")
    }

    /// The same, for another role.
    pub fn url_of(&self, role: &str) -> String {
        let folder = self.server.folder.display();
        format!("postgres://{role}:{ESCAPED}@/{}?host={folder}&port={}", self.name, self.server.port)
    }

    /// Runs statements as the superuser.
    pub fn run(&self, sql: &str) -> String {
        self.server.run(&self.name, sql)
    }

    /// The same, where it may be refused.
    pub fn try_to_run(&self, sql: &str) -> Result<String, String> {
        self.server.try_to_run(&self.name, sql)
    }

    /// The server that it is in.
    pub fn server(&self) -> &'static Server {
        self.server
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.server.try_to_run("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

impl Server {
    /// A server for one test alone; `None` where the programs are missing.
    pub fn private() -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("scopegate-postgres-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the server");
        let mut server = Self { programs: programs()?, folder, port: 0, is_private: true };
        server.make();
        server.start();
        Some(server)
    }

    /// The address of a database for a role, over the Unix socket.
    pub fn url_of(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}:{ESCAPED}@/{database}?host={}&port={}", self.folder.display(), self.port)
    }

    /// Another server that takes over whatever is committed in this one, and that takes no changes itself. It may be reached
    /// whether this one is there or not.
    pub fn replica(&self) -> Self {
        append(&self.folder.join("data/pg_hba.conf"), "local replication postgres trust\n");
        self.run("postgres", "SELECT pg_reload_conf()");
        let (folder, port) = (self.folder.with_extension("replica"), free_port());
        fs::create_dir_all(&folder).expect("a folder for the replica");
        give_to_nobody_special(&folder);
        let mut replica = Self { programs: self.programs.clone(), folder: folder.clone(), port, is_private: true };
        let mut copy = self.program(&self.programs.join("pg_basebackup"));
        copy.args([
            "-U",
            "postgres",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
            "-p",
            &self.port.to_string(),
            "-h",
        ]);
        let copied = copy.arg(&self.folder).arg("-D").arg(folder.join("data")).output().expect("pg_basebackup runs");
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
        let settings = format!("port = {port}\nunix_socket_directories = '{}'\n", folder.display());
        append(&folder.join("data/postgresql.conf"), &settings);
        give_to_nobody_special(&folder);
        replica.start();
        replica
    }

    /// Makes a replica a server that takes changes.
    pub fn promote(&self) {
        assert_eq!(self.run("postgres", "SELECT pg_promote(true, 60)"), "t", "it is promoted");
    }

    /// The address of a database for a role, on whichever of two servers takes changes.
    pub fn url_of_either(&self, other: &Self, (role, database): (&str, &str)) -> String {
        let (here, there) = (self.folder.display(), other.folder.display());
        format!(
            "postgres://{role}:{ESCAPED}@/{database}?host={here},{there}&port={},{}&target_session_attrs=read-write",
            self.port, other.port
        )
    }

    /// A program that is run as whoever runs the server.
    pub fn program(&self, program: &Path) -> Command {
        let mut command = as_nobody_special(program);
        command.stdin(Stdio::null());
        command
    }

    /// A folder that the server may write to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The certificate of the authority that its certificate, for `localhost`, follows from.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Runs statements as the superuser and gives what they print.
    pub fn run(&self, database: &str, sql: &str) -> String {
        self.try_to_run(database, sql).unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// A process that runs statements as the superuser, as they are written to it.
    pub fn session(&self, database: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-p", &self.port.to_string()]);
        psql.args(["-d", database, "-h"]).arg(&self.folder);
        psql
    }

    /// The same, where it may be refused.
    pub fn try_to_run(&self, database: &str, sql: &str) -> Result<String, String> {
        let ran = self.session(database).args(["-c", sql]).stdin(Stdio::null()).output().expect("psql runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if ran.status.success() { Ok(text(&ran.stdout)) } else { Err(text(&ran.stderr)) }
    }

    /// Starts it, where it was ended.
    pub fn start(&mut self) {
        let log = self.folder.join("log");
        let run = self.pg_ctl().args(["start", "-w", "-t", "60", "-l"]).arg(&log).output().expect("pg_ctl runs");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        assert!(run.status.success(), "PostgreSQL starts: {}\n{}", String::from_utf8_lossy(&run.stderr), said());
    }

    /// Ends it: `immediate` as a crash does, `fast` as an operator does.
    pub fn stop(&self, how: &str) {
        let run = self.pg_ctl().args(["stop", "-w", "-m", how]).output().expect("pg_ctl runs");
        assert!(run.status.success(), "PostgreSQL ends: {}", String::from_utf8_lossy(&run.stderr));
    }

    fn pg_ctl(&self) -> Command {
        let mut pg_ctl = as_nobody_special(&self.programs.join("pg_ctl"));
        pg_ctl.arg("-D").arg(self.folder.join("data")).stdin(Stdio::null());
        pg_ctl
    }

    fn is_up(&self) -> bool {
        self.port != 0 && self.folder.join("data/postmaster.pid").exists() && self.try_to_run("postgres", "").is_ok()
    }

    /// Makes an empty cluster with TLS, passwords and the roles `owner`, `gateway` and `writer`.
    fn make(&mut self) {
        let data = self.folder.join("data");
        let _ = fs::remove_dir_all(&data);
        self.port = free_port();
        self.certify();
        give_to_nobody_special(&self.folder);
        let mut initdb = as_nobody_special(&self.programs.join("initdb"));
        let initdb = initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
        let run = initdb.arg(&data).stdin(Stdio::null()).output().expect("initdb runs");
        assert!(run.status.success(), "initdb: {}", String::from_utf8_lossy(&run.stderr));
        let folder = self.folder.display();
        let settings = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{folder}'\nfsync = off\n\
            max_connections = 500\nssl = on\nssl_cert_file = '{folder}/server.pem'\nssl_key_file = '{folder}/server.key'\n\
            password_encryption = 'scram-sha-256'\n",
            self.port
        );
        append(&data.join("postgresql.conf"), &settings);
        let rules = "local all postgres trust\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), rules).expect("who may log in");
        fs::write(self.folder.join("port"), self.port.to_string()).expect("the port");
        self.start();
        for role in ["owner", "gateway", "writer"] {
            self.run("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
        }
        self.stop("fast");
    }

    fn certify(&self) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("an authority");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&key).expect("an authority");
        fs::write(self.authority(), certificate.pem()).expect("the authority");
        let issuer = rcgen::Issuer::new(authority, key);
        let key = rcgen::KeyPair::generate().expect("a key");
        let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a server");
        let server = server.signed_by(&key, &issuer).expect("a certificate");
        fs::write(self.folder.join("server.pem"), server.pem()).expect("the certificate");
        fs::write(self.folder.join("server.key"), key.serialize_pem()).expect("the key");
        fs::set_permissions(self.folder.join("server.key"), Permissions::from_mode(0o600)).expect("a private key");
    }

    /// Leaves a process behind that ends the server, and itself, when nobody has wanted it for a few seconds.
    fn end_when_unused(&self) {
        let script = "while sleep 5; do flock --nonblock --exclusive \"$0\" \"$@\" && exit; done";
        let mut stop = self.pg_ctl();
        stop.args(["stop", "-w", "-m", "immediate"]);
        let mut watch = Command::new("setsid");
        watch.args(["--fork", "sh", "-c", script]).arg(self.folder.join("users.lock")).arg(stop.get_program());
        watch.args(stop.get_args()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(watch.status().is_ok_and(|status| status.success()), "a process that ends the server is left behind");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.is_private {
            let _ = self.pg_ctl().args(["stop", "-w", "-m", "immediate"]).output();
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The folder of the programs, the newest there are.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.retain(|folder| folder.join("initdb").exists());
    found.sort();
    let newest = found.pop();
    if newest.is_none() {
        let is_wanted = std::env::var_os("SCOPEGATE_TEST_POSTGRES").is_some();
        assert!(!is_wanted, "PostgreSQL is missing: apt-get install postgresql");
        println!("skipped: PostgreSQL is missing, see apt-get install postgresql");
    }
    newest
}

/// A number of the user and the package: nobody else's server is used.
fn whose() -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (env!("CARGO_MANIFEST_DIR"), std::env::var_os("USER"), is_root()).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// A port on which nobody listens at the moment.
pub fn free_port() -> u16 {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    taken.local_addr().expect("an address").port()
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

/// A program that refuses to run as root, as whoever may run it.
pub fn as_nobody_special(program: &Path) -> Command {
    let mut command = Command::new(if is_root() { Path::new("setpriv") } else { program });
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    }
    command.current_dir("/");
    command
}

/// Gives a file or a folder to whoever runs the servers.
pub fn give_to_nobody_special(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").args(["-R", "postgres:postgres"]).arg(folder).status();
        assert!(given.is_ok_and(|status| status.success()), "the folder is given to the user postgres");
    }
}

fn append(path: &Path, text: &str) {
    let mut all = fs::read_to_string(path).expect("a file");
    all.push_str(text);
    fs::write(path, all).expect("a file");
}

/// Asks until something is so. Panics with `what` when patience is at its end.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
