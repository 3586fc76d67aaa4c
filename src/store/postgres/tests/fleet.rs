use std::sync::Arc;
use std::time::{Duration, Instant};

use super::following::follow;
use super::link::END;
use super::server::until;
use super::trouble::Wire;
use super::*;
use crate::key::KeyState;
use crate::policy::scope::Vocabulary;
use crate::store::Gateway;
use crate::store::follow::{Follower, Origin};
use crate::store::index::Index;
use crate::store::reach::Reach;

/// Every gateway that a store knows.
fn all(store: &mut Postgres) -> Vec<Gateway> {
    store.gateways().unwrap().unwrap().gateways
}

/// A gateway that has said of itself what it says, and the store that knows it.
fn announced(place: &Place, url: &str) -> Postgres {
    let mut gateway = open(url, OpenMode::Existing).unwrap();
    let badge = gateway.confirm(Revision(1), None).unwrap().unwrap();
    let known = all(&mut place.store());
    assert_eq!((&*known[0].id, &*known[0].name), (&*badge.id, &*badge.name));
    gateway
}

#[test]
fn gateways_say_how_far_they_have_come_and_when_they_end() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    let mut store = place.store();
    let two = [follow(place.store()), follow(place.store())];
    let at = |store: &mut Postgres| -> Vec<u64> {
        let fleet = store.gateways().unwrap().unwrap();
        fleet.gateways.iter().map(|gateway| gateway.revision.0).collect()
    };
    until("both are there", || at(&mut store) == [1, 1]);
    store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
    until("both have confirmed", || at(&mut store) == [2, 2]);
    assert!(two.iter().all(|followed| followed.state(&key) == Some(KeyState::Revoked)));
    drop(two);
    until("both have said goodbye", || at(&mut store).is_empty());
}

#[test]
fn a_gateway_that_refuses_the_store_as_it_is_says_so_until_it_follows_it_again() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    let followed = follow(place.store());
    followed.follower.status().judge(Instant::now(), Some(Duration::from_secs(3600)));
    until("it is there", || all(&mut place.store()).len() == 1);
    let id = all(&mut place.store()).remove(0).id;
    place.0.run("ALTER SCHEMA scopegate RENAME TO kept");
    place.put(&[record("stranger"), record("another")]);
    let refuses = |why: Option<&str>| {
        let found = all(&mut place.store());
        found.len() == 1 && found[0].refuses.as_deref() == why
    };
    until("it says that it refuses that", || refuses(Some("another past")));
    let gateway = all(&mut place.store()).remove(0);
    assert_eq!((&gateway.id, gateway.revision), (&id, Revision(1)));
    assert!(!gateway.holds(Revision(1), Revision(2)), "whatever number it has");
    assert!(gateway.goes_on_for.unwrap() <= Duration::from_secs(3600), "of max_stale a part is over: {gateway:?}");
    place.0.run("DROP SCHEMA scopegate CASCADE; ALTER SCHEMA kept RENAME TO scopegate");
    until("it follows again", || refuses(None));
    place.0.run("UPDATE scopegate.head SET version = 99");
    let newer = "SELECT count(*) FROM scopegate.gateways WHERE refuses = 'a newer schema'";
    until("it says that it knows no such schema", || place.0.run(newer) == "1");
    assert_eq!(followed.state(&key), Some(KeyState::Active));
    drop(followed);
    until("it has said goodbye", || place.0.run("SELECT count(*) FROM scopegate.gateways") == "0");
}

#[test]
fn a_number_beyond_the_last_change_is_no_confirmation() {
    let Some(place) = Place::new() else { return };
    place.put(&[record("key")]);
    let mut gateway = place.store();
    gateway.confirm(Revision(2), None).unwrap();
    let fleet = place.store().gateways().unwrap().unwrap();
    assert!(!fleet.gateways[0].holds(Revision(1), fleet.revision));
    gateway.confirm(Revision(1), None).unwrap();
    let fleet = place.store().gateways().unwrap().unwrap();
    assert!(fleet.gateways[0].holds(Revision(1), fleet.revision));
}

#[test]
fn no_gateway_confirms_a_change_to_a_store_that_has_another_one_of_that_number() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    let mut gateway = place.store();
    let loaded = gateway.load(Revision::START, &mut |_| {}).unwrap();
    assert_eq!(gateway.confirm(loaded.revision, None).unwrap().map(|_| ()), Some(()));
    // What a fail-over, or a pooler that goes on with another server, brings between a look and a word.
    place.0.run(
        "ALTER TABLE scopegate.changes DISABLE TRIGGER USER; UPDATE scopegate.changes SET hash = sha256('another')",
    );
    place.0.run("DELETE FROM scopegate.gateways");
    gateway.confirm(loaded.revision, Some(Duration::from_secs(60))).unwrap();
    assert!(all(&mut place.store()).is_empty(), "nothing is confirmed to a past that the gateway does not know");
    let before = gateway.store.clone();
    gateway.store[0] ^= 1;
    gateway.confirm(Revision::START, None).unwrap();
    assert!(all(&mut place.store()).is_empty(), "nor to another store");
    gateway.store = before;
    gateway.confirm(Revision::START, None).unwrap();
    assert_eq!(all(&mut place.store()).len(), 1);
}

/// Notes what gateways say of themselves, in order.
fn note_words(place: &Place) {
    place.0.run(
        "CREATE TABLE public.words (number bigserial, revision bigint, goes_on_for bigint);
        CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN INSERT INTO public.words (revision, goes_on_for) VALUES (new.revision, new.goes_on_for); RETURN NULL; END $$;
        CREATE TRIGGER note AFTER INSERT OR UPDATE ON scopegate.gateways FOR EACH ROW EXECUTE FUNCTION public.note()",
    );
}

/// A follower that begins as the gateway of a configuration does.
fn begin(origin: Origin, max_stale: Option<Duration>) -> (Follower, Arc<Index>) {
    let index = Arc::new(Index::new(Vocabulary::default()));
    (Follower::start_from((origin, max_stale), Arc::clone(&index), None, |_| {}).unwrap(), index)
}

#[test]
fn a_gateway_that_began_without_the_database_is_waited_for_from_before_its_first_load() {
    let Some(place) = Place::new() else { return };
    place.put(&[record("key")]);
    note_words(&place);
    let url = place.0.url();
    let reach = Reach::to("away".to_owned(), move || Ok(Box::new(open(&url, OpenMode::Existing)?)));
    let (follower, _) = begin(Origin::Away(reach, None, None), None);
    until("it is up", || follower.status().is_up());
    let words = "SELECT string_agg(revision::text, ' ' ORDER BY number) FROM public.words";
    until("it has confirmed what there is", || place.0.run(words).ends_with('1'));
    assert!(place.0.run(words).starts_with("0 "), "{}", place.0.run(words));
}

#[test]
fn a_gateway_says_how_long_it_goes_on_with_what_it_knows_from_its_first_word_on() {
    let Some(place) = Place::new() else { return };
    place.put(&[record("key")]);
    note_words(&place);
    for max_stale in [Some(Duration::from_secs(7200)), None] {
        place.0.run("TRUNCATE public.words");
        drop(begin(Origin::Here(Reach::of(Box::new(place.store()))), max_stale));
        let said = "SELECT string_agg(DISTINCT coalesce(goes_on_for::text, 'for ever'), ' ') FROM public.words";
        assert_eq!(place.0.run(said), if max_stale.is_some() { "7200000" } else { "for ever" });
    }
}

#[test]
fn a_gateway_is_waited_for_from_before_its_first_load() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    note_words(&place);
    let followed = follow(place.store());
    assert_eq!(followed.state(&key), Some(KeyState::Active), "it serves from now on");
    let words = "SELECT string_agg(revision::text, ' ' ORDER BY number) FROM public.words";
    assert!(
        place.0.run(words).starts_with('0'),
        "whoever revokes a key now waits for it, though it has confirmed nothing"
    );
    until("it has confirmed what there is", || place.0.run(words).ends_with('1'));
}

#[test]
fn a_word_that_was_refused_is_said_to_the_next_server_at_once_and_soon_where_somebody_was_in_the_way() {
    let Some(place) = Place::new() else { return };
    place.put(&[record("key")]);
    let mut gateway = announced(&place, &place.0.url());
    let is_there = || place.0.run("SELECT string_agg(revision::text, ' ') FROM scopegate.gateways");
    // What a server says that became a replica: for a minute nothing is asked of it.
    place.0.run(
        "CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'not here' USING ERRCODE = TG_ARGV[0]; END $$;
        CREATE TRIGGER no BEFORE INSERT ON scopegate.gateways EXECUTE FUNCTION public.no('25006')",
    );
    gateway.confirm(Revision(2), None).unwrap_err();
    place.0.run("DROP TRIGGER no ON scopegate.gateways");
    gateway.confirm(Revision(2), None).unwrap();
    assert_eq!(is_there(), "1", "it rests");
    place.0.run(END);
    gateway.refresh().unwrap_err();
    gateway.refresh().unwrap();
    gateway.confirm(Revision(2), None).unwrap();
    assert_eq!(is_there(), "2");
    // Another server may know nothing of what was said to this one.
    place.0.run("DELETE FROM scopegate.gateways");
    place.0.run(END);
    gateway.refresh().unwrap_err();
    gateway.refresh().unwrap();
    gateway.confirm(Revision(2), None).unwrap();
    assert_eq!(is_there(), "2");
    for state in ["55P03", "57014"] {
        place.0.run(&format!(
            "CREATE TRIGGER no BEFORE INSERT ON scopegate.gateways EXECUTE FUNCTION public.no('{state}')"
        ));
        let next = Revision(u64::from(state == "57014") + 3);
        gateway.confirm(next, None).unwrap_err();
        place.0.run("DROP TRIGGER no ON scopegate.gateways");
        let began = Instant::now();
        until("it is said", || gateway.confirm(next, None).is_ok() && is_there() == next.to_string());
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}

#[test]
fn what_was_said_is_said_though_the_rows_of_others_cannot_be_looked_over() {
    let Some(place) = Place::new() else { return };
    place.put(&[record("key")]);
    place.0.run(
        "INSERT INTO scopegate.gateways VALUES ('0123456789abcdef', 'old', 1, 0, now() - interval '3 days');
        CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
        CREATE TRIGGER no BEFORE DELETE ON scopegate.gateways FOR EACH ROW EXECUTE FUNCTION public.no()",
    );
    let mut gateway = open(&place.0.url(), OpenMode::Existing).unwrap();
    assert!(gateway.confirm(Revision(1), None).unwrap().is_some(), "its name is told");
    place.0.run("DROP TRIGGER no ON scopegate.gateways");
    gateway.confirm(Revision(0), None).unwrap();
    assert_eq!(
        place.0.run("SELECT string_agg(revision::text, ' ') FROM scopegate.gateways"),
        "0",
        "the old one is gone"
    );
}

#[test]
fn a_gateway_is_called_what_the_system_calls_its_machine_and_told_so_once() {
    let Some(place) = Place::new() else { return };
    place.put(&[record("key")]);
    let mut gateway = announced(&place, &place.0.url());
    let name = std::process::Command::new("uname").arg("-n").output().unwrap().stdout;
    let name = String::from_utf8(name).unwrap();
    assert_eq!(&*all(&mut place.store())[0].name, name.trim());
    assert_eq!(gateway.confirm(Revision(2), None).unwrap(), None, "it knows that");
}

#[test]
fn a_gateway_says_goodbye_though_its_connection_has_ended() {
    let Some(place) = Place::new() else { return };
    place.put(&[record("key")]);
    for is_noticed in [false, true] {
        let gateway = announced(&place, &place.0.url());
        place.0.run(END);
        if is_noticed {
            until("the end is noticed", || {
                gateway.link.await_news(Duration::from_millis(10));
                !gateway.link.is_up()
            });
        }
        drop(gateway);
        assert_eq!(place.0.run("SELECT count(*) FROM scopegate.gateways"), "0", "{is_noticed}");
    }
}

#[test]
fn a_goodbye_to_a_server_that_does_not_answer_takes_no_time_to_speak_of() {
    let Some(place) = Place::new() else { return };
    place.put(&[record("key")]);
    for is_up in [true, false] {
        let wire = Wire::to(place.0.server().port);
        let url = format!("postgres://owner:{}@localhost:{}/{}", server::ESCAPED, wire.port, place.0.name);
        let gateway = announced(&place, &url);
        if !is_up {
            place.0.run(END);
            until("the end is noticed", || gateway.link.await_news(Duration::from_millis(10)) && !gateway.link.is_up());
        }
        wire.cut();
        let begun = Instant::now();
        drop(gateway);
        let took = begun.elapsed();
        // Dialled for 10 s otherwise, or asked for 5.
        assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(3), "{took:?}");
        place.0.run("DELETE FROM scopegate.gateways");
    }
}
