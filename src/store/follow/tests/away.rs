use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::store::file::Form;
use crate::store::{Location, OpenMode, open};

/// A store that can be made to be away, and a copy of its keys.
struct Fickle {
    location: Location,
    is_there: Arc<AtomicBool>,
    spare: Spare,
    _folder: tempfile::TempDir,
}

impl Fickle {
    /// Followed once, and then no more.
    fn new(location: Location) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spare = Spare::new(folder.path().join("copy"), location.clone(), |_| {});
        let fickle = Self { location, is_there: Arc::default(), spare, _folder: folder };
        let index = Arc::new(Index::new(Vocabulary::default()));
        drop(follow_from(Origin::Here(Reach::of(fickle.open())), index, Some(fickle.spare.clone())));
        fickle
    }

    fn of(place: &Place) -> Self {
        Self::new(Location::Sqlite(place.path()))
    }

    fn open(&self) -> Box<dyn KeyStore> {
        open(&self.location, OpenMode::Existing).unwrap()
    }

    /// A follower that begins while it is away.
    fn follow(&self) -> Followed {
        let index = Arc::new(Index::new(Vocabulary::default()));
        let past = self.spare.load(&index).unwrap().unwrap().past;
        let (location, is_there) = (self.location.clone(), Arc::clone(&self.is_there));
        let reach = Reach::to(location.place(), move || match is_there.load(Ordering::Relaxed) {
            true => open(&location, OpenMode::Existing),
            false => Err(StoreError::Io { path: "it".into(), doing: "reach", reason: "away".into() }),
        });
        follow_from(Origin::Away(reach, Some(past), None), index, Some(self.spare.clone()))
    }

    fn come(&self) {
        self.is_there.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_follower_goes_on_from_a_copy_with_what_came_after_it() {
    let (place, [key, other]) = (Place::new(), ["key", "other"].map(record));
    place.put(&[key.clone(), other.clone()]);
    let fickle = Fickle::of(&place);
    // While nobody follows.
    place.open().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    let followed = fickle.follow();
    assert_eq!(followed.next(), "down: cannot reach the key store it: away");
    let status = followed.follower.status();
    assert_eq!((status.standing(), followed.state(&key)), (Standing::Away, Some(KeyState::Active)));
    assert!(status.age(Instant::now()).unwrap() < LONG);
    fickle.come();
    assert_eq!((followed.next().as_str(), followed.next().as_str()), ("up", "1 to 3"));
    assert!(status.is_up());
    assert_eq!((followed.state(&key), followed.state(&other)), (Some(KeyState::Revoked), Some(KeyState::Active)));
    place.open().change(&other.id, &Transition::Disable, STAMP).unwrap();
    assert_eq!(followed.next(), "1 to 4");
}

#[test]
fn a_backup_that_was_put_back_meanwhile_is_told_as_one() {
    let (place, [key, late]) = (Place::new(), ["key", "late"].map(record));
    place.put(std::slice::from_ref(&key));
    let copy = backup(&place);
    place.put(std::slice::from_ref(&late));
    let fickle = Fickle::of(&place);
    let followed = fickle.follow();
    put_back(&place, &copy, true);
    // As many changes as the copy knows, and others.
    place.open().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    fickle.come();
    while followed.next() != "up" {}
    assert_eq!(followed.next(), "restored: 1");
    assert_eq!((followed.state(&key), followed.state(&late)), (Some(KeyState::Revoked), None));
}

#[test]
fn another_store_that_stands_there_by_then_replaces_all() {
    let (place, [key, stranger]) = (Place::new(), ["key", "stranger"].map(record));
    place.put(std::slice::from_ref(&key));
    let fickle = Fickle::of(&place);
    let followed = fickle.follow();
    let other = Place::new();
    other.put(std::slice::from_ref(&stranger));
    put_back(&place, &backup(&other), true);
    fickle.come();
    while followed.next() != "up" {}
    assert_eq!(followed.next(), "1 to 1");
    assert_eq!((followed.state(&key), followed.state(&stranger)), (None, Some(KeyState::Active)));
    place.open().change(&stranger.id, &Transition::Revoke, STAMP).unwrap();
    assert_eq!(followed.next(), "1 to 2");
    assert_eq!(followed.state(&stranger), Some(KeyState::Revoked));
    // What is written of it now is a copy to go on from, whatever was added to its numbers.
    drop(followed);
    place.open().change(&stranger.id, &Transition::Delete, STAMP).unwrap();
    let followed = fickle.follow();
    assert_eq!(followed.state(&stranger), Some(KeyState::Revoked));
    while followed.next() != "up" {}
    assert_eq!(followed.next(), "1 to 3");
    assert_eq!(followed.state(&stranger), Some(KeyState::Deleted));
}

fn write_keys(path: &Path, keys: &[&KeyRecord]) {
    let line = |key: &&KeyRecord| {
        format!("  - {{ name: x, sha256: {}, scopes: [profiles:read] }}\n", key.value.digest.to_hex())
    };
    fs::write(path, format!("keys:\n{}", keys.iter().map(line).collect::<String>())).unwrap();
}

#[test]
fn a_key_file_that_comes_back_as_it_was_is_no_news_and_another_one_replaces_all() {
    let (folder, [key, other]) = (tempfile::tempdir().unwrap(), ["key", "other"].map(record));
    let path = folder.path().join("keys.yaml");
    write_keys(&path, &[&key, &other]);
    let fickle = Fickle::new(Location::File(path.clone(), Form::Sha256));
    let followed = fickle.follow();
    fickle.come();
    while followed.next() != "up" {}
    write_keys(&path, &[&other]);
    assert_eq!(followed.next(), "1 to 2", "nothing before it");
    assert_eq!((followed.state(&key), followed.state(&other)), (None, Some(KeyState::Active)));
}

#[test]
fn where_nothing_is_known_the_store_is_waited_for() {
    let (place, key) = (Place::new(), record("key"));
    place.put(std::slice::from_ref(&key));
    let (is_there, path) = (Arc::<AtomicBool>::default(), place.path());
    let gate = Arc::clone(&is_there);
    let reach = Reach::to("somewhere".into(), move || match gate.load(Ordering::Relaxed) {
        true => open(&Location::Sqlite(path.clone()), OpenMode::Existing),
        false => Err(StoreError::Locked { path: "it".into() }),
    });
    let followed = follow_from(Origin::Away(reach, None, None), Arc::new(Index::new(Vocabulary::default())), None);
    assert!(followed.next().starts_with("down: "));
    assert_eq!((followed.follower.status().age(Instant::now()), followed.state(&key)), (None, None));
    is_there.store(true, Ordering::Relaxed);
    assert_eq!((followed.next().as_str(), followed.next().as_str()), ("up", "1 to 1"));
    assert_eq!(followed.state(&key), Some(KeyState::Active));
}

#[test]
fn a_place_is_called_the_same_whether_the_store_is_there_or_not() {
    let place = Place::new();
    let location = Location::Sqlite(place.path());
    assert_eq!(location.place(), place.open().place());
    let file = place.path().with_extension("yaml");
    fs::write(&file, "keys: []\n").unwrap();
    let location = Location::File(file, Form::Sha256);
    assert_eq!(location.place(), open(&location, OpenMode::Existing).unwrap().place());
}
