use proptest::prelude::*;

use super::*;
use crate::key::lifecycle::{self, NewKey, Transition};
use crate::key::{GrantSpec, KeyId, SiteId};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn new(id: &str, parent: Option<&str>) -> NewAccount {
    NewAccount { id: id.into(), name: None, parent: parent.map(Into::into), credential: None }
}

fn account(id: &str) -> AccountRecord {
    create(new(id, None), None, at(100)).unwrap()
}

fn child(id: &str, parent: &AccountRecord) -> AccountRecord {
    create(new(id, Some(&parent.id)), Some(parent), at(100)).unwrap()
}

fn after(record: &AccountRecord, transition: AccountTransition) -> AccountRecord {
    transition.apply(record.clone(), Holdings::default(), at(200)).unwrap()
}

#[test]
fn an_account_is_called_by_its_id_where_nothing_else_is_said() {
    let acme = account("acme");
    assert_eq!((&*acme.name, acme.state, acme.created), ("acme", AccountState::Active, at(100)));
    let named = create(NewAccount { name: Some("Acme, Inc.".into()), ..new("a", None) }, None, at(1)).unwrap();
    assert_eq!(&*named.name, "Acme, Inc.");
}

#[test]
fn accounts_nest_one_level() {
    let acme = account("acme");
    let shop = child("shop", &acme);
    assert_eq!(shop.parent.as_deref(), Some("acme"));
    let error = create(new("till", Some("shop")), Some(&shop), at(1)).unwrap_err().to_string();
    assert_eq!(error, "till cannot be a sub-account of shop, which is one itself: accounts nest one level");
    let error = create(new("a", Some("a")), None, at(1)).unwrap_err().to_string();
    assert!(error.contains("accounts nest one level"), "{error}");
    let gone = after(&acme, AccountTransition::Delete);
    let error = create(new("late", Some("acme")), Some(&gone), at(300)).unwrap_err().to_string();
    assert!(error.starts_with("the account acme was deleted at 1970-01-01T00:00:00.2Z, and that is final"), "{error}");
}

#[test]
fn what_cannot_be_an_account_is_refused_with_what_is_wrong() {
    for (new, expected) in [
        (new("", None), "`` cannot be the id of an account"),
        (new("a b", None), "`a b` cannot be the id of an account"),
        (new("a\u{1b}[2J", None), "`a\\u{1b}[2J` cannot be the id of an account"),
        (NewAccount { name: Some(" ".into()), ..new("a", None) }, "the name of an account \" \" cannot be"),
        (NewAccount { name: Some("x\u{202e}".into()), ..new("a", None) }, "the name of an account \"x\\u{202e}\""),
        (NewAccount { credential: Some("".into()), ..new("a", None) }, "the name of an upstream credential \"\""),
    ] {
        let error = create(new, None, at(1)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn an_account_with_keys_or_sub_accounts_is_not_deleted_and_says_what_is_in_the_way() {
    let delete = |holds| AccountTransition::Delete.apply(account("acme"), holds, at(200));
    for (keys, children, said) in [
        (1, 0, "1 key that has not ended;"),
        (0, 2, "2 sub-accounts;"),
        (3, 1, "3 keys that have not ended and 1 sub-account;"),
    ] {
        let error = delete(Holdings { keys, children }).unwrap_err().to_string();
        assert!(error.starts_with("the account acme cannot be deleted: it has ") && error.contains(said), "{error}");
    }
    let gone = delete(Holdings::default()).unwrap();
    assert_eq!((gone.state, gone.changed), (AccountState::Deleted, at(200)));
    for transition in [AccountTransition::Enable, AccountTransition::Disable] {
        assert!(transition.apply(gone.clone(), Holdings::default(), at(300)).is_err());
    }
    assert_eq!(after(&gone, AccountTransition::Delete), gone);
}

#[test]
fn a_transition_to_the_same_state_keeps_its_date() {
    let off = after(&account("acme"), AccountTransition::Disable);
    assert_eq!(AccountTransition::Disable.apply(off.clone(), Holdings::default(), at(300)).unwrap(), off);
    assert_eq!(after(&account("acme"), AccountTransition::Enable), account("acme"));
}

#[test]
fn a_sub_account_has_the_credential_of_its_parent_unless_it_has_one() {
    let credential = |name: &str| Some(Box::from(name));
    let acme = AccountRecord { credential: credential("real"), ..account("acme") };
    let shop = child("shop", &acme);
    let own = AccountRecord { credential: credential("own"), ..child("own", &acme) };
    let of = |account, parent| Affiliation::of(account, parent, std::iter::empty()).credential;
    assert_eq!(of(&acme, None), credential("real"));
    assert_eq!(of(&shop, Some(&acme)), credential("real"));
    assert_eq!(of(&own, Some(&acme)), credential("own"));
    assert_eq!(of(&account("bare"), None), None);
}

#[test]
fn deleted_sub_accounts_are_none() {
    let acme = account("acme");
    let (shop, gone) = (child("shop", &acme), after(&child("gone", &acme), AccountTransition::Delete));
    let off = after(&child("off", &acme), AccountTransition::Disable);
    let affiliation = Affiliation::of(&acme, None, [&shop, &gone, &off].into_iter());
    assert_eq!(&*affiliation.children, ["off".into(), "shop".into()]);
    assert!(!affiliation.is_suspended && !affiliation.is_plain());
    assert!(Affiliation::of(&shop, None, std::iter::empty()).is_suspended, "its parent is not there");
    assert!(Affiliation::of_none().is_suspended);
}

/// A step in the life of a key, of its account, or of the account above.
#[derive(Clone, Debug)]
enum Step {
    Above(AccountTransition),
    Its(AccountTransition),
    Key(Transition),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let account =
        prop_oneof![Just(AccountTransition::Delete), Just(AccountTransition::Disable), Just(AccountTransition::Enable)];
    let key = prop_oneof![
        Just(Transition::Disable),
        Just(Transition::Enable),
        Just(Transition::Revoke),
        Just(Transition::Delete)
    ];
    let step = prop_oneof![account.clone().prop_map(Step::Above), account.prop_map(Step::Its), key.prop_map(Step::Key)];
    proptest::collection::vec(step, 0..24)
}

proptest! {
    #[test]
    fn nothing_that_happens_to_accounts_widens_a_grant_or_brings_back_a_key(steps in steps()) {
        let mut above = account("acme");
        let mut its = child("shop", &above);
        let asked = NewKey { account: Some("shop".into()), ..NewKey::new("key", GrantSpec::custom(["a:read"])) };
        let imprint = SiteId::parse(b"Ab12Cd").unwrap().imprint();
        let mut key = lifecycle::create(asked, KeyId::parse("key_1").unwrap(), imprint, at(100)).unwrap();
        let mut is_ended = false;
        for (step, moment) in steps.into_iter().zip(200..) {
            let before = key.clone();
            let holds = Holdings { keys: usize::from(Holdings::counts(&key, at(moment))), children: 0 };
            let is_below = its.state != AccountState::Deleted;
            match step {
                Step::Above(step) => {
                    let holds = Holdings { keys: 0, children: usize::from(is_below) };
                    above = step.apply(above.clone(), holds, at(moment)).unwrap_or(above);
                }
                Step::Its(step) => its = step.apply(its.clone(), holds, at(moment)).unwrap_or(its),
                Step::Key(step) => {
                    key = step.apply(key.clone(), at(moment)).unwrap_or(key);
                    prop_assert!(key.grant == before.grant || key.state == KeyState::Deleted);
                    is_ended |= matches!(key.state, KeyState::Revoked | KeyState::Deleted);
                    continue;
                }
            }
            prop_assert_eq!(&key, &before, "what happens to accounts leaves keys as they are");
            let affiliation = Affiliation::of(&its, Some(&above), std::iter::empty());
            let works = key.state == KeyState::Active && !affiliation.is_suspended;
            prop_assert!(!(works && is_ended));
            let all_are_on = above.state == AccountState::Active && its.state == AccountState::Active;
            prop_assert_eq!(works, key.state == KeyState::Active && all_are_on);
            prop_assert!(its.state != AccountState::Deleted || is_ended, "no account goes under a key that may work");
        }
    }
}

#[test]
fn a_new_account_has_an_id_that_means_nothing_else_in_a_path() {
    let named = |id: &str| create(new(id, None), None, at(100));
    for good in ["acme", "Acme-EU_1.test", "_x", "9", "a@example.com", "a:b+c~d", &"a".repeat(128)] {
        assert!(named(good).is_ok(), "{good}");
    }
    for bad in
        ["", ".", "..", "../x", "a/b", "a%2Fb", "a\\b", "-x", "a b", "a;b", "a?b", "a#b", "a\u{e9}", &"a".repeat(129)]
    {
        let error = named(bad).unwrap_err().to_string();
        assert!(error.contains("cannot be the id of an account"), "{error}");
    }
    let key = crate::key::secret::Secret::mint("sg").unwrap();
    let key = std::str::from_utf8(key.expose()).unwrap();
    assert_eq!(named(key).unwrap_err(), AccountError::Key);
    let credential = NewAccount { credential: Some(key.into()), ..new("a", None) };
    assert_eq!(create(credential, None, at(100)).unwrap_err(), AccountError::Key);
}
