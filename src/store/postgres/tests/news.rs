use super::server::until;
use super::*;
use crate::key::KeyState;

/// How many keys there are.
const KEYS: usize = 5_000;

/// How often a key was read by going through all of them.
fn read_through(place: &Place) -> String {
    let sql = "SELECT seq_tup_read + coalesce(idx_tup_read, 0) FROM pg_stat_user_tables t \
        JOIN pg_stat_user_indexes i USING (relid) WHERE t.relname = 'keys' AND i.indexrelname = 'keys_pkey'";
    place.0.run(sql)
}

#[test]
fn a_revoke_costs_no_look_at_every_key_where_the_database_has_no_statistics_yet() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    place.0.run("ALTER TABLE scopegate.keys SET (autovacuum_enabled = off)");
    place.0.run("ALTER TABLE scopegate.changes SET (autovacuum_enabled = off)");
    let keys: Vec<_> = (0..KEYS).map(|number| record(&number.to_string())).collect();
    place.put(&keys);
    let all = store.load(Revision::START, &mut |_| {}).unwrap();
    store.change(&keys[7].id, &Transition::Revoke, STAMP).unwrap();
    // What a connection has read is told by its server later than it was read, at its end for certain.
    drop(store);
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    until("the connection is gone", || place.0.run(others) == "0");
    let mut store = place.store();
    let mut told = Vec::new();
    let mut plan = String::new();
    place.0.run("SELECT pg_stat_reset()");
    until("what was read before is forgotten", || read_through(&place) == "0");
    store.load(all.revision, &mut |change| told.push(change.record)).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].id, told[0].state), (&keys[7].id, KeyState::Revoked));
    // A server tells what it did a moment later.
    until("the load is told of", || {
        plan = read_through(&place);
        plan != "0"
    });
    assert!(plan.parse::<usize>().unwrap() < 10, "{plan} keys were read for one");
}

#[test]
fn what_ends_keys_is_told_before_what_makes_them_however_much_there_is() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    let first = record("first");
    place.put(std::slice::from_ref(&first));
    let since = store.load(Revision::START, &mut |_| {}).unwrap().revision;
    let keys: Vec<_> = (0..KEYS).map(|number| record(&number.to_string())).collect();
    place.put(&keys);
    store.change(&first.id, &Transition::Revoke, STAMP).unwrap();
    let mut told = Vec::new();
    store.load(since, &mut |change| told.push(change.record)).unwrap();
    assert_eq!((&told[0].id, told[0].state), (&first.id, KeyState::Revoked));
    assert_eq!(told.len(), KEYS + 1);
}
