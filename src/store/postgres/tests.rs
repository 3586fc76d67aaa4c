mod fleet; // What gateways say of themselves, and when they end.
mod following; // What gateways take in, and what they refuse.
mod link; // Connections that end, hang or wait, and what they cost.
mod news; // What a change costs whoever asks for it.
mod restore; // A store that is put back piece by piece.
mod trouble; // A database that is away, cut off, or full of people who may not.
mod unreadable; // Rows that cannot be read, and those that are refused before.

use super::*;
use crate::key::account;
use crate::key::lifecycle::Transition;
use crate::store::Strangers;
use crate::store::tests::{Fixture, STAMP, record, rotation};

#[path = "../../../tests/it/support/postgres.rs"]
#[expect(dead_code, unreachable_pub, reason = "it is shared with the tests of the binary")]
pub(in crate::store) mod server;

use server::{Scratch, scratch};

/// A database with one store.
pub(in crate::store) struct Place(Scratch);

impl Place {
    pub(in crate::store) fn new() -> Option<Self> {
        scratch().map(Self)
    }

    pub(in crate::store) fn store(&self) -> Postgres {
        open(&self.0.url(), OpenMode::Create).unwrap()
    }
}

impl Fixture for Place {
    fn open(&self) -> Box<dyn KeyStore> {
        Box::new(self.store())
    }

    fn put(&self, records: &[KeyRecord]) {
        self.store().add(records, Provenance::Imported(Strangers::Made), STAMP).unwrap();
    }
}

fn open(url: &str, mode: OpenMode) -> Result<Postgres, StoreError> {
    Postgres::open(&Database::parse(url).unwrap(), mode)
}

fn refusal(url: &str, mode: OpenMode) -> String {
    let said = open(url, mode).unwrap_err().to_string();
    assert!(!said.contains("h@im") && !said.contains("h%40im"), "the password is told: {said}");
    said
}

#[test]
fn a_step_that_was_released_is_never_edited() {
    let digest = crate::key::digest::Hasher::new(None).digest(include_bytes!("migrations/1.sql")).to_hex();
    assert_eq!(digest, "697d6c0c350d4d845d1ea8387a613ebf8cdc55b0949e4cb584a85c02c78f02ef");
}

#[test]
fn a_missing_store_is_made_by_nobody_who_only_wants_to_read() {
    let Some(place) = Place::new() else { return };
    let said = refusal(&place.0.url(), OpenMode::Existing);
    assert!(said.starts_with("there is no key store at postgres://owner@") && said.contains("keys create"), "{said}");
    assert!(probe(&Database::parse(&place.0.url()).unwrap()).is_ok(), "it can be made");
}

#[test]
fn many_who_make_the_same_store_at_once_all_get_it() {
    let Some(place) = Place::new() else { return };
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d", "e", "f"] {
            let place = &place;
            scope.spawn(move || place.put(&[record(name)]));
        }
    });
    assert_eq!(place.store().list().unwrap().len(), 6);
}

#[test]
fn a_store_of_another_version_is_refused_with_what_to_do() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    place.0.run("UPDATE scopegate.head SET version = 99");
    let said = refusal(&place.0.url(), OpenMode::Create);
    assert!(said.contains("made by a newer scopegate (schema 99, this program knows 1)"), "{said}");
    assert!(matches!(store.load(Revision::START, &mut |_| {}), Err(StoreError::Newer { .. })));
    assert!(matches!(store.create(&[record("new")], STAMP), Err(StoreError::Newer { .. })));
    place.0.run("ALTER TABLE scopegate.head DISABLE TRIGGER USER; UPDATE scopegate.head SET version = 0");
    assert!(refusal(&place.0.url(), OpenMode::Existing).contains("made by an older scopegate (schema 0"));
}

#[test]
fn the_database_itself_refuses_to_widen_a_key_to_revive_it_or_to_forget_a_change() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    let key = record("key");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    store.change(&key.id, &rotation(60), STAMP).unwrap();
    store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
    let new = NewAccount { id: "acme".into(), name: None, parent: None, credential: None };
    store.create_account(new, STAMP).unwrap();
    for (sql, said) in [
        ("UPDATE keys SET level = 'full', scopes = NULL", "what a key may do never changes"),
        ("UPDATE keys SET expires = 9999999999999", "what a key may do never changes"),
        ("UPDATE keys SET state = 'active'", "a revoke is final"),
        ("UPDATE changes SET author = 'nobody'", "only appended to"),
        ("DELETE FROM changes", "only appended to"),
        ("TRUNCATE changes", "only appended to"),
        ("INSERT INTO changes SELECT 9, at, author, action, key, account, detail, NULL FROM changes", "not-null"),
        ("UPDATE head SET revision = 1", "no number is given out twice"),
        ("DELETE FROM head", "a store has a head"),
        ("TRUNCATE head", "a store has a head"),
        ("DELETE FROM keys", "a key is never forgotten"),
        ("TRUNCATE keys CASCADE", "never forgotten"),
        ("UPDATE keys SET deleted = 1, state = 'active'", "a deletion is final"),
        ("UPDATE keys SET tripwire = true", "a tripwire stays one, and no other key becomes one"),
        ("UPDATE keys SET revision = 281474976710655", "a number is given out by the head"),
        ("UPDATE keys SET revision = revision - 1", "the number of a change only grows"),
        ("UPDATE head SET revision = 99", "each number that is given out is in the log"),
        (
            "INSERT INTO changes SELECT revision + 1, 0, '', 'revoke', 'nobody', NULL, NULL, sha256('') FROM head; \
            UPDATE head SET revision = revision + 1",
            "a number is given out by the head",
        ),
        (
            "UPDATE head SET revision = revision + 1; \
            INSERT INTO changes SELECT revision, 0, '', 'revoke', 'nobody', NULL, NULL, sha256('') FROM head",
            "the log tells of no key that is not there",
        ),
        ("UPDATE head SET revision = 281474976710656", "violates check constraint"),
        ("INSERT INTO changes SELECT 9, 0, '', '', NULL, NULL, NULL, sha256('')", "a number is given out by the head"),
        ("UPDATE keys SET id = 'bad id!'", "never changes"),
        ("UPDATE accounts SET revision = -1", "the number of a change only grows"),
        (
            "INSERT INTO changes SELECT revision, 0, '', '', NULL, repeat('a', 129), NULL, sha256('') FROM head",
            "violates check constraint",
        ),
        ("INSERT INTO changes SELECT -1, 0, '', '', NULL, NULL, NULL, sha256('')", "violates check constraint"),
        (
            "INSERT INTO keys (id, revision, kind, state, level, name, created, changed, prefix, last_four, digest, tripwire) \
            VALUES ('below', -1, 'secret', 'active', 'full', '', 1, 1, '', '', sha256('below'), false)",
            "violates check constraint",
        ),
        (
            "INSERT INTO keys (id, place, revision, kind, state, level, name, created, changed, prefix, last_four, digest, \
            tripwire) OVERRIDING SYSTEM VALUE \
            VALUES ('far', 9223372036854775807, 1, 'secret', 'active', 'full', '', 1, 1, '', '', sha256('far'), false)",
            "violates check constraint",
        ),
        ("DELETE FROM digests", "a value is never forgotten"),
        ("TRUNCATE digests", "a value is never forgotten"),
        ("INSERT INTO gateways VALUES ('0123456789abcdef', E'a\\nb', 1, 1, now())", "violates check constraint"),
        ("INSERT INTO gateways VALUES ('0123456789abcdef', 'a', -1, 1, now())", "violates check constraint"),
        ("INSERT INTO gateways VALUES ('0123456789abcdef', 'a', 1, 1, 'infinity')", "violates check constraint"),
        ("INSERT INTO gateways VALUES ('0123456789abcdef', 'a', 1, 1, now(), E'a\nb')", "violates check constraint"),
        ("UPDATE keys SET digest = sha256('x')", "a value gives way to a new one, and is kept"),
        ("UPDATE former_values SET until = until + 1", "the end of a value only comes nearer"),
        ("DELETE FROM former_values", "a value is never forgotten"),
        (
            "INSERT INTO former_values (key, digest, prefix, last_four, created, until) \
            SELECT id, sha256('x'), '', '', 0, 9999999999999 FROM keys",
            "a former value is one that its key had",
        ),
        ("UPDATE keys SET digest = (SELECT digest FROM former_values)", "a value gives way to a new one, and is kept"),
    ] {
        let error = place.0.try_to_run(&format!("SET search_path = scopegate; {sql}")).unwrap_err();
        assert!(error.contains(said), "{sql}: {error}");
    }
}

#[test]
fn a_value_that_ended_comes_back_by_no_transaction_that_looks_at_an_older_state() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    let key = record("key");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    let copy = "INSERT INTO scopegate.keys (id, revision, kind, state, level, scopes, name, created, changed, prefix, \
        last_four, digest, tripwire) SELECT 'other', 1, kind, state, level, scopes, name, created, changed, prefix, last_four, ";
    let error = place.0.try_to_run(&format!(
        "CREATE TABLE old AS SELECT digest FROM scopegate.keys;
        INSERT INTO scopegate.former_values (key, digest, prefix, last_four, created, until, ended)
        SELECT id, digest, prefix, last_four, created, 0, true FROM scopegate.keys;
        UPDATE scopegate.keys SET digest = sha256('junk');
        ALTER TABLE scopegate.keys DISABLE TRIGGER a_new_key_has_a_new_value;
        {copy} (SELECT digest FROM old), tripwire FROM scopegate.keys"
    ));
    assert!(error.unwrap_err().contains("digests_pkey"), "the look before the insert may see an older state");
}

#[test]
fn functions_and_operators_of_others_are_never_called_by_whoever_makes_or_changes_a_store() {
    let Some(scratch) = scratch() else { return };
    scratch.run(
        "GRANT CREATE, USAGE ON SCHEMA public TO gateway;
        SET ROLE gateway;
        CREATE TABLE public.loot (who text);
        GRANT INSERT ON public.loot TO PUBLIC;
        CREATE FUNCTION public.convert_to(text, text) RETURNS bytea LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.loot VALUES (current_user); RETURN 'x'; END $$;
        CREATE FUNCTION public.mine(numeric, integer) RETURNS numeric LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.loot VALUES (current_user); RETURN 0; END $$;
        CREATE OPERATOR public.* (leftarg = numeric, rightarg = integer, function = public.mine)",
    );
    let mut store = open(&scratch.url(), OpenMode::Create).unwrap();
    let key = record("key");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    store.confirm(Revision(1), None).unwrap();
    assert_eq!(store.gateways().unwrap().unwrap().gateways.len(), 1);
    store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
    assert_eq!(scratch.run("SELECT count(*) FROM public.loot"), "0");
}

#[test]
fn a_row_edited_by_hand_cannot_put_a_line_into_a_header() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    place.put(&[record("key")]);
    unreadable::lift_checks(&place);
    for (column, value, said) in [
        ("account", "'a' || chr(13) || 'X-Admin: yes'", "an account that cannot be"),
        ("scopes", "'a' || chr(10)", "a grant that cannot be"),
        ("networks", "'everywhere'", "networks that cannot be"),
        ("attributes", "'{}'", "attributes that cannot be"),
    ] {
        let before = place.0.run(&format!("SELECT quote_nullable({column}) FROM scopegate.keys"));
        place.0.run(&format!("UPDATE scopegate.keys SET {column} = {value}"));
        let error = store.list().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        place.0.run(&format!("UPDATE scopegate.keys SET {column} = {before}"));
    }
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn a_thousand_keys_and_one_are_added_together_or_not_at_all() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    let mut many: Vec<_> = (0..=change::BATCH).map(|number| record(&number.to_string())).collect();
    let revision = store.create(&many, STAMP).unwrap();
    assert_eq!(revision, Revision(1001));
    many.iter_mut().take(change::BATCH).for_each(|key| *key = record("again"));
    let error = store.create(&many, STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Duplicate { .. }), "{error}");
    assert_eq!(store.list().unwrap().len(), 1001);
    assert_eq!(place.0.run("SELECT revision FROM scopegate.head"), "1001");
}

#[test]
fn the_accounts_of_many_keys_are_made_together() {
    let Some(place) = Place::new() else { return };
    drop(place.store());
    let of = |account: String| KeyRecord { account: Some(account.into()), ..record("key") };
    place.put(&(0..=change::BATCH).map(|number| of(format!("account-{number}"))).collect::<Vec<_>>());
    assert_eq!(place.0.run("SELECT count(*) FROM scopegate.accounts WHERE id = name AND parent IS NULL"), "1001");
    assert_eq!(place.0.run("SELECT revision FROM scopegate.head"), "2002");
    let changes = || place.0.run("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'head'");
    let mut count = 0;
    server::until("the server tells how often the head was changed", || {
        count = changes().parse().unwrap();
        count >= 4
    });
    assert!(count < 10, "{count} versions of the head");
    let mut store = place.store();
    for accounts in [["Account-7", "new"], ["twin", "TWIN"]] {
        let keys = accounts.map(|account| of(account.to_owned()));
        let error = store.add(&keys, Provenance::Imported(Strangers::Made), STAMP).unwrap_err();
        assert!(matches!(error, StoreError::Account(account::AccountError::Alike { .. })), "{error}");
    }
    assert_eq!(place.0.run("SELECT revision FROM scopegate.head"), "2002");
}
