use super::following::{Followed, follow};
use super::*;
use crate::key::account::NewAccount;
use crate::key::{KeyState, Timestamp};
use crate::policy::{Caller, Invalid};

/// Lets anything be written into rows of keys and accounts, as an owner may do.
pub(super) fn lift_checks(place: &Place) {
    place.0.run(
        "DO $$ DECLARE command text; BEGIN
            FOR command IN SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
                FROM pg_constraint WHERE contype = 'c'
                AND conrelid IN ('scopegate.keys'::regclass, 'scopegate.accounts'::regclass)
            LOOP EXECUTE command; END LOOP;
        END $$;
        ALTER TABLE scopegate.keys DISABLE TRIGGER USER; ALTER TABLE scopegate.accounts DISABLE TRIGGER USER",
    );
}

/// Changes a row as somebody does who may write it, with a number and an entry in the log.
fn change(place: &Place, table: &str, (id, set): (&str, &str)) {
    let column = if table == "keys" { "key" } else { "account" };
    place.0.run(&format!(
        "BEGIN; UPDATE scopegate.head SET revision = revision + 1;
        INSERT INTO scopegate.changes (revision, at, author, action, {column}, hash)
        SELECT revision, 0, '', 'revoke', '{id}', sha256(revision::text::bytea) FROM scopegate.head;
        UPDATE scopegate.{table} SET {set}, revision = (SELECT revision FROM scopegate.head) WHERE id = '{id}'; COMMIT"
    ));
}

fn is_let_in(followed: &Followed, key: &KeyRecord) -> Result<(), Invalid> {
    let now = Timestamp::now();
    followed.index.look_up(&key.value.digest, |entry| match entry.unwrap().caller(now, None) {
        Caller::Known(_) => Ok(()),
        Caller::Invalid(why) => Err(why),
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_key_that_cannot_be_read_is_closed_and_those_of_others_are_followed() {
    let Some(place) = Place::new() else { return };
    let keys @ [bad, late, other] = &["bad", "late", "other"].map(record);
    place.put(keys);
    place.store().change(&late.id, &rotation(3600), STAMP).unwrap();
    lift_checks(&place);
    change(&place, "keys", (bad.id.as_str(), "networks = 'everywhere'"));
    let followed = follow(place.store());
    let closed = |key: &KeyRecord, what: &str| format!("Closed(\"key \\\"{}\\\" has {what} that cannot be\")", key.id);
    assert_eq!(followed.next(), closed(bad, "networks"), "at the start");
    assert_eq!(
        keys.each_ref().map(|key| followed.state(key)),
        [Some(KeyState::Revoked), Some(KeyState::Active), Some(KeyState::Active)]
    );
    change(&place, "keys", (late.id.as_str(), "attributes = '{}'"));
    let said = [followed.next(), followed.next()];
    assert_eq!(said[0], closed(late, "attributes"), "by a change, and the first one is not told again");
    assert!(said[1].starts_with("1 to "), "{said:?}");
    assert_eq!(followed.state(late), Some(KeyState::Revoked), "the value that it had before, too");
    place.store().change(&other.id, &Transition::Revoke, STAMP).unwrap();
    assert!(followed.next().starts_with("1 to "));
    assert_eq!(followed.state(other), Some(KeyState::Revoked));
    assert!(followed.follower.status().is_up());
}

#[test]
fn an_account_that_cannot_be_read_closes_its_keys_and_those_below_it_alone() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    for (id, parent) in [("acme", None), ("below", Some("acme")), ("other", None)] {
        let new = NewAccount { id: id.into(), name: None, parent: parent.map(Into::into), credential: None };
        store.create_account(new, STAMP).unwrap();
    }
    let keys = ["acme", "below", "other"].map(|account| KeyRecord { account: Some(account.into()), ..record(account) });
    place.put(&keys);
    lift_checks(&place);
    let followed = follow(place.store());
    let let_in = || keys.each_ref().map(|key| is_let_in(&followed, key));
    assert_eq!(let_in(), [Ok(()); 3]);
    // A number from below is what makes it unreadable: the one of its change is not given to it.
    change(&place, "accounts", ("acme", "name = 'Acme'"));
    assert!(followed.next().starts_with("2 to "));
    place.0.run("UPDATE scopegate.accounts SET revision = -1 WHERE id = 'acme'");
    change(&place, "accounts", ("below", "name = 'Below'"));
    let said = followed.next();
    assert_eq!(said, "Closed(\"the account acme has a number of a change that cannot be\")");
    assert!(followed.next().contains(" to "));
    let closed = Err(Invalid::AccountDisabled);
    assert_eq!(let_in()[1..], [closed, Ok(())]);
    let anew = follow(place.store());
    assert_eq!(keys.each_ref().map(|key| is_let_in(&anew, key)), [closed, closed, Ok(())]);
    assert!(anew.next().starts_with("Closed("));
}

#[test]
fn what_no_gateway_could_read_is_refused_where_it_is_written() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    let full = KeyRecord {
        attributes: vec![("a".into(), "\u{e9}\"b".into()), ("a".into(), "c".into())],
        allow_from: ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"].map(|network| network.parse().unwrap()).to_vec(),
        note: Some("\u{e9}".into()),
        ..record("key")
    };
    store.create(&[full], STAMP).unwrap();
    let columns = [
        ("id", "'new'"),
        ("kind", "'secret'"),
        ("state", "'active'"),
        ("level", "'custom'"),
        ("scopes", "'a:read b'"),
        ("name", "'n'"),
        ("account", "NULL"),
        ("attributes", "NULL"),
        ("networks", "NULL"),
        ("note", "NULL"),
        ("deleted", "NULL"),
        ("site", "NULL"),
    ];
    let insert = |column: &str, value: &str| {
        let names = columns.map(|(name, _)| name).join(", ");
        let values = columns.map(|(name, usual)| if name == column { value } else { usual }).join(", ");
        place.0.try_to_run(&format!(
            "BEGIN; INSERT INTO scopegate.keys (revision, created, changed, prefix, last_four, digest, tripwire, {names}) \
            VALUES (1, 1, 1, '', '', sha256('new'), false, {values}); ROLLBACK"
        ))
    };
    insert("note", "'fine'").unwrap();
    for (column, value) in [
        ("id", "'a b'"),
        ("scopes", "E'a\\nb'"),
        ("scopes", "'a,b'"),
        ("scopes", "'*'"),
        ("scopes", "E'a\\\\b'"),
        ("scopes", "'\u{e9}'"),
        ("name", "E'a\\rb'"),
        ("name", "repeat('a', 1025)"),
        ("scopes", "repeat('a', 1048577)"),
        ("attributes", "'[[\"a\", \"' || repeat('a', 1048577) || '\"]]'"),
        ("networks", "repeat('10.0.0.1 ', 200000) || '10.0.0.1'"),
        ("account", "'a b'"),
        ("attributes", "'{}'"),
        ("attributes", "'[[\"a\"]]'"),
        ("attributes", "'[[\"a\", 1]]'"),
        ("attributes", "'[{\"a\": \"b\"}]'"),
        ("attributes", "'nothing'"),
        ("networks", "'everywhere'"),
        ("networks", "'10.0.0.0/8  ::/0'"),
        ("note", "E'a\\nb'"),
        ("deleted", "1"),
        ("site", "'Abc123'"),
    ] {
        insert(column, value).expect_err(&format!("{column} = {value}"));
    }
    let public = |site: &str| {
        place.0.try_to_run(&format!(
            "BEGIN; INSERT INTO scopegate.keys (revision, created, changed, prefix, last_four, digest, tripwire, id, kind, state, \
            level, scopes, name, site) VALUES (1, 1, 1, '', '', sha256('new'), false, 'new', 'public', 'active', 'custom', '', \
            'n', '{site}'); ROLLBACK"
        ))
    };
    public("Abc123").unwrap();
    public("Abc12").unwrap_err();
    public("Abc 123").unwrap_err();
    for (id, name, credential) in
        [("a b", "a", "c"), ("", "a", "c"), ("a", "a\nb", "c"), ("a", "a", ""), ("a", "a", "\r")]
    {
        let sql = format!(
            "INSERT INTO scopegate.accounts (id, revision, name, credential, created, changed) \
            VALUES ('{id}', 1, '{name}', '{credential}', 1, 1)"
        );
        let said = place.0.try_to_run(&sql).unwrap_err();
        assert!(said.contains("violates check constraint"), "{said}");
    }
}
