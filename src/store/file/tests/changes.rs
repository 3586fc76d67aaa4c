//! What changes while a file is followed.

use super::*;

#[test]
fn a_key_that_was_taken_out_of_the_file_is_gone_and_a_broken_file_changes_nothing() {
    let place = Place::new();
    let [kept, removed] = [record("kept"), record("removed")];
    place.put(&[kept.clone(), removed.clone()]);
    let (mut store, index) = (place.store(), Index::new(Vocabulary::new()));
    let mut follow = |since| {
        let loaded = store.load(since, &mut |change| index.apply(&change))?;
        if loaded.extent == Extent::Everything {
            index.forget_before(loaded.revision);
        }
        Ok::<_, StoreError>(loaded.revision)
    };
    let has = |record: &KeyRecord| index.look_up(&record.value.digest, |entry| entry.is_some());
    let first = follow(Revision::START).unwrap();
    assert_eq!((first, has(&kept), has(&removed)), (Revision(1), true, true));
    assert_eq!(follow(first).unwrap(), first, "the same content is no change");
    fs::write(place.path(), "keys: [").unwrap();
    assert!(matches!(follow(first), Err(StoreError::Faults { .. })));
    assert_eq!((has(&kept), has(&removed)), (true, true));
    fs::write(place.path(), format!("keys:\n{}", render(&kept))).unwrap();
    assert_eq!(follow(first).unwrap(), Revision(2));
    assert_eq!((has(&kept), has(&removed)), (true, false));
}

#[test]
fn the_same_content_is_no_change_before_its_digest_is_made_and_after() {
    let place = Place::new();
    place.put(&[record("shop")]);
    let mut store = place.store();
    let first = store.load(Revision::START, &mut |_| ()).unwrap().revision;
    assert!(matches!(store.content, Some(Known::Bytes(_))), "whoever loads it does not wait for a digest");
    let bookmark = store.bookmark();
    for _ in 0..2 {
        let again = store.load(first, &mut |_| panic!("nothing has changed")).unwrap();
        assert_eq!((again.revision, again.extent, store.bookmark()), (first, Extent::Changes, bookmark.clone()));
        store.refresh().unwrap();
        assert!(matches!(store.content, Some(Known::Digest(_))), "the content is not kept");
    }
    place.put(&[record("other")]);
    assert_eq!(store.load(first, &mut |_| ()).unwrap().revision, Revision(2));
    assert_ne!(store.bookmark(), bookmark);
}

#[test]
fn another_content_is_a_change_before_the_digest_of_the_first_is_made() {
    let place = Place::new();
    place.put(&[record("shop")]);
    let mut store = place.store();
    let first = store.load(Revision::START, &mut |_| ()).unwrap().revision;
    let bookmark = store.bookmark();
    place.put(&[record("other")]);
    assert!(matches!(store.content, Some(Known::Bytes(_))));
    let mut names = Vec::new();
    let second = store.load(first, &mut |change| names.push(change.record.name)).unwrap();
    assert_eq!(
        (second.revision, second.extent, names),
        (Revision(2), Extent::Everything, vec!["shop".into(), "other".into()])
    );
    assert_ne!(store.bookmark(), bookmark);
}

#[test]
fn a_broken_file_is_not_read_again_while_it_looks_the_same() {
    let place = Place::new();
    place.put(&[]);
    fs::write(place.path(), "keys: [").unwrap();
    let mut store = KeyFile::open(&place.path(), Form::Sha256).unwrap();
    let faults = |store: &mut KeyFile| match store.load(Revision::START, &mut |_| ()) {
        Err(StoreError::Faults { faults, .. }) => faults,
        other => panic!("{other:?}"),
    };
    let mut found = faults(&mut store);
    let look = store.look().unwrap();
    let after = |millis| look.is_settled(Timestamp::from_millis(1000 * look.changed.0 + millis));
    assert_eq!([0, SETTLED, SETTLED + 1].map(after), [false, false, true], "another write may look the same at first");
    // On a slow machine it has settled by now.
    assert!(store.broken.is_none() || look.is_settled(Timestamp::now()));
    found.extend(found.clone());
    store.broken = Some((store.look().unwrap(), found.clone()));
    assert_eq!(faults(&mut store), found, "as it was told before");
    fs::write(place.path(), "keys: []\n").unwrap();
    store.load(Revision::START, &mut |_| ()).unwrap();
}

#[test]
fn a_change_is_told_once_the_file_has_looked_the_same_twice() {
    let place = Place::new();
    let mut store = place.store();
    store.refresh().unwrap();
    for text in ["keys: [", "keys: []", "keys: []\n# done\n"] {
        fs::write(place.path(), text).unwrap();
        assert!(!store.refresh().unwrap(), "it may be half written");
    }
    assert!(store.refresh().unwrap());
    assert!(!store.refresh().unwrap());
}

#[test]
fn a_file_swapped_behind_a_symlink_is_a_change() {
    let place = Place::new();
    let [old, new] = ["old", "new"].map(|name| place.0.path().join(name));
    fs::write(&old, "keys: []\n").unwrap();
    fs::write(&new, "keys: []\n").unwrap();
    let data = place.0.path().join("data");
    std::os::unix::fs::symlink(&old, &data).unwrap();
    let mut store = KeyFile::open(&data, Form::Sha256).unwrap();
    store.refresh().unwrap();
    let next = place.0.path().join("next");
    std::os::unix::fs::symlink(&new, &next).unwrap();
    fs::rename(&next, &data).unwrap();
    assert!(!store.refresh().unwrap() && store.refresh().unwrap());
}
