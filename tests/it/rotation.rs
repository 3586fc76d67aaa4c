//! New values for keys that there are, keys like others, and keys that are gone: what works from when to when.

use serde_json::Value;

use crate::keys::id_of;
use crate::support::command::finish;
use crate::support::{Call, Ending, Gateway, OK, Setup, Upstream, until};

/// What `keys rotate` and the like print: the new value alone.
fn renew(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = gateway.run(&[&["keys"], arguments].concat()).exits(0);
    let value = output.stdout.strip_suffix('\n').expect("one line").to_owned();
    assert!(!output.stderr.contains(&value), "{}", output.stderr);
    value
}

fn show(gateway: &Gateway, id: &str) -> Value {
    gateway.run(&["keys", "show", id, "--json"]).exits(0).json()
}

fn status(gateway: &Gateway, key: &str) -> (u16, String) {
    let answer = gateway.get("/api/whoami", key);
    (answer.status(), if answer.status() == 200 { String::new() } else { answer.code() })
}

fn expired() -> (u16, String) {
    (401, "expired_key".to_owned())
}

#[test]
fn both_values_of_a_rotated_key_work_until_its_overlap_ends() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let first = gateway.key(&["--scopes", "profiles:read"]);
    let id = id_of(&gateway, &first);
    let second = renew(&gateway, &["rotate", &id, "--overlap", "1h"]);
    until("the second value", || (status(&gateway, &second).0 == 200).then_some(()));
    assert_eq!(status(&gateway, &first).0, 200);
    let ids: Vec<_> = upstream
        .requests()
        .iter()
        .rev()
        .take(2)
        .map(|sent| sent.field("x-scopegate-key-id").map(str::to_owned))
        .collect();
    assert_eq!(ids, [Some(id.clone()), Some(id.clone())], "one key by either value");
    let values = show(&gateway, &id)["values"].clone();
    assert_eq!((&values[0]["state"], &values[1]["state"]), (&"current".into(), &"retiring".into()), "{values}");
    assert_eq!(values[1]["last_four"], first[first.len() - 4..]);

    // A shorter overlap ends both values that came before, and the first refusal of each says why.
    let third = renew(&gateway, &["rotate", &id, "--overlap", "1s"]);
    for old in [&first, &second] {
        let refused = until("the end of the overlap", || Some(status(&gateway, old)).filter(|said| said.0 != 200));
        assert_eq!(refused, expired());
    }
    assert_eq!(status(&gateway, &third).0, 200);
    for old in [&first, &second] {
        assert_eq!(status(&gateway, old), expired(), "an old value came back");
    }
}

#[test]
fn an_overlap_can_be_ended_before_its_time_and_the_current_value_stays() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let first = gateway.key(&["--full"]);
    let id = id_of(&gateway, &first);
    gateway.run(&["keys", "end-overlap", &id]).exits(0).says(&["has no old value that works"]);
    let second = renew(&gateway, &["rotate", &id, "--overlap", "7d"]);
    until("the second value", || (status(&gateway, &second).0 == 200).then_some(()));
    assert_eq!(status(&gateway, &first).0, 200);
    let ended = gateway.run(&["keys", "end-overlap", &id]).exits(0);
    let tail = &first[first.len() - 4..];
    ended.says(&[&format!("The old value sg_…{tail} has ended, where it was to work until ")]);
    until("the end of the overlap", || (status(&gateway, &first) == expired()).then_some(()));
    assert_eq!(status(&gateway, &second).0, 200);
    gateway.run(&["keys", "end-overlap", &id]).exits(0).says(&["has no old value that works"]);
    gateway.run(&["keys", "end-overlap", "key_0000000000000000"]).exits(1).says(&["no key has the id"]);
}

#[test]
fn a_rotation_names_every_value_that_it_ends_or_cuts_short() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let tail = |key: &str| key.trim_end()[key.trim_end().len() - 4..].to_owned();
    let first = gateway.create_key(&["--full"]);
    let id = id_of(&gateway, &first);
    let rotate = |overlap: &str| gateway.run(&["keys", "rotate", &id, "--overlap", overlap]).exits(0);
    let second = rotate("7d");
    assert!(second.stderr.contains(&format!("The old value sg_…{} works until ", tail(&first))), "{}", second.stderr);
    assert!(!second.stderr.contains("where it was"), "{}", second.stderr);
    let third = rotate("1h");
    let line = |said: &str, of: &str| {
        let start = format!("The old value sg_…{} ", tail(of));
        said.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{start} in {said}")).to_owned()
    };
    assert!(line(&third.stderr, &first).contains(", where it was to work until "), "{}", third.stderr);
    assert!(line(&third.stderr, &second.stdout).contains(" works until "), "{}", third.stderr);
    let fourth = rotate("0s");
    for old in [&first, &second.stdout] {
        assert!(line(&fourth.stderr, old).contains("has ended, where it was to work until "), "{}", fourth.stderr);
    }
    assert!(line(&fourth.stderr, &third.stdout).ends_with("has ended."), "{}", fourth.stderr);
    let audit = gateway.run(&["audit", "list", "--key", &id, "--json"]).exits(0).json();
    let cut = |place: usize| audit["entries"][place]["detail"]["older_values"].as_array().map_or(0, Vec::len);
    assert_eq!([cut(1), cut(2), cut(3)], [0, 1, 2], "{audit}");
}

#[test]
fn without_an_overlap_the_old_value_ends_on_open_streams_too() {
    let upstream = Upstream::start(|connection| {
        let Some(request) = connection.request() else { return };
        if request.target().ends_with("whoami") {
            connection.send(OK);
            return;
        }
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        connection.wait_for_close();
    });
    let gateway = Gateway::in_front_of(&upstream);
    let (old, other) = (gateway.key(&["--full"]), gateway.key(&["--full"]));
    let open = |key: &str| {
        let mut client = gateway.connect();
        client.send(Call::get("/api/profiles").key(key).bytes());
        client.read_head();
        client.read_until("first");
        client
    };
    let (mut ending, mut lasting) = (open(&old), open(&other));
    let new = renew(&gateway, &["rotate", &id_of(&gateway, &old)]);
    assert_eq!(ending.read_to_end().1, Ending::Closed);
    assert_eq!(status(&gateway, &old), expired());
    assert_eq!(status(&gateway, &new).0, 200);
    until("its count", || (gateway.metric("scopegate_denials_total", &["code=\"expired_key\""]) >= 2.0).then_some(()));
    // One with an overlap goes on: the upstream still has its connection.
    gateway.run(&["keys", "rotate", &id_of(&gateway, &other), "--overlap", "1h"]).exits(0);
    assert_eq!(status(&gateway, &other).0, 200);
    assert!(lasting.try_send("GET").is_ok());
}

#[test]
fn a_rotation_survives_a_crash_of_the_gateway() {
    let upstream = Upstream::ok();
    let mut gateway = Gateway::in_front_of(&upstream);
    let [kept, ended] = [(); 2].map(|()| gateway.key(&["--full"]));
    let renewed = renew(&gateway, &["rotate", &id_of(&gateway, &kept), "--overlap", "1h"]);
    renew(&gateway, &["rotate", &id_of(&gateway, &ended)]);
    gateway.crash_and_restart();
    assert_eq!([&kept, &renewed].map(|key| status(&gateway, key).0), [200, 200]);
    assert_eq!(status(&gateway, &ended), expired());
    // A revoke reaches every value.
    gateway.run(&["keys", "revoke", &id_of(&gateway, &renewed)]).exits(0);
    for key in [&kept, &renewed] {
        until("the revoke", || (status(&gateway, key) == (401, "invalid_key".to_owned())).then_some(()));
    }
}

#[test]
fn a_clone_may_do_what_its_original_may_and_lives_by_itself() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let original = gateway.key(&["--scopes", "profiles:read", "--account", "acme", "--expires", "2099-01-31"]);
    let id = id_of(&gateway, &original);
    let clone = renew(&gateway, &["clone", &id]);
    until("the clone", || (status(&gateway, &clone).0 == 200).then_some(()));
    let clone_id = id_of(&gateway, &clone);
    let [one, other] = [&id, &clone_id].map(|id| show(&gateway, id));
    for field in ["name", "kind", "grant", "scopes", "account", "attributes", "allow_from", "not_before", "expires"] {
        assert_eq!(one[field], other[field], "{field}");
    }
    assert_ne!(id, clone_id);
    gateway.run(&["keys", "revoke", &id]).exits(0);
    until("the revoke", || (status(&gateway, &original).0 == 401).then_some(()));
    assert_eq!(status(&gateway, &clone).0, 200);
    gateway.run(&["keys", "clone", &id]).exits(1).says(&["cannot be cloned", "revoked"]);
}

#[test]
fn a_deleted_key_is_gone_from_the_list_and_never_good_again() {
    let upstream = Upstream::ok();
    let mut gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let id = id_of(&gateway, &key);
    gateway.run(&["keys", "delete", &id]).exits(0);
    let refused = until("the deletion", || Some(status(&gateway, &key)).filter(|said| said.0 != 200));
    assert_eq!(refused, (401, "invalid_key".to_owned()));
    assert_eq!(gateway.run(&["keys", "list", "--json"]).exits(0).json()["keys"], serde_json::json!([]));
    let listed = gateway.run(&["keys", "list", "--deleted", "--json"]).exits(0).json();
    assert_eq!((&listed["keys"][0]["id"], &listed["keys"][0]["state"]), (&id.as_str().into(), &"deleted".into()));
    assert_eq!(show(&gateway, &id)["state"], "deleted");
    for again in ["enable", "rotate", "clone"] {
        gateway.run(&["keys", again, &id]).exits(1).says(&["deleted"]);
    }
    gateway.crash_and_restart();
    assert_eq!(status(&gateway, &key), refused);
}

#[test]
fn a_key_begins_when_it_was_said_to() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let later = gateway.create_key(&["--full", "--not-before", "2099-01-31"]);
    assert_eq!(status(&gateway, &later), (401, "invalid_key".to_owned()));
    let soon = gateway.create_key(&["--full", "--not-before", "1s"]);
    until("its begin", || (status(&gateway, &soon).0 == 200).then_some(()));
}

/// A store as the first version of its schema has it, with one key.
fn write_version_1(setup: &Setup, key: &str) -> rusqlite::Connection {
    use sha2::Digest;
    let store = rusqlite::Connection::open(setup.folder().join("keys.db")).expect("the store");
    store.execute_batch(include_str!("../../src/store/sqlite/migrations/1.sql")).expect("its schema");
    store.pragma_update(None, "application_id", 0x5347_4B53).expect("its mark");
    store.pragma_update(None, "user_version", 1).expect("its version");
    let row = "INSERT INTO keys (id, revision, kind, state, level, name, created, changed, prefix, last_four, digest) \
        VALUES ('key_first', 1, 'secret', 'active', 'full', 'first', 1000, 1000, 'sg', 'abcd', ?1)";
    store.execute(row, [sha2::Sha256::digest(key).as_slice()]).expect("its key");
    store
        .execute("INSERT INTO changes (at, author, action, key) VALUES (1000, 'cli', 'create', 'key_first')", [])
        .expect("its log");
    store
}

#[test]
fn a_gateway_brings_a_store_of_the_first_version_up_and_its_keys_work() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).written();
    // Another program has it open all the while, as a gateway of that version would.
    let _reader = write_version_1(&setup, "an-old-key");
    let early = finish(setup.command().args(["keys", "list"])).exits(1);
    early.says(&["made by an older scopegate (schema 1, this program needs "]);
    let gateway = setup.start();
    assert_eq!(status(&gateway, "an-old-key").0, 200);
    let value = show(&gateway, "key_first")["values"][0].clone();
    assert_eq!((&value["last_four"], &value["created"]), (&"abcd".into(), &"1970-01-01T00:00:01Z".into()));
    let renewed = renew(&gateway, &["rotate", "key_first"]);
    until("the new value", || (status(&gateway, &renewed).0 == 200).then_some(()));
    assert_eq!(status(&gateway, "an-old-key"), expired());
}

#[test]
fn a_gateway_whose_store_a_newer_program_brought_up_says_so_and_keeps_its_keys() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let store = rusqlite::Connection::open(gateway.file("keys.db")).expect("the store");
    store.pragma_update(None, "user_version", 99).expect("another version");
    gateway.process.wait_for("the trouble", |said| said.contains("made by a newer scopegate (schema 99").then_some(()));
    assert_eq!(gateway.metric("scopegate_store_up", &[]), 0.0);
    assert_eq!(status(&gateway, &key).0, 200);
    assert_eq!(status(&gateway, "unknown"), (503, "key_store_unavailable".to_owned()));
    gateway.run(&["keys", "list"]).exits(1).says(&["made by a newer scopegate"]);
}

#[test]
fn keys_that_are_older_than_the_configuration_wants_are_counted_and_told_of_once() {
    let upstream = Upstream::ok();
    let mut gateway =
        Setup::new(&upstream).keys("  rotate_after: { secret: 30d, pair: 90d }\n  accept: [bearer, basic]").start();
    let due =
        |gateway: &Gateway, kind: &str| gateway.metric("scopegate_keys_rotate_due", &[&format!("kind=\"{kind}\"")]);
    let count = |gateway: &Gateway| (due(gateway, "secret"), due(gateway, "pair"));
    assert_eq!(count(&gateway), (0.0, 0.0));
    gateway.create_key(&["--full"]);
    let old = |number: u32, more: &str| {
        format!(
            "{{\"name\": \"old\", \"key\": \"a-key-from-elsewhere-{number}\", \"grant\": \"full\", \"created\": \"2020-01-31\", {more}}}\n"
        )
    };
    let lines = [
        old(1, "\"id\": \"key_old\""),
        old(2, "\"disabled\": true"),
        old(3, "\"expires\": \"2021-01-31\""),
        old(4, "\"kind\": \"pair\", \"id\": \"pair_old\""),
    ];
    std::fs::write(gateway.file("old.jsonl"), lines.concat()).expect("a file");
    gateway.run(&["keys", "import", "old.jsonl"]).exits(0);
    until("the count", || (count(&gateway) == (1.0, 1.0)).then_some(()));
    gateway.crash_and_restart();
    let told = |said: &str| {
        let line = said.lines().find(|line| line.contains("keys are older than"))?;
        serde_json::from_str::<Value>(line).ok()
    };
    let line = gateway.process.wait_for("the reminder", told);
    assert_eq!((&line["level"], &line["secret"], &line["pair"]), (&"warn".into(), &1.into(), &1.into()));
    gateway.run(&["keys", "rotate", "key_old", "--overlap", "1h"]).exits(0);
    gateway.run(&["keys", "revoke", "pair_old"]).exits(0);
    until("the count", || (count(&gateway) == (0.0, 0.0)).then_some(()));
}
