//! How often and when keys are used: what is taken down, by whom, and what becomes of it.

use std::fs;

use serde_json::{Value, json};

use crate::keys::id_of;
use crate::support::http2::{Caller, run};
use crate::support::{Call, Gateway, Setup, Upstream, until};

/// What `keys show` says of a key.
fn show(gateway: &Gateway, id: &str) -> Value {
    gateway.run(&["keys", "show", id, "--json"]).exits(0).json()
}

/// A gateway that writes down every second.
fn quick(upstream: &Upstream) -> Setup {
    Setup::new(upstream).keys("  record_use: 1s")
}

fn stop(gateway: &Gateway) {
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
}

/// The number of times that each scope was needed and missed.
fn scopes(shown: &Value) -> Vec<(&str, u64, u64)> {
    let all = shown["use"]["scopes"].as_array().expect("a list").iter();
    let count = |scope: &Value, field: &str| scope[field].as_u64().expect("a count");
    all.map(|scope| (scope["scope"].as_str().expect("a name"), count(scope, "needed"), count(scope, "missed")))
        .collect()
}

fn requests(shown: &Value) -> (u64, u64) {
    (shown["use"]["requests"].as_u64().expect("a count"), shown["use"]["denied"].as_u64().expect("a count"))
}

/// Waits until a new key is in force, by a request that needs no key: what a test counts is its own.
fn wait_for(gateway: &Gateway, keys: usize) {
    until("the keys", || (gateway.metric("scopegate_keys_cached", &[]) >= keys as f64).then_some(()));
}

#[test]
fn a_key_shows_what_it_needed_and_what_it_missed_once_the_gateway_has_stopped() {
    let upstream = Upstream::ok();
    // Far more than this test takes: what is written is written at the end.
    let gateway = Setup::new(&upstream).keys("  record_use: 1h").start();
    let key = gateway.create_key(&["--scopes", "profiles:read,segments:read,files:read"]);
    let id = id_of(&gateway, &key);
    wait_for(&gateway, 1);
    for (target, status) in [
        ("/api/profiles", 200),
        ("/api/profiles/1", 200),
        ("/api/profiles/1?include=segments", 200),
        ("/api/profiles/1?include=lists", 403),
        ("/api/whoami", 200),
        ("/api/health", 200),
        ("/api/internal/x", 403),
    ] {
        assert_eq!(gateway.get(target, &key).status(), status, "{target}");
    }
    assert_eq!(gateway.answer(&Call::post("/api/profiles").key(&key).body("{}")).status(), 403);
    assert_eq!(show(&gateway, &id)["last_used"], Value::Null, "nothing is written for each request");
    stop(&gateway);
    let shown = show(&gateway, &id);
    assert_eq!(requests(&shown), (8, 3), "{shown}");
    assert_eq!(
        scopes(&shown),
        [("lists:read", 0, 1), ("profiles:read", 3, 0), ("profiles:write", 0, 1), ("segments:read", 1, 0)]
    );
    assert_eq!(shown["use"]["unused_scopes"], json!(["files:read"]));
    assert_eq!(shown["values"][0]["requests"], 8);
    let last: jiff::Timestamp = shown["last_used"].as_str().expect("a moment").parse().expect("one");
    let ago = jiff::Timestamp::now().duration_since(last).as_secs();
    assert!((0..60).contains(&ago), "{ago}");
    let text = gateway.run(&["keys", "show", &id]).exits(0).stdout;
    for line in [
        "requests    8, 3 of them denied",
        "needed      profiles:read, 3 times, last ",
        "missed      lists:read, once, last ",
        "unused      files:read",
    ] {
        assert!(text.contains(line), "{line:?} is missing in:\n{text}");
    }
}

#[test]
fn two_gateways_on_one_store_and_one_that_starts_again_come_to_one_sum() {
    let upstream = Upstream::ok();
    let mut one = quick(&upstream).start();
    let store = format!("sqlite:{}", one.file("keys.db").display());
    let other = quick(&upstream).environment("SCOPEGATE_STORE", &store).start();
    let key = one.create_key(&["--scopes", "profiles:read"]);
    let id = id_of(&one, &key);
    for gateway in [&one, &other] {
        wait_for(gateway, 1);
        (0..5).for_each(|_| assert_eq!(gateway.get("/api/profiles", &key).status(), 200));
    }
    until("both sums", || (requests(&show(&one, &id)) == (10, 0)).then_some(()));
    one.end_and_restart("TERM");
    assert_eq!(requests(&show(&one, &id)), (10, 0), "a start loses nothing");
    assert_eq!(one.get("/api/profiles/1?include=lists", &key).status(), 403);
    until("one more", || (requests(&show(&one, &id)) == (11, 1)).then_some(()));
    // What was written is there, however a process ends.
    one.crash_and_restart();
    stop(&other);
    let shown = show(&one, &id);
    assert_eq!(requests(&shown), (11, 1));
    assert_eq!(scopes(&shown), [("lists:read", 0, 1), ("profiles:read", 10, 0)]);
}

#[test]
fn a_list_says_of_each_value_of_a_rotated_key_when_it_was_last_used() {
    let upstream = Upstream::ok();
    let gateway = quick(&upstream).start();
    let old = gateway.create_key(&["--scopes", "profiles:read"]);
    let id = id_of(&gateway, &old);
    wait_for(&gateway, 1);
    assert_eq!(gateway.get("/api/profiles", &old).status(), 200);
    let new = gateway.run(&["keys", "rotate", &id, "--overlap", "1h"]).exits(0).stdout.trim_end().to_owned();
    wait_for(&gateway, 2);
    until("its use", || (requests(&show(&gateway, &id)) == (1, 0)).then_some(()));
    let values = |record: &Value| -> Vec<bool> {
        record["values"].as_array().expect("a list").iter().map(|value| value["last_used"].is_string()).collect()
    };
    let listed = gateway.run(&["keys", "list", "--json"]).exits(0).json();
    assert_eq!(values(&listed["keys"][0]), [false, true], "nobody has the new value yet: {listed}");
    assert_eq!(listed["records_use"], true);
    let table = gateway.run(&["keys", "list"]).exits(0).stdout;
    let [header, current, retiring] = table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
    let cell = |line: &str| line.chars().skip(header.find("LAST USED").expect("a column")).take(16).collect::<String>();
    assert_eq!(cell(current).trim(), "-", "{table}");
    assert!(retiring.contains("retiring") && cell(retiring).parse::<jiff::civil::DateTime>().is_ok(), "{table}");
    assert_eq!(gateway.get("/api/profiles", &new).status(), 200);
    until("its use", || (requests(&show(&gateway, &id)) == (2, 0)).then_some(()));
    let shown = show(&gateway, &id);
    assert_eq!(values(&shown), [true, true]);
    assert_eq!((&shown["values"][0]["requests"], &shown["values"][1]["requests"]), (&json!(1), &json!(1)));
    // The record outlives the key.
    for end in ["revoke", "delete"] {
        gateway.run(&["keys", end, &id]).exits(0);
        let after = show(&gateway, &id);
        assert_eq!((&after["use"]["scopes"], requests(&after)), (&shown["use"]["scopes"], (2, 0)));
    }
}

#[test]
fn keys_that_are_not_in_force_and_strangers_leave_no_trace() {
    let upstream = Upstream::ok();
    let gateway = quick(&upstream).start();
    let [ended, off] = [(); 2].map(|()| gateway.create_key(&["--full"]));
    for (key, end) in [(&ended, "revoke"), (&off, "disable")] {
        gateway.run(&["keys", end, &id_of(&gateway, key)]).exits(0);
    }
    let late = gateway.create_key(&["--full", "--not-before", "2099-01-31"]);
    let good = gateway.key(&["--full"]);
    let mut client = gateway.connect();
    for number in 0..500 {
        let stranger = format!("a-key-that-nobody-made-{number}");
        for key in [&ended, &off, &late, &stranger] {
            assert_eq!(client.send(Call::get("/api/profiles").key(key).bytes()).read().status(), 401);
        }
    }
    assert_eq!(client.send(Call::get("/api/profiles").bytes()).read().status(), 401);
    assert_eq!(client.send(Call::get("/api/health").bytes()).read().status(), 200);
    drop(client);
    stop(&gateway);
    let store = rusqlite::Connection::open(gateway.file("keys.db")).expect("the store");
    let keys = "SELECT (SELECT group_concat(DISTINCT key) FROM uses), (SELECT count(*) FROM value_uses)";
    let found: (String, i64) = store.query_row(keys, (), |row| Ok((row.get(0)?, row.get(1)?))).expect("its rows");
    assert_eq!(found, (id_of(&gateway, &good), 1));
}

#[test]
fn a_store_that_is_away_costs_callers_nothing_and_gets_the_uses_when_it_is_back() {
    let upstream = Upstream::ok();
    let gateway = quick(&upstream).start();
    let key = gateway.create_key(&["--scopes", "profiles:read"]);
    let id = id_of(&gateway, &key);
    wait_for(&gateway, 1);
    let writes = |result: &str| gateway.metric("scopegate_use_writes_total", &[&format!("result=\"{result}\"")]);
    assert_eq!((writes("failed"), gateway.metric("scopegate_use_lost_total", &[])), (0.0, 0.0));
    // Nothing but the name goes: what is beside it is still the same store's.
    fs::rename(gateway.file("keys.db"), gateway.file("aside")).expect("its end");
    let mut sent = 0;
    until("failures", || {
        assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
        sent += 1;
        (writes("failed") >= 2.0).then_some(())
    });
    gateway.process.wait_for("the word of it", |said| said.contains("cannot be written down").then_some(()));
    fs::rename(gateway.file("aside"), gateway.file("keys.db")).expect("it is back");
    until("the sum", || (requests(&show(&gateway, &id)) == (sent, 0)).then_some(()));
    gateway.process.wait_for("the good word", |said| said.contains("is written down again").then_some(()));
    assert!(writes("written") >= 1.0);
    assert_eq!(gateway.metric("scopegate_use_lost_total", &[]), 0.0);
}

#[test]
fn each_stream_of_http_2_is_a_use() {
    let upstream = Upstream::ok();
    let gateway = quick(&upstream).start();
    let key = gateway.create_key(&["--scopes", "profiles:read"]);
    wait_for(&gateway, 1);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        for (target, status) in [("/api/profiles", 200), ("/api/files/a", 403), ("/api/profiles", 200)] {
            let head = caller.head("GET", target, &key);
            assert_eq!(caller.call(head).await.expect("an answer").status, status);
        }
    });
    stop(&gateway);
    let shown = show(&gateway, &id_of(&gateway, &key));
    assert_eq!((requests(&shown), scopes(&shown)), ((3, 1), vec![("files:read", 0, 1), ("profiles:read", 2, 0)]));
}

#[test]
fn what_shadow_mode_lets_through_is_counted_as_denied() {
    let upstream = Upstream::ok();
    let gateway = quick(&upstream).config("mode: shadow").start();
    let key = gateway.create_key(&["--no-scopes"]);
    wait_for(&gateway, 1);
    assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
    stop(&gateway);
    let shown = show(&gateway, &id_of(&gateway, &key));
    assert_eq!((requests(&shown), scopes(&shown)), ((1, 1), vec![("profiles:read", 0, 1)]));
}

#[test]
fn who_wants_nothing_recorded_has_nothing_recorded_from_the_next_reload_on() {
    let upstream = Upstream::ok();
    let gateway = quick(&upstream).start();
    let key = gateway.create_key(&["--scopes", "profiles:read"]);
    let id = id_of(&gateway, &key);
    wait_for(&gateway, 1);
    assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
    let config = fs::read_to_string(gateway.file("scopegate.yaml")).expect("the configuration");
    fs::write(gateway.file("scopegate.yaml"), config.replace("record_use: 1s", "record_use: none")).expect("another");
    until("the reload", || (gateway.metric("scopegate_policy_generation", &[]) == 2.0).then_some(()));
    assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
    stop(&gateway);
    assert_eq!(requests(&show(&gateway, &id)), (1, 0), "what was counted before is written");
}

#[test]
fn a_key_file_is_not_written_to_and_its_commands_say_so() {
    let upstream = Upstream::ok();
    let setup = quick(&upstream).with_key_file("keys.yaml");
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"; // "hello"
    let text = format!("keys:\n  - {{ id: key_first, name: first, sha256: {digest}, scopes: [profiles:read] }}\n");
    fs::write(setup.folder().join("keys.yaml"), &text).expect("the keys");
    let gateway = setup.start();
    assert_eq!(gateway.get("/api/profiles", "hello").status(), 200);
    assert!(!gateway.admin("/metrics").body_text().contains("scopegate_use_"));
    let listed = gateway.run(&["keys", "list"]).exits(0);
    listed.says(&["When they were last used is not recorded: nothing is written to a key file"]);
    let shown = gateway.run(&["keys", "show", "key_first"]).exits(0).stdout;
    assert!(shown.contains("last used   not recorded: "), "{shown}");
    assert_eq!(show(&gateway, "key_first")["use"], Value::Null);
    assert_eq!(gateway.run(&["keys", "list", "--json"]).exits(0).json()["records_use"], false);
    stop(&gateway);
    assert_eq!(fs::read_to_string(gateway.file("keys.yaml")).expect("the keys"), text);
}
