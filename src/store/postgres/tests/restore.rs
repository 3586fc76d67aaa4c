use std::process::Command;

use super::following::follow;
use super::server::until;
use super::*;
use crate::key::KeyState;
use crate::store::Cause;

/// Runs a program beside the server, on the database of a place.
fn run(place: &Place, program: &str, arguments: &[&str]) -> Vec<u8> {
    let server = place.0.server();
    let mut command = Command::new(server.programs.join(program));
    command.args(["-U", "postgres", "-p", &server.port.to_string(), "-d", &place.0.name, "-h"]).arg(&server.folder);
    let done = command.args(arguments).output().unwrap();
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

#[test]
fn a_store_in_the_middle_of_a_restore_is_waited_for_and_nothing_of_it_believed() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    // One that knows of no revoke yet, as one that starts from an older copy, and one that knows all.
    let mut old = place.store();
    let since = old.load(Revision::START, &mut |_| {}).unwrap().revision;
    place.store().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    let followed = follow(place.store());
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
    let (folder, url) = (tempfile::tempdir().unwrap(), place.0.url());
    let file = folder.path().join("dump");
    std::fs::write(&file, run(&place, "pg_dump", &["-Fc", "-n", "scopegate"])).unwrap();
    place.0.run("DROP SCHEMA scopegate CASCADE");
    let restore =
        |arguments: &[&str]| drop(run(&place, "pg_restore", &[arguments, &[file.to_str().unwrap()]].concat()));
    for part in [
        &["--section=pre-data"][..],
        &["--section=data", "-t", "accounts", "-t", "changes", "-t", "former_values", "-t", "head"],
        &["--section=data", "-t", "digests", "-t", "keys", "-t", "uses", "-t", "value_uses"],
    ] {
        restore(part);
        for error in [
            old.refresh().unwrap_err(),
            old.load(since, &mut |_| panic!("nothing is told")).unwrap_err(),
            old.gateways().unwrap_err(),
            open(&url, OpenMode::Existing).unwrap_err(),
            open(&url, OpenMode::Create).unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Database(DatabaseError::Unfinished { .. })), "{part:?}: {error}");
            assert!(error.is_passing() && error.is_absence() && error.refusal().is_none(), "{error}");
        }
        until("it is told why", || followed.follower.status().cause() == Some(Cause::Unfinished));
    }
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
    restore(&["--section=post-data"]);
    let mut told = Vec::new();
    old.load(since, &mut |change| told.push(change.record.state)).unwrap();
    assert_eq!(told, [KeyState::Revoked]);
    until("it is followed again", || followed.follower.status().is_up());
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
}

#[test]
fn a_table_is_not_there_before_its_rows_whatever_the_order_of_a_restore() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    let mut store = place.store();
    let since = store.load(Revision::START, &mut |_| {}).unwrap().revision;
    // As `pg_restore -j` may leave it for a while: each table has what is its own, but for one.
    for table in ["accounts", "changes", "former_values", "head", "keys"] {
        let of_it = |what: &str| {
            let own = format!("FROM pg_trigger WHERE tgrelid = 'scopegate.{table}'::regclass AND NOT tgisinternal");
            place.0.run(&format!("SELECT {what} {own}"))
        };
        let kept = of_it("pg_get_triggerdef(oid)");
        for drop in of_it(&format!("'DROP TRIGGER ' || tgname || ' ON scopegate.{table}'")).lines() {
            place.0.run(drop);
        }
        let error = store.load(since, &mut |_| {}).unwrap_err();
        assert!(matches!(error, StoreError::Database(DatabaseError::Unfinished { .. })), "{table}: {error}");
        for trigger in kept.lines() {
            place.0.run(trigger);
        }
        store.load(since, &mut |_| {}).unwrap();
    }
}

#[test]
fn a_key_that_the_log_tells_of_and_that_is_not_there_is_a_fault_and_no_silence() {
    let Some(place) = Place::new() else { return };
    let keys = ["key", "other"].map(record);
    place.put(&keys);
    let mut store = place.store();
    let since = store.load(Revision::START, &mut |_| {}).unwrap().revision;
    for key in &keys {
        place.store().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    }
    let delete = format!("DELETE FROM scopegate.keys WHERE id = '{}'", keys[0].id);
    place.0.run(&format!("ALTER TABLE scopegate.keys DISABLE TRIGGER USER; {delete}"));
    let error = store.load(since, &mut |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("keys that are not there"), "{error}");
}
