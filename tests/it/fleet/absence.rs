use std::fs;
use std::net::TcpListener;

use crate::keys::id_of;
use crate::support::postgres::{ESCAPED, Server, free_port, scratch};
use crate::support::process::Process;
use crate::support::{Gateway, Setup, Upstream, command, until};

fn refusal(gateway: &Gateway, key: &str) -> (u16, String) {
    let answer = gateway.get("/api/whoami", key);
    let code = if answer.status() == 200 { String::new() } else { answer.code() };
    (answer.status(), code)
}

#[test]
fn a_gateway_whose_database_is_away_starts_waits_and_takes_it_up_when_it_comes() {
    let Some(mut server) = Server::private() else { return };
    server.run("postgres", "CREATE DATABASE keys OWNER owner");
    let upstream = Upstream::ok();
    let mut gateway = Setup::new(&upstream).with_store(&server.url_of("owner", "keys")).start();
    let key = gateway.key(&["--full"]);
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    server.stop("fast");
    gateway.process = Process::start(&mut gateway.command(&["serve"]));
    gateway.process.wait_for("the start", |said| said.contains("\"serving\"").then_some(()));
    let unavailable = (503, "key_store_unavailable".to_owned());
    assert_eq!(gateway.admin("/livez").status(), 200);
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status(), 503);
    assert!(ready.body_text().contains("the key store could not be read yet"), "{}", ready.body_text());
    for key in [&key, "a-key-that-nobody-made"] {
        assert_eq!(refusal(&gateway, key), unavailable, "never 401: nothing is known of it");
    }
    assert_eq!(gateway.get("/api/health", "").status(), 200, "a route for anyone needs no key");
    assert_eq!(gateway.metric("scopegate_store_up", &[]), 0.0);
    gateway.process.wait_for("the word of it", |said| {
        (said.contains("nothing is known of its keys") && said.contains("cannot reach the key store")).then_some(())
    });
    server.start();
    until("it is ready", || gateway.is_ready().then_some(()));
    assert_eq!(refusal(&gateway, &key).0, 200);
    assert_eq!(refusal(&gateway, "a-key-that-nobody-made"), (401, "invalid_key".to_owned()));
    let id = id_of(&gateway, &key);
    gateway.run(&["keys", "revoke", &id, "--wait=20s"]).exits(0).says(&["1 gateway has confirmed"]);
    assert_eq!(refusal(&gateway, &key), (401, "invalid_key".to_owned()));
}

#[test]
fn a_store_that_is_not_there_yet_is_made_when_its_database_comes() {
    let Some(server) = Server::private() else { return };
    let upstream = Upstream::ok();
    server.stop("fast");
    let setup = Setup::new(&upstream).with_store(&server.url_of("owner", "keys"));
    let mut server = server;
    let gateway = setup.start_unready();
    gateway.process.wait_for("the start", |said| said.contains("\"serving\"").then_some(()));
    server.start();
    gateway.process.wait_for("the word of it", |said| said.contains("has no such database").then_some(()));
    assert_eq!((gateway.admin("/readyz").status(), gateway.admin("/livez").status()), (503, 200));
    server.run("postgres", "CREATE DATABASE keys OWNER owner");
    until("it is ready", || gateway.is_ready().then_some(()));
    gateway.key(&["--full"]);
}

#[test]
fn what_waiting_cannot_mend_ends_the_start_and_says_what_is_wrong() {
    let Some(database) = scratch() else { return };
    let (upstream, port) = (Upstream::ok(), database.server().port);
    let refused = |url: &str, said: &str| {
        let setup = Setup::new(&upstream).with_store(url).written();
        command::finish(setup.command().arg("serve")).exits(1).says(&[said]);
    };
    refused(&database.url().replace(ESCAPED, "wrong"), "does not let this user in");
    refused(&database.url().replace(&database.name, "nosuch"), "has no such database");
    refused(&database.url_of("gateway"), "this user may not make one");
    refused(&format!("postgres://owner:{ESCAPED}@localhost:{port}/x?sslmode=verify-full"), "does not prove who it is");
    refused(
        &format!("postgres://owner:{ESCAPED}@localhost:{port}/x?sslrootcert=missing.pem"),
        "sslrootcert missing.pem",
    );
    refused("postgres://owner@no-such-host.invalid/x?sslmode=disable", "no-such-host.invalid");
}

#[test]
fn with_a_copy_whatever_keeps_the_database_from_being_read_starts_from_it_and_without_one_ends_the_start() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).with_store(&database.url_of("gateway")).keys("  snapshot: keys.snapshot");
    // The copy is of this address, so the database is spoilt and not the address.
    let owner = Setup::new(&upstream).with_store(&database.url()).start();
    let key = owner.key(&["--full"]);
    let give = "GRANT USAGE ON SCHEMA scopegate TO gateway; GRANT SELECT ON ALL TABLES IN SCHEMA scopegate TO gateway";
    database.run(give);
    let mut gateway = setup.start();
    assert_eq!(refusal(&gateway, &key).0, 200);
    drop(owner);
    let spoil_and_mend = [
        (
            "ALTER SCHEMA scopegate RENAME TO kept",
            "ALTER SCHEMA kept RENAME TO scopegate",
            "missing",
            "is gone (no schema scopegate)",
        ),
        ("REVOKE SELECT ON scopegate.keys FROM gateway", give, "denied", "GRANT SELECT ON ALL TABLES"),
        ("REVOKE USAGE ON SCHEMA scopegate FROM gateway", give, "denied", "GRANT USAGE ON SCHEMA scopegate"),
    ];
    for (spoil, mend, class, why) in spoil_and_mend {
        gateway.process.signal("TERM");
        assert_eq!(gateway.process.exit_code(), 0);
        database.run(spoil);
        gateway.process = Process::start(&mut gateway.command(&["serve"]));
        gateway.process.wait_for("the start", |said| said.contains("\"serving\"").then_some(()));
        assert_eq!(refusal(&gateway, &key).0, 200, "{spoil}");
        gateway.process.wait_for("the word of it", |said| {
            let started = |line: &&str| line.contains("started with the copy of its keys") && line.contains(why);
            said.lines().find(started).filter(|line| line.contains("ERROR") || line.contains("error")).map(drop)
        });
        let ready = gateway.admin("/readyz");
        assert_eq!(ready.status(), 200);
        assert_eq!(gateway.metric("scopegate_store_fault", &[class]), 1.0, "{spoil}");
        assert_eq!(gateway.metric("scopegate_store_fault", &["class=\"unreachable\""]), 0.0, "{spoil}");
        let said = gateway.process.said();
        assert!(!said.contains("`scopegate keys create` as the owner of the database makes one"), "{said}");
        // The copy alone made the difference.
        let bare = Setup::new(&upstream).with_store(&database.url_of("gateway")).written();
        command::finish(bare.command().arg("serve")).exits(1);
        database.run(mend);
        until("it is followed", || (gateway.metric("scopegate_store_up", &[]) == 1.0).then_some(()));
    }
    assert!(fs::metadata(gateway.file("keys.snapshot")).is_ok());
}

#[test]
fn a_schema_that_is_gone_under_a_gateway_is_to_be_brought_back_and_not_made_anew() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).with_store(&database.url()).start();
    let key = gateway.key(&["--full"]);
    assert_eq!(refusal(&gateway, &key).0, 200);
    database.run("DROP SCHEMA scopegate CASCADE");
    gateway.process.wait_for("the word of it", |said| said.contains("is gone (no schema scopegate)").then_some(()));
    let said = gateway.process.said();
    assert!(said.contains("bring it back") && said.contains("make no new one"), "{said}");
    assert!(!said.contains("makes one"), "{said}");
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status(), 200);
    assert!(ready.body_text().contains(" s (it is missing), known keys go on working"), "{}", ready.body_text());
    crate::away::set_max_stale(&gateway, "1ms");
    gateway.process.wait_for("the end of all keys, and why", |said| {
        let end =
            |line: &str| line.contains("no key is let in until it is back") && line.contains("is gone (no schema");
        said.lines().any(end).then_some(())
    });
}

#[test]
fn a_gateway_that_knows_no_key_says_so_and_tells_a_database_that_is_away_from_one_that_refuses_it() {
    let Some(server) = Server::private() else { return };
    let upstream = Upstream::ok();
    let mut server = server;
    server.stop("fast");
    let gateway = Setup::new(&upstream).with_store(&server.url_of("owner", "keys")).start_unready();
    gateway.process.wait_for("the start", |said| said.contains("\"serving\"").then_some(()));
    until("the time runs", || (gateway.metric("scopegate_store_away_seconds", &[]) > 0.0).then_some(()));
    assert_eq!(gateway.metric("scopegate_store_fault", &["class=\"unreachable\""]), 1.0);
    assert!(gateway.admin("/readyz").body_text().contains("it cannot be reached"));
    server.start();
    server.run("postgres", "ALTER ROLE owner PASSWORD 'another'");
    until("the refusal", || (gateway.metric("scopegate_store_fault", &["class=\"refused\""]) == 1.0).then_some(()));
    let ready = gateway.admin("/readyz").body_text();
    assert!(ready.ends_with("no key is let in until it is: it refuses this user\n"), "{ready}");
    gateway.process.wait_for("the word of it", |said| said.contains("no key is known: none is let in").then_some(()));
    let said = gateway.process.said();
    assert!(!said.contains("known keys go on working"), "{said}");
}

#[test]
fn gateways_that_lost_their_database_do_not_come_back_to_it_in_step() {
    let listener = TcpListener::bind(("127.0.0.1", free_port())).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let upstream = Upstream::ok();
    let url = format!("postgres://owner@127.0.0.1:{port}/keys");
    let fleet: [Gateway; 4] = std::array::from_fn(|_| Setup::new(&upstream).with_store(&url).start_unready());
    // Whoever comes is sent away. The pauses between two visits grow with each.
    let visits = std::cell::RefCell::new(Vec::new());
    let start = std::time::Instant::now();
    while visits.borrow().len() < 60 {
        drop(listener.accept().expect("a visit"));
        visits.borrow_mut().push(start.elapsed());
    }
    let visits = visits.into_inner();
    assert!(fleet.iter().all(|gateway| gateway.process.exited().is_none()));
    let (early, late) = (visits[29] - visits[9], visits[59] - visits[39]);
    println!("20 visits took {early:?}, and 30 later {late:?}");
    assert!(late > early, "{visits:?}");
}

#[test]
fn a_gateway_that_begins_with_a_store_that_has_another_past_than_its_copy_says_so() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).with_store(&database.url());
    let mut gateway = setup.keys("  snapshot: keys.snapshot").start();
    let key = gateway.key(&["--full"]);
    let port = database.server().port;
    let elsewhere = format!("postgres://owner:{ESCAPED}@localhost:{port}/{}", database.name);
    let mut restart = |flags: &[&str]| {
        gateway.process.signal("TERM");
        assert_eq!(gateway.process.exit_code(), 0);
        gateway.process = Process::start(&mut gateway.command(&[&["serve"], flags].concat()));
        until("it serves", || gateway.is_ready().then_some(()));
        assert_eq!(refusal(&gateway, &key).0, 200);
        gateway.process.said()
    };
    let is_told = |said: &str| {
        said.contains("was emptied, restored or replaced since the copy of its keys was made")
            && said.contains("keys.snapshot")
    };
    for flags in [&[][..], &["--store", &elsewhere]] {
        let said = restart(flags);
        assert!(!is_told(&said), "the store tells who it is, wherever it is: {said}");
    }
    database.run(
        "ALTER TABLE scopegate.changes DISABLE TRIGGER USER; \
        UPDATE scopegate.changes SET hash = sha256('another'); ALTER TABLE scopegate.changes ENABLE TRIGGER USER",
    );
    // The gateway that runs is refused it; whoever begins anew goes on.
    let said = restart(&[]);
    assert!(is_told(&said), "the copy was written while the store was elsewhere: {said}");
    let said = restart(&[]);
    assert!(!is_told(&said), "the copy is of what is there now: {said}");
}
