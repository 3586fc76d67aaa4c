use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::keys::id_of;
use crate::support::postgres::{ESCAPED, PASSWORD, Scratch, Server, free_port, give_to_nobody_special, scratch};
use crate::support::{Setup, Upstream, until};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// PgBouncer before a server, which gives each transaction to whichever connection is free.
struct Pooler {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Pooler {
    /// `None` where the program is missing.
    fn before(server: &Server) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            assert!(std::env::var_os("SCOPEGATE_TEST_POSTGRES").is_none(), "pgbouncer is missing, install it");
            println!("SKIPPED: pgbouncer is not installed");
            return None;
        }
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let users = format!("\"owner\" \"{PASSWORD}\"\n");
        fs::write(folder.path().join("users"), users).expect("the users");
        let place = folder.path().display();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
            unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {place}/users\npool_mode = transaction\n\
            default_pool_size = 3\nlogfile = {place}/log\npidfile = {place}/pid\n",
            server.port
        );
        fs::write(folder.path().join("settings"), settings).expect("the settings");
        give_to_nobody_special(folder.path());
        let mut program = server.program(Path::new(PROGRAM));
        program.arg("-q").arg(folder.path().join("settings"));
        let process = program.spawn().expect("pgbouncer runs");
        let pooler = Self { process, folder, port };
        until("pgbouncer listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(()));
        Some(pooler)
    }

    fn url(&self, database: &Scratch) -> String {
        format!("postgres://owner:{ESCAPED}@127.0.0.1:{}/{}", self.port, database.name)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn through_a_pooler_in_transaction_mode_keys_are_followed_by_asking_and_confirmed() {
    let Some(database) = scratch() else { return };
    let Some(pooler) = Pooler::before(database.server()) else { return };
    let upstream = Upstream::ok();
    let start = || Setup::new(&upstream).with_store(&pooler.url(&database)).start();
    // More than the pooler has connections.
    let fleet = [start(), start(), start(), start()];
    let direct = Setup::new(&upstream).with_store(&database.url()).written();
    let mut took = Vec::new();
    for _ in 0..5 {
        let key = fleet[0].key(&["--full"]);
        for gateway in &fleet {
            until("it is known", || (gateway.get("/api/whoami", &key).status() == 200).then_some(()));
        }
        let id = id_of(&fleet[0], &key);
        crate::support::command::finish(direct.command().args(["keys", "revoke", &id])).exits(0);
        let revoked = Instant::now();
        for gateway in &fleet {
            until("it is refused", || (gateway.get("/api/whoami", &key).status() == 401).then_some(()));
        }
        took.push(revoked.elapsed());
    }
    took.sort();
    println!("from the end of the command to the last of 4: {took:?}");
    assert!(took[2] < Duration::from_millis(1500), "{took:?}");
    let key = fleet[0].key(&["--full"]);
    let revoked = fleet[0].run(&["keys", "revoke", &id_of(&fleet[0], &key), "--wait=20s"]).exits(0);
    revoked.says(&["4 gateways have confirmed"]);
    let said = pooler.said();
    assert!(!said.contains("prepared statement"), "{said}");
}

#[test]
fn a_pooler_that_lets_nobody_in_is_not_taken_for_one_that_is_away() {
    let Some(database) = scratch() else { return };
    let Some(pooler) = Pooler::before(database.server()) else { return };
    let upstream = Upstream::ok();
    drop(Setup::new(&upstream).with_store(&database.url()).start());
    for (url, said) in [
        (pooler.url(&database).replace(ESCAPED, "wrong"), "does not let this user in ("),
        (pooler.url(&database).replace("owner:", "nobody:"), "does not let this user in ("),
        (pooler.url(&database).replace(&database.name, "nosuch"), "has no such database: "),
    ] {
        let setup = Setup::new(&upstream).with_store(&url).written();
        crate::support::command::finish(setup.command().arg("serve")).exits(1).says(&[said]);
    }
}
