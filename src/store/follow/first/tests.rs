use std::collections::BTreeMap;

use super::*;
use crate::key::{KeyRecord, KeyState};
use crate::policy::scope::Vocabulary;
use crate::store::sqlite::tests::Place;
use crate::store::tests::{Fixture as _, STAMP, record, rotation};

/// More than may be on their way at once, and a batch that is not full.
const KEYS: usize = BATCH * (AHEAD + 3) + 1;

fn fill(place: &Place) -> Vec<KeyRecord> {
    let keys: Vec<KeyRecord> = (0..KEYS).map(|number| record(&format!("key {number}"))).collect();
    place.put(&keys);
    keys
}

/// What an index says of every value that the keys ever had.
fn seen(index: &Index, keys: &[KeyRecord]) -> BTreeMap<String, (String, u64)> {
    let values = keys.iter().flat_map(|key| key.values().map(|value| value.digest));
    let look = |digest| index.look_up(&digest, |entry| entry.map(|entry| (format!("{entry:?}"), entry.revision().0)));
    values.filter_map(|digest| Some((digest.to_hex(), look(digest)?))).collect()
}

#[test]
fn two_threads_load_what_one_does() {
    let place = Place::new();
    let mut keys = fill(&place);
    let mut store = place.store();
    for (key, transition) in keys.iter_mut().step_by(100).zip([0, 60, 3600].map(rotation)) {
        *key = store.change(&key.id, &transition, STAMP).unwrap().record;
    }
    let [one, two] = [(); 2].map(|()| Index::new(Vocabulary::default()));
    let by_one = place.store().load(Revision::START, &mut |change| one.apply(&change)).unwrap();
    let by_two = load_by_two(&mut store, &two).unwrap().unwrap();
    assert_eq!(by_one, by_two);
    assert_eq!(two.len(), KEYS + 3);
    assert_eq!(seen(&one, &keys), seen(&two, &keys));
}

#[test]
fn a_store_that_is_damaged_is_said_to_be_and_what_came_before_is_there() {
    let place = Place::new();
    let keys = fill(&place);
    let edited = rusqlite::Connection::open(place.path()).unwrap();
    let edit = "DROP TRIGGER a_grant_never_changes; \
        UPDATE keys SET scopes = 'lists:read,profiles:read' WHERE rowid = (SELECT max(rowid) FROM keys)";
    edited.execute_batch(edit).unwrap();
    let index = Index::new(Vocabulary::default());
    let error = load_by_two(&mut place.store(), &index).unwrap().unwrap_err().to_string();
    assert!(error.contains("has a grant that cannot be"), "{error}");
    assert_eq!(index.len(), KEYS - 1);
    let first = index.look_up(&keys[0].value.digest, |entry| entry.map(|entry| entry.state()));
    assert_eq!(first, Some(KeyState::Active));
}
