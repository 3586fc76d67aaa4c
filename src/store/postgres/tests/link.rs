use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::server::{ESCAPED, until};
use super::*;
use crate::store::uses::{Count, ValueUse};

/// How many connections there are to a database, but for the one that asks.
const CONNECTIONS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
/// Ends all of them.
pub(super) const END: &str = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// Holds a table that nobody else can even read meanwhile.
fn holding<T>(place: &Place, table: &str, work: impl FnOnce() -> T) -> T {
    let mut holder = place.store();
    let lock = format!("LOCK TABLE scopegate.{table} IN ACCESS EXCLUSIVE MODE");
    holder.link.within(Begin::Change(&lock), |_| Ok(work())).unwrap()
}

#[test]
fn a_head_that_is_locked_costs_no_connection_and_is_read_when_it_can_be() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    store.link.hurry(Duration::from_millis(500));
    holding(&place, "head", || {
        for _ in 0..3 {
            let error = store.refresh().unwrap_err();
            assert!(error.is_passing() && error.to_string().contains("lock timeout"), "{error}");
        }
        assert!(store.link.is_up());
        assert_eq!(place.0.run(CONNECTIONS), "2", "this one, and the one that holds the lock");
    });
    store.refresh().unwrap();
}

#[test]
fn a_statement_that_gets_no_answer_is_ended_on_the_server_and_its_connection_closed() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    store.link.hurry(Duration::from_millis(300));
    let fault = store.link.within(Begin::Read, |session| session.run("SELECT pg_sleep(600)")).unwrap_err();
    assert!(matches!(fault, Fault::Silent(_)), "{fault:?}");
    until("the server has let go of it", || place.0.run(CONNECTIONS) == "0");
}

#[test]
fn a_list_of_gateways_that_is_locked_holds_nobody_up_is_told_once_and_old_rows_are_forgotten_later() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    place.0.run("INSERT INTO scopegate.gateways VALUES ('0123456789abcdef', 'old', 1, 0, now() - interval '3 days')");
    holding(&place, "gateways", || {
        let began = Instant::now();
        let error = store.confirm(Revision(1), None).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        store.confirm(Revision(1), None).unwrap();
        store.confirm(Revision(2), None).unwrap();
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert!(store.link.is_up());
    });
    until("it is said after a while, and the old row is gone", || {
        store.confirm(Revision(2), None).unwrap();
        place.0.run("SELECT string_agg(revision::text, ' ') FROM scopegate.gateways") == "2"
    });
}

#[test]
fn a_follower_whose_connection_is_gone_does_not_come_back_without_a_pause() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    let (_stop, stopped) = mpsc::channel();
    assert!(store.wait(&stopped));
    place.0.run(END);
    let link = &store.link;
    until("the end is noticed", || link.await_news(Duration::from_millis(10)) && !link.is_up());
    let began = Instant::now();
    assert!(store.wait(&stopped));
    assert!(began.elapsed() >= follow::INTERVAL);
    store.confirm(Revision(1), None).unwrap();
    assert!(!store.link.is_up(), "a word makes no connection");
    store.refresh().unwrap();
}

#[test]
fn followers_whose_connections_end_while_they_wait_come_back_at_moments_of_their_own() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    store.poll = Duration::from_secs(3600);
    let (_stop, stopped) = mpsc::channel();
    assert!(store.wait(&stopped));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        std::thread::scope(|scope| {
            let ended = scope.spawn(|| {
                std::thread::sleep(follow::INTERVAL);
                place.0.run(END);
                Instant::now()
            });
            assert!(store.wait(&stopped) && !store.link.is_up());
            let back = Instant::now();
            pauses.push(back.saturating_duration_since(ended.join().unwrap()));
        });
        store.refresh().unwrap();
    }
    // The end is told here a moment after it was noticed: whoever came back at once would be there before.
    assert!(pauses.iter().any(|pause| *pause > Duration::from_millis(100)), "{pauses:?}");
}

#[test]
fn a_host_that_answers_nothing_keeps_nobody_from_the_next_one() {
    let Some(place) = Place::new() else { return };
    drop(place.store());
    let mute = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (mute, port) = (mute.local_addr().unwrap(), place.0.server().port);
    let url =
        |password: &str, hosts: &str| format!("postgres://owner:{password}@{hosts}/{}?connect_timeout=1", place.0.name);
    open(&url(ESCAPED, &format!("{mute},localhost:{port}")), OpenMode::Existing).unwrap();
    let error = open(&url(ESCAPED, &format!("{mute},127.0.0.1:1")), OpenMode::Existing).unwrap_err();
    assert!(error.is_passing(), "{error}");
    let said = error.to_string();
    assert!(said.contains(&format!("{mute}: no answer within 1 s; 127.0.0.1:1: error connecting")), "{said}");
    let error = open(&url("wrong", &format!("127.0.0.1:{port},localhost:{port}")), OpenMode::Existing).unwrap_err();
    assert!(matches!(error, StoreError::Database(DatabaseError::LogIn { .. })), "both say so: {error}");
    let error = open(&url("wrong", &format!("127.0.0.1:1,localhost:{port}")), OpenMode::Existing).unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("password authentication"), "one may come back: {error}");
}

#[test]
fn only_a_change_whose_commit_got_no_answer_is_uncertain() {
    let Some(place) = Place::new() else { return };
    for (begin, is_uncertain) in [(Begin::Read, false), (Begin::Change(""), true)] {
        let mut store = place.store();
        let fault = store.link.within(begin, |_| {
            place.0.run(END);
            Ok(())
        });
        let error = fault.unwrap_err().of(&store.database, "read");
        assert_eq!(matches!(error, StoreError::Database(DatabaseError::Uncertain { .. })), is_uncertain, "{error}");
        assert!(error.is_passing() && error.is_absence(), "{error}");
    }
}

#[test]
fn what_passes_by_itself_is_an_absence_and_no_fault_of_the_store() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    for state in ["40001", "40P01", "55P03", "57014", "25P02", "25P03"] {
        let sql = format!("DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '{state}'; END $$");
        let error = store.read(|session| session.run(&sql)).unwrap_err();
        assert!(error.is_passing() && error.to_string().ends_with("not now"), "{state}: {error}");
    }
    let error = store.read(|session| session.run("SELECT 1 / 0")).unwrap_err();
    assert!(!error.is_passing(), "{error}");
}

#[test]
fn a_short_statement_timeout_of_the_role_ends_no_load() {
    let Some(place) = Place::new() else { return };
    drop(place.store());
    place.0.run(&format!("ALTER DATABASE {} SET statement_timeout = '1s'", place.0.name));
    place.store().read(|session| session.run("SELECT pg_sleep(1.2)")).unwrap();
}

#[test]
fn rows_may_take_longer_to_begin_than_to_go_on() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    store.link.hurry(Duration::from_millis(300));
    let mut rows = 0;
    let count = |_: &tokio_postgres::Row| {
        rows += 1;
        Ok(())
    };
    store.read(|session| session.each_of_many("SELECT pg_sleep(1)", &[], count)).unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn the_few_rows_of_a_change_may_take_no_longer_to_begin_than_any_answer() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    store.link.hurry(Duration::from_millis(300));
    let read = store.link.within(Begin::Read, |session| session.each("SELECT pg_sleep(1)", &[], |_| Ok(())));
    assert!(matches!(read, Err(Fault::Silent(_))), "{read:?}");
}

#[test]
fn neither_a_load_nor_a_change_waits_for_whoever_locks_the_tables_of_uses() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    let key = record("key");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    store.change(&key.id, &rotation(60), STAMP).unwrap();
    holding(&place, "uses, scopegate.value_uses", || {
        let since = store.load(Revision::START, &mut |_| {}).unwrap().revision;
        store.change(&key.id, &rotation(60), STAMP).unwrap();
        store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
        let mut told = Vec::new();
        store.load(since, &mut |change| told.push((change.record.state, change.record.former.len()))).unwrap();
        assert_eq!(told, [(crate::key::KeyState::Revoked, 2)]);
        store.link.hurry(Duration::from_millis(500));
        assert!(store.find(&key.id).unwrap_err().is_passing(), "what is shown has its last use");
        store.link.hurry(Duration::from_secs(30));
    });
    assert_eq!(store.find(&key.id).unwrap().unwrap().former.len(), 2);
}

#[test]
fn a_writer_that_stands_still_is_ended_and_all_that_it_did_undone() {
    let Some(place) = Place::new() else { return };
    let (mut store, mut other) = (place.store(), place.store());
    let seal = store.seal.clone();
    let error = store.write(|log| {
        change::add(log, &seal, (&[record("late")], Provenance::Created), STAMP)?;
        until("another one can write", || other.create(&[record("other")], STAMP).is_ok());
        log.session().run("SELECT 1")
    });
    let error = error.unwrap_err();
    let said = error.to_string();
    assert!(error.is_passing() && said.contains("as this process stood still in the middle of it"), "{said}");
    let names: Vec<_> = store.list().unwrap().into_iter().map(|record| record.name).collect();
    assert_eq!(names, ["other".into()]);
}

#[test]
fn whoever_begins_a_transaction_is_ended_by_the_server_where_nothing_comes_of_it() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    let ask = |session: &Session<'_>| {
        let row = session.query_one("SELECT current_setting('idle_in_transaction_session_timeout')", &[])?;
        get::<String>(&row.unwrap(), 0)
    };
    for (begin, longest) in [(Begin::Change(""), "10s"), (Begin::Making(""), "10s"), (Begin::Read, "5min")] {
        assert_eq!(store.link.within(begin, ask).unwrap(), longest, "{begin:?}");
    }
    assert_eq!(store.link.with(ask).unwrap(), "10s");
}

#[test]
fn a_list_of_gateways_that_is_locked_is_not_waited_for_for_long() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    holding(&place, "gateways", || {
        let began = Instant::now();
        let error = store.gateways().unwrap_err();
        assert!(error.is_passing() && error.to_string().contains("lock timeout"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    });
    assert!(store.gateways().unwrap().unwrap().gateways.is_empty());
}

#[test]
fn uses_that_wait_for_somebody_say_that_the_store_is_locked() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    let key = record("key");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    store.set_patience(Duration::from_millis(50)).unwrap();
    let count = Count { allowed: 1, denied: 0, last: STAMP.at };
    let uses = [ValueUse { digest: key.value.digest, count, scopes: Vec::new() }];
    let error = holding(&place, "value_uses", || store.add_uses(&uses).unwrap_err());
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    store.add_uses(&uses).unwrap();
}

#[test]
fn uses_are_counted_once_while_a_replica_that_every_change_waits_for_is_away() {
    let Some(server) = server::Server::private() else { return };
    server.run("postgres", "CREATE DATABASE keys OWNER owner");
    let mut store = open(&server.url_of("owner", "keys"), OpenMode::Create).unwrap();
    let key = record("key");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    server.run("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.run("postgres", "SELECT pg_reload_conf()");
    until("every change waits for it", || server.run("keys", "SHOW synchronous_standby_names") == "nobody");
    store.link.hurry(Duration::from_secs(1));
    let error = store.change(&key.id, &Transition::Disable, STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Database(DatabaseError::Uncertain { .. })), "{error}");
    store.link.hurry(Duration::from_secs(30));
    let count = Count { allowed: 1, denied: 0, last: STAMP.at };
    let uses = [ValueUse { digest: key.value.digest, count, scopes: Vec::new() }];
    store.add_uses(&uses).unwrap();
    assert_eq!(store.use_of(&key.id).unwrap().whole.unwrap().allowed, 1);
}

#[test]
fn how_many_keys_there_are_is_guessed_without_reading_them() {
    let Some(place) = Place::new() else { return };
    drop(place.store());
    let plan = place.0.run(&format!("SET enable_seqscan = off; EXPLAIN {}", row::COUNT));
    assert!(plan.contains("keys_by_place") && !plan.contains("Seq Scan"), "{plan}");
}

#[test]
fn a_connection_that_ended_while_nobody_used_it_costs_no_change() {
    let Some(place) = Place::new() else { return };
    let mut store = place.store();
    assert_eq!(place.0.run(END), "1");
    store.create(&[record("key")], STAMP).unwrap();
    place.0.run(END);
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn whoever_talks_to_a_database_elsewhere_without_proof_is_warned() {
    for (url, said) in [
        ("postgres://u@db/k?sslmode=disable", Some("in cleartext")),
        ("postgres://u@localhost,db/k?sslmode=require", Some("whoever answers")),
        ("postgres://u@localhost/k?sslmode=require", None),
        ("postgres://u@localhost/k", None),
        ("postgres://u@db/k", None),
    ] {
        let warnings = warnings_of(&Database::parse(url).unwrap());
        let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), usize::from(said.is_some()), "{url}: {warnings:?}");
        assert!(said.is_none_or(|said| warnings[0].contains(said)), "{url}: {warnings:?}");
    }
}
