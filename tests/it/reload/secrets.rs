//! `${file:…}`: a credential that is renewed is sent on with the next request, and one that cannot be read changes nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Call, Gateway, Setup, Upstream, until};

/// A gateway whose credential stands in the file `secrets/token`, to which `place` brings the first.
fn start(upstream: &Upstream, place: impl Fn(&Path)) -> (Gateway, String) {
    let setup = Setup::new(upstream).config("workers: 1");
    let setup = setup.upstream("  credential: { header: X-Real, value: \"Bearer ${file:secrets/token}\" }");
    let folder = setup.folder().join("secrets");
    fs::create_dir(&folder).expect("a folder");
    place(&folder);
    let gateway = setup.start();
    let key = gateway.key(&["--full"]);
    (gateway, key)
}

fn credential(gateway: &Gateway, key: &str) -> String {
    let answer = gateway.answer(&Call::get("/api/profiles").key(key));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.body_text()
}

/// Waits for the generation that a change makes, and asserts that the very next request has its credential.
#[track_caller]
fn next_has(gateway: &Gateway, key: &str, (generation, expected): (f64, &str)) {
    let now = || gateway.metric("scopegate_policy_generation", &[]);
    until("the next generation", || (now() >= generation).then_some(()));
    assert_eq!(credential(gateway, key), expected);
}

fn write(folder: &Path, text: &str) {
    fs::write(folder.join("token.new"), text).expect("the new one");
    fs::rename(folder.join("token.new"), folder.join("token")).expect("its rename");
}

/// As Kubernetes mounts a Secret: `token` → `..data/token`, `..data` → a folder with a date.
fn mount(folder: &Path, (date, text): (&str, &str)) {
    fs::create_dir(folder.join(date)).expect("a folder");
    fs::write(folder.join(date).join("token"), text).expect("a credential");
    symlink(date, folder.join("..data_tmp")).expect("a link");
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("a swap");
}

#[test]
fn a_renewed_credential_is_in_the_next_request_without_being_asked_for() {
    let upstream = Upstream::telling(["x-real"]);
    let (gateway, key) = start(&upstream, |folder| write(folder, "one\n"));
    assert_eq!(credential(&gateway, &key), "Bearer one");
    write(&gateway.file("secrets"), "two\n");
    next_has(&gateway, &key, (2.0, "Bearer two"));
    // In place, as an editor may do it.
    fs::write(gateway.file("secrets/token"), "three").expect("a change");
    until("the third", || (credential(&gateway, &key) == "Bearer three").then_some(()));
    assert_eq!(upstream.connections(), 1, "connections to the upstream are kept");
}

#[test]
fn a_credential_behind_a_link_that_is_swapped_is_followed() {
    let upstream = Upstream::telling(["x-real"]);
    let (gateway, key) = start(&upstream, |folder| {
        mount(folder, ("..2026_11_21", "one"));
        symlink("..data/token", folder.join("token")).expect("a link");
    });
    assert_eq!(credential(&gateway, &key), "Bearer one");
    let folder = gateway.file("secrets");
    mount(&folder, ("..2026_11_22", "two"));
    fs::remove_dir_all(folder.join("..2026_11_21")).expect("the old one is removed");
    next_has(&gateway, &key, (2.0, "Bearer two"));
    mount(&folder, ("..2026_11_23", "three"));
    fs::remove_dir_all(folder.join("..2026_11_22")).expect("the old one is removed");
    next_has(&gateway, &key, (3.0, "Bearer three"));
}

#[test]
fn sighup_asks_for_a_credential_too() {
    let upstream = Upstream::telling(["x-real"]);
    let elsewhere = tempfile::tempdir().expect("a folder that nobody watches");
    let (gateway, key) = start(&upstream, |folder| {
        write(elsewhere.path(), "1");
        fs::hard_link(elsewhere.path().join("token"), folder.join("token")).expect("a second name");
    });
    // A change by the other name is an event of the other folder: the gateway would see it when it looks again, in ten seconds.
    let mut times = Vec::new();
    for number in 2..=4 {
        fs::write(elsewhere.path().join("token"), number.to_string()).expect("a change");
        let begun = Instant::now();
        gateway.process.signal("HUP");
        next_has(&gateway, &key, (f64::from(number), &format!("Bearer {number}")));
        times.push(begun.elapsed());
    }
    times.sort();
    assert!(times[1] < Duration::from_secs(5), "{times:?}");
    // Whoever asks without a change is told so, and nothing is new.
    gateway.process.signal("HUP");
    gateway.process.wait_for("the answer", |said| said.contains("nothing has changed").then_some(()));
    assert_eq!(gateway.metric("scopegate_policy_generation", &[]), 4.0);
}

#[test]
fn a_credential_that_is_gone_or_empty_keeps_the_one_before_and_is_told_once() {
    let upstream = Upstream::telling(["x-real"]);
    let (gateway, key) = start(&upstream, |folder| write(folder, "the-first-one"));
    let folder = gateway.file("secrets");
    // What was told of it, and how often; it is counted once it was told.
    let told = |count: f64| {
        let failures = || gateway.metric("scopegate_reloads_total", &["result=\"failed\""]);
        until("the count", || (failures() == count).then_some(()));
        gateway.process.said().lines().filter(|line| line.contains("reload refused")).count() as f64
    };
    fs::remove_file(folder.join("token")).expect("it is gone");
    gateway.process.wait_for("the word of it", |said| said.contains("secrets/token` cannot be read").then_some(()));
    assert_eq!(credential(&gateway, &key), "Bearer the-first-one");
    assert_eq!(told(1.0), 1.0);

    write(&folder, "\n");
    gateway.process.wait_for("the word of it", |said| said.contains("secrets/token` is empty").then_some(()));
    assert_eq!(credential(&gateway, &key), "Bearer the-first-one");
    assert_eq!(told(2.0), 2.0);
    assert!(gateway.process.said().contains("scopegate.yaml:"), "the place that names the file");

    write(&folder, "the-second-one");
    until("the mended one", || (credential(&gateway, &key) == "Bearer the-second-one").then_some(()));
    assert_eq!(told(2.0), 2.0, "each was told once");
    let said = gateway.process.said();
    assert!(!said.contains("the-first-one") && !said.contains("the-second-one"), "{said}");
}
