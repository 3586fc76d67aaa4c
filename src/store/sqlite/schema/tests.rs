use serde_json::{Value, json};

use super::*;
use crate::key::digest::Hasher;
use crate::key::{KeyRecord, Timestamp};
use crate::store::sqlite::Sqlite;
use crate::store::sqlite::tests::{Place, write_version_1};
use crate::store::{KeyStore as _, Stamp};

#[test]
fn a_step_that_was_released_is_never_edited() {
    let released = [
        "7a6eb952e0852ab41b557407523ae2a3c10def6974ac02e0b295c5916438dde6",
        "00655749d464b3c721b2052b4ef37ade203524c03e3c03fb5bcd6deefc44af93",
        "f668ce0915f4f4c91528eb558642d19836c0e5d3692e4d48d0ba6a610bea8615",
        "4335a0ce1529ca836ececab41ab77e2d783e1c6fbadad2a159d722ec3c1bd292",
        "667307123cd50bb0882785c4181f942406381ed5c4f50f8e27769ec398e2da16",
        "3b4f324623fcf5ba5ea68951a66e13c9793863cb7dacb9301c258ed734d1b5c5",
    ];
    let digests = STEPS.iter().map(|step| Hasher::new(None).digest(step.sql.as_bytes()).to_hex());
    assert_eq!(digests.take(released.len()).collect::<Vec<_>>(), released);
}

/// A store as a version made it, with what every version up to it could put in.
fn write_version(version: i64, path: &Path) -> Connection {
    let mut store = write_version_1(path);
    for (of, step) in (1..).zip(STEPS).skip(1).take_while(|(of, _)| *of <= version) {
        let transaction = store.transaction().unwrap();
        transaction.execute_batch(step.sql).unwrap();
        step.then.map_or(Ok(()), |then| then(&transaction)).unwrap();
        transaction.pragma_update(None, "user_version", of).unwrap();
        fill(of, &transaction);
        transaction.commit().unwrap();
    }
    store
}

/// What came with a version.
fn fill(version: i64, store: &Transaction<'_>) {
    let run = |sql: String| store.execute_batch(&sql).unwrap();
    let secret = |id: &str, at: i64, revision: i64, rest: (&str, &str)| {
        run(format!(
            "INSERT INTO keys (id, revision, kind, state, level, scopes, name, created, changed, prefix, last_four, digest {}) \
            VALUES ('{id}', {revision}, 'secret', 'active', 'custom', '', '{id}', {at}, {at}, 'sg', 'aaaa', randomblob(32) {})",
            rest.0, rest.1
        ));
    };
    match version {
        2 => {
            for (at, until) in [(10_000, 15_000), (20_000, 90_000)] {
                let revision = enter((version, store), "rotate", Some("key_active"), (None, at));
                run(format!(
                    "INSERT INTO former_values (key, digest, prefix, last_four, created, until) \
                        SELECT id, digest, prefix, last_four, ifnull(minted, created), {until} FROM keys WHERE id = 'key_active'; \
                    UPDATE keys SET digest = randomblob(32), revision = {revision}, changed = {at}, minted = {at} \
                        WHERE id = 'key_active'"
                ));
            }
            let revision = enter((version, store), "delete", Some("key_revoked"), (None, 30_000));
            run(format!(
                "UPDATE keys SET revision = {revision}, changed = 30000, deleted = 30000, level = 'custom', scopes = '' \
                WHERE id = 'key_revoked'"
            ));
        }
        3 => {
            let revision = enter((version, store), "create", Some("key_bait"), (None, 40_000));
            secret("key_bait", 40_000, revision, (", tripwire", ", 1"));
        }
        4 => {
            let detail = json!({ "name": "key_logged", "scopes": [] });
            let revision = enter((version, store), "create", Some("key_logged"), (Some(detail), 50_000));
            secret("key_logged", 50_000, revision, ("", ""));
        }
        5 => run("INSERT INTO value_uses SELECT digest, 60000, 5, 1 FROM keys WHERE id = 'key_active'".into()),
        6 => {
            let revision = enter((version, store), "create", None, (Some(json!({ "name": "globex" })), 70_000));
            run(format!(
                "INSERT INTO accounts (id, revision, name, created, changed) VALUES ('globex', {revision}, 'globex', 70000, 70000)"
            ));
        }
        _ => {}
    }
}

/// Writes a change down as a version did.
fn enter(
    (version, store): (i64, &Transaction<'_>),
    action: &str,
    key: Option<&str>,
    (detail, at): (Option<Value>, i64),
) -> i64 {
    if version < 4 {
        let sql = "INSERT INTO changes (at, author, action, key) VALUES (?1, 'cli', ?2, ?3)";
        store.execute(sql, (at, action, key)).unwrap();
        return store.last_insert_rowid();
    }
    let account = key.is_none().then_some("globex");
    let deed = audit::Deed { action, key, account, detail: &detail.unwrap() };
    let stamp = Stamp { by: "cli", at: Timestamp::from_millis(at) };
    audit::log(store, deed, stamp).unwrap().0.cast_signed()
}

#[test]
fn a_store_of_every_version_is_brought_up_with_all_that_it_holds() {
    for version in 1..=known() {
        let place = Place::new();
        drop(write_version(version, &place.path()));
        let mut store = place.store();
        let records = store.list().unwrap();
        let mut ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
        ids.sort_unstable();
        let bait = (version >= 3).then_some("key_bait");
        let logged = (version >= 4).then_some("key_logged");
        let expected: Vec<&str> =
            ["key_active"].into_iter().chain(bait).chain(["key_disabled"]).chain(logged).collect();
        assert_eq!(ids, [expected, vec!["key_revoked"]].concat(), "{version}");
        let find = |id: &str| -> &KeyRecord { records.iter().find(|record| record.id.as_str() == id).unwrap() };
        let ends: Vec<_> =
            find("key_active").former.iter().map(|value| (value.until.unwrap().as_millis(), value.is_ended)).collect();
        let rotated = vec![(90_000, false), (15_000, true)];
        assert_eq!(ends, if version >= 2 { rotated } else { vec![] }, "{version}");
        assert_eq!(find("key_revoked").state.as_str(), if version >= 2 { "deleted" } else { "revoked" });
        assert!(version < 3 || find("key_bait").is_tripwire);
        let accounts: Vec<_> = store.accounts().unwrap().into_iter().map(|account| account.id).collect();
        let globex = (version >= 6).then(|| "globex".into());
        assert_eq!(accounts, ["acme".into()].into_iter().chain(globex).collect::<Vec<Box<str>>>(), "{version}");
        let standing = store.verify(&mut |_| {}).unwrap();
        assert_eq!((standing.unlogged, standing.lacking), (vec![], records.len()), "{version}");
    }
}

#[test]
fn a_step_that_fails_leaves_the_store_at_the_version_that_it_had() {
    let place = Place::new();
    let older = write_version(3, &place.path());
    // In the way of what the sixth step makes, behind two that are good.
    older.execute_batch("CREATE TABLE accounts_by_parent (one)").unwrap();
    let error = Sqlite::open(&place.path(), OpenMode::Create).unwrap_err().to_string();
    assert!(error.contains("cannot bring up to date") && error.contains("accounts_by_parent"), "{error}");
    let number = |sql: &str| -> i64 { older.query_row(sql, (), |row| row.get(0)).unwrap() };
    assert_eq!(number("PRAGMA user_version"), 3);
    assert_eq!(number("SELECT count(*) FROM changes WHERE hash IS NOT NULL"), 0, "no step is half taken");
    assert_eq!(number("SELECT count(*) FROM pragma_table_info('value_uses')"), 2);
    older.execute_batch("DROP TABLE accounts_by_parent").unwrap();
    assert_eq!(place.store().list().unwrap().len(), 4);
}
