use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::server::{Server, until};
use super::*;
use crate::key::KeyState;
use crate::policy::scope::Vocabulary;
use crate::store::Cause;
use crate::store::Extent;
use crate::store::follow::{Event, Follower};
use crate::store::index::Index;

/// Longer than anything here takes on the slowest machine.
const LONG: Duration = Duration::from_secs(30);

/// A follower and what it reports.
pub(super) struct Followed {
    pub(super) index: Arc<Index>,
    pub(super) follower: Follower,
    events: Receiver<String>,
}

pub(super) fn follow(store: Postgres) -> Followed {
    let index = Arc::new(Index::new(Vocabulary::default()));
    let (tell, events) = mpsc::channel();
    let report = move |event: &Event<'_>| {
        if matches!(event, Event::Announced(_)) {
            return;
        }
        let _ = tell.send(match event {
            Event::Down { error, .. } => format!("down: {error}"),
            Event::Loaded { keys, revision } => format!("{keys} to {revision}"),
            other => format!("{other:?}"),
        });
    };
    let follower = Follower::start(Box::new(store), Arc::clone(&index), report).unwrap();
    Followed { index, follower, events }
}

impl Followed {
    pub(super) fn next(&self) -> String {
        self.events.recv_timeout(LONG).unwrap()
    }

    pub(super) fn state(&self, key: &KeyRecord) -> Option<KeyState> {
        self.index.look_up(&key.value.digest, |entry| entry.map(|entry| entry.state()))
    }
}

/// A connection that nobody of ours made, which answers when it has done what it was told.
struct Raw(Child, ChildStdin, BufReader<ChildStdout>);

impl Raw {
    fn new(place: &Place) -> Self {
        let mut psql = place.0.server().session(&place.0.name);
        let mut psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (given, said) = (psql.stdin.take().unwrap(), psql.stdout.take().unwrap());
        Self(psql, given, BufReader::new(said))
    }

    fn run(&mut self, sql: &str) {
        writeln!(self.1, "{sql};\n\\echo done").unwrap();
        let mut said = String::new();
        while said.trim_end() != "done" {
            said.clear();
            assert!(self.2.read_line(&mut said).unwrap() > 0, "{sql} went well");
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_notification_wakes_a_follower_long_before_it_would_ask() {
    let Some(place) = Place::new() else { return };
    let keys: Vec<_> = (0..9).map(|number| record(&number.to_string())).collect();
    place.put(&keys);
    let followed = follow(place.store());
    let mut store = place.store();
    let mut took = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
        let committed = Instant::now();
        assert_eq!(followed.next(), format!("1 to {}", 10 + number));
        assert_eq!(followed.state(key), Some(KeyState::Revoked));
        took.push(committed.elapsed());
    }
    took.sort();
    assert!(took[4] < POLL / 2, "half of them at once: {took:?}");
}

#[test]
fn no_change_needs_to_be_asked_for_by_a_follower_that_listens_however_many_there_are_and_however_they_fall() {
    let Some(place) = Place::new() else { return };
    let keys: Vec<_> = (0..40).map(|number| record(&number.to_string())).collect();
    place.put(&keys);
    let mut fleet = Vec::new();
    for _ in 0..12 {
        let mut store = place.store();
        store.poll = Duration::from_secs(3600);
        fleet.push(follow(store));
    }
    let indexes: Vec<_> = fleet.iter().map(|followed| Arc::clone(&followed.index)).collect();
    let is_revoked = |index: &Index, key: &KeyRecord| {
        let state = index.look_up(&key.value.digest, |entry| entry.map(|entry| entry.state()));
        state == Some(KeyState::Revoked)
    };
    std::thread::scope(|scope| {
        // Two at once: changes fall into loads, confirmations and other changes.
        for half in keys.chunks(keys.len() / 2) {
            let (mut store, indexes) = (place.store(), &indexes);
            scope.spawn(move || {
                for key in half {
                    store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
                    for index in indexes {
                        until("a follower is woken", || is_revoked(index, key));
                    }
                }
            });
        }
    });
    assert!(fleet.iter().all(|followed| followed.follower.status().is_up()));
}

#[test]
fn notifications_without_a_change_cost_a_look_at_the_head_and_no_load() {
    let Some(place) = Place::new() else { return };
    place.put(&[record("one")]);
    let (_stop, stopped) = mpsc::channel();
    let mut store = place.store();
    store.poll = LONG;
    let since = store.load(Revision::START, &mut |_| {}).unwrap().revision;
    assert!(store.wait(&stopped), "it listens");
    assert!(!store.refresh().unwrap());
    let wake = |store: &mut Postgres| {
        assert!(store.wait(&stopped) && store.is_told);
        store.refresh().unwrap()
    };
    place.0.run("NOTIFY scopegate");
    assert!(wake(&mut store), "the first is believed");
    assert_eq!(store.load(since, &mut |_| panic!("nothing changed")).unwrap().revision, since);
    for _ in 0..3 {
        place.0.run("NOTIFY scopegate");
        assert!(!wake(&mut store), "the next are not");
    }
    place.put(&[record("two")]);
    assert!(wake(&mut store));
    assert_eq!(store.load(since, &mut |_| {}).unwrap().revision, Revision(2));
    place.put(&[record("three")]);
    assert!(wake(&mut store) && !store.is_misled, "they are believed again");
}

#[test]
fn a_change_is_found_where_no_notification_comes() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    place.0.run("ALTER TABLE scopegate.changes DISABLE TRIGGER wake");
    let followed = follow(place.store());
    place.store().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    assert_eq!(followed.next(), "1 to 2");
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
}

#[test]
fn transactions_that_commit_in_another_order_than_they_began_lose_nothing() {
    let Some(place) = Place::new() else { return };
    let [first, second] = [record("first"), record("second")];
    place.put(&[first.clone(), second.clone()]);
    let mut reader = place.store();
    let since = reader.load(Revision::START, &mut |_| {}).unwrap().revision;
    // One that began long ago, and has written what it pleases, but for a number.
    let mut slow = Raw::new(&place);
    slow.run("BEGIN");
    slow.run(&format!("UPDATE scopegate.keys SET note = 'slow' WHERE id = '{}'", first.id));
    let quick = place.store().change(&second.id, &Transition::Revoke, STAMP).unwrap();
    let mut told = Vec::new();
    let seen = reader.load(since, &mut |change| told.push(change.record.id)).unwrap().revision;
    assert_eq!((Some(seen), &told[..]), (quick.revision, std::slice::from_ref(&second.id)));
    // It takes its number now, and whoever comes later waits until it has committed.
    slow.run("UPDATE scopegate.head SET revision = revision + 1");
    slow.run(&format!(
        "INSERT INTO scopegate.changes SELECT revision, 0, 'raw', 'revoke', '{}', NULL, NULL, sha256('x') FROM scopegate.head",
        first.id
    ));
    slow.run(&format!(
        "UPDATE scopegate.keys SET state = 'revoked', revision = (SELECT revision FROM scopegate.head) WHERE id = '{}'",
        first.id
    ));
    let late = record("late");
    let writer = std::thread::spawn({
        let mut store = place.store();
        move || store.create(&[late], STAMP).unwrap()
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    until("the later one waits", || place.0.run(waits) == "1");
    assert_eq!(reader.load(seen, &mut |_| panic!("nothing is committed")).unwrap().revision, seen);
    slow.run("COMMIT");
    assert_eq!(writer.join().unwrap(), Revision(seen.0 + 2), "its number is behind that of the slow one");
    let mut told = Vec::new();
    let last = reader.load(seen, &mut |change| told.push((change.revision.0 - seen.0, change.record.name))).unwrap();
    told.sort();
    assert_eq!(told, [(1, "first".into()), (2, "late".into())]);
    assert_eq!(last.revision, Revision(seen.0 + 2));
}

#[test]
fn a_number_that_is_taken_back_is_given_to_the_next_change() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    store.create(&[record("one")], STAMP).unwrap();
    let mut undone = Raw::new(&place);
    undone.run("BEGIN; UPDATE scopegate.head SET revision = revision + 1; ROLLBACK");
    assert_eq!(store.create(&[record("two")], STAMP).unwrap(), Revision(2));
}

#[test]
fn a_log_with_a_gap_means_a_fresh_start() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    for name in ["one", "two", "three"] {
        store.create(&[record(name)], STAMP).unwrap();
    }
    place.0.run("ALTER TABLE scopegate.changes DISABLE TRIGGER USER; DELETE FROM scopegate.changes WHERE revision = 2");
    let mut told = Vec::new();
    let loaded = store.load(Revision(1), &mut |change| told.push(change.revision)).unwrap();
    assert_eq!(loaded, Loaded { revision: Revision(3), extent: Extent::Everything });
    assert_eq!(told, [Revision(3); 3], "each with the revision of the load, so that others are forgotten");
}

#[test]
fn a_database_that_was_restored_is_refused_and_a_revoked_key_stays_revoked() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    let followed = follow(place.store());
    let put_back = |sql: &str| {
        place.0.run(&format!(
            "ALTER TABLE scopegate.keys DISABLE TRIGGER USER; ALTER TABLE scopegate.changes DISABLE TRIGGER USER; \
            ALTER TABLE scopegate.head DISABLE TRIGGER USER; {sql}; ALTER TABLE scopegate.keys ENABLE TRIGGER USER; \
            ALTER TABLE scopegate.changes ENABLE TRIGGER USER; ALTER TABLE scopegate.head ENABLE TRIGGER USER"
        ))
    };
    place.store().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    assert_eq!(followed.next(), "1 to 2");
    put_back(
        "CREATE TABLE lost AS TABLE scopegate.changes; UPDATE scopegate.keys SET state = 'active', revision = 1; \
        DELETE FROM scopegate.changes WHERE revision = 2; UPDATE scopegate.head SET revision = 1",
    );
    let said = followed.next();
    assert!(
        said.contains(
            "was emptied or put back to a backup: it has come to change 1 only, and change 2 was followed: what"
        ),
        "{said}"
    );
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
    assert!(!followed.follower.status().is_up());
    // It goes on, and gives out the number anew.
    place.store().create(&[record("another past")], STAMP).unwrap();
    let said = followed.next();
    assert!(said.contains("has another change 2 than the one that was followed"), "{said}");
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
    put_back(
        "DELETE FROM scopegate.changes WHERE revision = 2; INSERT INTO scopegate.changes SELECT * FROM lost WHERE revision = 2; \
        UPDATE scopegate.keys SET state = 'revoked', revision = 2 WHERE revision = 1",
    );
    assert_eq!(followed.next(), "Up", "the one that was followed is there again");
}

#[test]
fn another_past_that_came_to_the_same_number_is_not_taken_for_the_one_that_was_followed() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    let followed = follow(place.store());
    place.store().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    assert_eq!(followed.next(), "1 to 2");
    // One transaction, and no notification: nobody sees anything in between.
    place.0.run(
        "ALTER TABLE scopegate.keys DISABLE TRIGGER USER; ALTER TABLE scopegate.changes DISABLE TRIGGER USER; \
        UPDATE scopegate.keys SET state = 'active', revision = 1; \
        UPDATE scopegate.changes SET action = 'create', hash = sha256('another') WHERE revision = 2",
    );
    let said = followed.next();
    assert!(said.contains("has another change 2 than the one that was followed"), "{said}");
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
    assert!(!followed.follower.status().is_up());
}

#[test]
fn a_fail_over_to_an_empty_database_or_another_store_takes_no_key_and_gives_none() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    let followed = follow(place.store());
    place.0.run("ALTER SCHEMA scopegate RENAME TO kept");
    let said = followed.next();
    assert!(said.contains("is gone (no schema scopegate)") && said.contains("make no new one"), "{said}");
    assert_eq!(followed.follower.status().cause(), Some(Cause::Missing));
    assert_eq!(followed.state(&key), Some(KeyState::Active));
    let stranger = record("stranger");
    place.put(std::slice::from_ref(&stranger));
    let said = followed.next();
    assert!(said.contains("is not the one that was opened: another one, or one that was made anew"), "{said}");
    assert!(said.contains("where every key is in what is there now, restart the gateways"), "{said}");
    assert_eq!(followed.follower.status().cause(), Some(Cause::AnotherPast));
    assert_eq!((followed.state(&key), followed.state(&stranger)), (Some(KeyState::Active), None));
    place.0.run("DROP SCHEMA scopegate CASCADE; ALTER SCHEMA kept RENAME TO scopegate");
    assert_eq!(followed.next(), "Up");
}

#[test]
fn a_server_that_is_killed_and_comes_back_has_lost_nothing_and_is_followed_again() {
    let Some(mut server) = Server::private() else { return };
    server.run("postgres", "ALTER SYSTEM SET fsync = on");
    server.run("postgres", "CREATE DATABASE keys OWNER owner");
    let url = server.url_of("owner", "keys");
    let [key, other] = [record("key"), record("other")];
    let mut store = open(&url, OpenMode::Create).unwrap();
    store.create(&[key.clone(), other.clone()], STAMP).unwrap();
    let followed = follow(open(&url, OpenMode::Existing).unwrap());
    store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
    server.stop("immediate");
    let mut said = followed.next();
    while !said.starts_with("down: cannot reach the key store") {
        said = followed.next();
    }
    assert_eq!(followed.state(&other), Some(KeyState::Active), "known keys go on");
    assert!(store.list().is_err());
    server.start();
    until("it is followed again", || followed.follower.status().is_up());
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
    store.change(&other.id, &Transition::Revoke, STAMP).unwrap();
    until("the next change arrives", || followed.state(&other) == Some(KeyState::Revoked));
}
