//! Several gateways on one PostgreSQL: one change for all, and the proof that each of them holds it.

mod absence; // The database is away when a gateway starts, and when many come back to it.
mod broken; // A load of keys breaks off, and another database answers next.
mod ending; // A gateway is to end while its database hangs.
mod pooler; // Between gateways and the database stands PgBouncer.
mod proof; // What `--wait` proves, and what it does not.
mod replica; // Gateways on replicas, and what happens when one of them takes over.

use crate::keys::id_of;
use crate::support::postgres::{ESCAPED, Scratch, scratch};
use crate::support::{Gateway, Setup, Upstream, until};

/// Gateways that share the keys of one database.
fn start<const COUNT: usize>(database: &Scratch, upstream: &Upstream) -> [Gateway; COUNT] {
    std::array::from_fn(|_| Setup::new(upstream).with_store(&database.url()).start())
}

#[test]
fn a_revoke_waits_until_every_gateway_has_confirmed_and_names_the_one_that_has_not() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let fleet: [Gateway; 3] = start(&database, &upstream);
    let keys = [fleet[0].key(&["--full"]), fleet[1].key(&["--full"])];
    for (gateway, key) in fleet.iter().zip(&keys) {
        until("a key of one is a key of all", || (gateway.get("/api/whoami", key).status() == 200).then_some(()));
    }
    until("all are in the list", || (database.run("SELECT count(*) FROM scopegate.gateways") == "3").then_some(()));
    let ids = keys.each_ref().map(|key| id_of(&fleet[0], key));
    let revoked = fleet[0].run(&["keys", "revoke", &ids[0], "--wait=20s"]).exits(0);
    revoked.says(&[" is revoked now.", "3 gateways have confirmed, the slowest after "]);
    for gateway in &fleet {
        assert_eq!(gateway.get("/api/whoami", &keys[0]).status(), 401, "nobody needs to wait any more");
    }
    fleet[2].process.signal("STOP");
    let revoked = fleet[0].run(&["keys", "revoke", &ids[1], "--wait=300ms"]).exits(3);
    revoked.says(&["2 gateways have confirmed", " has not confirmed within 300 ms: it has come to change 3 of 4"]);
    let again = fleet[0].run(&["keys", "revoke", &ids[1], "--wait=0s", "--json"]).exits(3).json();
    assert_eq!((&again["gateways"]["confirmed"], &again["state"]), (&2.into(), &"revoked".into()));
    assert!(again["gateways"]["missing"][0]["id"].is_string(), "{again}");
    fleet[2].process.signal("CONT");
    fleet[0].run(&["keys", "revoke", &ids[1], "--wait=20s"]).exits(0).says(&["3 gateways have confirmed"]);
}

#[test]
fn an_account_that_is_disabled_and_an_overlap_that_is_ended_are_waited_for_likewise() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let fleet: [Gateway; 2] = start(&database, &upstream);
    fleet[0].run(&["accounts", "create", "acme"]).exits(0);
    let [of_acme, plain] = [fleet[0].key(&["--full", "--account", "acme"]), fleet[0].key(&["--full"])];
    let id = id_of(&fleet[0], &plain);
    let new = fleet[0].run(&["keys", "rotate", &id, "--overlap", "1h"]).exits(0);
    let new = new.stdout.trim();
    for gateway in &fleet {
        for key in [&of_acme, &plain, new] {
            until("each key works", || (gateway.get("/api/whoami", key).status() == 200).then_some(()));
        }
    }
    let disabled = fleet[0].run(&["accounts", "disable", "acme", "--wait=20s"]).exits(0);
    disabled.says(&["The account acme is disabled now.", "2 gateways have confirmed, the slowest after "]);
    let ended = fleet[1].run(&["keys", "end-overlap", &id, "--wait=20s", "--json"]).exits(0);
    assert_eq!(ended.json()["gateways"]["confirmed"], 2);
    for gateway in &fleet {
        let statuses = [&of_acme, &plain, new].map(|key| gateway.get("/api/whoami", key).status());
        assert_eq!(statuses, [401, 401, 200], "nobody needs to wait any more");
    }
}

#[test]
fn a_gateway_that_is_silent_is_named_for_as_long_as_it_may_serve_by_what_it_knows() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let patient = Setup::new(&upstream).with_store(&database.url()).keys("  max_stale: 2h").start();
    let usual = Setup::new(&upstream).with_store(&database.url()).start();
    let id = id_of(&usual, &usual.key(&["--full"]));
    let count = || database.run("SELECT count(goes_on_for) FROM scopegate.gateways");
    until("both have said how long they go on", || (count() == "2").then_some(()));
    for gateway in [&patient, &usual] {
        gateway.process.signal("KILL");
        gateway.process.exit_code();
    }
    let pass = |minutes: u32| {
        database.run(&format!("UPDATE scopegate.gateways SET seen = seen - interval '{minutes} minutes'"));
        usual.run(&["keys", "revoke", &id, "--wait=1s"])
    };
    assert_eq!(pass(10).exits(3).stderr.matches(" has not confirmed").count(), 2);
    let named = pass(20).exits(3).says(&["was last heard of 180", " s more at most (keys.max_stale)"]);
    assert_eq!(named.stderr.matches(" has not confirmed").count(), 1);
    pass(120).exits(3).says(&["no gateway has confirmed"]);
}

#[test]
fn a_gateway_that_ends_takes_itself_from_the_list() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let [gateway]: [Gateway; 1] = start(&database, &upstream);
    let count = || database.run("SELECT count(*) FROM scopegate.gateways");
    until("it is in the list", || (count() == "1").then_some(()));
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    assert_eq!(count(), "0");
}

#[test]
fn a_store_that_keeps_no_list_of_gateways_says_so() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let revoked = gateway.run(&["keys", "revoke", &id_of(&gateway, &key), "--wait"]).exits(0);
    revoked.says(&["Gateways of this store cannot confirm that they know"]);
}

#[test]
fn check_warns_of_a_database_elsewhere_that_is_believed_without_proof_though_it_cannot_be_reached() {
    let upstream = Upstream::ok();
    for (mode, said) in [("require", "whoever answers for it is believed"), ("disable", "is talked to in cleartext")] {
        let url = format!("postgres://u@no-such-host.invalid/k?sslmode={mode}");
        let setup = Setup::new(&upstream).with_store(&url).written();
        let output = crate::support::command::finish(setup.command().arg("check")).exits(0);
        let all = format!("{}{}", output.stdout, output.stderr);
        assert!(all.contains(said) && all.contains("write sslmode=verify-full"), "{mode}: {all}");
    }
}

#[test]
fn the_password_of_the_database_is_in_nothing_that_a_gateway_or_a_command_says() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let wrong = database.url().replace(ESCAPED, "geheim%2Fnis");
    let setup = Setup::new(&upstream).with_store(&wrong).written();
    for arguments in [&["serve"][..], &["check"], &["keys", "list"], &["keys", "list", "--store", &wrong]] {
        let output = crate::support::command::finish(setup.command().args(arguments));
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(said.contains("does not let this user in"), "{arguments:?}: {said}");
        assert!(!said.contains("geheim"), "{arguments:?}: {said}");
    }
    let setup = Setup::new(&upstream).with_store("postgres://u:geheim@db:x/k").written();
    let output = crate::support::command::finish(setup.command().arg("check")).exits(4);
    assert!(!format!("{}{}", output.stdout, output.stderr).contains("geheim"), "{}", output.stderr);
}
