mod away; // A store that is away when the process begins.
mod broken; // Loads that break off.

use std::fs;
use std::sync::mpsc::channel;
use std::time::Instant;

use super::*;
use crate::key::account::{AccountRecord, AccountTransition, NewAccount};
use crate::key::lifecycle::{Fresh, Transition};
use crate::key::{KeyId, KeyRecord, KeyState};
use crate::policy::scope::Vocabulary;
use crate::store::sqlite::tests::Place;
use crate::store::tests::{Fixture as _, STAMP, record};
use crate::store::uses::{Count, KeyUse, ValueUse};
use crate::store::{AccountOutcome, Change, Loaded, Outcome, Provenance, Stamp, StoreWarning, audit};

/// Longer than anything here takes on the slowest machine.
const LONG: Duration = Duration::from_secs(30);

/// A follower and what it reports.
struct Followed {
    index: Arc<Index>,
    follower: Follower,
    events: Receiver<String>,
}

fn follow(store: Box<dyn KeyStore>) -> Followed {
    follow_from(Origin::Here(Reach::of(store)), Arc::new(Index::new(Vocabulary::default())), None)
}

fn follow_from(origin: Origin, index: Arc<Index>, spare: Option<Spare>) -> Followed {
    let (tell, events) = channel();
    let report = move |event: &Event<'_>| {
        let said = match event {
            Event::Closed(what) => format!("closed: {what}"),
            Event::Down { error, .. } => format!("down: {error}"),
            Event::Loaded { keys, revision } => format!("{keys} to {revision}"),
            Event::Restored { keys } => format!("restored: {keys}"),
            Event::Overdue(error) => format!("overdue: {error}"),
            Event::Unconfirmed(error) => format!("unconfirmed: {error}"),
            Event::Announced(badge) => format!("called {}", badge.name),
            Event::Up => "up".into(),
        };
        tell.send(said).unwrap();
    };
    let follower = Follower::start_from((origin, Some(USUAL)), Arc::clone(&index), spare, report).unwrap();
    Followed { index, follower, events }
}

impl Followed {
    fn next(&self) -> String {
        self.events.recv_timeout(LONG).unwrap()
    }

    /// The next report but for those of a file that is just being written: a look may fall between the cut and the write.
    fn next_but_trouble(&self) -> String {
        let mut said = self.next();
        while said.starts_with("down: ") || said == "up" {
            said = self.next();
        }
        said
    }

    fn state(&self, key: &KeyRecord) -> Option<KeyState> {
        self.index.look_up(&key.value.digest, |entry| entry.map(|entry| entry.state()))
    }
}

#[test]
fn everything_is_there_when_it_starts() {
    let (place, key) = (Place::new(), record("key"));
    place.put(std::slice::from_ref(&key));
    let followed = follow(place.open());
    assert_eq!(followed.state(&key), Some(KeyState::Active));
    let status = followed.follower.status();
    assert!(status.is_up());
    assert_eq!(status.trouble(), None);
}

#[test]
fn changes_of_others_arrive() {
    let (place, key) = (Place::new(), record("key"));
    let followed = follow(place.open());
    place.put(std::slice::from_ref(&key));
    assert_eq!(followed.next(), "1 to 1");
    assert_eq!(followed.state(&key), Some(KeyState::Active));
    place.open().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    assert_eq!(followed.next(), "1 to 2");
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
}

#[test]
fn a_store_that_goes_away_takes_no_key_with_it_and_is_followed_again_when_it_is_back() {
    let (place, key) = (Place::new(), record("key"));
    place.put(std::slice::from_ref(&key));
    let followed = follow(place.open());
    let aside = place.path().with_extension("aside");
    fs::rename(place.path(), &aside).unwrap();
    let said = followed.next();
    assert!(said.starts_with("down: no key store at ") && said.contains("make no new one"), "{said}");
    assert!(!followed.follower.status().is_up());
    assert_eq!(followed.state(&key), Some(KeyState::Active));
    fs::rename(&aside, place.path()).unwrap();
    assert_eq!(followed.next(), "up");
    place.open().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    assert_eq!(followed.next(), "1 to 2");
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
}

#[test]
fn another_store_in_its_place_changes_nothing() {
    let [place, other] = [Place::new(), Place::new()];
    let [key, stranger] = [record("key"), record("stranger")];
    place.put(std::slice::from_ref(&key));
    other.put(std::slice::from_ref(&stranger));
    let followed = follow(place.open());
    fs::rename(other.path(), place.path()).unwrap();
    let said = followed.next();
    assert!(said.starts_with("down: another key store was put at "), "{said}");
    assert_eq!((followed.state(&key), followed.state(&stranger)), (Some(KeyState::Active), None));
}

#[test]
fn a_follower_stops_when_it_is_dropped() {
    let followed = follow(Place::new().open());
    let begun = Instant::now();
    drop(followed);
    assert!(begun.elapsed() < LONG / 10);
}

#[test]
fn a_load_that_takes_long_does_not_hold_up_the_end() {
    let (begun, is_loading) = channel();
    let (release, released) = channel();
    let (followed, _) = follow_script(vec![Answer::Told(1, Transition::Enable), Answer::Held(begun, released)]);
    is_loading.recv_timeout(LONG).unwrap();
    let since = Instant::now();
    drop(followed);
    assert!(since.elapsed() < LONG / 2);
    release.send(()).unwrap();
}

#[test]
fn a_store_that_cannot_be_loaded_does_not_start() {
    let (place, key) = (Place::new(), record("key"));
    place.put(&[key]);
    let store = place.open();
    fs::remove_file(place.path()).unwrap();
    let index = Arc::new(Index::new(Vocabulary::default()));
    let error = Follower::start(store, index, |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
}

/// A store that begins with one key, then always has news, and answers each load with the next line of its script.
struct Scripted {
    key: KeyRecord,
    answers: std::vec::IntoIter<Answer>,
}

type Say = Box<dyn FnOnce(Revision, &mut dyn FnMut(Change)) -> Result<Loaded, StoreError> + Send>;

enum Answer {
    Fault(fn() -> StoreError),
    /// Says that it has begun, and goes on when it is told to.
    Held(Sender<()>, Receiver<()>),
    /// Whatever the test says.
    Said(Say),
    Told(u64, Transition),
}

impl KeyStore for Scripted {
    fn place(&self) -> String {
        "script".into()
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        Vec::new()
    }

    fn refresh(&mut self) -> Result<bool, StoreError> {
        Ok(self.answers.len() > 0)
    }

    fn load(&mut self, since: Revision, tell: &mut dyn FnMut(Change)) -> Result<Loaded, StoreError> {
        let revision = match self.answers.next() {
            None => since,
            Some(Answer::Fault(fault)) => return Err(fault()),
            Some(Answer::Held(begun, released)) => {
                begun.send(()).unwrap();
                released.recv_timeout(2 * LONG).unwrap();
                since
            }
            Some(Answer::Said(say)) => return say(since, tell),
            Some(Answer::Told(revision, transition)) => {
                let record = transition.apply(self.key.clone(), STAMP.at).unwrap();
                tell(Change::of(Revision(revision), record));
                Revision(revision)
            }
        };
        Ok(Loaded { revision, extent: Extent::Changes })
    }

    fn add(&mut self, _: &[KeyRecord], _: Provenance, _: Stamp<'_>) -> Result<Revision, StoreError> {
        unreachable!("a follower writes nothing")
    }

    fn change(&mut self, _: &KeyId, _: &Transition, _: Stamp<'_>) -> Result<Outcome, StoreError> {
        unreachable!("a follower writes nothing")
    }

    fn clone_key(&mut self, _: &KeyId, _: Fresh, _: Stamp<'_>) -> Result<Outcome, StoreError> {
        unreachable!("a follower writes nothing")
    }

    fn find(&mut self, _: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        unreachable!("a follower asks for no single key")
    }

    fn list(&mut self) -> Result<Vec<KeyRecord>, StoreError> {
        unreachable!("a follower does not list")
    }

    fn audit(&mut self, _: u64, _: &mut dyn FnMut(audit::Entry)) -> Result<audit::Standing, StoreError> {
        unreachable!("a follower reads no audit")
    }

    fn verify(&mut self, _: &mut dyn FnMut(audit::Entry)) -> Result<audit::Standing, StoreError> {
        unreachable!("a follower reads no audit")
    }

    fn records_use(&self) -> bool {
        false
    }

    fn add_uses(&mut self, _: &[ValueUse]) -> Result<(), StoreError> {
        unreachable!("a follower writes nothing")
    }

    fn use_of(&mut self, _: &KeyId) -> Result<KeyUse, StoreError> {
        unreachable!("a follower asks for no single key")
    }

    fn accounts(&mut self) -> Result<Vec<AccountRecord>, StoreError> {
        unreachable!("a follower does not list")
    }

    fn create_account(&mut self, _: NewAccount, _: Stamp<'_>) -> Result<AccountRecord, StoreError> {
        unreachable!("a follower writes nothing")
    }

    fn change_account(&mut self, _: &str, _: AccountTransition, _: Stamp<'_>) -> Result<AccountOutcome, StoreError> {
        unreachable!("a follower writes nothing")
    }

    fn set_patience(&mut self, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }
}

fn follow_script(answers: Vec<Answer>) -> (Followed, KeyRecord) {
    let key = record("key");
    let store = Scripted { key: key.clone(), answers: answers.into_iter() };
    (follow(Box::new(store)), key)
}

#[test]
fn a_change_that_could_not_be_loaded_at_once_is_loaded_later() {
    let busy = || StoreError::Locked { path: "script".into() };
    let (followed, key) = follow_script(vec![
        Answer::Told(1, Transition::Enable),
        Answer::Fault(busy),
        Answer::Fault(busy),
        Answer::Told(2, Transition::Revoke),
    ]);
    let said = followed.next();
    assert!(said.starts_with("down: the key store script is busy"), "{said}");
    assert_eq!(followed.next(), "up", "the same trouble is told once");
    assert_eq!(followed.next(), "1 to 2");
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
}

/// Puts a copy of a store in its place: as a new file, or written over the old one.
fn put_back(place: &Place, copy: &[u8], in_place: bool) {
    if in_place {
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let writer = rusqlite::Connection::open(place.path()).unwrap();
        writer.query_row(checkpoint, (), |_| Ok(())).unwrap();
        fs::write(place.path(), copy).unwrap();
        return;
    }
    let fresh = place.path().with_extension("fresh");
    fs::write(&fresh, copy).unwrap();
    // First: whoever opened the copy beside the log of the file before it would take that in.
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", place.path().display())).unwrap();
    }
    fs::rename(&fresh, place.path()).unwrap();
}

fn backup(place: &Place) -> Vec<u8> {
    let path = place.path().with_extension("backup");
    let store = rusqlite::Connection::open(place.path()).unwrap();
    store.execute("VACUUM INTO ?1", [path.display().to_string()]).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn a_key_that_is_revoked_after_a_backup_was_put_back_ends() {
    for (in_place, between) in [(false, false), (false, true), (true, false), (true, true)] {
        let (place, [key, late]) = (Place::new(), ["key", "late"].map(record));
        place.put(std::slice::from_ref(&key));
        let copy = backup(&place);
        let followed = follow(place.open());
        place.put(std::slice::from_ref(&late));
        assert_eq!(followed.next(), "1 to 2");
        let revoke = || place.open().change(&key.id, &Transition::Revoke, STAMP).unwrap();
        if between {
            put_back(&place, &copy, in_place);
            assert_eq!(followed.next_but_trouble(), "restored: 1");
            assert_eq!(revoke().revision, Some(Revision(2)));
            assert_eq!(followed.next(), "1 to 4", "numbers only grow");
        } else {
            // Both steps between two looks, and the number is the same as before.
            let (fresh, other) = (Place::new(), record("other"));
            fs::write(fresh.path(), &copy).unwrap();
            fresh.open().change(&key.id, &Transition::Revoke, STAMP).unwrap();
            fresh.put(&[other]);
            put_back(&place, &backup(&fresh), in_place);
            assert_eq!(followed.next_but_trouble(), "restored: 2");
        }
        assert_eq!((followed.state(&key), followed.state(&late)), (Some(KeyState::Revoked), None));
    }
}

#[test]
fn a_backup_that_is_put_back_again_and_again_is_followed_each_time() {
    let (place, key) = (Place::new(), record("key"));
    place.put(std::slice::from_ref(&key));
    let copy = backup(&place);
    let followed = follow(place.open());
    for _ in 0..3 {
        place.open().change(&key.id, &Transition::Revoke, STAMP).unwrap();
        assert!(followed.next().starts_with("1 to "));
        assert_eq!(followed.state(&key), Some(KeyState::Revoked));
        put_back(&place, &copy, false);
        assert_eq!(followed.next(), "restored: 1");
        assert_eq!(followed.state(&key), Some(KeyState::Active));
    }
}

#[test]
fn rubbish_that_is_written_over_a_store_is_noticed_and_takes_no_key_with_it() {
    let (place, key) = (Place::new(), record("key"));
    place.put(std::slice::from_ref(&key));
    let copy = backup(&place);
    let followed = follow(place.open());
    put_back(&place, &[0xA5; 8192], true);
    // A look may fall between the cut and the write.
    let mut said = followed.next();
    while !said.contains("is no key store (") {
        said = followed.next();
    }
    assert!(said.starts_with("down: "), "{said}");
    assert!(!followed.follower.status().is_up());
    assert_eq!(followed.state(&key), Some(KeyState::Active));
    fs::write(place.path(), copy).unwrap();
    while followed.next() != "up" {}
    place.open().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    assert_eq!(followed.next(), "1 to 2");
    assert_eq!(followed.state(&key), Some(KeyState::Revoked));
}

#[test]
fn a_record_of_use_tells_no_key_as_changed() {
    let (place, key) = (Place::new(), record("key"));
    place.put(std::slice::from_ref(&key));
    let followed = follow(place.open());
    let changes = followed.index.changes();
    let count = Count { allowed: 1, denied: 0, last: STAMP.at };
    let uses = [ValueUse { digest: key.value.digest, count, scopes: vec![("profiles:read".into(), count)] }];
    let mut store = place.open();
    for _ in 0..3 {
        store.add_uses(&uses).unwrap();
    }
    // What comes next in the file is what is told next.
    store.change(&key.id, &Transition::Disable, STAMP).unwrap();
    assert_eq!(followed.next(), "1 to 2");
    assert_eq!(followed.index.changes(), changes + 1);
}
