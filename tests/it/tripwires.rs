//! Tripwires: keys that are there to be found. Their use is an alarm, and whoever uses one sees nothing of it.

use crate::keys::id_of;
use crate::support::{Call, Gateway, Message, Setup, Upstream, until};

const FIRST: &str = "a tripwire was used: whoever sent this key";

/// The lines of the log that tell of a key's use.
fn told(gateway: &Gateway, id: &str) -> Vec<String> {
    let said = gateway.process.said();
    said.lines().filter(|line| line.contains("tripwire was used") && line.contains(id)).map(str::to_owned).collect()
}

/// An answer without what tells one answer from another of the same kind.
fn shape(answer: &Message) -> String {
    let id = answer.field("x-request-id").expect("a request id").to_owned();
    let date = answer.field("date").unwrap_or_default().to_owned();
    answer.text().replace(&id, "ID").replace(&date, "DATE")
}

/// Waits until a key is in force, by a route that nobody may use.
fn wait_for(gateway: &Gateway, key: &str) {
    until("the key", || (gateway.get("/api/internal/x", key).status() == 403).then_some(()));
}

#[test]
fn the_first_use_of_a_tripwire_is_an_error_in_the_log_and_each_is_counted() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let uses = || gateway.metric("scopegate_tripwire_uses_total", &[]);
    let harmless = gateway.create_key(&["--no-scopes"]);
    wait_for(&gateway, &harmless);
    assert_eq!((uses(), gateway.get("/api/profiles", "sg_nothing").status()), (0.0, 401));
    let [laid, other] = [gateway.create_key(&["--tripwire"]), gateway.create_key(&["--tripwire"])];
    let (id, other_id) = (id_of(&gateway, &laid), id_of(&gateway, &other));
    until("the alarm", || (gateway.get("/api/profiles", &laid).status() == 401 && uses() == 1.0).then_some(()));
    let line =
        gateway.process.wait_for("the alarm", |said| said.lines().find(|line| line.contains(FIRST)).map(str::to_owned));
    let line: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    assert_eq!(
        (&line["level"], &line["key_id"], &line["client"]),
        (&"error".into(), &id.clone().into(), &"127.0.0.1".into())
    );
    for _ in 0..20 {
        assert_eq!(gateway.get("/api/profiles", &laid).status(), 401);
    }
    assert_eq!((uses(), told(&gateway, &id).len()), (21.0, 1), "it is told once, and counted each time");
    assert_eq!(gateway.get("/api/profiles", &other).status(), 401);
    gateway.process.wait_for("the other alarm", |said| said.contains(&other_id).then_some(()));
    gateway.run(&["keys", "revoke", &id]).exits(0);
    // One that was taken away is none: its use is counted no more.
    until("the revoke", || {
        let before = uses();
        assert_eq!(gateway.get("/api/profiles", &laid).status(), 401);
        (uses() == before).then_some(())
    });
    assert!(!gateway.process.said().contains(&laid[3..]), "the key is in the log");
}

#[test]
fn whoever_uses_a_tripwire_sees_what_the_holder_of_a_revoked_key_sees() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let (revoked, laid) = (gateway.key(&["--full"]), gateway.create_key(&["--tripwire"]));
    gateway.run(&["keys", "revoke", &id_of(&gateway, &revoked)]).exits(0);
    let uses = || gateway.metric("scopegate_tripwire_uses_total", &[]);
    until("the alarm", || {
        gateway.get("/api/profiles", &laid);
        (uses() > 0.0).then_some(())
    });
    until("the revoke", || (gateway.get("/api/whoami", &revoked).status() == 401).then_some(()));
    let (passed, before) = (upstream.requests().len(), uses());
    // A route for any key lets it in no more than another.
    let targets = ["/api/whoami", "/api/profiles", "/api/profiles/1?include=lists", "/api/none", "/a//b"];
    for target in targets {
        let [one, other] = [&revoked, &laid].map(|key| shape(&gateway.get(target, key)));
        assert_eq!(one, other, "{target}");
    }
    assert_eq!(upstream.requests().len(), passed, "nothing went on");
    assert!(uses() > before);
    let id = id_of(&gateway, &laid);
    let explained = gateway.run(&["explain", "GET", "/api/whoami", "--key-id", &id]).exits(3);
    assert!(explained.stdout.contains("a tripwire"), "{}", explained.stdout);
    gateway.run(&["cando", &id]).exits(0).says(&["tripwire, which opens nothing", "It may call no route."]);
    assert!(!gateway.run(&["whocan", "GET", "/api/whoami", "--json"]).stdout.contains(&id));
}

#[test]
fn a_tripwire_opens_nothing_in_shadow_mode_and_is_told_wherever_it_is_used_from() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("mode: shadow").start();
    let laid = gateway.create_key(&["--tripwire"]);
    let elsewhere = gateway.create_key(&["--tripwire", "--from", "203.0.113.0/24"]);
    for key in [&laid, &elsewhere] {
        let id = id_of(&gateway, key);
        until("the alarm", || {
            assert_eq!(gateway.answer(&Call::get("/api/whoami").key(key)).status(), 401);
            told(&gateway, &id).first().filter(|line| line.contains(FIRST)).map(|_| ())
        });
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn a_tripwire_of_a_key_file_is_told_too() {
    const LAID: &str = "a-token-that-was-laid-out";
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).with_key_file("keys.yaml");
    // printf %s a-token-that-was-laid-out | sha256sum
    let digest = "d0b986efe62b2a355add3dd1ee931749973864de54dc9e9c51a5ed4f0453e9eb";
    let text = format!("keys:\n  - {{ name: bait, id: key_bait, sha256: {digest}, tripwire: true }}\n");
    std::fs::write(setup.folder().join("keys.yaml"), text).expect("the keys");
    let gateway = setup.start();
    assert!(gateway.run(&["keys", "list"]).exits(0).stdout.contains("tripwire"));
    assert_eq!(gateway.get("/api/whoami", LAID).status(), 401);
    let line =
        gateway.process.wait_for("the alarm", |said| said.lines().find(|line| line.contains(FIRST)).map(str::to_owned));
    assert!(line.contains("key_bait") && line.contains("\"error\"") && !line.contains(LAID), "{line}");
    assert_eq!(gateway.metric("scopegate_tripwire_uses_total", &[]), 1.0);
}

#[test]
fn a_tripwire_is_shown_as_one_and_goes_from_store_to_store() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).written();
    let run = |arguments: &[&str]| crate::support::command::finish(setup.command().args(arguments));
    run(&["keys", "create", "--name", "bait", "--tripwire", "--full"]).exits(2);
    run(&["keys", "create", "--name", "bait", "--tripwire"]).exits(0).says(&["(bait): tripwire."]);
    let listed = run(&["keys", "list"]).exits(0).stdout;
    assert!(listed.lines().any(|line| line.contains("bait") && line.contains("tripwire")), "{listed}");
    let record = run(&["keys", "list", "--json"]).exits(0).json()["keys"][0].clone();
    assert_eq!(record["tripwire"], true);
    let id = record["id"].as_str().expect("an id");
    assert!(run(&["keys", "show", id]).exits(0).stdout.contains("tripwire"));
    let exported = run(&["keys", "export", "--digests"]).exits(0).stdout;
    std::fs::write(setup.folder().join("keys.jsonl"), &exported).expect("a file");
    run(&["keys", "import", "keys.jsonl", "--store", "sqlite:other.db"]).exits(0);
    let other = run(&["keys", "list", "--json", "--store", "sqlite:other.db"]).exits(0).json();
    assert_eq!((&other["keys"][0]["id"], &other["keys"][0]["tripwire"]), (&id.into(), &true.into()));
    let lines = "name,key,tripwire,scopes\nlaid,a-token-of-some-length,true,\nwrong,another-token-of-some,true,profiles:read\nodd,a-third-token-of-some,maybe,\n";
    std::fs::write(setup.folder().join("keys.csv"), lines).expect("a file");
    run(&["keys", "import", "keys.csv"]).exits(1).says(&[
        "keys.csv:3: a tripwire opens nothing: give it neither scopes nor a level",
        "keys.csv:4: `tripwire` is neither true nor false",
    ]);
}

#[test]
fn a_tripwire_is_told_whatever_is_wrong_with_it() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).keys("  accept: [bearer, basic]").start();
    gateway.run(&["accounts", "create", "acme"]).exits(0);
    let [disabled, stopped, early, pair] = [
        &["--tripwire"][..],
        &["--tripwire", "--account", "acme"],
        &["--tripwire", "--not-before", "2999-01-01"],
        &["--tripwire", "--kind", "pair"],
    ]
    .map(|options| gateway.create_key(options));
    let (pair_id, secret) = pair.split_once(':').expect("a pair");
    let [disabled_id, stopped_id, early_id] = [&disabled, &stopped, &early].map(|key| id_of(&gateway, key));
    gateway.run(&["keys", "disable", &disabled_id]).exits(0);
    gateway.run(&["accounts", "disable", "acme"]).exits(0);
    let keys = [(&*disabled, &*disabled_id), (&stopped, &stopped_id), (&early, &early_id), (secret, pair_id)];
    for (key, id) in keys {
        until("the alarm", || {
            assert_eq!(gateway.get("/api/profiles", key).status(), 401);
            told(&gateway, id).first().filter(|line| line.contains(FIRST)).map(|_| ())
        });
    }
}
