use std::net::IpAddr;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use super::*;
use crate::key::account::Affiliation;
use crate::key::digest::{Digest, Hasher};
use crate::key::lifecycle::{Imprint, Replacement, Transition};
use crate::key::secret::Secret;
use crate::key::{GrantSpec, KeyKind, KeyRecord, KeyState, KeyValue, Timestamp};
use crate::policy::scope::Grant;
use crate::policy::{Caller, Invalid};
use crate::store::sqlite::tests::Place;
use crate::store::tests::{Fixture as _, STAMP, record};

fn index() -> Index {
    Index::new(Vocabulary::default())
}

fn put(index: &Index, revision: u64, record: &KeyRecord) {
    index.apply(&Change::of(Revision(revision), record.clone()));
}

fn state(index: &Index, record: &KeyRecord) -> Option<KeyState> {
    index.look_up(&record.value.digest, |entry| entry.map(|entry| entry.state()))
}

fn after(record: &KeyRecord, transition: &Transition) -> KeyRecord {
    transition.apply(record.clone(), STAMP.at).unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A rotation to a new value, with an overlap of so many milliseconds.
fn rotation(overlap: u64) -> Transition {
    let imprint = Imprint::of(&Secret::mint("sg").unwrap(), "sg", &Hasher::new(None));
    Transition::Rotate(Replacement { imprint, overlap: Duration::from_millis(overlap) })
}

/// What the caller is, in a word.
fn verdict(record: &KeyRecord, now: i64, from: Option<&str>) -> String {
    let index = index();
    put(&index, 1, record);
    let from = from.map(|from| from.parse::<IpAddr>().unwrap());
    let id = |entry: Option<&Entry>| entry.unwrap().id().as_str().to_owned();
    index.look_up(&record.value.digest, |entry| match entry.unwrap().caller(at(now), from) {
        Caller::Invalid(invalid) => format!("{invalid:?}"),
        Caller::Expired(_) => "Expired".into(),
        Caller::Misplaced(_) => "Misplaced".into(),
        Caller::Known(_) => id(entry),
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_key_is_found_by_its_digest_and_no_other_is() {
    let (index, [known, unknown]) = (index(), [record("known"), record("unknown")]);
    put(&index, 1, &known);
    assert_eq!(state(&index, &known), Some(KeyState::Active));
    assert_eq!(state(&index, &unknown), None);
    assert_eq!((index.len(), index.is_empty()), (1, false));
}

/// Whoever imports keys chooses their digests; tables that took so many for equal have grown until all memory was gone.
#[test]
fn thousands_of_digests_that_begin_or_end_alike_come_in_as_any_others_do() {
    let (index, template) = (index(), record("key"));
    let mut digests = Vec::new();
    for alike in [8, 16, 24] {
        for number in 0..4000_u64 {
            let random = Hasher::new(None).digest(&number.to_le_bytes());
            for place in [0, Digest::LENGTH - alike] {
                let mut bytes = *random.as_bytes();
                bytes[place..place + alike].fill(0xaa);
                digests.push(Digest::from_bytes(bytes));
            }
        }
    }
    for digest in &digests {
        put(
            &index,
            1,
            &KeyRecord { value: KeyValue { digest: *digest, ..template.value.clone() }, ..template.clone() },
        );
    }
    assert_eq!(index.len(), digests.len());
    assert!(digests.iter().all(|digest| index.look_up(digest, |entry| entry.is_some())));
}

#[test]
fn the_first_reason_to_refuse_a_key_wins() {
    let bounded = KeyRecord {
        not_before: Some(at(10)),
        expires: Some(at(20)),
        allow_from: vec!["10.0.0.0/8".parse().unwrap()],
        ..record("bounded")
    };
    let id = bounded.id.to_string();
    let [disabled, revoked, deleted] =
        [Transition::Disable, Transition::Revoke, Transition::Delete].map(|transition| after(&bounded, &transition));
    let here = Some("10.1.2.3");
    assert_eq!(verdict(&deleted, 5, None), "Deleted");
    assert_eq!(verdict(&revoked, 5, None), "Revoked");
    assert_eq!(verdict(&disabled, 5, None), "Disabled");
    assert_eq!(verdict(&bounded, 9, None), "NotYetValid");
    assert_eq!(verdict(&bounded, 20, None), "Expired");
    assert_eq!(verdict(&bounded, 19, Some("192.0.2.1")), "Misplaced");
    assert_eq!(verdict(&bounded, 19, here), id);
    assert_eq!(verdict(&bounded, 10, here), id);
}

#[test]
fn the_age_of_a_key_is_that_of_the_value_it_has_now_and_told_while_it_works() {
    let index = index();
    let now = STAMP.at.after(Duration::from_secs(60));
    let ages = || {
        let mut told = Vec::new();
        index.tell_ages(now, &mut |kind, minted| told.push((kind, minted)));
        told
    };
    let key = record("key");
    put(&index, 1, &key);
    assert_eq!(ages(), [(KeyKind::Secret, STAMP.at)]);
    let Transition::Rotate(replacement) = rotation(3_600_000) else { panic!("a rotation") };
    let later = STAMP.at.after(Duration::from_millis(1_500));
    let rotated = Transition::Rotate(replacement).apply(key, later).unwrap();
    put(&index, 2, &rotated);
    assert_eq!(
        ages(),
        [(KeyKind::Secret, STAMP.at.after(Duration::from_secs(2)))],
        "to the second, and never too early"
    );
    put(&index, 3, &after(&rotated, &Transition::Disable));
    let ending = KeyRecord { expires: Some(now), ..record("ending") };
    put(&index, 4, &ending);
    assert_eq!(ages(), []);
}

#[test]
fn an_address_is_the_same_in_either_notation_and_none_is_nowhere() {
    let bound = KeyRecord { allow_from: vec!["10.0.0.0/8".parse().unwrap()], ..record("bound") };
    assert_eq!(verdict(&bound, 0, Some("::ffff:10.1.2.3")), bound.id.to_string());
    assert_eq!(verdict(&bound, 0, Some("::1")), "Misplaced");
    assert_eq!(verdict(&bound, 0, None), "Misplaced");
    let free = record("free");
    assert_eq!(verdict(&free, 0, None), free.id.to_string());
}

#[test]
fn a_pair_comes_with_its_id_and_every_other_key_alone() {
    let index = index();
    let [pair, other] = ["pair", "other"].map(|name| KeyRecord { kind: KeyKind::Pair, ..record(name) });
    let secret = record("secret");
    for key in [&pair, &other, &secret] {
        put(&index, 1, key);
    }
    let named = |record: &KeyRecord, id: Option<&str>| {
        index.look_up(&record.value.digest, |entry| entry.unwrap().is_named(id.map(str::as_bytes)))
    };
    assert!(named(&pair, Some(pair.id.as_str())) && named(&secret, None));
    for id in [
        None,
        Some(""),
        Some(other.id.as_str()),
        pair.id.as_str().strip_prefix(|_: char| true),
        Some(&pair.id.as_str().to_uppercase()),
    ] {
        assert!(!named(&pair, id), "{id:?}");
    }
    assert!(!named(&secret, Some(secret.id.as_str())));
}

#[test]
fn the_upstream_is_told_who_calls() {
    let told = |record: &KeyRecord| {
        let index = index();
        put(&index, 1, record);
        let mut lines = Vec::new();
        index.look_up(&record.value.digest, |entry| entry.unwrap().write_identity(&mut lines));
        String::from_utf8(lines).unwrap()
    };
    let key = KeyRecord { account: Some("acme".into()), ..record("key") };
    let expected = format!(
        "X-ScopeGate-Key-Id: {}\r\nX-ScopeGate-Account: acme\r\nX-ScopeGate-Scopes: lists:read profiles:read\r\n",
        key.id
    );
    assert_eq!(told(&key), expected);
    let full = KeyRecord { grant: GrantSpec::Full, ..record("full") };
    assert_eq!(told(&full), format!("X-ScopeGate-Key-Id: {}\r\nX-ScopeGate-Scopes: *\r\n", full.id));
    let none = KeyRecord { grant: GrantSpec::nothing(), ..record("none") };
    assert_eq!(told(&none), format!("X-ScopeGate-Key-Id: {}\r\nX-ScopeGate-Scopes: \r\n", none.id));
}

#[test]
fn scopes_get_their_ids_from_the_shared_vocabulary() {
    let vocabulary = Vocabulary::default();
    let lists = vocabulary.intern("lists:read");
    let index = Index::new(vocabulary.clone());
    let key = record("key");
    put(&index, 1, &key);
    let held = index.look_up(&key.value.digest, |entry| entry.unwrap().principal.grant().clone());
    let Grant::Custom(held) = held else { panic!("{held:?}") };
    assert!(held.contains(lists) && held.contains(vocabulary.intern("profiles:read")));
    assert_eq!(held.iter().count(), 2);
}

#[test]
fn keys_of_an_account_that_may_do_the_same_share_what_is_known_of_it() {
    let (index, keys) =
        (index(), ["one", "two"].map(|name| KeyRecord { account: Some("acme".into()), ..record(name) }));
    keys.iter().for_each(|key| put(&index, 1, key));
    let [one, other] = keys.map(|key| index.look_up(&key.value.digest, |entry| entry.unwrap().principal.clone()));
    assert!(std::ptr::eq(one.rights(), other.rights()));
    assert!(std::ptr::eq(one.account().unwrap(), other.account().unwrap()));
}

/// What a million keys cost: an entry and the digest that it is found by are one allocation, and there are some 19 bytes of the
/// table for each. The allocator gives 96 bytes for 88, since it adds 7 to be sure of the alignment, and 112 for one more. A
/// whole gateway has 150 MiB.
#[test]
fn a_key_takes_96_bytes_and_its_place_in_the_table() {
    assert_eq!(size_of::<(Digest, Entry)>(), 88);
}

#[test]
fn an_older_change_never_undoes_a_later_one() {
    let (index, key) = (index(), record("key"));
    put(&index, 2, &after(&key, &Transition::Revoke));
    put(&index, 1, &key);
    put(&index, 2, &key);
    assert_eq!(state(&index, &key), Some(KeyState::Revoked));
}

#[test]
fn a_change_of_a_key_reaches_every_value_that_it_ever_had() {
    let (index, first) = (index(), record("key"));
    let second = after(&first, &rotation(0));
    let third = after(&second, &rotation(1000));
    put(&index, 1, &first);
    put(&index, 3, &third);
    let now = STAMP.at;
    let said = |record: &KeyRecord, now| {
        index.look_up(&record.value.digest, |entry| match entry.unwrap().caller(now, None) {
            Caller::Known(_) => "known",
            Caller::Expired(_) => "expired",
            Caller::Invalid(Invalid::Revoked) => "revoked",
            other => panic!("{other:?}"),
        })
    };
    assert_eq!([&first, &second, &third].map(|record| said(record, now)), ["expired", "known", "known"]);
    let later = now.after(Duration::from_secs(1));
    assert_eq!([&first, &second, &third].map(|record| said(record, later)), ["expired", "expired", "known"]);
    // A load that is late changes none of them, and a revoke reaches them all.
    put(&index, 2, &second);
    assert_eq!([&first, &second, &third].map(|record| said(record, later)), ["expired", "expired", "known"]);
    put(&index, 4, &after(&third, &Transition::Revoke));
    put(&index, 2, &second);
    assert_eq!([&first, &second, &third].map(|record| said(record, now)), ["revoked"; 3]);
}

#[test]
fn a_value_ends_with_its_key_where_that_comes_first() {
    let ending = KeyRecord { expires: Some(STAMP.at.after(Duration::from_secs(5))), ..record("key") };
    let rotated = after(&ending, &rotation(60_000));
    let index = index();
    put(&index, 1, &rotated);
    let end = |record: &KeyRecord| index.look_up(&record.value.digest, |entry| entry.map(|entry| entry.expires()));
    assert_eq!((end(&ending), end(&rotated)), (ending.expires, ending.expires));
}

/// A reader looks for a value that works, of a key that is rotated all the time: the one that it had, or the one that it has.
#[test]
fn readers_find_a_rotated_key_by_the_old_value_or_by_the_new_one() {
    let index = index();
    let mut chain = vec![record("key")];
    for _ in 0..300 {
        chain.push(after(&chain[chain.len() - 1], &rotation(0)));
    }
    put(&index, 0, &chain[0]);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for (revision, record) in (1..).zip(&chain[1..]) {
                put(&index, revision, record);
            }
        });
        let works = |record: &KeyRecord| {
            index.look_up(&record.value.digest, |entry| {
                entry.is_some_and(|entry| matches!(entry.caller(STAMP.at, None), Caller::Known(_)))
            })
        };
        let mut current = 0;
        while !writing.is_finished() {
            // The writer goes on between two looks: whoever is not found any more was followed by another.
            while current + 1 < chain.len() && works(&chain[current + 1]) {
                current += 1;
            }
            let there = works(&chain[current])
                || index.look_up(&chain[(current + 1).min(300)].value.digest, |entry| entry.is_some());
            assert!(there, "no value of the key is known");
        }
    });
    assert!((0..300).all(|place| {
        index.look_up(&chain[place].value.digest, |entry| {
            matches!(entry.unwrap().caller(STAMP.at, None), Caller::Expired(_))
        })
    }));
}

#[test]
fn what_a_whole_load_did_not_tell_is_gone_and_stays_gone() {
    let (index, [kept, gone]) = (index(), [record("kept"), record("gone")]);
    put(&index, 1, &gone);
    put(&index, 2, &kept);
    index.forget_before(Revision(2));
    put(&index, 1, &gone);
    assert_eq!((state(&index, &kept), state(&index, &gone)), (Some(KeyState::Active), None));
}

#[test]
fn room_is_made_for_as_many_values_as_a_store_has_and_no_more_than_its_file_could() {
    let place = Place::new();
    let keys: Vec<_> = (0..50).map(|number| record(&number.to_string())).collect();
    place.put(&keys);
    place.open().change(&keys[0].id, &rotation(0), STAMP).unwrap();
    assert_eq!(place.open().estimate().unwrap(), 51);
    let edited = rusqlite::Connection::open(place.path()).unwrap();
    edited.execute("UPDATE keys SET rowid = 1 << 50 WHERE rowid = 1", ()).unwrap();
    drop(edited);
    let bytes = place.path().metadata().unwrap().len();
    assert!((51..bytes).contains(&u64::try_from(place.open().estimate().unwrap()).unwrap()));
}

/// The load reads its moment of the store, then waits; the key is revoked and published; then the load comes to tell.
#[test]
fn a_revoked_key_is_not_resurrected_by_a_slow_load() {
    let (place, key, index) = (Place::new(), record("key"), index());
    place.put(std::slice::from_ref(&key));
    let mut loader = place.open();
    let mut writer = place.open();
    loader
        .load(Revision::START, &mut |stale| {
            assert_eq!(stale.record.state, KeyState::Active);
            let outcome = writer.change(&key.id, &Transition::Revoke, STAMP).unwrap();
            index.apply(&Change::of(outcome.revision.unwrap(), outcome.record));
            index.apply(&stale);
        })
        .unwrap();
    assert_eq!(state(&index, &key), Some(KeyState::Revoked));
}

/// One thread loads everything over and over, one revokes key after key and looks whether each stays revoked.
#[test]
fn no_interleaving_of_loads_and_revokes_resurrects_a_key() {
    let (place, index) = (Place::new(), index());
    let keys: Vec<_> = (0..150).map(|number| record(&number.to_string())).collect();
    place.put(&keys);
    let [mut loader, mut writer] = [place.open(), place.open()];
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        let revoking = scope.spawn(|| {
            start.wait();
            for key in &keys {
                let outcome = writer.change(&key.id, &Transition::Revoke, STAMP).unwrap();
                index.apply(&Change::of(outcome.revision.unwrap(), outcome.record));
                assert_eq!(state(&index, key), Some(KeyState::Revoked));
            }
        });
        start.wait();
        while !revoking.is_finished() {
            loader.load(Revision::START, &mut |change| index.apply(&change)).unwrap();
        }
    });
    assert!(keys.iter().all(|key| state(&index, key) == Some(KeyState::Revoked)));
}

/// Readers run while one key is disabled and enabled thousands of times: each look sees a whole entry, never an older
/// one than the look before.
#[test]
fn readers_never_see_a_key_go_back() {
    let (index, key) = (index(), record("key"));
    let disabled = after(&key, &Transition::Disable);
    put(&index, 0, &key);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for revision in 1..5000 {
                put(&index, revision, if revision % 2 == 0 { &key } else { &disabled });
            }
        });
        let mut last = Revision::START;
        while !writing.is_finished() {
            let (revision, state) = index.look_up(&key.value.digest, |entry| {
                let entry = entry.unwrap();
                (entry.revision(), entry.state())
            });
            assert!(revision >= last);
            assert_eq!(state == KeyState::Disabled, revision.0 % 2 == 1);
            last = revision;
        }
    });
}

/// What a key of the account `acme` is, with what it has of that account.
fn of_account(key: &KeyRecord, affiliation: Affiliation, look: impl FnOnce(&Entry)) {
    let index = index();
    let account = Some(Arc::new(affiliation));
    index.apply(&Change { revision: Revision(1), record: key.clone(), account });
    index.look_up(&key.value.digest, |entry| look(entry.unwrap()));
}

#[test]
fn a_disabled_account_stops_its_keys_and_says_nothing_of_those_that_have_ended() {
    let key = KeyRecord { account: Some("acme".into()), ..record("key") };
    let stopped = || Affiliation { is_suspended: true, ..Affiliation::default() };
    of_account(&key, stopped(), |entry| {
        let caller = entry.caller(STAMP.at, None);
        assert!(matches!(caller, Caller::Invalid(Invalid::AccountDisabled)), "{caller:?}");
        assert_eq!(entry.minted(STAMP.at), None);
    });
    for (end, why) in [(Transition::Revoke, Invalid::Revoked), (Transition::Disable, Invalid::Disabled)] {
        of_account(&after(&key, &end), stopped(), |entry| {
            assert!(matches!(entry.caller(STAMP.at, None), Caller::Invalid(found) if found == why));
        });
    }
}

#[test]
fn a_key_is_bound_to_its_account_and_to_those_below_it() {
    let key = KeyRecord { account: Some("acme".into()), ..record("key") };
    let children = Arc::from(["till".into(), "shop".into()]);
    of_account(&key, Affiliation { children, ..Affiliation::default() }, |entry| {
        assert_eq!(entry.principal.values("account").collect::<Vec<_>>(), ["acme", "shop", "till"]);
        let index = index();
        put(&index, 1, &key);
        let alone = index.look_up(&key.value.digest, |entry| entry.unwrap().mark());
        assert_eq!(entry.mark(), alone, "a new sub-account ends nothing that goes on");
    });
    let credential = Some("real".into());
    of_account(&key, Affiliation { credential, ..Affiliation::default() }, |entry| {
        assert_eq!(entry.credential(), Some("real"));
    });
}

#[test]
fn an_attribute_that_names_accounts_opens_no_other_than_that_of_the_key() {
    let named = |account: Option<&str>| KeyRecord {
        account: account.map(Into::into),
        attributes: vec![("account".into(), "globex".into()), ("team".into(), "blue".into())],
        ..record("key")
    };
    of_account(&named(Some("acme")), Affiliation::default(), |entry| {
        assert_eq!(entry.principal.values("account").collect::<Vec<_>>(), ["acme"]);
        assert_eq!(entry.principal.values("team").collect::<Vec<_>>(), ["blue"]);
    });
    let index = index();
    let key = named(None);
    put(&index, 1, &key);
    index.look_up(&key.value.digest, |entry| {
        // It keeps a value, so that it stays shut out of routes without the parameter, and the value is in no path.
        let values: Vec<_> = entry.unwrap().principal.values("account").map(str::to_owned).collect();
        assert!(values.len() == 1 && values[0].bytes().all(|byte| byte.is_ascii_control()), "{values:?}");
    });
}

#[test]
fn a_value_that_was_ended_for_good_works_at_no_moment() {
    let rotated = |overlap: u64, at: Timestamp| {
        let replacement =
            Replacement { imprint: crate::store::tests::imprint(), overlap: Duration::from_secs(overlap) };
        Transition::Rotate(replacement).apply(record("key"), at).unwrap()
    };
    let now = STAMP.at;
    let index = index();
    for (overlap, revived) in [(0, false), (60, true)] {
        let key = rotated(overlap, now);
        put(&index, 1, &key);
        index.look_up(&key.former[0].digest, |entry| {
            let works = |moment: Timestamp| matches!(entry.unwrap().caller(moment, None), Caller::Known(_));
            let early = [
                Timestamp::MIN,
                Timestamp::from_millis(-1),
                Timestamp::from_millis(0),
                Timestamp::from_millis(now.as_millis() - 3_600_000),
            ];
            assert_eq!(early.map(works), [revived; 4], "an overlap of {overlap}");
            assert!(!works(now.after(Duration::from_secs(60))) && !works(Timestamp::MAX));
        });
    }
}
