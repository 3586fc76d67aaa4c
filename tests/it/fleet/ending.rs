use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::support::postgres::Server;
use crate::support::process::Process;
use crate::support::{Setup, Upstream, lasted, until};

/// What stands before SIGKILL in most places is twice that.
const SOON: Duration = Duration::from_secs(15);

/// A server none of whose processes does anything, until this is dropped.
struct Frozen(Vec<String>);

impl Frozen {
    fn of(server: &Server) -> Self {
        let first = fs::read_to_string(server.folder.join("data/postmaster.pid")).expect("its process");
        let first = first.lines().next().expect("its number").to_owned();
        signal("STOP", &first);
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).expect("its children");
        let all: Vec<String> = children.split_whitespace().map(str::to_owned).chain([first]).collect();
        all.iter().for_each(|id| signal("STOP", id));
        Self(all)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.iter().for_each(|id| signal("CONT", id));
    }
}

fn signal(name: &str, id: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {name} {id}")]).status();
    assert!(sent.is_ok_and(|status| status.success()) || thread::panicking(), "SIG{name} to {id}");
}

#[test]
fn a_gateway_ends_within_seconds_while_its_database_hangs_and_says_what_is_not_written_down() {
    let Some(server) = Server::private() else { return };
    server.run("postgres", "CREATE DATABASE keys OWNER owner");
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).with_store(&server.url_of("owner", "keys"));
    let gateway = setup.keys("  record_use: 100ms").start();
    let key = gateway.key(&["--full"]);
    until("the key works", || (gateway.get("/api/whoami", &key).status() == 200).then_some(()));
    let frozen = Frozen::of(&server);
    let start = Instant::now();
    // Meanwhile it begins to write.
    while !lasted(start.elapsed(), Duration::from_secs(2)) {
        assert_eq!(gateway.get("/api/whoami", &key).status(), 200);
    }
    let told = Instant::now();
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    let took = told.elapsed();
    drop(frozen);
    assert!(took < SOON, "{took:?}");
    let said = gateway.process.last_words();
    assert!(said.contains("in its last requests is not written down") && said.contains("stopped"), "{said}");
}

#[test]
fn a_gateway_that_is_told_to_stop_while_it_begins_with_a_database_that_hangs_ends_at_once() {
    let Some(server) = Server::private() else { return };
    server.run("postgres", "CREATE DATABASE keys OWNER owner");
    let upstream = Upstream::ok();
    let url = format!("{}&connect_timeout=60", server.url_of("owner", "keys"));
    let setup = Setup::new(&upstream).with_store(&url).written();
    let frozen = Frozen::of(&server);
    let process = Process::start(setup.command().arg("serve"));
    // The fifteenth signal, counted from one.
    let is_caught = || {
        let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("its status");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("what it catches");
        (u64::from_str_radix(caught.trim(), 16).expect("a mask") >> 14 & 1 == 1).then_some(())
    };
    until("it catches the signal", is_caught);
    let told = Instant::now();
    process.signal("TERM");
    assert_eq!(process.exit_code(), 0);
    let took = told.elapsed();
    drop(frozen);
    assert!(took < SOON, "{took:?}");
    assert!(process.last_words().contains("stopped before it served"));
}
