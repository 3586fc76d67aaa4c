//! Pairs: a visible id and a secret, good together by HTTP Basic and in no other way.

use crate::support::{Call, Gateway, Setup, Upstream, base64, until};

fn start(upstream: &Upstream) -> Gateway {
    Setup::new(upstream).keys("  accept: [bearer, basic, {header: X-Api-Key}]").start()
}

/// A pair that was just made: its id and its secret.
fn make(gateway: &Gateway) -> (String, String) {
    let arguments = ["keys", "create", "--name", "pair", "--kind", "pair", "--scopes", "profiles:read"];
    parts(&gateway.run(&arguments).exits(0).stdout)
}

fn parts(printed: &str) -> (String, String) {
    let (id, secret) = printed.strip_suffix('\n').expect("one line").split_once(':').expect("ID:SECRET");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert!(secret.starts_with("sg_") && secret.len() == 39, "the form of a secret");
    (id.to_owned(), secret.to_owned())
}

fn by_basic(gateway: &Gateway, credential: &str) -> (u16, String) {
    let basic = format!("Basic {}", base64(credential.as_bytes()));
    said(gateway, &Call::get("/api/profiles").field("Authorization", &basic))
}

fn said(gateway: &Gateway, call: &Call) -> (u16, String) {
    let answer = gateway.answer(call);
    (answer.status(), if answer.status() == 200 { String::new() } else { answer.code() })
}

fn in_force(gateway: &Gateway, id: &str, secret: &str) {
    until("the pair", || (by_basic(gateway, &format!("{id}:{secret}")).0 == 200).then_some(()));
}

#[test]
fn a_pair_is_good_by_basic_with_both_its_halves_alone() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    let ((id, secret), (other_id, other_secret)) = (make(&gateway), make(&gateway));
    in_force(&gateway, &id, &secret);
    in_force(&gateway, &other_id, &other_secret);
    let request = upstream.requests().pop().expect("a request");
    assert_eq!(request.field("x-scopegate-key-id"), Some(other_id.as_str()));
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let before = upstream.requests().len();
    let refused = (401, "invalid_key".to_owned());
    for credential in [
        format!("{other_id}:{secret}"),
        format!("{id}:{other_secret}"),
        format!("{}:{secret}", id.to_uppercase()),
        format!("key_0123456789abcdef:{secret}"),
        format!("{secret}:"),
        format!(":{secret}"),
        format!("{id}:"),
        format!("{secret}:{id}"),
        format!("{id}:{id}:{secret}"),
        format!("{id}:{key}"),
        format!("anybody:{key}"),
    ] {
        assert_eq!(by_basic(&gateway, &credential), refused, "{credential}");
    }
    for whole in [secret.clone(), format!("{id}:{secret}"), id.clone()] {
        assert_eq!(said(&gateway, &Call::get("/api/profiles").key(&whole)), refused);
        assert_eq!(said(&gateway, &Call::get("/api/profiles").field("X-Api-Key", &whole)), refused);
    }
    assert_eq!(upstream.requests().len(), before, "nothing passed");
    assert_eq!(by_basic(&gateway, &format!("{key}:")).0, 200, "a secret key comes by Basic, too");
    let both = Call::get("/api/profiles").field("X-Api-Key", &secret);
    let both = both.field("Authorization", &format!("Basic {}", base64(format!("{id}:{secret}").as_bytes())));
    assert_eq!(said(&gateway, &both), (400, "ambiguous_key".to_owned()));
    assert!(!upstream.everything().contains(&secret) && !upstream.everything().contains("Basic"));
}

#[test]
fn a_pair_has_a_new_secret_and_the_same_id_after_a_reset() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    let (id, first) = make(&gateway);
    in_force(&gateway, &id, &first);
    let (same, second) = parts(&gateway.run(&["keys", "reset-secret", &id, "--overlap", "1h"]).exits(0).stdout);
    assert_eq!(same, id);
    in_force(&gateway, &id, &second);
    in_force(&gateway, &id, &first);
    let made = gateway.run(&["keys", "reset-secret", &id, "--json"]).exits(0).json();
    assert_eq!((made["id"].as_str(), made.get("key")), (Some(id.as_str()), None));
    let third = made["secret"].as_str().expect("a secret");
    in_force(&gateway, &id, third);
    for old in [&first, &second] {
        assert_eq!(by_basic(&gateway, &format!("{id}:{old}")), (401, "expired_key".to_owned()));
    }
    let key = gateway.key(&["--full"]);
    let secret_key = crate::keys::id_of(&gateway, &key);
    gateway.run(&["keys", "reset-secret", &secret_key]).exits(1).says(&["not a pair", "keys rotate"]);
}

#[test]
fn an_explanation_takes_a_pair_as_it_is_written() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    let (id, secret) = make(&gateway);
    let explain = |key: &str| gateway.run(&["explain", "GET", "/api/profiles", "--key", key, "--json"]);
    assert_eq!(explain(&format!("{id}:{secret}")).exits(0).json()["decision"], "allow");
    for key in [secret.clone(), format!("{}:{secret}", "0".repeat(32))] {
        let explained = explain(&key).exits(3).json();
        assert_eq!((&explained["code"], &explained["decision"]), (&"invalid_key".into(), &"deny".into()));
        assert!(explained["reason"].as_str().is_some_and(|reason| reason.contains("ID:SECRET")), "{explained}");
    }
    let by_id = gateway.run(&["explain", "GET", "/api/profiles", "--key-id", &id, "--json"]).exits(0).json();
    assert_eq!(by_id["decision"], "allow");
}

#[test]
fn a_pair_may_come_from_a_key_file() {
    use sha2::Digest;
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).keys("  accept: [basic]");
    let digest: String = sha2::Sha256::digest("an-old-secret").iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("keys:\n  - {{name: site, kind: pair, id: 0f1e2d3c, grant: full, sha256: {digest}}}\n");
    std::fs::write(setup.folder().join("keys.yaml"), text).expect("the key file");
    let gateway = setup.with_key_file("keys.yaml").start();
    assert_eq!(by_basic(&gateway, "0f1e2d3c:an-old-secret").0, 200);
    for wrong in ["0f1e2d3d:an-old-secret", "an-old-secret:", "0f1e2d3c:another"] {
        assert_eq!(by_basic(&gateway, wrong), (401, "invalid_key".to_owned()));
    }
}
