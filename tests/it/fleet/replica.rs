use std::time::Duration;

use crate::keys::id_of;
use crate::support::command::{Output, finish};
use crate::support::postgres::Server;
use crate::support::{Gateway, Setup, Upstream, lasted, until};

/// A server and its replica, with an empty database for keys.
fn pair() -> Option<(Server, Server)> {
    let primary = Server::private()?;
    primary.run("postgres", "CREATE DATABASE keys OWNER owner");
    let replica = primary.replica();
    Some((primary, replica))
}

/// A key that works at a gateway.
fn make(gateway: &Gateway) -> (String, String) {
    let key = gateway.key(&["--full"]);
    let id = id_of(gateway, &key);
    (key, id)
}

fn wait_for(status: u16, gateway: &Gateway, key: &str) {
    until("the change arrives", || (gateway.get("/api/whoami", key).status() == status).then_some(()));
}

#[test]
fn a_gateway_on_a_replica_follows_and_says_once_what_it_cannot_write() {
    let Some((primary, replica)) = pair() else { return };
    let upstream = Upstream::ok();
    // Makes the store, which the replica cannot.
    let writer = Setup::new(&upstream).with_store(&primary.url_of("owner", "keys")).start();
    let schema = || replica.try_to_run("keys", "SELECT version FROM scopegate.head").is_ok().then_some(());
    until("the replica has it", schema);
    let reader = Setup::new(&upstream).with_store(&replica.url_of("owner", "keys")).keys("  record_use: 100ms").start();
    let (key, id) = make(&writer);
    wait_for(200, &reader, &key);
    let refused = reader.run(&["keys", "revoke", &id]).exits(1);
    refused.says(&["is a replica, or set to be read-only", "target_session_attrs=read-write"]);
    writer.run(&["keys", "revoke", &id]).exits(0);
    wait_for(401, &reader, &key);
    reader.process.wait_for("the word of both", |said| {
        (said.contains("cannot say how far it has come") && said.contains("cannot be written down")).then_some(())
    });
    let asked = reader.metric("scopegate_requests_total", &[]);
    until("more of them", || (reader.metric("scopegate_requests_total", &[]) >= asked).then_some(()));
    let start = std::time::Instant::now();
    while !lasted(start.elapsed(), Duration::from_secs(1)) {
        reader.get("/api/whoami", &key);
    }
    let said = reader.process.said();
    assert_eq!(said.matches("cannot say how far it has come").count(), 1, "{said}");
    assert_eq!(said.matches("cannot be written down").count(), 1, "{said}");
}

#[test]
fn a_replica_that_takes_over_with_all_that_was_committed_is_followed() {
    let Some((primary, replica)) = pair() else { return };
    let upstream = Upstream::ok();
    let url = primary.url_of_either(&replica, ("owner", "keys"));
    let gateway = Setup::new(&upstream).with_store(&url).start();
    let (kept, doomed) = (make(&gateway), make(&gateway));
    let count = "SELECT revision FROM scopegate.head";
    let all = primary.run("keys", count);
    until("the replica has it all", || (replica.try_to_run("keys", count) == Ok(all.clone())).then_some(()));
    primary.stop("immediate");
    until("it is missed", || (gateway.metric("scopegate_store_up", &[]) == 0.0).then_some(()));
    assert_eq!(gateway.get("/api/whoami", &kept.0).status(), 200);
    replica.promote();
    until("it goes on", || (gateway.metric("scopegate_store_up", &[]) == 1.0).then_some(()));
    gateway.run(&["keys", "revoke", &doomed.1, "--wait=20s"]).exits(0).says(&["1 gateway has confirmed"]);
    wait_for(401, &gateway, &doomed.0);
    assert_eq!(gateway.get("/api/whoami", &kept.0).status(), 200);
}

#[test]
fn a_replica_that_takes_over_without_the_last_change_is_refused_and_nothing_is_undone() {
    let Some((primary, mut replica)) = pair() else { return };
    let upstream = Upstream::ok();
    let url = primary.url_of_either(&replica, ("owner", "keys"));
    let gateway = Setup::new(&upstream).with_store(&url).start();
    let (revoked, kept) = (make(&gateway), make(&gateway));
    let count = "SELECT revision FROM scopegate.head";
    until("the replica has it all", || (replica.try_to_run("keys", count) == Ok("2".to_owned())).then_some(()));
    replica.stop("fast");
    gateway.run(&["keys", "revoke", &revoked.1, "--wait=20s"]).exits(0);
    primary.stop("immediate");
    replica.start();
    replica.promote();
    gateway.process.wait_for("the word of it", |said| {
        said.contains("has come to change 2 only, and change 3 was followed").then_some(())
    });
    assert_eq!(gateway.get("/api/whoami", &revoked.0).status(), 401, "the revoke that the database forgot stays");
    assert_eq!(gateway.get("/api/whoami", &kept.0).status(), 200);
    assert_eq!(gateway.metric("scopegate_store_up", &[]), 0.0);
    // It goes on from there, and gives the number out anew.
    let setup = Setup::new(&upstream).with_store(&replica.url_of("owner", "keys")).written();
    let run = |arguments: &[&str]| -> Output { finish(setup.command().args(arguments)) };
    run(&["keys", "revoke", &kept.1]).exits(0);
    gateway.process.wait_for("the word of that", |said| {
        said.contains("has another change 3 than the one that was followed").then_some(())
    });
    assert_eq!(gateway.get("/api/whoami", &revoked.0).status(), 401);
}

#[test]
fn a_replica_that_is_behind_is_waited_for_and_undoes_nothing() {
    let Some((primary, replica)) = pair() else { return };
    let upstream = Upstream::ok();
    let url = primary.url_of_either(&replica, ("owner", "keys")).replace("read-write", "any");
    let gateway = Setup::new(&upstream).with_store(&url).start();
    let (key, id) = make(&gateway);
    let count = "SELECT revision FROM scopegate.head";
    until("the replica has it all", || (replica.try_to_run("keys", count) == Ok("1".to_owned())).then_some(()));
    replica.run("postgres", "SELECT pg_wal_replay_pause()");
    let is_paused = || (replica.run("postgres", "SELECT pg_get_wal_replay_pause_state()") == "paused").then_some(());
    until("it stands still", is_paused);
    gateway.run(&["keys", "revoke", &id, "--wait=20s"]).exits(0);
    let last = primary.run("postgres", "SELECT pg_current_wal_lsn()");
    let has_come = format!("SELECT pg_last_wal_receive_lsn() >= '{last}'");
    until("the revoke is on its way", || (replica.run("postgres", &has_come) == "t").then_some(()));
    primary.stop("immediate");
    let said = gateway.process.wait_for("the word of it", |said| {
        let line = said.lines().find(|line| line.contains("is a replica that is behind"));
        line.map(str::to_owned)
    });
    assert!(said.contains("it has come to change 1, and change 2 was followed; it is waited for"), "{said}");
    assert!(!said.contains("restart"), "{said}");
    assert_eq!(gateway.get("/api/whoami", &key).status(), 401);
    replica.run("postgres", "SELECT pg_wal_replay_resume()");
    until("it is followed", || (gateway.metric("scopegate_store_up", &[]) == 1.0).then_some(()));
    assert_eq!(gateway.get("/api/whoami", &key).status(), 401);
}
