//! A key store that is gone, held, overwritten, or on a full disk: whoever had a key has it still, and whoever changes keys is
//! told what is wrong.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::system::System;
use crate::support::{Call, Gateway, PATIENCE, Setup, Upstream, until};

/// A key that no store holds. It is looked up all the same: a key need not be one of ours.
const STRANGER: &str = "a-key-that-nobody-made";

const FILES: [&str; 3] = ["keys.db", "keys.db-wal", "keys.db-shm"];

fn files(gateway: &Gateway) -> Vec<PathBuf> {
    FILES.iter().map(|name| gateway.file(name)).filter(|path| path.exists()).collect()
}

/// Asserts that the holder of a key notices nothing.
#[track_caller]
fn assert_served(gateway: &Gateway, key: &str) {
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
    system.fill_disk();
    gateway
        .run(&["keys", "create", "--name", "late", "--full"])
        .exits(1)
        .says(&["no room is left", "nothing was changed"]);
    assert_served(&gateway, &key);
    assert_eq!(gateway.metric("scopegate_keys_cached", &[]), 1.0);
    system.free_disk();
    let list = gateway.run(&["keys", "list", "--json"]).exits(0).json();
    assert_eq!(list["keys"].as_array().map(Vec::len), Some(1), "{list}");
    assert_served(&gateway, &gateway.key(&["--scopes", "profiles:read"]));
}
