//! SIGHUP and file changes; a bad change keeps what is in force.

mod secrets; // Credentials that are read from files.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{Call, Gateway, OK, Setup, Upstream, until};

/// The other route keeps `profiles:read` a scope that the policy knows.
const CLOSED: &str = "  GET /profiles: profiles:admin\n  GET /other: profiles:read\n";
const OPEN: &str = "  GET /profiles: profiles:read\n";

/// Waits until the gateway answers `GET /api/profiles` with that status, and says how long that took.
fn status_becomes(gateway: &Gateway, key: &str, status: u16) -> Duration {
    let begun = Instant::now();
    until("the new policy", || (gateway.get("/api/profiles", key).status() == status).then_some(()));
    begun.elapsed()
}

#[test]
fn a_changed_policy_is_in_force_without_being_asked_for() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes(CLOSED).start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    assert_eq!(gateway.get("/api/profiles", &key).status(), 403);
    gateway.write_routes(OPEN);
    let took = status_becomes(&gateway, &key, 200);
    assert!(took < Duration::from_secs(5), "{took:?}, and one second is promised on a machine that is not busy");
    gateway.write_routes(CLOSED);
    status_becomes(&gateway, &key, 403);
    assert!(gateway.metric("scopegate_policy_generation", &[]) >= 3.0);
}

#[test]
fn a_policy_behind_a_symlink_that_is_swapped_is_followed() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).routes(CLOSED).written();
    let closed = fs::read_to_string(setup.folder().join("policy.yaml")).expect("the policy");
    let gateway = setup.start();
    // As Kubernetes mounts a ConfigMap: policy.yaml → ..data/policy.yaml, ..data → a folder with a date.
    let write = |folder: &str, text: &str| {
        fs::create_dir(gateway.file(folder)).expect("a folder");
        fs::write(gateway.file(folder).join("policy.yaml"), text).expect("a policy");
        std::os::unix::fs::symlink(folder, gateway.file("..new")).expect("a link");
        fs::rename(gateway.file("..new"), gateway.file("..data")).expect("a swap");
    };
    write("..one", &closed);
    std::os::unix::fs::symlink("..data/policy.yaml", gateway.file("policy.link")).expect("a link");
    fs::rename(gateway.file("policy.link"), gateway.file("policy.yaml")).expect("a swap");
    let key = gateway.key(&["--scopes", "profiles:read"]);
    assert_eq!(gateway.get("/api/profiles", &key).status(), 403);
    write("..two", &closed.replace("profiles:admin", "profiles:read"));
    status_becomes(&gateway, &key, 200);
}

#[test]
fn sighup_asks_for_a_reload() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes(CLOSED).start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    gateway.write_routes(OPEN);
    gateway.process.signal("HUP");
    status_becomes(&gateway, &key, 200);
    assert!(gateway.metric("scopegate_reloads_total", &["failed"]) == 0.0);
}

#[test]
fn a_bad_change_is_told_with_its_place_and_changes_nothing() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes(OPEN).start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let bad = [
        "version: 1\nroutes:\n  GET /a: []\n",
        "version: 1\nroutes: {",
        "",
        "version: 1\nroutes:\n  GET /a: a:read\nunknown: 1\n",
    ];
    for (number, text) in bad.into_iter().enumerate() {
        gateway.write_policy(text);
        gateway.process.signal("HUP");
        let failures = || gateway.metric("scopegate_reloads_total", &["result=\"failed\""]);
        until("the failed reload", || (failures() >= (number + 1) as f64).then_some(()));
        assert_eq!(gateway.get("/api/profiles", &key).status(), 200, "{text:?}");
        assert!(gateway.is_ready(), "what is in force still serves");
        assert_eq!(gateway.metric("scopegate_last_reload_successful", &[]), 0.0);
    }
    gateway.process.wait_for("the place of the first fault", |said| said.contains("policy.yaml:3:").then_some(()));
    assert!(gateway.metric("scopegate_policy_generation", &[]) == 1.0);
    gateway.write_routes(CLOSED);
    status_becomes(&gateway, &key, 403);
    until("the word of it", || (gateway.metric("scopegate_last_reload_successful", &[]) == 1.0).then_some(()));
}

#[test]
fn a_file_that_vanishes_changes_nothing() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    fs::remove_file(gateway.file("policy.yaml")).expect("the policy is removed");
    gateway.process.signal("HUP");
    until("the failed reload", || (gateway.metric("scopegate_reloads_total", &["failed"]) >= 1.0).then_some(()));
    assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
}

#[test]
fn what_needs_a_restart_is_named_in_the_log() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let config = fs::read_to_string(gateway.file("scopegate.yaml")).expect("the configuration");
    fs::write(gateway.file("scopegate.yaml"), config.replace("workers: 2", "workers: 1"))
        .expect("the new configuration");
    gateway.process.signal("HUP");
    gateway.process.wait_for("the word about workers", |said| {
        said.lines().any(|line| line.contains("workers") && line.contains("restart")).then_some(())
    });
}

#[test]
fn requests_in_flight_keep_what_they_began_with_and_none_is_lost() {
    let upstream = Upstream::start(|connection| {
        while let Some(request) = connection.request() {
            if request.target() == "/api/profiles" {
                connection.note("in flight");
                connection.wait_for("go");
            }
            connection.send(OK);
        }
    });
    let gateway = Setup::new(&upstream).routes("  GET /profiles: profiles:read\n  GET /other: profiles:read\n").start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let mut slow = gateway.connect();
    slow.send(Call::get("/api/profiles").key(&key).bytes());
    upstream.wait_for("in flight");
    gateway.write_routes("  GET /profiles: profiles:admin\n  GET /other: profiles:admin\n");
    until("the new policy", || (gateway.get("/api/other", &key).status() == 403).then_some(()));
    upstream.allow("go");
    assert_eq!(slow.read().status(), 200);
    assert_eq!(
        slow.send(Call::get("/api/profiles").key(&key).bytes()).read().status(),
        403,
        "the next one on the same connection"
    );
}

#[test]
fn many_changes_under_load_lose_no_request() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes(OPEN).start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    std::thread::scope(|scope| {
        let (gateway, key) = (&gateway, &key);
        let changes = scope.spawn(move || {
            for number in 0..20 {
                gateway.write_routes(&format!("{OPEN}  GET /added-{number}: profiles:read\n"));
                gateway.process.signal("HUP");
                let added = format!("/api/added-{number}");
                until("the change", || (gateway.get(&added, key).status() == 200).then_some(()));
            }
        });
        let mut client = gateway.connect();
        while !changes.is_finished() {
            assert_eq!(client.send(Call::get("/api/profiles").key(key).bytes()).read().status(), 200);
        }
    });
}

#[test]
fn a_key_keeps_its_scopes_across_policies_that_name_others() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes("  GET /profiles: profiles:read\n  GET /z: z:read\n").start();
    let (custom, read) = (gateway.key(&["--scopes", "profiles:read"]), gateway.key(&["--read-only"]));
    gateway.write_routes("  GET /a: a:read\n  GET /b: b:write\n  GET /profiles: profiles:read\n");
    until("the new policy", || (gateway.get("/api/a", &read).status() == 200).then_some(()));
    assert_eq!(gateway.get("/api/profiles", &custom).status(), 200);
    assert_eq!(gateway.get("/api/a", &custom).status(), 403);
    assert_eq!(gateway.get("/api/b", &read).status(), 403, "a level is expanded against the policy in force");
}

#[test]
fn a_refused_reload_keeps_the_mend_of_each_fault_and_counts_those_beyond_five() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes(OPEN).start();
    let faulty: String = (0..7).map(|n| format!("  GET /x{n}: {{ auth: anyoen }}\n")).collect();
    gateway.write_routes(&format!("{OPEN}{faulty}"));
    gateway.process.signal("HUP");
    let said = gateway.process.wait_for("the count", |said| said.contains("2 further faults").then(|| said.to_owned()));
    assert!(said.contains("did you mean `anyone`?"), "{said}");
}

#[test]
fn routes_that_came_and_went_are_listed_in_words() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes(CLOSED).start();
    gateway.write_routes(&format!("{OPEN}  GET /more: profiles:read\n  GET /yet: profiles:read\n"));
    gateway.process.signal("HUP");
    let said = gateway.process.wait_for("the change", |said| said.contains("routes changed").then(|| said.to_owned()));
    assert!(said.contains("\"added\":\"GET /api/more, GET /api/yet\""), "{said}");
}
