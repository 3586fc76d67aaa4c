//! What every store must do. A store joins by implementing [`Fixture`] and a line below [`suite`].

mod accounts;

use std::collections::BTreeMap;

use self::accounts::*;
use super::uses::Count;
use super::*;
use crate::key::digest::Hasher;
use crate::key::lifecycle::{self, Imprint, NewKey, Replacement};
use crate::key::secret::Secret;
use crate::key::{GrantSpec, KeyKind, KeyState, KeyValue};

/// A store of its own for each test.
pub(super) trait Fixture {
    /// Another connection to the store.
    fn open(&self) -> Box<dyn KeyStore>;
    /// Adds records as somebody else would.
    fn put(&self, records: &[KeyRecord]);
    /// What this store keeps of a record.
    fn kept(&self, record: KeyRecord) -> KeyRecord {
        record
    }
}

/// Makes the tests of one store. `reads`: what every store does. `writes`: what a store does besides that is written by
/// command. `restored`: what one does that follows a backup which was put back. `refuses`: what one does that is not written
/// by command.
macro_rules! suite {
    ($store:ident: $fixture:expr, reads $(, $more:ident)*) => {
        mod $store {
            suite! { @ $fixture, reads;
                a_created_key_is_there_with_all_its_fields,
                a_key_that_is_not_there_is_not_found,
                a_load_up_to_now_tells_nothing_more,
                a_refresh_tells_whether_others_changed_anything,
                keys_are_listed_in_the_order_they_were_made,
                what_others_add_is_told_by_the_next_load,
            }
            $(suite! { $fixture, $more })*
        }
    };
    ($fixture:expr, writes) => {
        suite! { @ $fixture, writes;
            a_clone_is_made_of_what_the_store_holds_now,
            a_deleted_key_stays_known,
            a_duplicate_undoes_the_whole_batch,
            a_load_tells_what_changed_since_and_nothing_else,
            a_revoke_is_final_for_every_connection,
            a_rotated_key_is_told_with_every_value_that_it_had,
            a_transition_to_the_same_state_takes_no_revision,
            an_account_has_one_public_key_that_can_work,
            an_account_is_never_deleted_under_its_keys,
            an_account_that_changes_tells_its_keys_and_those_below_and_above,
            an_overlap_that_is_ended_ends_every_value_but_the_current_one,
            an_unknown_key_is_named,
            any_sequence_of_changes_reads_back_as_it_was_made,
            every_change_is_written_down_and_bound_to_the_one_before_it,
            every_value_that_a_key_ever_had_is_taken,
            keys_name_accounts_that_are_there,
            keys_that_are_imported_are_told_apart_from_those_that_were_made,
            two_rotations_at_once_follow_each_other,
            two_writers_lose_nothing,
            uses_add_up_whoever_counted_them,
            what_becomes_of_accounts_is_written_down_and_holds,
            what_is_known_of_the_use_of_a_key_outlives_it,
        }
    };
    ($fixture:expr, restored) => {
        suite! { @ $fixture, restored; a_store_that_has_not_come_so_far_tells_everything }
    };
    ($fixture:expr, refuses) => {
        suite! { @ $fixture, refuses;
            every_change_is_refused_with_what_to_do_and_none_is_made,
            where_no_use_is_recorded_none_is_known,
        }
    };
    (@ $fixture:expr, $part:ident; $($behaviour:ident),* $(,)?) => {
        mod $part {
            $(#[test]
            fn $behaviour() {
                $crate::store::tests::$behaviour(&$fixture);
            })*
        }
    };
}

suite! { sqlite: crate::store::sqlite::tests::Place::new(), reads, writes, restored }
suite! { postgres: match crate::store::postgres::tests::Place::new() { Some(place) => place, None => return }, reads, writes }
suite! { file: crate::store::file::tests::Place::new(), reads, refuses }

pub(super) const STAMP: Stamp<'static> = Stamp { by: "test", at: Timestamp::from_millis(1_800_000_000_000) };

pub(super) fn record(name: &str) -> KeyRecord {
    record_of(NewKey::new(name, GrantSpec::custom(["lists:read", "profiles:read"])))
}

fn record_of(new: NewKey) -> KeyRecord {
    lifecycle::create(new, KeyId::mint(KeyKind::Secret).unwrap(), imprint(), STAMP.at).unwrap()
}

pub(super) fn imprint() -> Imprint {
    Imprint::of(&Secret::mint("sg").unwrap(), "sg", &Hasher::new(None))
}

/// A rotation to a new value, with an overlap of so many seconds.
pub(super) fn rotation(overlap: u64) -> Transition {
    Transition::Rotate(Replacement { imprint: imprint(), overlap: Duration::from_secs(overlap) })
}

fn fresh() -> Fresh {
    Fresh { id: KeyId::mint(KeyKind::Secret).unwrap(), imprint: imprint() }
}

fn load(store: &mut dyn KeyStore, since: Revision) -> (Loaded, Vec<Change>) {
    let mut told = Vec::new();
    let loaded = store.load(since, &mut |change| told.push(change)).unwrap();
    (loaded, told)
}

fn a_created_key_is_there_with_all_its_fields(fixture: &dyn Fixture) {
    let full = record_of(NewKey {
        account: Some("acme".into()),
        not_before: Some(Timestamp::from_millis(5)),
        expires: Some(Timestamp::from_millis(1_900_000_000_123)),
        attributes: vec![("owner".into(), "a \"b\"".into()), ("owner".into(), "ü".into())],
        allow_from: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        note: Some("for the export".into()),
        ..NewKey::new("Ünïcode", GrantSpec::ReadOnly)
    });
    let bare = record_of(NewKey::new("bare", GrantSpec::nothing()));
    let laid = record_of(NewKey { is_tripwire: true, ..NewKey::new("laid", GrantSpec::nothing()) });
    fixture.put(&[full.clone(), bare.clone(), laid.clone()]);
    let kept = |record: KeyRecord| fixture.kept(record);
    let mut store = fixture.open();
    let found = store.find(&full.id).unwrap().map(kept);
    assert_eq!(found, Some(kept(full.clone())));
    let (loaded, told) = load(store.as_mut(), Revision::START);
    let last = told.iter().map(|change| change.revision).max();
    assert_eq!(last, Some(loaded.revision));
    let by_id = |record: KeyRecord| (record.id.clone(), kept(record));
    let told: BTreeMap<_, _> = told.into_iter().map(|change| by_id(change.record)).collect();
    assert_eq!(told, BTreeMap::from([full, bare, laid].map(by_id)));
}

fn keys_are_listed_in_the_order_they_were_made(fixture: &dyn Fixture) {
    let made = ["c", "a", "b"].map(record);
    for record in &made {
        fixture.put(std::slice::from_ref(record));
    }
    let kept = |record: KeyRecord| fixture.kept(record);
    let listed: Vec<_> = fixture.open().list().unwrap().into_iter().map(kept).collect();
    assert_eq!(listed, made.map(kept));
}

fn a_refresh_tells_whether_others_changed_anything(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    // A store may want to see a change twice before it tells.
    let mut is_told = || [store.refresh().unwrap(), store.refresh().unwrap()].contains(&true);
    is_told();
    assert!(!is_told());
    fixture.put(&[record("new")]);
    assert!(is_told());
    assert!(!is_told());
}

fn a_key_that_is_not_there_is_not_found(fixture: &dyn Fixture) {
    fixture.put(&[record("other")]);
    assert_eq!(fixture.open().find(&KeyId::mint(KeyKind::Secret).unwrap()).unwrap(), None);
}

fn a_load_up_to_now_tells_nothing_more(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    fixture.put(&[record("one"), record("two")]);
    let (first, told) = load(store.as_mut(), Revision::START);
    assert_eq!(told.len(), 2);
    let again = Loaded { revision: first.revision, extent: Extent::Changes };
    assert_eq!(load(store.as_mut(), first.revision), (again, vec![]));
}

fn what_others_add_is_told_by_the_next_load(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    fixture.put(&[record("one")]);
    let first = load(store.as_mut(), Revision::START).0;
    let two = record("two");
    fixture.put(std::slice::from_ref(&two));
    let (second, told) = load(store.as_mut(), first.revision);
    assert!(second.revision > first.revision && told.iter().all(|change| change.revision <= second.revision));
    assert!(told.iter().any(|change| change.record.id == two.id), "{told:?}");
    assert_eq!(told.len(), if second.extent == Extent::Everything { 2 } else { 1 });
}

fn every_change_is_refused_with_what_to_do_and_none_is_made(fixture: &dyn Fixture) {
    let key = record("key");
    fixture.put(std::slice::from_ref(&key));
    let mut store = fixture.open();
    let before = store.list().unwrap();
    let errors = [
        store.create(&[record("other")], STAMP).map(drop),
        store.change(&key.id, &Transition::Revoke, STAMP).map(drop),
        store.clone_key(&key.id, fresh(), STAMP).map(drop),
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    }
    let error = store.audit(0, &mut |_| panic!("nothing is told")).unwrap_err();
    assert!(matches!(error, StoreError::NoAudit { .. }), "{error}");
    assert_eq!(store.list().unwrap(), before);
}

fn a_load_tells_what_changed_since_and_nothing_else(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let [one, two] = [record("one"), record("two")];
    let before = store.create(&[one.clone(), two], STAMP).unwrap();
    assert_eq!(load(store.as_mut(), before).1, []);
    let outcome = store.change(&one.id, &Transition::Disable, STAMP).unwrap();
    let (loaded, told) = load(store.as_mut(), before);
    assert_eq!(Some(loaded.revision), outcome.revision);
    assert_eq!(told, [Change::of(loaded.revision, outcome.record)]);
}

fn a_store_that_has_not_come_so_far_tells_everything(fixture: &dyn Fixture) {
    let one = record("one");
    fixture.put(std::slice::from_ref(&one));
    let (loaded, told) = load(fixture.open().as_mut(), Revision(7));
    assert_eq!(loaded, Loaded { revision: Revision(8), extent: Extent::AnotherPast });
    assert_eq!(told, [Change::of(Revision(8), one)]);
}

fn a_duplicate_undoes_the_whole_batch(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let [known, fresh] = [record("known"), record("fresh")];
    store.create(std::slice::from_ref(&known), STAMP).unwrap();
    let same_key = KeyRecord { value: known.value.clone(), ..record("same key") };
    let same_id = KeyRecord { id: known.id.clone(), ..record("same id") };
    for (clash, said) in [(same_key, "a record has the same key"), (same_id, "its id is taken")] {
        let error = store.create(&[fresh.clone(), clash], STAMP).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert!(!error.contains(&known.value.digest.to_hex()), "{error}");
    }
    assert_eq!(store.list().unwrap(), [known]);
}

fn a_revoke_is_final_for_every_connection(fixture: &dyn Fixture) {
    let key = record("key");
    fixture.put(std::slice::from_ref(&key));
    let revoked = fixture.open().change(&key.id, &Transition::Revoke, STAMP).unwrap().record;
    let mut other = fixture.open();
    let error = other.change(&key.id, &Transition::Enable, STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Transition(_)), "{error}");
    assert_eq!(other.find(&key.id).unwrap().unwrap(), revoked);
    assert_eq!(revoked.state, KeyState::Revoked);
}

fn a_rotated_key_is_told_with_every_value_that_it_had(fixture: &dyn Fixture) {
    let key = record("key");
    fixture.put(std::slice::from_ref(&key));
    let mut store = fixture.open();
    let before = load(store.as_mut(), Revision::START).0.revision;
    store.change(&key.id, &rotation(3600), STAMP).unwrap();
    let made = store.change(&key.id, &rotation(60), STAMP).unwrap();
    let digests: Vec<_> = made.record.values().map(|value| value.digest).collect();
    assert_eq!((digests.len(), digests.last()), (3, Some(&key.value.digest)));
    let minute = STAMP.at.after(Duration::from_secs(60));
    assert!(made.record.former.iter().all(|value| value.until == Some(minute)));
    for since in [Revision::START, before] {
        let (loaded, told) = load(store.as_mut(), since);
        assert_eq!(told, [Change::of(loaded.revision, made.record.clone())]);
        assert_eq!(Some(loaded.revision), made.revision);
    }
    assert_eq!(store.find(&key.id).unwrap().as_ref(), Some(&made.record));
    assert_eq!(store.list().unwrap(), [made.record]);
}

fn an_overlap_that_is_ended_ends_every_value_but_the_current_one(fixture: &dyn Fixture) {
    let key = record("key");
    fixture.put(std::slice::from_ref(&key));
    let mut store = fixture.open();
    store.change(&key.id, &rotation(3600), STAMP).unwrap();
    let before = store.change(&key.id, &rotation(600), STAMP).unwrap().record;
    let since = load(store.as_mut(), Revision::START).0.revision;
    let at = STAMP.at.after(Duration::from_secs(60));
    let made = store.change(&key.id, &Transition::EndOverlap, Stamp { at, ..STAMP }).unwrap();
    assert_eq!((&made.record.value, made.record.former.len()), (&before.value, 2));
    assert!(made.record.former.iter().all(|value| value.until == Some(at)), "{:?}", made.record);
    let (loaded, told) = load(store.as_mut(), since);
    assert_eq!(told, [Change::of(loaded.revision, made.record.clone())]);
    assert_eq!(store.find(&key.id).unwrap().as_ref(), Some(&made.record));
    let mut said = Vec::new();
    store.audit(0, &mut |entry| said.push(entry.to_json())).unwrap();
    let last = said.last().unwrap();
    assert_eq!((&last["action"], last["detail"]["older_values"].as_array().unwrap().len()), (&"end-overlap".into(), 2));
    let again = store.change(&key.id, &Transition::EndOverlap, Stamp { at, ..STAMP }).unwrap();
    assert_eq!((again.record, again.revision), (made.record, None), "there is nothing more to end");
}

fn every_value_that_a_key_ever_had_is_taken(fixture: &dyn Fixture) {
    let [key, other] = [record("key"), record("other")];
    fixture.put(&[key.clone(), other.clone()]);
    let mut store = fixture.open();
    let now = store.change(&key.id, &rotation(0), STAMP).unwrap().record;
    store.change(&other.id, &Transition::Delete, STAMP).unwrap();
    let listed = store.list().unwrap();
    for (value, said) in [
        (&key.value, "a record has had the same key"),
        (&now.value, "a record has the same key"),
        (&other.value, "a record has the same key"),
    ] {
        let error = store.create(&[KeyRecord { value: value.clone(), ..record("again") }], STAMP).unwrap_err();
        assert!(matches!(&error, StoreError::Duplicate { what, .. } if *what == said), "{error}");
        let KeyValue { digest, prefix, last_four, .. } = value.clone();
        let imprint = Imprint { digest, prefix, last_four, site: None };
        let error = store.clone_key(&key.id, Fresh { imprint: imprint.clone(), ..fresh() }, STAMP).unwrap_err();
        assert!(matches!(error, StoreError::Duplicate { .. }), "{error}");
        let again = Transition::Rotate(Replacement { imprint, overlap: Duration::ZERO });
        assert!(matches!(store.change(&key.id, &again, STAMP), Err(StoreError::Duplicate { .. })));
    }
    assert_eq!(store.list().unwrap(), listed, "nothing was changed");
}

fn a_clone_is_made_of_what_the_store_holds_now(fixture: &dyn Fixture) {
    let key = record("key");
    fixture.put(std::slice::from_ref(&key));
    let mut store = fixture.open();
    let fresh = fresh();
    let made = store.clone_key(&key.id, fresh.clone(), STAMP).unwrap();
    assert_eq!((&made.record.id, &made.record.grant), (&fresh.id, &key.grant));
    assert_eq!(store.list().unwrap(), [key.clone(), made.record]);
    fixture.open().change(&key.id, &Transition::Disable, STAMP).unwrap();
    let error = store.clone_key(&key.id, self::fresh(), STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Transition(_)), "{error}");
    let unknown = store.clone_key(&KeyId::mint(KeyKind::Secret).unwrap(), self::fresh(), STAMP).unwrap_err();
    assert!(matches!(unknown, StoreError::Unknown(_)), "{unknown}");
    assert_eq!(store.list().unwrap().len(), 2);
}

fn a_deleted_key_stays_known(fixture: &dyn Fixture) {
    let key = record_of(NewKey {
        account: Some("acme".into()),
        attributes: vec![("owner".into(), "a".into())],
        allow_from: vec!["10.0.0.0/8".parse().unwrap()],
        note: Some("for the export".into()),
        expires: Some(Timestamp::from_millis(1_900_000_000_123)),
        ..NewKey::new("key", GrantSpec::Full)
    });
    fixture.put(std::slice::from_ref(&key));
    let mut store = fixture.open();
    let before = load(store.as_mut(), Revision::START).0.revision;
    let outcome = store.change(&key.id, &Transition::Delete, STAMP).unwrap();
    assert_eq!(outcome.record, Transition::Delete.apply(key.clone(), STAMP.at).unwrap());
    let (loaded, told) = load(store.as_mut(), before);
    assert_eq!(told, [Change::of(loaded.revision, outcome.record.clone())]);
    assert_eq!(store.find(&key.id).unwrap(), Some(outcome.record));
    let error = store.change(&key.id, &Transition::Enable, STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Transition(_)), "{error}");
}

fn every_change_is_written_down_and_bound_to_the_one_before_it(fixture: &dyn Fixture) {
    let key = record("key");
    fixture.put(std::slice::from_ref(&key));
    let stores = [fixture.open(), fixture.open()];
    std::thread::scope(|scope| {
        for mut store in stores {
            let id = &key.id;
            scope.spawn(move || {
                for _ in 0..5 {
                    store.clone_key(id, fresh(), Stamp { by: "cli:alice", ..STAMP }).unwrap();
                    store.change(id, &rotation(60), STAMP).unwrap();
                }
            });
        }
    });
    let mut store = fixture.open();
    store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
    store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
    let (mut chain, mut entries) = (audit::Chain::whole(None), Vec::new());
    let standing = store.verify(&mut |entry| entries.push(entry)).unwrap();
    entries.iter().for_each(|entry| chain.follow(&entry.to_json()).unwrap());
    chain.finish(Some(&standing)).unwrap();
    let revision = load(store.as_mut(), Revision::START).0.revision;
    assert_eq!((chain.length(), standing.given, revision), (22, 22, Revision(22)));
    let [first, .., last] = entries.as_slice() else { panic!("no entries") };
    assert_eq!((&*first.action, &*first.by, first.at), ("import", STAMP.by, STAMP.at));
    assert_eq!(
        (&*last.action, last.key.as_deref(), last.previous),
        ("revoke", Some(key.id.as_str()), entries[20].hash)
    );
    let clones: Vec<_> = entries.iter().filter(|entry| &*entry.action == "clone").collect();
    assert!(clones.len() == 10 && clones.iter().all(|entry| &*entry.by == "cli:alice"), "{clones:?}");
    assert!(clones.iter().all(|entry| entry.detail.as_ref().unwrap()["of"] == key.id.as_str()));
    let mut rest = Vec::new();
    store.audit(20, &mut |entry| rest.push(entry)).unwrap();
    assert_eq!(rest, entries[20..]);
}

fn two_rotations_at_once_follow_each_other(fixture: &dyn Fixture) {
    const EACH: usize = 20;
    let key = record("key");
    fixture.put(std::slice::from_ref(&key));
    let stores = [fixture.open(), fixture.open()];
    std::thread::scope(|scope| {
        for mut store in stores {
            let id = &key.id;
            scope.spawn(move || {
                for _ in 0..EACH {
                    store.change(id, &rotation(60), STAMP).unwrap();
                }
            });
        }
    });
    let record = fixture.open().find(&key.id).unwrap().unwrap();
    let digests: std::collections::BTreeSet<_> = record.values().map(|value| value.digest).collect();
    assert_eq!((record.former.len(), digests.len()), (2 * EACH, 2 * EACH + 1));
}

fn a_transition_to_the_same_state_takes_no_revision(fixture: &dyn Fixture) {
    let key = record("key");
    fixture.put(std::slice::from_ref(&key));
    let mut store = fixture.open();
    let before = load(store.as_mut(), Revision::START).0;
    let outcome = store.change(&key.id, &Transition::Enable, STAMP).unwrap();
    assert_eq!(outcome, Outcome { record: key, revision: None });
    assert_eq!(load(store.as_mut(), Revision::START).0, before);
}

fn an_unknown_key_is_named(fixture: &dyn Fixture) {
    let id = KeyId::mint(KeyKind::Secret).unwrap();
    let mut store = fixture.open();
    assert_eq!(store.find(&id).unwrap(), None);
    let error = store.change(&id, &Transition::Revoke, STAMP).unwrap_err().to_string();
    assert!(error.starts_with(&format!("no key has the id {id}")), "{error}");
}

fn two_writers_lose_nothing(fixture: &dyn Fixture) {
    const EACH: usize = 25;
    let stores = [fixture.open(), fixture.open()];
    std::thread::scope(|scope| {
        for mut store in stores {
            scope.spawn(move || {
                for number in 0..EACH {
                    let key = record(&number.to_string());
                    store.create(std::slice::from_ref(&key), STAMP).unwrap();
                    store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
                }
            });
        }
    });
    let (loaded, told) = load(fixture.open().as_mut(), Revision::START);
    assert_eq!((loaded.revision, told.len()), (Revision(4 * EACH as u64), 2 * EACH));
    assert!(told.iter().all(|change| change.record.state == KeyState::Revoked));
}

/// Random changes, held against a map and against a follower that takes in every load.
fn any_sequence_of_changes_reads_back_as_it_was_made(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let mut model = BTreeMap::<KeyId, KeyRecord>::new();
    let mut followed = BTreeMap::<KeyId, KeyRecord>::new();
    let mut seen = Revision::START;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for step in 0..300 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let choice = usize::try_from(random >> 33).unwrap();
        if model.is_empty() || choice % 4 == 0 {
            let key = record(&step.to_string());
            store.create(std::slice::from_ref(&key), STAMP).unwrap();
            model.insert(key.id.clone(), key);
        } else {
            let before = model.values().nth(choice / 16 % model.len()).unwrap().clone();
            let stamp = Stamp { at: Timestamp::from_millis(STAMP.at.as_millis() + step), ..STAMP };
            let [which, overlap] = [choice / 4 % 7, choice % 5];
            let (made, expected) = if which == 0 {
                let fresh = fresh();
                let expected = lifecycle::clone_key(&before, fresh.clone(), stamp.at);
                (store.clone_key(&before.id, fresh, stamp), expected)
            } else {
                // A second now and then: many a value ends while the others are made.
                let rotate = rotation(overlap as u64 / 4);
                let (disable, enable, end) = (Transition::Disable, Transition::Enable, Transition::EndOverlap);
                let transition = [disable, enable, rotate, end, Transition::Revoke, Transition::Delete];
                let transition = &transition[which - 1];
                (store.change(&before.id, transition, stamp), transition.apply(before, stamp.at))
            };
            assert_eq!(made.map(|outcome| outcome.record).ok(), expected.clone().ok());
            model.extend(expected.ok().map(|record| (record.id.clone(), record)));
        }
        if choice % 3 == 0 {
            let (loaded, told) = load(store.as_mut(), seen);
            seen = loaded.revision;
            followed.extend(told.into_iter().map(|change| (change.record.id.clone(), change.record)));
            assert_eq!(followed, model);
        }
    }
    let listed = store.list().unwrap().into_iter().map(|record| (record.id.clone(), record)).collect();
    assert_eq!(model, listed);
    let standing = store.verify(&mut |_| {}).unwrap();
    assert_eq!((standing.unlogged, standing.lacking), (vec![], 0));
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn count(allowed: u64, denied: u64, last: i64) -> Count {
    Count { allowed, denied, last: at(last) }
}

fn used(value: &KeyValue, count: Count, scopes: &[(&str, Count)]) -> ValueUse {
    let scopes = scopes.iter().map(|(scope, count)| ((*scope).into(), *count)).collect();
    ValueUse { digest: value.digest, count, scopes }
}

fn uses_add_up_whoever_counted_them(fixture: &dyn Fixture) {
    let [key, other] = [record("key"), record("other")];
    fixture.put(&[key.clone(), other.clone()]);
    let (mut one, mut two) = (fixture.open(), fixture.open());
    assert!(one.records_use());
    assert_eq!(one.use_of(&key.id).unwrap(), KeyUse::default());
    one.add_uses(&[used(&key.value, count(2, 0, 50), &[("profiles:read", count(2, 0, 50))])]).unwrap();
    let rotated = two.change(&key.id, &rotation(60), STAMP).unwrap().record;
    two.add_uses(&[
        used(&rotated.value, count(3, 1, 70), &[("profiles:read", count(3, 0, 70)), ("lists:read", count(0, 1, 60))]),
        // A gateway that writes late, or whose clock is behind.
        used(&key.value, count(1, 0, 40), &[("profiles:read", count(1, 0, 40))]),
        used(&record("of nobody").value, count(9, 9, 99), &[("profiles:read", count(9, 9, 99))]),
    ])
    .unwrap();
    let of_key = one.use_of(&key.id).unwrap();
    assert_eq!(of_key.whole, Some(count(6, 1, 70)));
    assert_eq!(of_key.scopes, [("lists:read".into(), count(0, 1, 60)), ("profiles:read".into(), count(6, 0, 70))]);
    assert_eq!(of_key.of_value(&rotated.value.digest), Some(count(3, 1, 70)));
    assert_eq!(of_key.of_value(&key.value.digest), Some(count(3, 0, 50)));
    assert_eq!(one.use_of(&other.id).unwrap(), KeyUse::default());
    for record in [one.find(&key.id).unwrap().unwrap(), one.list().unwrap().swap_remove(0)] {
        let moments = (record.last_used, record.value.last_used, record.former[0].last_used);
        assert_eq!(moments, (Some(at(70)), Some(at(70)), Some(at(50))));
    }
}

fn what_is_known_of_the_use_of_a_key_outlives_it(fixture: &dyn Fixture) {
    let key = record("key");
    fixture.put(std::slice::from_ref(&key));
    let mut store = fixture.open();
    store.add_uses(&[used(&key.value, count(1, 0, 50), &[("profiles:read", count(1, 0, 50))])]).unwrap();
    let before = store.use_of(&key.id).unwrap();
    for end in [Transition::Revoke, Transition::Delete] {
        store.change(&key.id, &end, STAMP).unwrap();
        assert_eq!(store.use_of(&key.id).unwrap(), before);
    }
    // What was counted before the end may be written after it.
    store.add_uses(&[used(&key.value, count(1, 0, 51), &[])]).unwrap();
    assert_eq!(store.use_of(&key.id).unwrap().whole, Some(count(2, 0, 51)));
}

fn where_no_use_is_recorded_none_is_known(fixture: &dyn Fixture) {
    let key = record("key");
    fixture.put(std::slice::from_ref(&key));
    let mut store = fixture.open();
    let id = store.list().unwrap().swap_remove(0).id;
    assert!(!store.records_use());
    assert!(matches!(store.add_uses(&[]), Err(StoreError::ReadOnly { .. })));
    assert_eq!(store.use_of(&id).unwrap(), KeyUse::default());
}

#[test]
fn what_is_wrong_with_a_store_is_told_with_what_to_do() {
    let path = || std::path::PathBuf::from("keys.db");
    let id = || KeyId::parse("key_0123456789abcdef").unwrap();
    let errors = [
        StoreError::Damaged { path: path(), what: "a page is missing".to_owned() },
        StoreError::Disk { path: path(), doing: "read", reason: "disk I/O error".to_owned() },
        StoreError::Duplicate { name: "shop".to_owned(), what: "the same id" },
        StoreError::Full { path: path() },
        StoreError::Io { path: path(), doing: "read", reason: "this user may not read it".to_owned() },
        StoreError::Locked { path: path() },
        StoreError::Missing { path: path() },
        StoreError::NoAudit { path: path() },
        StoreError::Newer { path: path(), found: 2, known: 1 },
        StoreError::NotAStore { path: path(), what: "it is no SQLite database".to_owned() },
        StoreError::Older { path: path(), found: 1, known: 2 },
        StoreError::ReadOnly { path: path() },
        StoreError::Replaced { path: path() },
        StoreError::Unknown(id()),
    ];
    insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n"));
}
