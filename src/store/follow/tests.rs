use std::fs;
use std::sync::mpsc::channel;
use std::time::Instant;

use super::*;
use crate::key::lifecycle::{Fresh, Transition};
use crate::key::{KeyId, KeyRecord, KeyState};
use crate::policy::scope::Vocabulary;
use crate::store::sqlite::tests::Place;
use crate::store::tests::{Fixture as _, STAMP, record};
use crate::store::{Change, Loaded, Outcome, Stamp, StoreWarning};

/// Longer than anything here takes on the slowest machine.
const LONG: Duration = Duration::from_secs(30);

/// A follower and what it reports.
struct Followed {
    index: Arc<Index>,
    follower: Follower,
    events: Receiver<String>,
}

fn follow(store: Box<dyn KeyStore>) -> Followed {
    let index = Arc::new(Index::new(Vocabulary::default()));
    let (tell, events) = channel();
    let report = move |event: &Event<'_>| {
        let said = match event {
            Event::Down(error) => format!("down: {error}"),
            Event::Loaded { keys, revision } => format!("{keys} to {revision}"),
            Event::Up => "up".into(),
        };
        tell.send(said).unwrap();
    };
    let follower = Follower::start(store, Arc::clone(&index), report).unwrap();
    Followed { index, follower, events }
}

impl Followed {
    fn next(&self) -> String {
        self.events.recv_timeout(LONG).unwrap()
    }

    fn state(&self, key: &KeyRecord) -> Option<KeyState> {
        self.index.look_up(&key.value.digest, |entry| entry.map(|entry| entry.state))
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
    assert!(said.starts_with("down: no key store at "), "{said}");
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

enum Answer {
    Fault(fn() -> StoreError),
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
            Some(Answer::Told(revision, transition)) => {
                let record = transition.apply(self.key.clone(), STAMP.at).unwrap();
                tell(Change { revision: Revision(revision), record });
                Revision(revision)
            }
        };
        Ok(Loaded { revision, extent: Extent::Changes })
    }

    fn create(&mut self, _: &[KeyRecord], _: Stamp<'_>) -> Result<Revision, StoreError> {
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

#[test]
fn a_store_that_went_back_is_reported_and_takes_no_key_with_it() {
    let went_back = || StoreError::Backwards { path: "script".into(), ours: Revision(9), found: Revision(3) };
    let (followed, key) = follow_script(vec![
        Answer::Told(9, Transition::Revoke),
        Answer::Fault(went_back),
        Answer::Told(3, Transition::Enable),
    ]);
    let said = followed.next();
    assert!(said.starts_with("down: the key store script went back from revision 9 to 3"), "{said}");
    assert_eq!(followed.next(), "up");
    assert_eq!(followed.state(&key), Some(KeyState::Revoked), "an older revision undoes nothing");
}
