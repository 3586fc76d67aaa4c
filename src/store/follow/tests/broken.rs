use super::super::intake::MOST;
use super::*;

/// A load that tells keys as they are at revisions, and then ends at one, or breaks off.
fn said(since: u64, told: Vec<(u64, KeyRecord)>, end: Option<u64>) -> Answer {
    Answer::Said(Box::new(move |asked, tell| {
        assert_eq!(asked, Revision(since));
        for (revision, key) in told {
            tell(Change::of(Revision(revision), key));
        }
        let end = end.map(|revision| Loaded { revision: Revision(revision), extent: Extent::Changes });
        end.ok_or_else(|| StoreError::Locked { path: "script".into() })
    }))
}

fn after(key: &KeyRecord, transition: &Transition) -> KeyRecord {
    transition.apply(key.clone(), STAMP.at).unwrap()
}

fn follow_said(answers: Vec<Answer>) -> Followed {
    follow_script(answers).0
}

/// The same, but says first that it has begun, and goes on when it is told to.
fn held(answer: Answer) -> (Answer, Receiver<()>, Sender<()>) {
    let ((begun, is_begun), (release, released)) = (channel(), channel());
    let Answer::Said(say) = answer else { unreachable!("only such answers are held") };
    let answer = Answer::Said(Box::new(move |asked, tell| {
        begun.send(()).unwrap();
        released.recv_timeout(LONG).unwrap();
        say(asked, tell)
    }));
    (answer, is_begun, release)
}

#[test]
fn nothing_of_a_load_that_breaks_off_is_in_force_and_the_next_one_is() {
    let key = record("key");
    let disabled = after(&key, &Transition::Disable);
    let new = record("new");
    // The one that takes over gives the number to another change.
    let (other, is_asked, release) = held(said(3, vec![(4, after(&disabled, &Transition::Revoke))], Some(4)));
    let followed = follow_said(vec![
        said(0, vec![(3, disabled)], Some(3)),
        // The server is lost with what it told.
        said(3, vec![(4, key.clone()), (4, new.clone())], None),
        other,
    ]);
    assert!(followed.next().starts_with("down: "));
    is_asked.recv_timeout(LONG).unwrap();
    assert_eq!((followed.state(&key), followed.state(&new)), (Some(KeyState::Disabled), None));
    release.send(()).unwrap();
    assert_eq!((followed.next().as_str(), followed.next().as_str()), ("up", "1 to 4"));
    assert_eq!((followed.state(&key), followed.state(&new)), (Some(KeyState::Revoked), None));
}

#[test]
fn a_large_load_that_breaks_off_raises_nothing_and_everything_is_told_anew() {
    let [raised, ended, new] = ["raised", "ended", "new"].map(record);
    let disabled = after(&raised, &Transition::Disable);
    let crowd = || (0..=MOST).map(|number| record(&format!("crowd {number}")));
    let stray = record("stray");
    let broken = [after(&ended, &Transition::Revoke), raised.clone()].into_iter().chain(crowd());
    let broken = broken.chain([stray.clone()]).map(|key| (3, key)).collect();
    let all = vec![(1, disabled.clone()), (2, ended.clone()), (3, new.clone())];
    let (whole, is_asked, release) = held(said(0, all, Some(3)));
    let followed = follow_said(vec![
        said(0, vec![(1, disabled), (2, ended.clone())], Some(2)),
        said(2, broken, None),
        whole,
        said(3, vec![(4, after(&ended, &Transition::Revoke))], Some(4)),
    ]);
    assert!(followed.next().starts_with("down: "));
    is_asked.recv_timeout(LONG).unwrap();
    let states = || [&raised, &ended, &stray, &new].map(|key| followed.state(key));
    let (active, off, over) = (Some(KeyState::Active), Some(KeyState::Disabled), Some(KeyState::Revoked));
    assert_eq!(states(), [off, over, active, None]);
    release.send(()).unwrap();
    assert_eq!((followed.next().as_str(), followed.next().as_str()), ("up", "3 to 3"));
    assert_eq!(states(), [off, active, None, active]);
    assert_eq!(followed.index.len(), 3);
    assert_eq!(followed.next(), "1 to 4");
    assert_eq!(states(), [off, over, None, active]);
}

#[test]
fn a_large_load_that_ends_is_in_force_whole() {
    let [raised, ended] = ["raised", "ended"].map(record);
    let told = [after(&ended, &Transition::Revoke), raised.clone()];
    let told = told.into_iter().chain((0..=MOST).map(|number| record(&number.to_string())));
    let followed = follow_said(vec![
        said(0, vec![(1, after(&raised, &Transition::Disable)), (2, ended.clone())], Some(2)),
        said(2, told.map(|key| (3, key)).collect(), Some(3)),
        said(3, vec![(4, after(&raised, &Transition::Revoke))], Some(4)),
    ]);
    assert_eq!(followed.next(), format!("{} to 3", MOST + 3));
    assert_eq!(followed.next(), "1 to 4");
    assert_eq!([&raised, &ended].map(|key| followed.state(key)), [Some(KeyState::Revoked); 2]);
    assert_eq!(followed.index.len(), MOST + 3);
}

#[test]
fn as_long_as_no_load_has_ended_no_key_is_let_in_and_what_was_told_by_none_that_did_is_gone() {
    let [key, stray] = ["key", "stray"].map(record);
    let (whole, is_asked, release) = held(said(0, vec![(1, after(&key, &Transition::Disable))], Some(2)));
    let store = Scripted {
        key: key.clone(),
        answers: vec![
            said(0, vec![(5, key.clone()), (7, stray.clone())], None),
            said(0, vec![(7, stray.clone())], None),
            whole,
            said(2, vec![(3, key.clone())], Some(3)),
        ]
        .into_iter(),
    };
    // As one is left by a copy that turned out to be damaged.
    let index = Arc::new(Index::new(Vocabulary::default()));
    index.apply(&Change::of(Revision(9), stray.clone()));
    let origin = Origin::Away(Reach::of(Box::new(store)), None, None);
    let followed = follow_from(origin, index, None);
    let status = Arc::clone(followed.follower.status());
    assert!(followed.next().starts_with("down: "));
    is_asked.recv_timeout(LONG).unwrap();
    assert!(!status.judge(Instant::now(), None));
    assert_eq!((status.standing(), status.age(Instant::now())), (Standing::Stale, None));
    release.send(()).unwrap();
    assert_eq!([followed.next(), followed.next(), followed.next()], ["up", "1 to 2", "1 to 3"]);
    assert!(status.is_up());
    assert_eq!((followed.state(&key), followed.state(&stray)), (Some(KeyState::Active), None));
    assert_eq!(followed.index.len(), 1);
}

#[test]
fn a_first_load_that_breaks_off_leaves_nothing_behind() {
    let key = record("key");
    let answers = vec![said(0, vec![(5, key.clone())], None)].into_iter();
    let index = Arc::new(Index::new(Vocabulary::default()));
    let store = Box::new(Scripted { key: key.clone(), answers });
    Follower::start(store, Arc::clone(&index), |_| {}).unwrap_err();
    assert!(index.is_empty());
    // A copy has lower numbers.
    index.apply(&Change::of(Revision(1), key));
    assert_eq!(index.len(), 1);
}
