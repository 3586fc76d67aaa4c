//! The ways from gateways to a database.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::meter::Meter;
use super::postgres::{ESCAPED, PASSWORD, Server, as_nobody_special};
use super::{Outcome, PATIENCE};

/// What the database is called.
pub(crate) const DATABASE: &str = "fleet";

/// What the role of a gateway needs, as README has it.
pub(crate) const GRANTS: &str = "GRANT USAGE ON SCHEMA scopegate TO gateway; \
    GRANT SELECT ON ALL TABLES IN SCHEMA scopegate TO gateway; \
    GRANT INSERT, UPDATE, DELETE ON scopegate.gateways TO gateway; \
    GRANT INSERT, UPDATE ON scopegate.uses, scopegate.value_uses TO gateway";

/// How many connections PgBouncer makes for all gateways; its default. Its `server_login_retry` is not: by itself it asks a server that
/// was away again after 15 seconds only.
const POOL: usize = 20;

/// A server that takes so many connections, and writes to disk as one does that is to be relied upon; `None` where the programs
/// are missing.
pub(crate) fn serve(connections: usize) -> Outcome<Option<Server>> {
    let Some(mut server) = Server::private() else { return Ok(None) };
    let most = connections + 50;
    server.run("postgres", &format!("ALTER SYSTEM SET max_connections = {most}"));
    server.run("postgres", "ALTER SYSTEM SET fsync = on");
    let rules = server.folder.join("data/pg_hba.conf");
    let known = fs::read_to_string(&rules)?;
    fs::write(rules, format!("local replication postgres trust\n{known}"))?;
    server.stop("fast");
    server.start();
    server.run("postgres", &format!("CREATE DATABASE {DATABASE} OWNER owner"));
    Ok(Some(server))
}

/// One of them.
pub(crate) enum Way<'s> {
    Direct(&'s Server),
    PgBouncer(&'s Server, Pooler),
    Replica(&'s Server, Replica),
}

impl<'s> Way<'s> {
    /// Makes it; `None` where a program is missing.
    pub(crate) fn open(name: &str, server: &'s Server) -> Outcome<Option<Self>> {
        Ok(match name {
            "pgbouncer" => Pooler::start(server)?.map(|pooler| Self::PgBouncer(server, pooler)),
            "replica" => Some(Self::Replica(server, Replica::start(server)?)),
            _ => Some(Self::Direct(server)),
        })
    }

    /// Where a gateway finds its keys.
    pub(crate) fn url(&self) -> String {
        let port = match self {
            Self::Direct(server) => server.port,
            Self::PgBouncer(_, pooler) => pooler.port,
            Self::Replica(_, replica) => replica.port,
        };
        format!("postgres://gateway:{ESCAPED}@127.0.0.1:{port}/{DATABASE}?sslmode=require")
    }

    /// What looks at its processes.
    pub(crate) fn meter(&self) -> Outcome<Meter<'s>> {
        let (server, beside) = match self {
            Self::Direct(server) => (*server, None),
            Self::PgBouncer(server, pooler) => (*server, Some(("PgBouncer", pooler.process.id()))),
            Self::Replica(server, replica) => (*server, Some(("replica", head_of(&replica.data)?))),
        };
        let mut groups = vec![("database", head_of(&server.folder.join("data"))?)];
        match self {
            // Its connections to the database are what gateways have of it.
            Self::PgBouncer(..) => groups.splice(0..0, beside).for_each(drop),
            Self::Direct(_) | Self::Replica(..) => groups.extend(beside),
        }
        Ok(Meter::new(server, groups))
    }

    /// Ends the server that gateways ask, and starts it again. Returns when it takes connections.
    pub(crate) fn restart(&mut self) -> Outcome<()> {
        let (server, data) = match self {
            Self::Direct(server) | Self::PgBouncer(server, _) => (*server, server.folder.join("data")),
            Self::Replica(server, replica) => (*server, replica.data.clone()),
        };
        control(server, &data, &["restart", "-m", "fast"])
    }
}

impl fmt::Display for Way<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(_) => out.write_str("direct"),
            Self::PgBouncer(..) => write!(out, "PgBouncer, transaction mode, {POOL} connections"),
            Self::Replica(..) => out.write_str("a streaming replica"),
        }
    }
}

/// A PgBouncer before a server. It ends with this.
pub(crate) struct Pooler {
    process: Child,
    port: u16,
}

impl Pooler {
    #[expect(clippy::print_stdout, reason = "a bench prints what it leaves out")]
    fn start(server: &Server) -> Outcome<Option<Self>> {
        let (folder, port) = (server.folder.display(), free()?);
        let settings = format!(
            "[databases]\n{DATABASE} = host={folder} port={} dbname={DATABASE}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
            listen_port = {port}\nunix_socket_dir =\npool_mode = transaction\nmax_client_conn = 5000\n\
            default_pool_size = {POOL}\nauth_type = scram-sha-256\nauth_file = {folder}/users\n\
            client_tls_sslmode = require\nclient_tls_cert_file = {folder}/server.pem\n\
            client_tls_key_file = {folder}/server.key\nserver_login_retry = 1\nlog_connections = 0\nlog_disconnections = 0\n",
            server.port
        );
        fs::write(server.folder.join("pgbouncer.ini"), settings)?;
        fs::write(server.folder.join("users"), format!("\"gateway\" \"{PASSWORD}\"\n"))?;
        let mut command = as_nobody_special(Path::new("pgbouncer"));
        command.arg("-q").arg(server.folder.join("pgbouncer.ini")).stdin(Stdio::null()).stderr(Stdio::null());
        let Ok(process) = command.spawn() else {
            println!("skipped: PgBouncer is missing, see apt-get install pgbouncer");
            return Ok(None);
        };
        let mut pooler = Self { process, port };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if begun.elapsed() > PATIENCE || pooler.process.try_wait()?.is_some() {
                return Err("PgBouncer did not start".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(pooler))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // A process that is gone already need not be stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A streaming replica of a server. It ends with this.
pub(crate) struct Replica {
    data: PathBuf,
    port: u16,
    stop: Command,
}

impl Replica {
    fn start(server: &Server) -> Outcome<Self> {
        let (data, port) = (server.folder.join("replica"), free()?);
        let mut copy = as_nobody_special(&server.programs.join("pg_basebackup"));
        copy.args(["-R", "-X", "stream", "-c", "fast", "-U", "postgres", "-p", &server.port.to_string(), "-h"]);
        copy.arg(&server.folder).arg("-D").arg(&data);
        run(&mut copy)?;
        let settings = data.join("postgresql.conf");
        let known = fs::read_to_string(&settings)?;
        fs::write(settings, format!("{known}\nport = {port}\n"))?;
        control(server, &data, &["start"])?;
        let mut stop = as_nobody_special(&server.programs.join("pg_ctl"));
        stop.args(["stop", "-w", "-m", "immediate", "-D"]).arg(&data);
        Ok(Self { data, port, stop })
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // One that is gone already need not be stopped.
        let _ = self.stop.output();
    }
}

/// Starts or ends the server of a folder.
fn control(server: &Server, data: &Path, what: &[&str]) -> Outcome<()> {
    let mut command = as_nobody_special(&server.programs.join("pg_ctl"));
    command.args(what).args(["-w", "-t", "60", "-D"]).arg(data).arg("-l").arg(server.folder.join("log"));
    run(&mut command)
}

fn run(command: &mut Command) -> Outcome<()> {
    let ran = command.stdin(Stdio::null()).output()?;
    if ran.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ran.stderr).into()) }
}

/// The process that the others of a server follow from.
fn head_of(data: &Path) -> Outcome<u32> {
    let lines = fs::read_to_string(data.join("postmaster.pid"))?;
    Ok(lines.lines().next().ok_or("no process")?.trim().parse()?)
}

fn free() -> Outcome<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
