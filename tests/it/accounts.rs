//! Accounts: what becomes of one becomes of its keys, on every gateway that runs.

use std::time::{Duration, Instant};

use crate::support::{Call, Gateway, Setup, Upstream, until};

fn status(gateway: &Gateway, key: &str) -> u16 {
    gateway.get("/api/whoami", key).status()
}

/// Waits for a change, and holds it to its second.
fn becomes(gateway: &Gateway, key: &str, wanted: u16) {
    let begun = Instant::now();
    until("the change of the account", || (status(gateway, key) == wanted).then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(5), "a second, on a machine without neighbours");
}

fn make(gateway: &Gateway, account: &str, more: &[&str]) {
    gateway.run(&[&["accounts", "create", account][..], more].concat()).exits(0);
}

fn change(gateway: &Gateway, what: &str, account: &str) {
    gateway.run(&["accounts", what, account]).exits(0);
}

#[test]
fn a_disabled_account_stops_its_keys_and_those_of_its_sub_accounts_and_no_others() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    make(&gateway, "acme", &["--name", "Acme, Inc."]);
    make(&gateway, "shop", &["--parent", "acme"]);
    make(&gateway, "other", &[]);
    let [acme, shop, other] = ["acme", "shop", "other"].map(|account| gateway.key(&["--full", "--account", account]));
    let off = gateway.key(&["--full", "--account", "shop"]);
    gateway.run(&["keys", "disable", &crate::keys::id_of(&gateway, &off)]).exits(0);
    change(&gateway, "disable", "acme");
    becomes(&gateway, &acme, 401);
    becomes(&gateway, &shop, 401);
    assert_eq!(gateway.get("/api/whoami", &shop).code(), "invalid_key");
    assert_eq!(status(&gateway, &other), 200);
    let explained = gateway.run(&["explain", "GET", "/api/whoami", "--key", &shop]).exits(3);
    assert!(explained.stdout.contains("of an account that is disabled"), "{}", explained.stdout);
    change(&gateway, "disable", "shop");
    change(&gateway, "enable", "acme");
    becomes(&gateway, &acme, 200);
    assert_eq!(status(&gateway, &shop), 401, "its own account is off");
    change(&gateway, "enable", "shop");
    becomes(&gateway, &shop, 200);
    assert_eq!(status(&gateway, &off), 401, "each comes back as it was");
}

#[test]
fn an_account_that_is_disabled_ends_what_its_keys_have_open() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    make(&gateway, "acme", &[]);
    let key = gateway.key(&["--full", "--account", "acme"]);
    let mut client = gateway.connect();
    let call = Call::get("/api/whoami").key(&key).bytes();
    assert_eq!(client.send(&call).read().status(), 200);
    change(&gateway, "disable", "acme");
    until("the change", || (client.send(&call).read().status() == 401).then_some(()));
}

#[test]
fn keys_are_made_for_accounts_that_are_there() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    make(&gateway, "acme", &[]);
    let lost = gateway.run(&["keys", "create", "--name", "k", "--full", "--account", "acne"]);
    lost.exits(2).says(&["there is no account `acne`; did you mean `acme`?", "scopegate accounts create"]);
    let key = gateway.key(&["--full", "--account", "acme"]);
    gateway.run(&["accounts", "delete", "acme"]).exits(1).says(&["it has 1 key that has not ended"]);
    make(&gateway, "shop", &["--parent", "acme"]);
    gateway.run(&["accounts", "create", "till", "--parent", "shop"]).exits(2).says(&["accounts nest one level"]);
    gateway.run(&["accounts", "create", "acme"]).exits(1).says(&["there is an account acme already"]);
    let shown = gateway.run(&["accounts", "show", "acme", "--json"]).exits(0).json();
    assert_eq!(shown["children"], serde_json::json!(["shop"]));
    assert_eq!((shown["key_counts"]["active"].as_u64(), shown["keys"].as_array().map(Vec::len)), (Some(1), Some(1)));
    gateway.run(&["keys", "revoke", &crate::keys::id_of(&gateway, &key)]).exits(0);
    gateway.run(&["accounts", "delete", "acme"]).exits(1).says(&["1 sub-account"]);
    change(&gateway, "delete", "shop");
    change(&gateway, "delete", "acme");
    gateway.run(&["accounts", "create", "acme"]).exits(1).says(&["was deleted at"]);
    let listed = gateway.run(&["accounts", "list", "--json"]).exits(0).json();
    assert_eq!(listed["accounts"], serde_json::json!([]));
}

#[test]
fn an_account_is_sent_on_with_its_own_credential_and_never_with_another() {
    let upstream = Upstream::ok();
    let credentials = "  credential: { header: X-Real, value: everybody }
  credentials:
    acme: { header: X-Real, value: of-acme }
    shop: { header: X-Real, value: of-shop }
    sms: { header: X-Real, value: of-sms }";
    let routes =
        "  GET /sms: { scopes: profiles:read, credential: sms }\n  GET /health: { auth: anyone, credential: sms }\n";
    let gateway = Setup::new(&upstream).upstream(credentials).routes(routes).start();
    make(&gateway, "acme", &["--credential", "acme"]);
    make(&gateway, "plain", &["--parent", "acme"]);
    make(&gateway, "shop", &["--parent", "acme", "--credential", "shop"]);
    make(&gateway, "bare", &[]);
    let lost = gateway.run(&["accounts", "create", "lost", "--credential", "shops"]).exits(2);
    lost.says(&["upstream.credentials has no `shops`; did you mean `shop`?"]);
    // Where the configuration is not at hand, nobody can tell.
    let elsewhere = ["-c", "none.yaml", "--store", "sqlite:keys.db"];
    let lost = gateway.run(&[&["accounts", "create", "lost", "--credential", "shops"][..], &elsewhere].concat());
    lost.exits(0).says(&["nobody has looked whether upstream.credentials has `shops`"]);
    let made = gateway.run(&["keys", "create", "--name", "lost", "--full", "--account", "lost"]).exits(0);
    made.says(&["upstream.credentials has no `shops`, which the account lost has"]);
    let sent = |path: &str, key: &str| {
        assert_eq!(gateway.get(path, key).status(), 200, "{path}");
        upstream.requests().pop().expect("a request").field("x-real").expect("a credential").to_owned()
    };
    for (account, usual, of_route) in [
        ("acme", "of-acme", "of-acme"),
        ("plain", "of-acme", "of-acme"),
        ("shop", "of-shop", "of-shop"),
        ("bare", "everybody", "of-sms"),
    ] {
        let key = gateway.key(&["--full", "--account", account]);
        assert_eq!(sent("/api/whoami", &key), usual, "{account}");
        assert_eq!(sent("/api/sms", &key), of_route, "{account}");
        assert_eq!(sent("/api/health", &key), "of-sms", "nobody is asked who calls");
    }
    let key = gateway.create_key(&["--full", "--account", "lost"]);
    until("the key", || (status(&gateway, &key) == 500).then_some(()));
    let before = upstream.requests().len();
    assert_eq!(gateway.get("/api/whoami", &key).code(), "internal_error");
    assert_eq!(upstream.requests().len(), before, "nothing is sent");
    gateway
        .process
        .wait_for("the log", |said| said.contains("names an upstream credential that is not configured").then_some(()));
    let checked = gateway.run(&["check", "--keys"]).exits(0);
    let said = [checked.stdout, checked.stderr].concat();
    assert!(said.contains("the account lost names the upstream credential `shops`, which is not configured"), "{said}");
}

#[test]
fn a_key_is_bound_to_its_account_and_the_sub_accounts_that_come_later() {
    let upstream = Upstream::ok();
    let policy = "version: 1\nbase: /api\nbind: { account: account }\nroutes:\n  GET /whoami: { auth: key, unbound: [account] }\n  \
                  GET /accounts/{account}/orders: { auth: key }\n";
    let gateway = Setup::new(&upstream).policy(policy).start();
    make(&gateway, "acme", &[]);
    let key = gateway.key(&["--full", "--account", "acme"]);
    let orders = |account: &str, key: &str| gateway.get(&format!("/api/accounts/{account}/orders"), key).status();
    assert_eq!((orders("acme", &key), orders("shop", &key), orders("other", &key)), (200, 403, 403));
    make(&gateway, "shop", &["--parent", "acme"]);
    make(&gateway, "other", &[]);
    until("the sub-account", || (orders("shop", &key) == 200).then_some(()));
    assert_eq!((orders("acme", &key), orders("other", &key)), (200, 403));
    let below = gateway.key(&["--full", "--account", "shop"]);
    assert_eq!((orders("shop", &below), orders("acme", &below)), (200, 403), "none reaches what is above it");
}

#[test]
fn accounts_of_a_key_file_are_followed_as_its_keys_are() {
    use sha2::Digest;
    let upstream = Upstream::ok();
    let digest: String = sha2::Sha256::digest("an-old-token").iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!(
        "accounts:\n  - {{id: shop, parent: acme}}\n  - {{id: acme, disabled: false}}\n\
         keys:\n  - {{name: old, account: shop, grant: full, sha256: {digest}}}\n"
    );
    let setup = Setup::new(&upstream);
    let file = setup.folder().join("keys.yaml");
    std::fs::write(&file, &text).expect("the key file");
    let gateway = setup.with_key_file("keys.yaml").start();
    assert_eq!(status(&gateway, "an-old-token"), 200);
    std::fs::write(&file, text.replace("disabled: false", "disabled: true")).expect("the key file");
    becomes(&gateway, "an-old-token", 401);
    std::fs::write(&file, &text).expect("the key file");
    becomes(&gateway, "an-old-token", 200);
    // A file that names an account which it does not list is refused as a whole.
    std::fs::write(&file, text.replace("account: shop", "account: shops")).expect("the key file");
    gateway.process.wait_for("the fault", |said| said.contains("`shops` is none of the accounts").then_some(()));
    assert_eq!(status(&gateway, "an-old-token"), 200);
    std::fs::write(&file, &text).expect("the key file");
    gateway.run(&["accounts", "disable", "acme"]).exits(1).says(&["cannot be changed by command"]);
    assert!(gateway.run(&["accounts", "list"]).exits(0).stdout.contains("shop"));
}
