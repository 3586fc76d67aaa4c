//! The key store is away: for how long keys work, what a gateway starts from meanwhile, and what happens when it is back.

use std::fs;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::faults::store::assert_served;
use crate::keys::id_of;
use crate::support::process::Process;
use crate::support::wire::{Message, find};
use crate::support::{Gateway, Setup, Upstream, until};

/// A key that no store holds.
const STRANGER: &str = "a-key-that-nobody-made";

const FILES: [&str; 3] = ["keys.db", "keys.db-wal", "keys.db-shm"];

/// Changes `keys.max_stale` of a gateway that runs.
pub fn set_max_stale(gateway: &Gateway, most: &str) {
    let path = gateway.file("scopegate.yaml");
    let text = fs::read_to_string(&path).expect("the configuration");
    let rest: String =
        text.lines().filter(|line| !line.contains("max_stale:")).map(|line| format!("{line}\n")).collect();
    let text = rest.replacen("keys:\n", &format!("keys:\n  max_stale: {most}\n"), 1);
    fs::write(path.with_extension("new"), text).expect("the new configuration");
    fs::rename(path.with_extension("new"), path).expect("its rename");
}

fn put_away(gateway: &Gateway) {
    fs::create_dir_all(gateway.file("away")).expect("a folder");
    for name in FILES {
        // What is not there need not be taken away.
        let _ = fs::rename(gateway.file(name), gateway.file("away").join(name));
    }
    until("the store to be missed", || (gateway.metric("scopegate_store_up", &[]) == 0.0).then_some(()));
}

fn bring_back(gateway: &Gateway) {
    // The database last: it is not to be seen without what has gathered beside it.
    for name in FILES.iter().rev() {
        let _ = fs::rename(gateway.file("away").join(name), gateway.file(name));
    }
    until("the store to be followed", || (gateway.metric("scopegate_store_up", &[]) == 1.0).then_some(()));
}

fn refusal(gateway: &Gateway, key: &str) -> (u16, String) {
    let answer = gateway.get("/api/profiles", key);
    let code = if answer.status() == 200 { String::new() } else { answer.code() };
    (answer.status(), code)
}

fn unavailable() -> (u16, String) {
    (503, "key_store_unavailable".to_owned())
}

fn readyz(gateway: &Gateway) -> (u16, String) {
    let answer: Message = gateway.admin("/readyz");
    (answer.status(), answer.body_text())
}

#[test]
fn known_keys_go_on_for_max_stale_and_then_none_is_let_in_until_the_store_is_back() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let [key, revoked] = [(); 2].map(|()| gateway.key(&["--scopes", "profiles:read"]));
    gateway.run(&["keys", "revoke", &id_of(&gateway, &revoked)]).exits(0);
    until("the revoke", || (gateway.get("/api/profiles", &revoked).status() == 401).then_some(()));
    assert_eq!(readyz(&gateway), (200, "ready\n".to_owned()));
    assert_eq!(gateway.metric("scopegate_store_away_seconds", &[]), 0.0);
    assert_eq!(gateway.metric("scopegate_store_max_stale_seconds", &[]), 900.0);
    put_away(&gateway);
    assert_served(&gateway, &key);
    assert_eq!(refusal(&gateway, &revoked), (401, "invalid_key".to_owned()));
    assert_eq!(refusal(&gateway, STRANGER), unavailable(), "never 401: it may be a new one");
    let (status, said) = readyz(&gateway);
    assert_eq!(status, 200);
    assert!(said.starts_with("ready: the key store has been away for ") && said.contains("known keys"), "{said}");
    gateway.run(&["healthcheck"]).exits(0);
    until("the time to be told", || (gateway.metric("scopegate_store_away_seconds", &[]) > 0.0).then_some(()));

    set_max_stale(&gateway, "1ms");
    until("max_stale", || (refusal(&gateway, &key) == unavailable()).then_some(()));
    let answer = gateway.get("/api/profiles", &key);
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert_eq!(refusal(&gateway, &revoked), unavailable());
    assert_eq!(refusal(&gateway, STRANGER), unavailable());
    assert_eq!(gateway.get("/api/health", &key).status(), 200, "a route for anyone needs no key");
    let (status, said) = readyz(&gateway);
    assert_eq!(status, 503);
    assert!(said.contains("longer than keys.max_stale, and no key is let in"), "{said}");
    gateway.run(&["healthcheck"]).exits(1).says(&["longer than keys.max_stale"]);
    gateway.process.wait_for("the word of it", |said| said.contains("no key is let in until it is back").then_some(()));

    set_max_stale(&gateway, "none");
    until("none", || (gateway.get("/api/profiles", &key).status() == 200).then_some(()));
    set_max_stale(&gateway, "0s");
    until("no time at all", || (refusal(&gateway, &key) == unavailable()).then_some(()));
    bring_back(&gateway);
    assert_served(&gateway, &key);
    assert_eq!(refusal(&gateway, STRANGER), (401, "invalid_key".to_owned()));
    assert_eq!(refusal(&gateway, &revoked), (401, "invalid_key".to_owned()));
    assert_eq!(readyz(&gateway), (200, "ready\n".to_owned()));
}

#[test]
fn a_fault_in_a_key_file_ends_no_key_however_long_it_stands_there() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).with_key_file("keys.yaml").keys("  max_stale: 1s");
    let path = setup.folder().join("keys.yaml");
    let digest: String = Sha256::digest(b"a-known-key").iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&path, format!("keys:\n  - {{ name: a, sha256: {digest}, scopes: [profiles:read] }}\n")).expect("keys");
    let gateway = setup.start();
    fs::write(&path, "keys: [oh\n").expect("a fault");
    until("the fault", || (gateway.metric("scopegate_store_up", &[]) == 0.0).then_some(()));
    // Longer than max_stale.
    for _ in 0..6 {
        std::thread::park_timeout(std::time::Duration::from_millis(300));
        assert_eq!(gateway.get("/api/profiles", "a-known-key").status(), 200);
    }
    fs::remove_file(&path).expect("its end");
    until("max_stale", || (refusal(&gateway, "a-known-key") == unavailable()).then_some(()));
}

/// A gateway that keeps a copy, and a key of it.
fn with_copy(upstream: &Upstream) -> (Gateway, String) {
    let gateway = Setup::new(upstream).keys("  snapshot: keys.snapshot").start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    (gateway, key)
}

fn copy(gateway: &Gateway) -> PathBuf {
    gateway.file("keys.snapshot")
}

fn wait_for_copy_of(gateway: &Gateway, key: &str) {
    let digest = Sha256::digest(key.as_bytes());
    until("the copy", || fs::read(copy(gateway)).ok().filter(|bytes| find(bytes, &digest).is_some()));
}

#[test]
fn a_gateway_that_restarts_while_its_store_is_away_starts_from_the_copy_and_catches_up() {
    let upstream = Upstream::ok();
    let (mut gateway, key) = with_copy(&upstream);
    let doomed = gateway.key(&["--scopes", "profiles:read"]);
    let id = id_of(&gateway, &doomed);
    wait_for_copy_of(&gateway, &doomed);
    until("its moment", || (gateway.metric("scopegate_keys_snapshot_timestamp_seconds", &[]) > 1e9).then_some(()));
    let copied = fs::read(copy(&gateway)).expect("the copy");
    assert!(find(&copied, key.as_bytes()).is_none(), "no key stands there");
    put_away(&gateway);
    gateway.crash_and_restart();
    for key in [&key, &doomed] {
        assert_served(&gateway, key);
    }
    assert_eq!(refusal(&gateway, STRANGER), unavailable());
    let (status, said) = readyz(&gateway);
    assert_eq!(status, 200);
    assert!(said.starts_with("ready: the key store has been away for "), "{said}");
    assert!(gateway.metric("scopegate_keys_snapshot_timestamp_seconds", &[]) > 1e9);
    let words = "the key store is away: started with the copy of its keys";
    gateway.process.wait_for("the word of it", |said| said.contains(words).then_some(()));
    assert!(!gateway.file("keys.db").exists(), "no store was made in the place of the one that is away");
    // What happens to the store while the gateway does not see it.
    let elsewhere = format!("sqlite:{}", gateway.file("away/keys.db").display());
    gateway.run(&["keys", "revoke", &id, "--store", &elsewhere]).exits(0);
    assert_served(&gateway, &doomed);
    bring_back(&gateway);
    until("the revoke", || (refusal(&gateway, &doomed) == (401, "invalid_key".to_owned())).then_some(()));
    assert_served(&gateway, &key);
    assert_eq!(refusal(&gateway, STRANGER), (401, "invalid_key".to_owned()));
    let late = gateway.key(&["--scopes", "profiles:read"]);
    wait_for_copy_of(&gateway, &late);
}

#[test]
fn a_copy_that_is_too_old_opens_nothing() {
    let upstream = Upstream::ok();
    let (mut gateway, key) = with_copy(&upstream);
    wait_for_copy_of(&gateway, &key);
    put_away(&gateway);
    set_max_stale(&gateway, "1ms");
    gateway.process.signal("KILL");
    gateway.process.exit_code();
    gateway.process = Process::start(&mut gateway.command(&["serve"]));
    gateway.process.wait_for("the word of it", |said| {
        (said.contains("older than keys.max_stale") && said.contains("serving")).then_some(())
    });
    assert_eq!(refusal(&gateway, &key), unavailable());
    assert_eq!(readyz(&gateway).0, 503);
    bring_back(&gateway);
    assert_served(&gateway, &key);
}

#[test]
fn a_copy_that_is_damaged_is_as_good_as_none_and_that_is_told() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).with_key_file("keys.yaml").keys("  snapshot: keys.snapshot");
    let path = setup.folder().join("keys.yaml");
    fs::write(&path, "keys: []\n").expect("keys");
    let mut gateway = setup.start();
    until("the copy", || copy(&gateway).exists().then_some(()));
    gateway.process.signal("TERM");
    gateway.process.exit_code();
    let mut bytes = fs::read(copy(&gateway)).expect("the copy");
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    fs::write(copy(&gateway), bytes).expect("damage");
    fs::remove_file(&path).expect("its end");
    let said = gateway.run(&["serve"]).exits(1).says(&["keys.yaml"]).stdout;
    assert!(said.contains("keys.snapshot is not used: it is damaged"), "{said}");
    fs::write(&path, "keys: []\n").expect("keys");
    gateway.process = Process::start(&mut gateway.command(&["serve"]));
    until("it to be ready", || gateway.is_ready().then_some(()));
    until("a new copy", || (gateway.metric("scopegate_keys_snapshot_timestamp_seconds", &[]) > 1e9).then_some(()));
}
