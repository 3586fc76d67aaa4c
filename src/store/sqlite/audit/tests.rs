use super::*;
use crate::key::account::{AccountTransition, NewAccount};
use crate::key::lifecycle::Transition;
use crate::store::audit::Chain;
use crate::store::sqlite::Sqlite;
use crate::store::sqlite::tests::{Place, write_version_1};
use crate::store::tests::{STAMP, record, rotation};
use crate::store::{Extent, KeyStore as _, OpenMode, StoreError};

/// What `scopegate audit verify` would say.
fn verdict(store: &mut Sqlite) -> String {
    let (mut chain, mut broken) = (Chain::whole(None), None);
    let standing = store.verify(&mut |entry| {
        if broken.is_none() {
            broken = chain.follow(&entry.to_json()).err();
        }
    });
    let broken = broken.or_else(|| chain.finish(Some(&standing.unwrap())).err());
    broken.map_or_else(|| format!("{} hold", chain.length()), |broken| broken.to_string())
}

/// A store whose file no longer keeps anybody from writing what they like.
fn open_to_all(keys: usize) -> (Place, Sqlite) {
    let place = Place::new();
    let mut store = place.store();
    for number in 0..keys {
        store.create(&[record(&number.to_string())], STAMP).unwrap();
    }
    let mut query = store.connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").unwrap();
    let triggers: Vec<String> = query.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(query);
    for trigger in triggers {
        store.connection.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    (place, store)
}

#[test]
fn whatever_is_done_to_the_log_shows() {
    for (sql, told) in [
        (
            "UPDATE changes SET author = 'cli:bob' WHERE revision = 2",
            "entry 2 was changed: its hash does not follow from what it says",
        ),
        ("UPDATE changes SET at = at + 1 WHERE revision = 2", "entry 2 was changed"),
        ("UPDATE changes SET detail = replace(detail, 'lists', 'admin') WHERE revision = 2", "entry 2 was changed"),
        ("UPDATE changes SET detail = ' ' || detail WHERE revision = 2", "entry 2 was changed"),
        ("UPDATE changes SET detail = 'no JSON' WHERE revision = 2", "entry 2 was changed"),
        ("UPDATE changes SET detail = NULL WHERE revision = 2", "entry 2 was changed"),
        ("UPDATE changes SET hash = NULL WHERE revision = 2", "entry 2 was changed"),
        ("UPDATE changes SET hash = x'00' WHERE revision = 2", "entry 2 was changed"),
        ("UPDATE changes SET hash = randomblob(32) WHERE revision = 2", "entry 2 was changed"),
        ("UPDATE changes SET account = 'acme' WHERE revision = 2", "entry 2 was changed"),
        ("DELETE FROM changes WHERE revision = 2", "entry 2 is missing: entry 3 stands in its place"),
        ("DELETE FROM changes WHERE revision = 1", "entry 1 is missing: entry 2 stands in its place"),
        (
            "DELETE FROM changes WHERE revision > 2",
            "entry 3 is missing: the store has written 4 entries, so the end was cut off",
        ),
        ("DELETE FROM changes", "entry 1 is missing: the store has written 4 entries, so the end was cut off"),
        (
            "DELETE FROM changes WHERE revision > 3; UPDATE sqlite_sequence SET seq = 3; UPDATE keys SET id = 'key_x' WHERE revision = 4",
            "entry 4 is missing: the key key_x (it has no entry) was changed past the log",
        ),
        ("UPDATE changes SET revision = 9 WHERE revision = 4", "entry 4 is missing: entry 9 stands in its place"),
    ] {
        let (_place, mut store) = open_to_all(4);
        assert_eq!(verdict(&mut store), "4 hold");
        store.connection.execute_batch(sql).unwrap();
        let said = verdict(&mut store);
        assert!(said.starts_with(told), "{sql}: {said}");
    }
}

#[test]
fn whatever_is_done_to_an_account_past_the_log_shows() {
    let acme = "entry 6 is missing: the account acme was changed past the log";
    for (sql, told) in [
        ("UPDATE accounts SET disabled = 0 WHERE id = 'acme'", acme),
        ("UPDATE accounts SET deleted = 1 WHERE id = 'acme'", acme),
        ("UPDATE accounts SET name = 'Evil' WHERE id = 'acme'", acme),
        ("UPDATE accounts SET credential = 'other' WHERE id = 'acme'", acme),
        ("UPDATE accounts SET credential = NULL WHERE id = 'acme'", acme),
        ("UPDATE accounts SET parent = 'other' WHERE id = 'acme'", acme),
        ("UPDATE accounts SET created = created - 1 WHERE id = 'acme'", acme),
        ("UPDATE accounts SET changed = changed + 1 WHERE id = 'acme'", acme),
        ("UPDATE accounts SET revision = 0 WHERE id = 'acme'", acme),
        ("UPDATE accounts SET parent = NULL WHERE id = 'shop'", "entry 6 is missing: the account shop was changed"),
        ("UPDATE accounts SET disabled = 1 WHERE id = 'other'", "entry 6 is missing: the account other was changed"),
        ("DELETE FROM accounts WHERE id = 'shop'", "entry 6 is missing: the account shop was changed past the log"),
        (
            "UPDATE accounts SET id = 'b' WHERE id = 'other'",
            "entry 6 is missing: the account b and the account other were changed",
        ),
        (
            "INSERT INTO accounts (id, revision, name, created, changed) VALUES ('new', 3, 'new', 1, 1)",
            "entry 6 is missing: the account new was changed past the log",
        ),
        (
            "INSERT INTO accounts (id, revision, name, credential, created, changed) VALUES ('new', 0, 'new', 'c', 1, 1)",
            "entry 6 is missing: the account new was changed past the log",
        ),
    ] {
        let (_place, mut store) = open_to_all(1);
        let account = |id: &str, parent: Option<&str>, credential: Option<&str>| NewAccount {
            id: id.into(),
            name: None,
            parent: parent.map(Into::into),
            credential: credential.map(Into::into),
        };
        store.create_account(account("acme", None, Some("real")), STAMP).unwrap();
        store.create_account(account("shop", Some("acme"), None), STAMP).unwrap();
        store.change_account("acme", AccountTransition::Disable, STAMP).unwrap();
        store.connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        store.create_account(account("other", None, None), STAMP).unwrap();
        assert_eq!(verdict(&mut store), "5 hold");
        store.connection.execute_batch(sql).unwrap();
        let said = verdict(&mut store);
        assert!(said.starts_with(told), "{sql}: {said}");
    }
}

/// Keys of which one had three values, and one was deleted.
fn lived(store: &mut Sqlite) -> [crate::key::KeyId; 3] {
    let keys = ["plain", "rotated", "deleted"].map(record);
    store.create(&keys, STAMP).unwrap();
    let ids = keys.map(|key| key.id);
    let later = |seconds: i64| Stamp { at: Timestamp::from_millis(STAMP.at.as_millis() + 1000 * seconds), ..STAMP };
    store.change(&ids[1], &rotation(60), later(1)).unwrap();
    store.change(&ids[1], &rotation(3600), later(10)).unwrap();
    store.change(&ids[0], &Transition::Disable, later(20)).unwrap();
    store.change(&ids[2], &Transition::Delete, later(30)).unwrap();
    ids
}

#[test]
fn whatever_is_done_to_a_key_past_the_log_shows_and_says_what() {
    let [state, terms, values] = ["its state", "its name or what it may do", "its values"];
    for (of, set, what) in [
        (0, "state = 'active'", state),
        (2, "state = 'active', deleted = NULL", "its name or what it may do, its state"),
        (0, "name = 'other'", terms),
        (0, "level = 'full', scopes = NULL", terms),
        (0, "scopes = 'lists:read orders:write profiles:read'", terms),
        (0, "account = 'acme'", terms),
        (0, "attributes = '[[\"owner\",\"x\"]]'", terms),
        (0, "networks = '10.0.0.0/8'", terms),
        (0, "expires = 9999999999999", terms),
        (0, "not_before = 1", terms),
        (0, "kind = 'pair'", terms),
        (0, "level = 'custom', scopes = '', tripwire = 1", terms),
        (2, "scopes = 'lists:read'", terms),
        (2, "name = 'other'", terms),
        (0, "digest = randomblob(32)", values),
        (1, "digest = randomblob(32)", values),
        (0, "created = created - 1", "when it was made or changed"),
        (0, "changed = changed + 1", "when it was made or changed"),
        (0, "revision = 1", "its last change"),
        (0, "id = 'key_x'", "it is gone"),
    ] {
        let (_place, mut store) = open_to_all(1);
        let ids = lived(&mut store);
        assert_eq!(verdict(&mut store), "8 hold");
        store.connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        store.connection.execute_batch(&format!("UPDATE keys SET {set} WHERE id = '{}'", ids[of])).unwrap();
        let said = verdict(&mut store);
        assert!(said.starts_with("entry 9 is missing: ") && said.ends_with("changed past the log"), "{set}: {said}");
        assert!(said.contains(&format!("the key {} ({what})", ids[of])), "{set}: {said}");
    }
}

#[test]
fn whatever_is_done_to_the_former_values_of_a_key_past_the_log_shows() {
    for sql in [
        "UPDATE former_values SET until = until + 1 WHERE age = 1",
        "UPDATE former_values SET until = until - 1 WHERE age = 2",
        "UPDATE former_values SET ended = 1",
        "UPDATE former_values SET digest = randomblob(32) WHERE age = 1",
        "DELETE FROM former_values WHERE age = 2",
        "INSERT INTO former_values (key, digest, prefix, last_four, created, until) \
            SELECT key, randomblob(32), '', '', 0, 9999999999999 FROM former_values LIMIT 1",
    ] {
        let (_place, mut store) = open_to_all(1);
        let ids = lived(&mut store);
        store.connection.execute_batch(sql).unwrap();
        let expected = format!("entry 9 is missing: the key {} (its values) was changed past the log", ids[1]);
        assert_eq!(verdict(&mut store), expected, "{sql}");
    }
}

#[test]
fn every_key_and_account_that_was_changed_past_the_log_is_named() {
    let (_place, mut store) = open_to_all(3);
    let new = NewAccount { id: "acme".into(), name: None, parent: None, credential: None };
    store.create_account(new, STAMP).unwrap();
    store.connection.execute_batch("UPDATE keys SET state = 'disabled'; UPDATE accounts SET disabled = 1").unwrap();
    let standing = store.verify(&mut |_| {}).unwrap();
    assert_eq!(standing.unlogged.len(), 4);
    let mut ids: Vec<String> = store.list().unwrap().iter().map(|key| key.id.to_string()).collect();
    ids.sort();
    let named: Vec<&str> = standing.unlogged.iter().map(|unlogged| unlogged.parts().1).collect();
    assert_eq!(named, ["acme", &ids[0], &ids[1], &ids[2]]);
    assert!(
        store.audit(0, &mut |_| {}).unwrap().unlogged.is_empty(),
        "who only reads the log asks nothing of the keys"
    );
}

#[test]
fn an_entry_tells_values_apart_and_nothing_of_them_to_whoever_lacks_the_store() {
    let [one, other] = [Place::new(), Place::new()];
    let key = record("key");
    let marks = [&one, &other].map(|place| {
        let mut store = place.store();
        store.create(std::slice::from_ref(&key), STAMP).unwrap();
        store.change(&key.id, &rotation(0), STAMP).unwrap();
        let mut marks = Vec::new();
        store.audit(0, &mut |entry| marks.push(entry.detail.unwrap()["value"].as_str().unwrap().to_owned())).unwrap();
        marks
    });
    let [[first, second], [elsewhere, _]] = marks.each_ref().map(|marks| marks.first_chunk().unwrap());
    assert_ne!(first, second);
    assert_ne!(first, elsewhere, "the same value in another store");
    assert!(!key.value.digest.to_hex().contains(first.as_str()));
}

#[test]
fn an_account_that_is_older_than_entries_about_accounts_holds_and_so_do_its_changes() {
    let (_place, mut store) = open_to_all(1);
    let older = "INSERT INTO accounts (id, revision, name, created, changed) VALUES ('older', 0, 'older', 1, 1)";
    store.connection.execute_batch(older).unwrap();
    assert_eq!(verdict(&mut store), "1 hold");
    for (transition, told) in [(AccountTransition::Disable, "2 hold"), (AccountTransition::Enable, "3 hold")] {
        store.change_account("older", transition, STAMP).unwrap();
        assert_eq!(verdict(&mut store), told);
    }
    store.connection.execute_batch("UPDATE accounts SET disabled = 1").unwrap();
    assert_eq!(verdict(&mut store), "entry 4 is missing: the account older was changed past the log");
}

#[test]
fn a_log_that_does_not_hold_keeps_nobody_from_ending_a_key_and_never_holds_again() {
    for sql in ["UPDATE changes SET hash = NULL", "DELETE FROM changes WHERE revision > 2", "DELETE FROM changes"] {
        let (_place, mut store) = open_to_all(4);
        let id = store.list().unwrap()[3].id.clone();
        store.connection.execute_batch(sql).unwrap();
        let made = store.change(&id, &Transition::Revoke, STAMP).unwrap();
        assert_eq!(made.revision, Some(Revision(5)), "no number is given out twice");
        let said = verdict(&mut store);
        assert!(said.contains("was changed") || said.contains("is missing"), "{sql}: {said}");
    }
}

#[test]
fn the_log_of_an_older_store_is_bound_when_it_is_brought_up() {
    let place = Place::new();
    let older = write_version_1(&place.path());
    let clone = "INSERT INTO changes (at, author, action, key, detail) VALUES (3600, 'cli', 'clone', 'key_x', 'key_active'); \
        INSERT INTO keys SELECT 'key_x', 6, kind, state, level, scopes, name, NULL, 3600, 3600, NULL, NULL, NULL, NULL, NULL, \
            '', '', randomblob(32) FROM keys WHERE id = 'key_active'";
    older.execute_batch(clone).unwrap();
    drop(older);
    let mut store = place.store();
    assert_eq!(verdict(&mut store), "6 hold");
    let mut told = Vec::new();
    store.audit(4, &mut |entry| told.push(entry.to_json())).unwrap();
    assert_eq!(told.len(), 2);
    assert_eq!(
        (&told[0]["number"], &told[0]["action"], &told[0]["detail"]),
        (&5.into(), &"revoke".into(), &Value::Null)
    );
    assert_eq!(told[1]["detail"], serde_json::json!({ "of": "key_active" }));
    assert_eq!(told[1]["previous"], told[0]["hash"]);
    store.create(&[record("new")], STAMP).unwrap();
    assert_eq!(verdict(&mut store), "7 hold");
}

#[test]
fn more_entries_than_are_bound_at_once_are_all_bound() {
    let place = Place::new();
    let older = write_version_1(&place.path());
    let many = "WITH RECURSIVE n(i) AS (SELECT 6 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) \
        INSERT INTO changes (at, author, action, key) SELECT i, 'cli', 'enable', 'key_x' FROM n";
    older.execute_batch(many).unwrap();
    drop(older);
    assert_eq!(verdict(&mut place.store()), "9000 hold");
}

#[test]
fn a_program_that_has_the_store_open_since_before_it_was_bound_cannot_write_past_the_chain() {
    let place = Place::new();
    let older = write_version_1(&place.path());
    drop(place.store());
    let written =
        older.execute_batch("INSERT INTO changes (at, author, action, key) VALUES (1, 'cli', 'revoke', 'key_active')");
    assert!(written.unwrap_err().to_string().contains("use a newer scopegate"));
    assert_eq!(verdict(&mut place.store()), "5 hold");
}

#[test]
fn a_change_that_was_refused_leaves_no_entry() {
    let place = Place::new();
    let mut store = place.store();
    let key = record("key");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    let error = store.create(&[record("other"), key], STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Duplicate { .. }), "{error}");
    assert_eq!(verdict(&mut store), "1 hold");
    store.create(&[record("third")], STAMP).unwrap();
    assert_eq!(verdict(&mut Sqlite::open(&place.path(), OpenMode::Existing).unwrap()), "2 hold");
}

#[test]
fn two_pasts_that_end_in_the_same_change_are_told_apart() {
    let place = Place::new();
    let mut store = place.store();
    let key = record("key");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    let backup = Place::new();
    store.connection.execute("VACUUM INTO ?1", [backup.path().display().to_string()]).unwrap();
    for (store, name) in [(&mut store, "told"), (&mut backup.store(), "put back")] {
        store.create(&[record(name)], STAMP).unwrap();
        store.change(&key.id, &Transition::Disable, STAMP).unwrap();
    }
    let told = store.load(Revision::START, &mut |_| {}).unwrap();
    assert_eq!(store.load(told.revision, &mut |_| panic!("nothing new")).unwrap().extent, Extent::Changes);
    drop(backup.store());
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", place.path().display()));
    }
    std::fs::rename(backup.path(), place.path()).unwrap();
    assert!(store.refresh().unwrap());
    let mut names = Vec::new();
    let loaded = store.load(told.revision, &mut |change| names.push(change.record.name)).unwrap();
    assert_eq!(loaded.extent, Extent::AnotherPast);
    names.sort();
    assert_eq!(names, ["key".into(), "put back".into()]);
}
