//! What every store must do about accounts.

use std::collections::BTreeMap;

use super::*;
use crate::key::account::AccountState;
use crate::key::{KeyKind, SiteId};

fn account(id: &str, parent: Option<&str>) -> NewAccount {
    NewAccount { id: id.into(), name: None, parent: parent.map(Into::into), credential: None }
}

fn of_account(name: &str, account: &str) -> KeyRecord {
    record_of(NewKey { account: Some(account.into()), ..NewKey::new(name, GrantSpec::custom(["lists:read"])) })
}

fn site_of(account: &str) -> KeyRecord {
    let new =
        NewKey { kind: KeyKind::Public, account: Some(account.into()), ..NewKey::new("site id", GrantSpec::nothing()) };
    let imprint = SiteId::mint().unwrap().imprint();
    lifecycle::create(new, KeyId::mint(KeyKind::Public).unwrap(), imprint, STAMP.at).unwrap()
}

pub(in crate::store) fn keys_name_accounts_that_are_there(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    store.create_account(account("acme", None), STAMP).unwrap();
    let fine = of_account("fine", "acme");
    let error = store.create(&[fine.clone(), of_account("lost", "acne")], STAMP).unwrap_err().to_string();
    assert!(
        error.starts_with("there is no account `acne`; did you mean `acme`?: `scopegate accounts create`"),
        "{error}"
    );
    assert_eq!(store.list().unwrap(), [], "all or none");
    store.add(&[fine, of_account("new", "other")], Provenance::Imported(Strangers::Made), STAMP).unwrap();
    let ids: Vec<_> = store.accounts().unwrap().into_iter().map(|account| account.id).collect();
    assert_eq!(ids, ["acme".into(), "other".into()]);
    let error = store.create_account(account("acme", None), STAMP).unwrap_err().to_string();
    assert!(error.starts_with("there is an account acme already"), "{error}");
    assert!(store.create_account(account("x", Some("nobody")), STAMP).is_err());
}

pub(in crate::store) fn an_account_that_changes_tells_its_keys_and_those_below_and_above(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    store.create_account(account("acme", None), STAMP).unwrap();
    store.create_account(account("shop", Some("acme")), STAMP).unwrap();
    let keys = [of_account("above", "acme"), of_account("below", "shop"), record("beside")];
    store.create(&keys, STAMP).unwrap();
    let named = |told: &[Change]| {
        let mut told: Vec<_> = told
            .iter()
            .map(|change| {
                let account = change.account.as_deref().cloned().unwrap_or_default();
                (change.record.name.to_string(), account.is_suspended, account.children.len())
            })
            .collect();
        told.sort();
        told
    };
    let say = |name: &str, is_suspended: bool, children: usize| (name.to_owned(), is_suspended, children);
    let (mut loaded, told) = load(store.as_mut(), Revision::START);
    assert_eq!(named(&told), [say("above", false, 1), say("below", false, 0), say("beside", false, 0)]);
    let mut seen: BTreeMap<_, _> = told.into_iter().map(|change| (change.record.id.clone(), change)).collect();
    for (id, transition, above, below) in [
        ("acme", AccountTransition::Disable, true, true),
        ("shop", AccountTransition::Disable, true, true),
        ("acme", AccountTransition::Enable, false, true),
        ("shop", AccountTransition::Enable, false, false),
    ] {
        let outcome = store.change_account(id, transition, STAMP).unwrap();
        let (now, told) = load(store.as_mut(), loaded.revision);
        // Keys of the one above have nothing of a sub-account but its name: they need not be told.
        assert!(told.iter().all(|change| &*change.record.name != "beside"));
        assert_eq!(outcome.revision, Some(now.revision));
        assert!(told.iter().all(|change| change.revision == now.revision), "newer than what was told before");
        // What is told anew is told as it was told of the change.
        let anew = load(fixture.open().as_mut(), Revision::START).1;
        assert!(told.iter().all(|change| anew.contains(change)));
        seen.extend(told.into_iter().map(|change| (change.record.id.clone(), change)));
        let seen: Vec<_> = seen.values().cloned().collect();
        assert_eq!(named(&seen), [say("above", above, 1), say("below", below, 0), say("beside", false, 0)]);
        loaded = now;
    }
    store.change(&keys[0].id, &rotation(60), STAMP).unwrap();
    loaded = load(store.as_mut(), loaded.revision).0;
    store.create_account(account("till", Some("acme")), STAMP).unwrap();
    let (now, told) = load(store.as_mut(), loaded.revision);
    assert_eq!(named(&told), [say("above", false, 2)]);
    assert_eq!(told[0].record.former.len(), 1, "with every value that it ever had");
    loaded = now;
    let outcome = store.change_account("acme", AccountTransition::Enable, STAMP).unwrap();
    assert_eq!(outcome.revision, None);
    assert_eq!(load(store.as_mut(), loaded.revision).1, []);
}

pub(in crate::store) fn an_account_is_never_deleted_under_its_keys(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    store.create_account(account("acme", None), STAMP).unwrap();
    store.create_account(account("shop", Some("acme")), STAMP).unwrap();
    let key = of_account("key", "shop");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    let delete = |store: &mut dyn KeyStore, id: &str| store.change_account(id, AccountTransition::Delete, STAMP);
    for (id, said) in [("acme", "it has 1 sub-account;"), ("shop", "it has 1 key that has not ended;")] {
        let error = delete(store.as_mut(), id).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
    delete(store.as_mut(), "shop").unwrap();
    delete(store.as_mut(), "acme").unwrap();
    assert!(store.accounts().unwrap().iter().all(|account| account.state == AccountState::Deleted));
    let error = store.create(&[of_account("late", "shop")], STAMP).unwrap_err().to_string();
    assert!(error.starts_with("there is no account `shop`"), "{error}");
    let error = store.create_account(account("shop", None), STAMP).unwrap_err().to_string();
    assert!(error.contains("was deleted at"), "{error}");
}

pub(in crate::store) fn an_account_has_one_public_key_that_can_work(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    for id in ["acme", "other"] {
        store.create_account(account(id, None), STAMP).unwrap();
    }
    let first = site_of("acme");
    store.create(&[first.clone(), site_of("other")], STAMP).unwrap();
    assert_eq!(store.find(&first.id).unwrap(), Some(first.clone()), "with its value");
    let refused = |store: &mut dyn KeyStore| store.create(&[site_of("acme")], STAMP).unwrap_err().to_string();
    let said = format!("the account acme has a public key already, {}: ", first.id);
    assert!(refused(store.as_mut()).starts_with(&said), "{}", refused(store.as_mut()));
    store.change(&first.id, &Transition::Disable, STAMP).unwrap();
    assert!(refused(store.as_mut()).starts_with(&said), "one that is disabled can be enabled");
    store.change(&first.id, &Transition::Revoke, STAMP).unwrap();
    store.create(&[site_of("acme")], STAMP).unwrap();
    let error = store.change(&first.id, &rotation(0), STAMP).unwrap_err().to_string();
    assert!(error.contains("cannot be rotated"), "{error}");
}

/// Every entry, where the log holds and the accounts are what it says of them.
fn log_that_holds(store: &mut dyn KeyStore) -> Vec<audit::Entry> {
    let (mut chain, mut entries) = (audit::Chain::whole(None), Vec::new());
    let standing = store.verify(&mut |entry| entries.push(entry)).unwrap();
    entries.iter().for_each(|entry| chain.follow(&entry.to_json()).unwrap());
    chain.finish(Some(&standing)).unwrap();
    entries
}

pub(in crate::store) fn what_becomes_of_accounts_is_written_down_and_holds(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let new = NewAccount { credential: Some("real".into()), name: Some("Acme".into()), ..account("acme", None) };
    store.create_account(new, STAMP).unwrap();
    store.create_account(account("shop", Some("acme")), STAMP).unwrap();
    let later = Stamp { at: Timestamp::from_millis(STAMP.at.as_millis() + 1), by: "cli:alice" };
    store.change_account("acme", AccountTransition::Disable, later).unwrap();
    store.change_account("acme", AccountTransition::Enable, later).unwrap();
    store.change_account("acme", AccountTransition::Enable, later).unwrap();
    store.change_account("shop", AccountTransition::Delete, later).unwrap();
    let told: Vec<_> = log_that_holds(fixture.open().as_mut())
        .into_iter()
        .map(|entry| (entry.action, entry.account.unwrap(), entry.by, entry.detail.unwrap().to_string()))
        .collect();
    let say = |action: &str, id: &str, by: &str, detail: &str| (action.into(), id.into(), by.into(), detail.to_owned());
    assert_eq!(
        told,
        [
            say("create", "acme", "test", r#"{"credential":"real","name":"Acme"}"#),
            say("create", "shop", "test", r#"{"name":"shop","parent":"acme"}"#),
            say("disable", "acme", "cli:alice", r#"{"name":"Acme"}"#),
            say("enable", "acme", "cli:alice", r#"{"name":"Acme"}"#),
            say("delete", "shop", "cli:alice", r#"{"name":"shop"}"#),
        ]
    );
}

pub(in crate::store) fn keys_that_are_imported_are_told_apart_from_those_that_were_made(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    store.create(&[record("made")], STAMP).unwrap();
    let keys = [of_account("first", "new"), of_account("second", "new")];
    store.add(&keys, Provenance::Imported(Strangers::Made), STAMP).unwrap();
    let told: Vec<_> =
        log_that_holds(store.as_mut()).into_iter().map(|entry| (entry.action, entry.key.is_some())).collect();
    let say = |action: &str, is_of_key| (action.into(), is_of_key);
    assert_eq!(told, [say("create", true), say("create", false), say("import", true), say("import", true)]);
}
