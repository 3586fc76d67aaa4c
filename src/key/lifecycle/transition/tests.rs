use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::key::digest::Hasher;
use crate::key::lifecycle::{NewKey, create};
use crate::key::secret::Secret;

const DAY: u64 = 86_400;

fn day(count: u64) -> Timestamp {
    Timestamp::from_millis(0).after(days(count))
}

fn days(count: u64) -> Duration {
    Duration::from_secs(count * DAY)
}

fn imprint(text: &str) -> Imprint {
    Imprint::of(&Secret::new(text), "sg", &Hasher::new(None))
}

fn of_kind(kind: KeyKind) -> KeyRecord {
    let new = NewKey { expires: Some(day(150)), ..NewKey::new("billing", GrantSpec::custom(["a:read"])) };
    let record = create(new, KeyId::parse("key_0000000000000000").unwrap(), imprint("first"), day(100)).unwrap();
    KeyRecord { kind, ..record }
}

fn key() -> KeyRecord {
    of_kind(KeyKind::Secret)
}

fn rotate(text: &str, overlap: u64) -> Transition {
    Transition::Rotate(Replacement { imprint: imprint(text), overlap: days(overlap) })
}

fn fresh() -> Fresh {
    Fresh { id: KeyId::parse("key_clone").unwrap(), imprint: imprint("clone") }
}

fn after(record: KeyRecord, transition: &Transition, at: u64) -> KeyRecord {
    transition.apply(record, day(at)).unwrap()
}

fn refusal(record: KeyRecord, transition: &Transition, at: u64) -> String {
    transition.apply(record, day(at)).unwrap_err().to_string()
}

/// When each of the former values ends, the latest first.
fn ends(record: &KeyRecord) -> Vec<Timestamp> {
    record.former.iter().map(|value| value.until.unwrap()).collect()
}

#[test]
fn a_disabled_key_can_be_enabled_and_a_revoked_one_cannot() {
    let disabled = after(key(), &Transition::Disable, 101);
    assert_eq!((disabled.state, disabled.changed), (KeyState::Disabled, day(101)));
    let revoked = after(after(disabled, &Transition::Enable, 102), &Transition::Revoke, 103);
    let error = refusal(revoked.clone(), &Transition::Enable, 104);
    assert!(error.starts_with("key key_0000000000000000 cannot be enabled: it was revoked at 1970-04-14"), "{error}");
    assert!(refusal(revoked, &Transition::Disable, 104).contains("cannot be disabled"));
}

#[test]
fn a_transition_that_changes_nothing_keeps_its_date() {
    let revoked = after(key(), &Transition::Revoke, 101);
    assert_eq!(after(revoked.clone(), &Transition::Revoke, 102), revoked);
    assert_eq!(after(key(), &Transition::Enable, 101), key());
    let deleted = after(revoked, &Transition::Delete, 103);
    assert_eq!(after(deleted.clone(), &Transition::Delete, 104), deleted);
    assert_eq!(after(deleted.clone(), &Transition::Revoke, 104), deleted);
}

#[test]
fn a_rotated_key_has_a_new_value_and_the_old_one_until_the_overlap_ends() {
    let rotated = after(key(), &rotate("second", 2), 110);
    assert_eq!((rotated.value.digest, rotated.value.created), (imprint("second").digest, day(110)));
    assert_eq!((rotated.value.until, rotated.changed), (None, day(110)));
    let [old] = rotated.former.as_slice() else { panic!("{:?}", rotated.former) };
    assert_eq!((old.digest, old.created, old.until), (key().value.digest, day(100), Some(day(112))));
    assert!(!old.is_over(day(111)) && old.is_over(day(112)));
    let rest = KeyRecord { value: key().value, former: Vec::new(), changed: day(100), ..rotated };
    assert_eq!(rest, key(), "nothing else changes");
}

#[test]
fn without_an_overlap_every_old_value_ends_at_once() {
    let once = after(key(), &rotate("second", 0), 110);
    assert_eq!(ends(&once), [day(110)]);
    let twice = after(after(key(), &rotate("second", 20), 110), &rotate("third", 0), 115);
    assert_eq!(ends(&twice), [day(115), day(115)]);
}

#[test]
fn an_overlap_lengthens_no_life() {
    let twice = after(after(key(), &rotate("second", 5), 110), &rotate("third", 20), 112);
    assert_eq!(ends(&twice), [day(132), day(115)], "nor that of a value that is ending already");
    let late = after(key(), &rotate("second", 20), 140);
    assert_eq!(ends(&late), [day(150)], "nor that of the key");
    let endless = KeyRecord { expires: None, ..key() };
    let refused = refusal(endless.clone(), &rotate("second", 91), 110);
    assert!(refused.contains("90 days at most"), "{refused}");
    assert_eq!(ends(&after(endless, &rotate("second", 90), 110)), [day(200)]);
}

#[test]
fn an_overlap_can_be_ended_before_its_time_and_the_current_value_stays() {
    let twice = after(after(key(), &rotate("second", 20), 110), &rotate("third", 30), 112);
    let ended = after(twice.clone(), &Transition::EndOverlap, 115);
    assert_eq!(ends(&ended), [day(115), day(115)]);
    assert_eq!((&ended.value, ended.changed, ended.state), (&twice.value, day(115), KeyState::Active));
    assert_eq!(working(&ended, day(115)), BTreeSet::from([imprint("third").digest]));
    assert_eq!(after(ended.clone(), &Transition::EndOverlap, 116), ended, "there is nothing more to end");
    assert_eq!(after(key(), &Transition::EndOverlap, 110), key());
    // A value that has ended keeps the date of its end.
    let late = after(after(key(), &rotate("second", 5), 110), &Transition::EndOverlap, 120);
    assert_eq!((ends(&late), late.changed), (vec![day(115)], day(110)));
    let disabled = after(after(twice.clone(), &Transition::Disable, 113), &Transition::EndOverlap, 114);
    assert_eq!((disabled.state, ends(&disabled)), (KeyState::Disabled, vec![day(114), day(114)]));
    for end in [Transition::Revoke, Transition::Delete] {
        let gone = after(twice.clone(), &end, 113);
        assert_eq!(after(gone.clone(), &Transition::EndOverlap, 114), gone);
    }
}

#[test]
fn every_value_that_a_transition_cuts_short_is_told_with_both_ends() {
    let told = |before: &KeyRecord, after: &KeyRecord, at| {
        let told = shortened(before, after, day(at));
        told.iter().map(|cut| (cut.value.digest, cut.before, cut.after)).collect::<Vec<_>>()
    };
    let [first, second] = ["first", "second"].map(|text| imprint(text).digest);
    let once = after(key(), &rotate("second", 20), 110);
    assert_eq!(told(&key(), &once, 110), [(first, Some(day(150)), day(130))]);
    let twice = after(once.clone(), &rotate("third", 5), 112);
    assert_eq!(told(&once, &twice, 112), [(second, Some(day(150)), day(117)), (first, Some(day(130)), day(117))]);
    // What ends earlier already, or has ended, is not touched.
    let longer = after(once.clone(), &rotate("third", 30), 112);
    assert_eq!(told(&once, &longer, 112), [(second, Some(day(150)), day(142))]);
    let late = after(once.clone(), &rotate("third", 0), 131);
    assert_eq!(told(&once, &late, 131), [(second, Some(day(150)), day(131))]);
    let endless = KeyRecord { expires: None, ..key() };
    assert_eq!(told(&endless, &after(endless.clone(), &rotate("second", 0), 110), 110), [(first, None, day(110))]);
}

#[test]
fn a_disabled_key_is_rotated_and_stays_disabled() {
    let rotated = after(after(key(), &Transition::Disable, 101), &rotate("second", 0), 102);
    assert_eq!(rotated.state, KeyState::Disabled);
}

#[test]
fn a_key_from_elsewhere_has_a_value_of_ours_after_a_rotation() {
    let elsewhere = KeyRecord { value: KeyValue::new(imprint("an old token"), day(100)), ..key() };
    let rotated = after(elsewhere, &rotate("sg_0123456789ABCDEFGHIJKLMNOPQRST4YaTr7", 0), 110);
    assert_eq!((&*rotated.former[0].prefix, &*rotated.value.prefix), ("", "sg"));
}

#[test]
fn a_secret_is_reset_for_pairs_alone() {
    let reset = |overlap| Transition::ResetSecret(Replacement { imprint: imprint("second"), overlap: days(overlap) });
    let pair = after(of_kind(KeyKind::Pair), &reset(3), 110);
    assert_eq!((pair.id, ends(&after(of_kind(KeyKind::Pair), &reset(3), 110))), (key().id, vec![day(113)]));
    let refused = refusal(key(), &reset(3), 110);
    assert!(refused.contains("it is of kind secret, not a pair; `scopegate keys rotate key_"), "{refused}");
}

#[test]
fn what_has_ended_and_what_is_public_gets_no_new_value_and_no_clone() {
    let [revoked, deleted] = [Transition::Revoke, Transition::Delete].map(|end| after(key(), &end, 105));
    for (record, at, why) in [
        (revoked, 110, "it was revoked at 1970-04-16T00:00:00Z, and a revoke is final; create another key"),
        (deleted, 110, "it was deleted at 1970-04-16T00:00:00Z, and that is final; create another key"),
        (key(), 150, "it expired at 1970-05-31T00:00:00Z; create another key"),
        (
            of_kind(KeyKind::Public),
            110,
            "it is public, and an account has one such key; to replace it, revoke it and create another",
        ),
    ] {
        let rotated = refusal(record.clone(), &rotate("second", 0), at);
        assert_eq!(rotated, format!("key key_0000000000000000 cannot be rotated: {why}"));
        let cloned = clone_key(&record, fresh(), day(at)).unwrap_err().to_string();
        assert_eq!(cloned, format!("key key_0000000000000000 cannot be cloned: {why}"));
    }
    let disabled = after(key(), &Transition::Disable, 105);
    let refused = clone_key(&disabled, fresh(), day(110)).unwrap_err().to_string();
    assert!(
        refused.contains("cannot be cloned: it was disabled at 1970-04-16T00:00:00Z; enable it first"),
        "{refused}"
    );
}

#[test]
fn a_clone_has_all_that_its_original_may_and_nothing_of_its_past() {
    let original = KeyRecord {
        account: Some("acme".into()),
        attributes: vec![("team".into(), "blue".into())],
        allow_from: vec!["10.0.0.0/8".parse().unwrap()],
        not_before: Some(day(90)),
        note: Some("given to Bob".into()),
        last_used: Some(day(105)),
        ..after(key(), &rotate("second", 20), 105)
    };
    let clone = clone_key(&original, fresh(), day(110)).unwrap();
    assert_eq!((&clone.id, clone.created, clone.changed), (&fresh().id, day(110), day(110)));
    assert_eq!((&clone.value, clone.former.len()), (&KeyValue::new(imprint("clone"), day(110)), 0));
    assert_eq!((clone.note.as_deref(), clone.last_used), (None, None));
    let rest = KeyRecord {
        id: original.id.clone(),
        created: original.created,
        changed: original.changed,
        note: original.note.clone(),
        value: original.value.clone(),
        former: original.former.clone(),
        last_used: original.last_used,
        ..clone
    };
    assert_eq!(rest, original);
}

#[test]
fn a_deleted_key_is_an_id_a_name_and_dates() {
    let full = KeyRecord {
        account: Some("acme".into()),
        attributes: vec![("team".into(), "blue".into())],
        allow_from: vec!["10.0.0.0/8".parse().unwrap()],
        note: Some("given to Bob".into()),
        ..after(key(), &rotate("second", 20), 105)
    };
    let deleted = after(full.clone(), &Transition::Delete, 110);
    assert_eq!((deleted.state, deleted.changed, &deleted.grant), (KeyState::Deleted, day(110), &GrantSpec::nothing()));
    assert!(deleted.account.is_none() && deleted.note.is_none());
    assert!(deleted.attributes.is_empty() && deleted.allow_from.is_empty());
    assert_eq!(
        (&deleted.id, &deleted.name, deleted.created, deleted.expires),
        (&full.id, &full.name, full.created, full.expires)
    );
    assert_eq!((&deleted.value, &deleted.former), (&full.value, &full.former), "its values stay known");
}

/// One step of a sequence; values have the step's number for their text.
#[derive(Clone, Copy, Debug)]
enum Step {
    Clone,
    Delete,
    Disable,
    Enable,
    EndOverlap,
    ResetSecret(u64),
    Revoke,
    Rotate(u64),
}

impl Step {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            2 => Just(Self::Clone),
            1 => Just(Self::Delete),
            4 => Just(Self::Disable),
            4 => Just(Self::Enable),
            3 => Just(Self::EndOverlap),
            2 => (0_u64..100).prop_map(Self::ResetSecret),
            1 => Just(Self::Revoke),
            6 => (0_u64..100).prop_map(Self::Rotate),
        ]
    }

    fn take(self, record: KeyRecord, (number, now): (usize, Timestamp)) -> Result<KeyRecord, TransitionError> {
        let replacement = |overlap| Replacement { imprint: imprint(&number.to_string()), overlap: days(overlap) };
        let transition = match self {
            Self::Clone => return clone_key(&record, fresh_for(number), now),
            Self::Delete => Transition::Delete,
            Self::Disable => Transition::Disable,
            Self::Enable => Transition::Enable,
            Self::EndOverlap => Transition::EndOverlap,
            Self::ResetSecret(overlap) => Transition::ResetSecret(replacement(overlap)),
            Self::Revoke => Transition::Revoke,
            Self::Rotate(overlap) => Transition::Rotate(replacement(overlap)),
        };
        transition.apply(record, now)
    }
}

fn fresh_for(number: usize) -> Fresh {
    Fresh { id: KeyId::parse(&format!("key_{number}")).unwrap(), imprint: imprint(&format!("clone {number}")) }
}

/// What a record lets a caller do.
fn reach(record: &KeyRecord) -> impl PartialEq + std::fmt::Debug + use<> {
    let who = (record.kind, record.name.clone(), record.account.clone(), record.grant.clone());
    (who, record.attributes.clone(), record.allow_from.clone(), record.not_before, record.expires)
}

/// The values that work at a moment.
fn working(record: &KeyRecord, now: Timestamp) -> BTreeSet<crate::key::digest::Digest> {
    let in_force = record.state == KeyState::Active && !record.is_expired(now);
    let values = record.values().filter(|value| in_force && record.end_of(value).is_none_or(|end| now < end));
    values.map(|value| value.digest).collect()
}

proptest! {
    /// Of each step: what it leads to may do no more, and for no longer, than what it began with.
    #[test]
    fn no_sequence_widens_a_grant_lengthens_a_life_or_revives_what_was_ended(
        life in prop::option::of(1_u64..80),
        kind in prop::sample::select(KeyKind::ALL.to_vec()),
        level in prop::sample::select(vec![GrantSpec::Full, GrantSpec::ReadOnly, GrantSpec::custom(["a", "b"])]),
        steps in prop::collection::vec((Step::any(), 0_u64..30), 0..25),
    ) {
        let new = NewKey { expires: life.map(|life| day(100 + life)), ..NewKey::new("k", level) };
        let first = create(new, KeyId::parse("key_first").unwrap(), imprint("first"), day(100)).unwrap();
        let mut records = vec![KeyRecord { kind, attributes: vec![("a".into(), "b".into())], ..first }];
        let mut now = 100;
        for (number, (step, days)) in steps.into_iter().enumerate() {
            now += days;
            let which = number % records.len();
            let before = records[which].clone();
            let Ok(after) = step.take(before.clone(), (number, day(now))) else { continue };
            if after.id != before.id {
                // A clone: of what works, and no more than that.
                prop_assert!(before.state == KeyState::Active && !before.is_expired(day(now)));
                prop_assert_eq!(reach(&after), reach(&before));
                prop_assert!(before.values().all(|value| value.digest != after.value.digest));
                records.push(after);
                continue;
            }
            match (before.state, after.state) {
                (KeyState::Deleted, _) => prop_assert_eq!(&after, &before),
                (KeyState::Revoked, KeyState::Revoked) => prop_assert_eq!(&after, &before),
                (KeyState::Revoked, state) => prop_assert_eq!(state, KeyState::Deleted),
                (_, KeyState::Deleted) => {}
                _ => prop_assert_eq!(reach(&after), reach(&before)),
            }
            if let Step::EndOverlap = step {
                // It narrows alone: the current value works on where it did, and none beside it.
                prop_assert!(working(&after, day(now)).is_subset(&working(&before, day(now))));
                prop_assert!(working(&after, day(now)).iter().all(|digest| *digest == after.value.digest));
                prop_assert_eq!((&after.value, after.state), (&before.value, before.state));
            }
            let mut cut = shortened(&before, &after, day(now)).into_iter();
            prop_assert!(cut.all(|cut| cut.before.is_none_or(|before| cut.after < before)));
            prop_assert_eq!((after.not_before, after.expires), (before.not_before, before.expires));
            for old in before.values() {
                let new = after.values().find(|value| value.digest == old.digest);
                let new = new.expect("no value is forgotten");
                let (old_end, new_end) = (before.end_of(old).unwrap_or(Timestamp::MAX), after.end_of(new).unwrap_or(Timestamp::MAX));
                prop_assert!(new_end <= old_end, "a longer life for {:?}", old);
                prop_assert!(old_end > day(now) || !working(&after, day(now)).contains(&old.digest));
            }
            // But for an enabling, what works is what worked, and at most one new value.
            let known = working(&before, day(now));
            let gained = working(&after, day(now)).into_iter().filter(|digest| !known.contains(digest)).count();
            prop_assert!(gained <= 1 || before.state == KeyState::Disabled);
            records[which] = after;
        }
    }
}

#[test]
fn a_value_that_was_over_at_a_rotation_is_over_whatever_a_clock_says() {
    let over = |record: &KeyRecord, moment| record.former.iter().map(|value| value.is_over(moment)).collect::<Vec<_>>();
    let plain = after(key(), &rotate("second", 0), 110);
    assert_eq!((over(&plain, day(1)), over(&plain, Timestamp::MIN)), (vec![true], vec![true]));
    // Made while the clock was ten years ahead, and put right by the next rotation.
    let promised = after(KeyRecord { expires: None, ..key() }, &rotate("second", 90), 4000);
    assert_eq!((ends(&promised), over(&promised, day(110))), (vec![day(4090)], vec![false]));
    let again = after(promised.clone(), &rotate("third", 0), 110);
    assert_eq!(over(&again, day(1)), [true, true]);
    let longest = after(promised, &rotate("third", 90), 110);
    assert_eq!(ends(&longest), [day(200), day(200)]);
    // One whose overlap runs out ends by the clock, until the next rotation looks.
    let late = after(after(key(), &rotate("second", 5), 110), &rotate("third", 5), 120);
    assert_eq!((over(&late, day(111)), ends(&late)), (vec![false, true], vec![day(125), day(115)]));
}
