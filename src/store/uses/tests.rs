use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::tally::{MOST, Table};
use super::*;
use crate::key::KeyRecord;
use crate::policy::{
    AccessSpec, Caller, Decision, Grant, Kind, Options, Policy, Principal, Request, Rights, RouteSpec, Vocabulary,
};
use crate::store::reach::Reach;
use crate::store::sqlite::tests::Place;
use crate::store::tests::{Fixture as _, record};

/// Longer than anything here takes on the slowest machine.
const LONG: Duration = Duration::from_secs(30);

const SCOPES: [&str; 4] = ["a:read", "b:read", "c:read", "d:read"];

/// A policy with a route for each scope, for any key, and for two scopes or either of two.
struct Gate {
    policy: Policy,
    vocabulary: Vocabulary,
}

impl Gate {
    fn new() -> Self {
        let vocabulary = Vocabulary::new();
        let mut builder = Policy::builder(Options::default(), &vocabulary);
        let mut add = |path: &str, access: AccessSpec| {
            builder.route(RouteSpec::new(vec!["GET".to_owned()], path, access)).unwrap();
        };
        let all = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
        for (at, scope) in SCOPES.iter().enumerate() {
            add(&format!("/{at}"), AccessSpec::Scopes { all_of: all(&[scope]), any_of: Vec::new() });
        }
        add("/any", AccessSpec::Key);
        add("/both", AccessSpec::Scopes { all_of: all(&["a:read", "b:read"]), any_of: Vec::new() });
        add(
            "/twice",
            AccessSpec::Scopes { all_of: all(&["a:read"]), any_of: vec![all(&["d:read"]), all(&["a:read", "c:read"])] },
        );
        Self { policy: builder.finish().unwrap(), vocabulary }
    }

    /// Shows `look` the decision on `GET path` by a key with `scopes`.
    fn decide<T>(&self, path: &str, scopes: &[&str], look: impl FnOnce(&Decision<'_>) -> T) -> T {
        let grant = Grant::Custom(self.vocabulary.intern_all(scopes.iter().copied()));
        let principal =
            Principal::new(None, Rights::new(Kind::Secret, (grant, scopes.join(" ")), Box::default()).into());
        let request = Request { method: b"GET", target: path.as_bytes(), override_header: false };
        let target = self.policy.judge(&request).unwrap();
        look(&self.policy.decide(&Caller::Known(&principal), &target))
    }

    fn count(&self, tally: &Tally, key: &KeyRecord, (path, scopes): (&str, &[&str])) {
        self.decide(path, scopes, |decision| tally.count(&key.value.digest, decision, at(100)));
    }

    fn fill(&self, table: &mut Table, digest: &Digest, path: &str) -> bool {
        self.decide(path, &["a:read", "b:read"], |decision| table.count(digest, decision, at(100)))
    }

    /// What a table holds, in words.
    fn read(&self, table: Table) -> BTreeMap<Digest, ValueUse> {
        let mut pending = pending::Pending::default();
        assert_eq!(pending.take_in(table), 0);
        pending.drain().map(|(digest, sum)| (digest, sum.named(digest, &self.vocabulary))).collect()
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn digest(number: usize) -> Digest {
    let mut bytes = [0; Digest::LENGTH];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Digest::from_bytes(bytes)
}

/// A recorder of a store with one key, and what it reports.
struct Recorded {
    place: Place,
    key: KeyRecord,
    gate: Gate,
    recorder: Recorder,
    events: Receiver<String>,
}

impl Recorded {
    fn every(interval: Duration) -> Self {
        let (place, key, gate) = (Place::new(), record("key"), Gate::new());
        place.put(std::slice::from_ref(&key));
        let (tell, events) = channel();
        let report = move |event: &Event<'_>| tell.send(format!("{event:?}")).unwrap();
        let recorder =
            Recorder::start(Reach::of(place.open()), gate.vocabulary.clone(), move || interval, report).unwrap();
        Self { place, key, gate, recorder, events }
    }

    fn written(&self) -> KeyUse {
        self.place.open().use_of(&self.key.id).unwrap()
    }
}

#[test]
fn a_request_counts_once_for_each_scope_that_it_needed() {
    let (gate, mut table) = (Gate::new(), Table::default());
    for (path, scopes) in [
        ("/0", &["a:read"][..]),
        ("/both", &["a:read", "b:read"]),
        ("/both", &["a:read"]),
        // The first alternative that is held, and `a:read` that is asked for twice.
        ("/twice", &["a:read", "c:read"]),
        ("/any", &[]),
        ("/none", &["a:read"]),
    ] {
        gate.decide(path, scopes, |decision| assert!(table.count(&digest(1), decision, at(100))));
    }
    let count = |allowed, denied| Count { allowed, denied, last: at(100) };
    let mut used = gate.read(table).remove(&digest(1)).unwrap();
    used.scopes.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(used.count, count(4, 2));
    assert_eq!(
        used.scopes,
        [("a:read".into(), count(3, 0)), ("b:read".into(), count(1, 1)), ("c:read".into(), count(1, 0))]
    );
}

#[test]
fn a_table_has_an_end_and_goes_on_with_what_it_knows() {
    let (gate, mut table) = (Gate::new(), Table::default());
    let fitted = (0..2 * MOST).filter(|number| gate.fill(&mut table, &digest(*number), "/0")).count();
    assert_eq!((fitted, table.values.len()), (MOST / 2, MOST / 2), "a value and a scope each");
    assert!(gate.fill(&mut table, &digest(0), "/0"));
    assert!(!gate.fill(&mut table, &digest(0), "/both"), "there is no room for the other scope");
    let used = &gate.read(table)[&digest(0)];
    assert_eq!((used.count.allowed, used.scopes.len(), used.scopes[0].1.allowed), (3, 1, 3));
}

#[test]
fn what_is_pending_has_an_end_and_what_is_beyond_it_is_counted_as_lost() {
    let (gate, mut pending) = (Gate::new(), pending::Pending::default());
    let mut lost = 0;
    for round in 0..20 {
        let mut table = Table::default();
        (0..MOST / 2).for_each(|number| {
            gate.fill(&mut table, &digest(round * MOST + number), "/0");
        });
        lost += pending.take_in(table);
    }
    let kept = pending.drain().count();
    assert!(kept < 20 * MOST / 2, "{kept}");
    assert_eq!(kept + usize::try_from(lost).unwrap(), 20 * MOST / 2);
}

#[test]
fn what_several_workers_counted_is_written_as_one_sum() {
    let recorded = Recorded::every(Duration::from_millis(1));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let tally = recorded.recorder.tally();
            let (gate, key) = (&recorded.gate, &recorded.key);
            scope.spawn(move || {
                let tally = tally;
                for _ in 0..100 {
                    gate.count(&tally, key, ("/both", &["a:read", "b:read"]));
                    gate.count(&tally, key, ("/2", &["a:read", "b:read"]));
                    tally.follow();
                }
                tally.finish();
            });
        }
    });
    drop(recorded.recorder);
    let used = recorded.place.open().use_of(&recorded.key.id).unwrap();
    let count = |allowed, denied| Count { allowed, denied, last: at(100) };
    assert_eq!(used.whole, Some(count(200, 200)));
    let scopes = [("a:read", count(200, 0)), ("b:read", count(200, 0)), ("c:read", count(0, 200))];
    assert_eq!(used.scopes, scopes.map(|(scope, count)| (scope.into(), count)));
    assert_eq!(used.of_value(&recorded.key.value.digest), used.whole);
}

#[test]
fn a_tally_is_handed_over_when_it_is_called_for_and_written_without_an_end() {
    let recorded = Recorded::every(Duration::from_millis(1));
    let tally = recorded.recorder.tally();
    recorded.gate.count(&tally, &recorded.key, ("/any", &[]));
    let begun = std::time::Instant::now();
    while recorded.written().whole.is_none() {
        assert!(begun.elapsed() < LONG);
        tally.follow();
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert_eq!(recorded.recorder.status().failed(), 0);
    assert!(recorded.recorder.status().written() >= 1);
}

#[test]
fn a_tally_that_fills_up_is_written_before_it_is_called_for() {
    let recorded = Recorded::every(LONG * 100);
    let tally = recorded.recorder.tally();
    for number in 0..10 * MOST {
        recorded.gate.decide("/any", &[], |decision| tally.count(&digest(number), decision, at(100)));
    }
    tally.finish();
    let status = std::sync::Arc::clone(recorded.recorder.status());
    drop(recorded.recorder);
    assert_eq!((status.lost(), status.failed()), (0, 0));
    assert!(status.written() >= 2, "{}", status.written());
}

#[test]
fn what_cannot_be_written_is_kept_until_it_can_and_told_once() {
    let recorded = Recorded::every(Duration::from_millis(1));
    let tally = recorded.recorder.tally();
    let aside = recorded.place.path().with_extension("aside");
    std::fs::rename(recorded.place.path(), &aside).unwrap();
    recorded.gate.count(&tally, &recorded.key, ("/0", &["a:read"]));
    tally.finish();
    let said = recorded.events.recv_timeout(LONG).unwrap();
    assert!(said.starts_with("Failed(Lost"), "{said}");
    let begun = std::time::Instant::now();
    while recorded.recorder.status().failed() < 3 {
        assert!(begun.elapsed() < LONG);
        std::thread::park_timeout(Duration::from_millis(5));
    }
    recorded.gate.count(&tally, &recorded.key, ("/0", &["a:read"]));
    tally.finish();
    std::fs::rename(&aside, recorded.place.path()).unwrap();
    assert_eq!(recorded.events.recv_timeout(LONG).unwrap(), "Recovered");
    drop(recorded.recorder);
    assert_eq!(recorded.place.open().use_of(&recorded.key.id).unwrap().whole.unwrap().allowed, 2);
    assert_eq!(recorded.events.recv().ok(), None, "nothing is lost");
}

#[test]
fn what_is_lost_with_the_process_is_told() {
    let recorded = Recorded::every(LONG * 100);
    let tally = recorded.recorder.tally();
    std::fs::remove_file(recorded.place.path()).unwrap();
    for _ in 0..3 {
        recorded.gate.count(&tally, &recorded.key, ("/any", &[]));
    }
    tally.finish();
    drop(recorded.recorder);
    let said: Vec<String> = recorded.events.iter().collect();
    assert_eq!(said.last().map(String::as_str), Some("Lost(3)"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_counted_wherever_comes_to_the_sum_of_a_plain_count(
        requests in vec((0..3_usize, 0..6_usize, 0..16_u32, 0..1000_i64), 0..60), split in 1..8_usize,
    ) {
        let gate = Gate::new();
        let paths = ["/0", "/1", "/2", "/any", "/both", "/twice"];
        let mut model = BTreeMap::<(usize, Option<String>), (u64, u64, i64)>::new();
        let mut pending = pending::Pending::default();
        for part in requests.chunks(requests.len().div_ceil(split).max(1)) {
            let mut table = Table::default();
            for (key, path, held, moment) in part {
                let scopes: Vec<&str> =
                    SCOPES.iter().enumerate().filter(|(bit, _)| held >> bit & 1 == 1).map(|(_, scope)| *scope).collect();
                let told = Cell::new(None);
                gate.decide(paths[*path], &scopes, |decision| {
                    table.count(&digest(*key), decision, at(*moment));
                    told.set(Some((decision.is_allow(), decision.trace())));
                });
                let (allowed, trace) = told.take().unwrap();
                let turned_on = if allowed { trace.required } else { trace.missing };
                for subject in std::iter::once(None).chain(turned_on.into_iter().map(Some)) {
                    let sum = model.entry((*key, subject)).or_insert((0, 0, i64::MIN));
                    *sum = (sum.0 + u64::from(allowed), sum.1 + u64::from(!allowed), sum.2.max(*moment));
                }
            }
            prop_assert_eq!(pending.take_in(table), 0);
        }
        let mut counted = BTreeMap::new();
        for (digest, sum) in pending.drain() {
            let number = usize::from(digest.as_bytes()[0]);
            let used = sum.named(digest, &gate.vocabulary);
            let row = |count: Count| (count.allowed, count.denied, count.last.as_seconds());
            counted.insert((number, None), row(used.count));
            counted.extend(used.scopes.into_iter().map(|(scope, count)| ((number, Some(scope.into())), row(count))));
        }
        prop_assert_eq!(counted, model);
    }
}

#[test]
fn a_copy_of_the_store_in_its_place_is_written_to() {
    let recorded = Recorded::every(LONG * 100);
    let tally = recorded.recorder.tally();
    let copy = recorded.place.path().with_extension("copy");
    let source = rusqlite::Connection::open(recorded.place.path()).unwrap();
    source.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    drop(source);
    std::fs::rename(&copy, recorded.place.path()).unwrap();
    for suffix in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{suffix}", recorded.place.path().display())).unwrap();
    }
    recorded.gate.count(&tally, &recorded.key, ("/any", &[]));
    tally.finish();
    drop(recorded.recorder);
    assert_eq!(recorded.place.open().use_of(&recorded.key.id).unwrap().whole.unwrap().allowed, 1);
}

#[test]
fn what_was_counted_waits_at_the_end_for_whoever_else_writes() {
    let recorded = Recorded::every(LONG * 100);
    let holder = rusqlite::Connection::open(recorded.place.path()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let tally = recorded.recorder.tally();
    recorded.gate.count(&tally, &recorded.key, ("/any", &[]));
    tally.finish();
    let recorder = recorded.recorder;
    let until = std::time::Instant::now() + 4 * LONG;
    let end = std::thread::spawn(move || recorder.finish(move || until));
    // The first attempt has waited as long as the end of a process always does.
    let said = recorded.events.recv_timeout(LONG).unwrap();
    assert!(said.starts_with("Failed(Locked"), "{said}");
    holder.execute_batch("ROLLBACK").unwrap();
    end.join().unwrap();
    assert_eq!(recorded.events.recv().unwrap(), "Recovered");
    assert_eq!(recorded.place.open().use_of(&recorded.key.id).unwrap().whole.unwrap().allowed, 1);
}

#[test]
fn a_count_that_was_edited_to_the_largest_number_stops_no_other() {
    let recorded = Recorded::every(LONG * 100);
    let other = record("other");
    recorded.place.put(std::slice::from_ref(&other));
    let count = Count { allowed: 1, denied: 0, last: at(1) };
    let uses = [&recorded.key, &other].map(|key| ValueUse { digest: key.value.digest, count, scopes: Vec::new() });
    let mut store = recorded.place.open();
    store.add_uses(&uses).unwrap();
    let edited = rusqlite::Connection::open(recorded.place.path()).unwrap();
    let whole = "UPDATE uses SET allowed = 9223372036854775807 WHERE key = ?1";
    assert_eq!(edited.execute(whole, [recorded.key.id.as_str()]).unwrap(), 1);
    store.add_uses(&uses).unwrap();
    assert_eq!(store.use_of(&other.id).unwrap().whole.unwrap().allowed, 2);
    assert!(store.use_of(&recorded.key.id).unwrap().whole.unwrap().allowed >= 1 << 61);
}
