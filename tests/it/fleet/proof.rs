use std::process::{Command, Stdio};

use crate::keys::id_of;
use crate::support::command::finish;
use crate::support::postgres::{Scratch, scratch};
use crate::support::{Setup, Upstream, until};

/// What `pg_dump` makes of the schema, but for the rows of gateways.
fn dump(database: &Scratch) -> Vec<u8> {
    let server = database.server();
    let mut dump = Command::new(server.programs.join("pg_dump"));
    dump.args(["-U", "postgres", "-p", &server.port.to_string(), "-Fc", "-n", "scopegate", "-d", &database.name]);
    let dump = dump.arg("--exclude-table-data=scopegate.gateways").arg("-h").arg(&server.folder);
    let dumped = dump.output().expect("pg_dump runs");
    assert!(dumped.status.success(), "pg_dump: {}", String::from_utf8_lossy(&dumped.stderr));
    dumped.stdout
}

/// Puts a database back to what was dumped.
fn restore(database: &Scratch, dumped: &[u8]) {
    let (server, folder) = (database.server(), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("dump");
    std::fs::write(&file, dumped).expect("the dump");
    database.run("DROP SCHEMA scopegate CASCADE");
    let mut restore = Command::new(server.programs.join("pg_restore"));
    restore.args(["-U", "postgres", "-p", &server.port.to_string(), "-d", &database.name, "-h"]).arg(&server.folder);
    let restored = restore.arg(&file).output().expect("pg_restore runs");
    assert!(restored.status.success(), "pg_restore: {}", String::from_utf8_lossy(&restored.stderr));
}

#[test]
fn gateways_that_refuse_a_restored_store_are_named_for_as_long_as_they_run() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let mut fleet: [_; 2] = super::start(&database, &upstream);
    let key = fleet[0].key(&["--full"]);
    let works = |gateway: &crate::support::Gateway| gateway.get("/api/whoami", &key).status();
    for gateway in &fleet {
        until("the key works", || (works(gateway) == 200).then_some(()));
    }
    let id = id_of(&fleet[0], &key);
    let dumped = dump(&database);
    let later = fleet[0].key(&["--full"]);
    for gateway in &fleet {
        until("a later key works", || (gateway.get("/api/whoami", &later).status() == 200).then_some(()));
    }
    restore(&database, &dumped);
    let refusing = || database.run("SELECT count(*) FROM scopegate.gateways WHERE refuses = 'another past'");
    until("both say that they refuse it", || (refusing() == "2").then_some(()));
    let revoked = fleet[0].run(&["keys", "revoke", &id, "--wait=20s"]).exits(3);
    let revoked = revoked.says(&[
        " is revoked now.",
        " has not confirmed: it refuses the store as it is now (another past), was last heard of ",
        " s ago and goes on with what it knows for ",
        "; restart it to go on with this store",
    ]);
    assert_eq!(revoked.stderr.matches(" refuses the store ").count(), 2);
    assert_eq!(fleet.each_ref().map(works), [200, 200], "they do, which is why");
    // Its end is as good as any.
    fleet[0].end_and_restart("TERM");
    let missing = || database.run("SELECT string_agg(id, ' ') FROM scopegate.gateways WHERE refuses IS NOT NULL");
    until("one of them is left, and the other is back", || {
        (database.run("SELECT count(*) FROM scopegate.gateways") == "2").then_some(())
    });
    let again = fleet[0].run(&["keys", "revoke", &id, "--wait=20s", "--json"]).exits(3).json();
    assert_eq!(again["gateways"]["confirmed"], 1, "{again}");
    let named = again["gateways"]["missing"].as_array().expect("those that have not");
    assert_eq!((named.len(), &named[0]["refuses"]), (1, &"another past".into()));
    assert_eq!(named[0]["id"], *missing());
    let said = fleet[1].process.said();
    assert!(said.contains(&missing()), "its log tells which one it is: {said}");
    fleet[1].end_and_restart("TERM");
    fleet[0].run(&["keys", "revoke", &id, "--wait=20s"]).exits(0).says(&["2 gateways have confirmed"]);
    assert_eq!(fleet.each_ref().map(works), [401, 401]);
}

#[test]
fn that_no_gateway_says_anything_proves_nothing() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).with_store(&database.url()).written();
    let run = |arguments: &[&str]| finish(setup.command().args(arguments));
    run(&["accounts", "create", "acme"]).exits(0);
    let said = ["no gateway has confirmed, as none that may run has a row in the store"];
    run(&["accounts", "disable", "acme", "--wait"]).exits(3).says(&said);
    let again = run(&["accounts", "disable", "acme", "--wait", "--json"]).exits(3).json();
    assert_eq!((&again["gateways"]["confirmed"], &again["state"]), (&0.into(), &"disabled".into()));
}

#[test]
fn the_wait_for_gateways_begins_when_the_change_is_made() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).with_store(&database.url()).start();
    let id = id_of(&gateway, &gateway.key(&["--full"]));
    let mut other = database.server().session(&database.name);
    let lock = "BEGIN; SELECT FROM scopegate.head FOR UPDATE; SELECT pg_sleep(6); COMMIT";
    let mut other = other.args(["-c", lock]).stdout(Stdio::null()).spawn().expect("psql runs");
    let held = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    until("another writer is at work", || (database.run(held) == "1").then_some(()));
    let revoked = gateway.run(&["keys", "revoke", &id, "--wait=4s", "--json"]).exits(0);
    let said = revoked.json();
    assert_eq!(said["gateways"]["confirmed"], 1);
    assert!(said["gateways"]["slowest_ms"].as_u64().is_some_and(|slowest| slowest < 4000), "{said}");
    assert!(other.wait().expect("it ends").success());
}

#[test]
fn what_a_gateway_counted_forges_no_line_of_what_is_shown() {
    let Some(database) = scratch() else { return };
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).with_store(&database.url()).written();
    let run = |arguments: &[&str]| finish(setup.command().args(arguments));
    let made = run(&["keys", "create", "--name", "key", "--full", "--json"]).exits(0).json();
    let id = made["id"].as_str().expect("an id");
    database.run(&format!(
        "INSERT INTO scopegate.uses VALUES ('{id}', '', 1, 0, 0), ('{id}', E'x\\nstate         revoked\\u202e', 1, 0, 0)"
    ));
    let shown = run(&["keys", "show", id]).exits(0).stdout;
    assert!(shown.contains(r"x\u{a}state         revoked\u{202e}, once"), "{shown}");
    assert_eq!(shown.lines().filter(|line| line.trim_start().starts_with("state")).count(), 1, "{shown}");
}
