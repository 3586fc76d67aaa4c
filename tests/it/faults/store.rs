//! A key store that is gone, held, overwritten, on a full disk or a bad one, or worked on by many: whoever had a key has it still, and whoever changes keys is
//! told what is wrong.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::system::{Disk, System};
use crate::keys::id_of;
use crate::support::command::finish;
use crate::support::process::Process;
use crate::support::{Call, Gateway, PATIENCE, Setup, Upstream, until};

/// A key that no store holds. It is looked up all the same: a key need not be one of ours.
const STRANGER: &str = "a-key-that-nobody-made";

const FILES: [&str; 3] = ["keys.db", "keys.db-wal", "keys.db-shm"];

fn files(gateway: &Gateway) -> Vec<PathBuf> {
    FILES.iter().map(|name| gateway.file(name)).filter(|path| path.exists()).collect()
}

/// Asserts that the holder of a key notices nothing.
#[track_caller]
pub fn assert_served(gateway: &Gateway, key: &str) {
    let mut client = gateway.connect();
    let call = Call::get("/api/profiles").key(key);
    for _ in 0..20 {
        assert_eq!(client.send(call.bytes()).read().status(), 200);
    }
}

#[test]
fn a_store_that_is_deleted_takes_no_key_with_it() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    assert_eq!(gateway.get("/api/profiles", STRANGER).status(), 401);
    let kept: Vec<_> =
        files(&gateway).into_iter().map(|path| (path.clone(), fs::read(path).expect("a copy"))).collect();
    kept.iter().for_each(|(path, _)| fs::remove_file(path).expect("its end"));
    until("it to be missed", || (gateway.metric("scopegate_store_up", &[]) == 0.0).then_some(()));
    assert_served(&gateway, &key);
    let answer = gateway.get("/api/profiles", STRANGER);
    assert_eq!((answer.status(), answer.code().as_str()), (503, "key_store_unavailable"), "it may be a new one");
    gateway.run(&["keys", "list"]).exits(1).says(&["keys.db"]);
    gateway.process.wait_for("the word of it", |said| said.contains("no key store at").then_some(()));
    for (path, bytes) in kept {
        fs::write(path, bytes).expect("it is back");
    }
    until("it to be followed again", || (gateway.get("/api/profiles", STRANGER).status() == 401).then_some(()));
    assert_served(&gateway, &key);
}

#[test]
fn a_store_that_somebody_holds_is_told_to_the_command_and_noticed_by_no_caller() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let holder = rusqlite::Connection::open(gateway.file("keys.db")).expect("the store");
    holder.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let begun = Instant::now();
    let refused = gateway.run(&["keys", "create", "--name", "late", "--full"]).exits(1);
    let took = begun.elapsed();
    refused.says(&["is busy", "try again"]);
    assert!(took >= Duration::from_secs(4) && took < PATIENCE, "a writer waits for five seconds: {took:?}");
    assert_served(&gateway, &key);
    assert_eq!(gateway.metric("scopegate_store_up", &[]), 1.0);
    holder.execute_batch("ROLLBACK").expect("its end");
    assert_served(&gateway, &gateway.key(&["--scopes", "profiles:read"]));
}

#[test]
fn what_ends_a_key_waits_for_a_store_that_somebody_holds_and_says_so() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let id = id_of(&gateway, &key);
    let holder = rusqlite::Connection::open(gateway.file("keys.db")).expect("the store");
    holder.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let revoke = Process::start(&mut gateway.command(&["keys", "revoke", &id]));
    revoke.wait_for("a word of it", |said| said.contains("waiting until it is done").then_some(()));
    assert_served(&gateway, &key);
    holder.execute_batch("ROLLBACK").expect("its end");
    assert_eq!(revoke.exit_code(), 0);
    until("the end of the key", || (gateway.get("/api/profiles", &key).status() == 401).then_some(()));
}

#[test]
fn a_store_that_is_overwritten_takes_no_key_with_it() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    for name in ["keys.db", "keys.db-wal"] {
        let mut file = fs::OpenOptions::new().write(true).open(gateway.file(name)).expect(name);
        let length = file.metadata().expect("its length").len() as usize;
        file.write_all(&b"rubbish ".repeat(length / 8)).expect("rubbish");
    }
    gateway.run(&["keys", "create", "--name", "late", "--full"]).exits(1).says(&["keys.db"]);
    assert_served(&gateway, &key);
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn a_full_disk_is_told_and_changes_nothing() {
    let upstream = Upstream::ok();
    let system = System::new();
    let gateway = system.over(Setup::new(&upstream)).start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    system.spoil(Disk::Full);
    gateway
        .run(&["keys", "create", "--name", "late", "--full"])
        .exits(1)
        .says(&["no room is left", "nothing was changed"]);
    assert_served(&gateway, &key);
    assert_eq!(gateway.metric("scopegate_keys_cached", &[]), 1.0);
    system.mend(Disk::Full);
    let list = gateway.run(&["keys", "list", "--json"]).exits(0).json();
    assert_eq!(list["keys"].as_array().map(Vec::len), Some(1), "{list}");
    assert_served(&gateway, &gateway.key(&["--scopes", "profiles:read"]));
}

#[test]
fn a_disk_that_fails_is_told_and_takes_no_key_with_it() {
    let upstream = Upstream::ok();
    let system = System::new();
    let gateway = system.over(Setup::new(&upstream)).start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let id = id_of(&gateway, &key);
    for disk in [Disk::Broken, Disk::Unsure] {
        system.spoil(disk);
        for arguments in [&["keys", "create", "--name", "late", "--full"][..], &["keys", "revoke", &id]] {
            let said = gateway.run(arguments).exits(1).says(&[
                "the key store",
                "keys.db",
                "the disk failed",
                "`scopegate keys list` shows whether",
            ]);
            assert_eq!(said.stdout, "", "no key is told that is not kept");
        }
        assert_served(&gateway, &key);
        system.mend(disk);
    }
    let list = gateway.run(&["keys", "list", "--json"]).exits(0).json();
    let late = list["keys"].as_array().expect("keys").iter().filter(|key| key["name"] == "late").count();
    assert!(late <= 2, "made whole or not at all: {list}");
    assert_served(&gateway, &gateway.key(&["--scopes", "profiles:read"]));
    gateway.run(&["audit", "verify"]).exits(0);
}

#[test]
fn a_gateway_that_cannot_read_its_store_goes_on_with_what_it_knows_and_catches_up() {
    let upstream = Upstream::ok();
    let system = System::new();
    let gateway = system.over(Setup::new(&upstream)).start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    system.spoil(Disk::Broken);
    // The disk of whoever makes the key is well.
    let mut create = gateway.command(&["keys", "create", "--name", "new", "--scopes", "profiles:read"]);
    let new = finish(create.env_remove("LD_PRELOAD")).exits(0).stdout.trim().to_owned();
    until("it to be missed", || (gateway.metric("scopegate_store_up", &[]) == 0.0).then_some(()));
    gateway.process.wait_for("the word of it", |said| said.contains("its disk cannot be read").then_some(()));
    assert_served(&gateway, &key);
    assert_eq!(gateway.get("/api/profiles", &new).status(), 503, "it may be a new one");
    system.mend(Disk::Broken);
    until("the new key", || (gateway.get("/api/profiles", &new).status() == 200).then_some(()));
    assert_eq!(gateway.metric("scopegate_store_up", &[]), 1.0);
}

/// What one command line does to its own keys: makes some, rotates the second, ends the third of each three.
fn work(gateway: &Gateway, lane: usize) -> Vec<(String, u16)> {
    const EACH: usize = 9;
    let mut keys = Vec::new();
    for number in 0..EACH {
        let name = format!("{lane}/{number}");
        let made = gateway.run(&["keys", "create", "--name", &name, "--scopes", "profiles:read", "--json"]).exits(0);
        assert!(!made.stderr.contains("locked"), "{}", made.stderr);
        let made = made.json();
        let word = |name: &str| made[name].as_str().expect(name).to_owned();
        let (id, key) = (word("id"), word("key"));
        match number % 3 {
            0 => keys.push((key, 200)),
            1 => {
                let new = gateway.run(&["keys", "rotate", &id]).exits(0).stdout.trim().to_owned();
                keys.extend([(key, 401), (new, 200)]);
            }
            _ => {
                gateway.run(&["keys", "revoke", &id]).exits(0);
                keys.push((key, 401));
            }
        }
    }
    keys
}

#[test]
fn two_command_lines_an_import_and_a_gateway_on_one_store_lose_nothing() {
    const IMPORTED: usize = 1_500;
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let steady = gateway.key(&["--scopes", "profiles:read"]);
    let many = (0..IMPORTED).map(|number| {
        format!("{{\"name\": \"old {number}\", \"key\": \"a-token-from-elsewhere-{number}\", \"scopes\": [\"profiles:read\"]}}\n")
    });
    fs::write(gateway.file("many.jsonl"), many.collect::<String>()).expect("the keys");
    let is_over = AtomicBool::new(false);
    let keys = std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let mut client = gateway.connect();
            let call = Call::get("/api/profiles").key(&steady);
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(client.send(call.bytes()).read().status(), 200);
            }
        });
        let lanes = [0, 1].map(|lane| {
            let gateway = &gateway;
            scope.spawn(move || work(gateway, lane))
        });
        gateway.run(&["keys", "import", "many.jsonl"]).exits(0).says(&["1500 keys imported"]);
        let keys = lanes.map(|lane| lane.join().expect("a command line")).concat();
        is_over.store(true, Ordering::Relaxed);
        traffic.join().expect("the traffic");
        keys
    });
    // Each was acknowledged: a gateway knows within 200 ms, on a machine that is busy a little later.
    for (key, status) in &keys {
        until("what was acknowledged", || (gateway.get("/api/profiles", key).status() == *status).then_some(()));
    }
    for number in [0, IMPORTED / 2, IMPORTED - 1] {
        assert_eq!(gateway.get("/api/profiles", &format!("a-token-from-elsewhere-{number}")).status(), 200);
    }
    let list = gateway.run(&["keys", "list", "--json"]).exits(0).json();
    assert_eq!(list["keys"].as_array().map(Vec::len), Some(1 + 18 + IMPORTED));
    let audit = gateway.run(&["audit", "verify", "--json"]).exits(0).json();
    assert_eq!(audit["entries"], 1 + 2 * (9 + 3 + 3) + IMPORTED, "one for each change: {audit}");
}
