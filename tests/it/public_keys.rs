//! Public keys: site ids that say whose a request is, open the routes for them and nothing else, and are no secret.

use crate::support::command::finish;
use crate::support::{Call, Gateway, Setup, Upstream, base64, until};

const ROUTES: &str = "  POST /client/events: { auth: public-key }
  GET /client/events: { auth: public-key }
  GET /profiles: profiles:read
  GET /any: { auth: key }
  GET /health: { auth: anyone }
";

fn start(upstream: &Upstream) -> Gateway {
    let keys = "  accept: [bearer, basic, {header: X-Api-Key}, {query: api_key}, {public_query: company_id}]";
    Setup::new(upstream).keys(keys).routes(ROUTES).start()
}

/// The public key of an account that is made for it.
fn site(gateway: &Gateway, account: &str) -> String {
    gateway.run(&["accounts", "create", account]).exits(0);
    let made = gateway.run(&["keys", "create", "--kind", "public", "--account", account]).exits(0);
    let site = made.stdout.trim().to_owned();
    assert!(site.len() == 8 && site.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{site}");
    until("the public key", || (ask(gateway, &format!("/api/client/events?company_id={site}")).0 == 200).then_some(()));
    site
}

fn ask(gateway: &Gateway, target: &str) -> (u16, String) {
    said(gateway, &Call::get(target))
}

fn said(gateway: &Gateway, call: &Call) -> (u16, String) {
    let answer = gateway.answer(call);
    (answer.status(), if answer.status() == 200 { String::new() } else { answer.code() })
}

#[test]
fn a_public_key_opens_the_routes_for_public_keys_and_no_others() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    let site = site(&gateway, "acme");
    let target = format!("/api/client/events?a=1&company_id={site}&b=2");
    assert_eq!(ask(&gateway, &target).0, 200);
    let request = upstream.requests().pop().expect("a request");
    assert!(request.target() == target, "it stays there: {}", request.target());
    assert_eq!(request.field("x-scopegate-account"), Some("acme"));
    let before = upstream.requests().len();
    let no = |code: &str, status: u16| (status, code.to_owned());
    for path in ["/api/profiles", "/api/any", "/api/whoami"] {
        assert_eq!(ask(&gateway, &format!("{path}?company_id={site}")), no("key_kind_not_allowed", 403), "{path}");
    }
    assert_eq!(ask(&gateway, &format!("/api/nowhere?company_id={site}")), no("route_not_allowed", 403));
    // Presented as another key it is none.
    let call = || Call::get("/api/client/events");
    for call in [
        call().key(&site),
        call().field("X-Api-Key", &site),
        call().field("Authorization", &format!("Basic {}", base64(format!("{site}:").as_bytes()))),
        Call::get(&format!("/api/client/events?api_key={site}")),
        Call::get("/api/client/events?company_id=Unknown1"),
        Call::get("/api/client/events?company_id="),
        Call::get("/api/profiles").key(&site),
    ] {
        assert_eq!(said(&gateway, &call), no("invalid_key", 401));
    }
    for query in ["", "?company=x", "?company_id[]=Ab12Cd34", "?Company_Id=Ab12Cd34"] {
        assert_eq!(ask(&gateway, &format!("/api/client/events{query}")), no("missing_key", 401), "{query}");
    }
    for more in ["company_id=Other123", "company_id[]=Other123", "Company_ID=Other123", "x=1;company_id=Other123"] {
        let target = format!("/api/client/events?company_id={site}&{more}");
        assert_eq!(ask(&gateway, &target), no("ambiguous_key", 400), "{more}");
    }
    assert_eq!(upstream.requests().len(), before, "nothing passed");
}

#[test]
fn a_secret_key_opens_no_route_for_public_keys_and_the_parameter_is_nothing_to_it() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    let site = site(&gateway, "acme");
    let key = gateway.key(&["--full"]);
    let kind = (403, "key_kind_not_allowed".to_owned());
    for target in ["/api/client/events".to_owned(), format!("/api/client/events?company_id={site}")] {
        assert_eq!(said(&gateway, &Call::get(&target).key(&key)), kind);
    }
    assert_eq!(said(&gateway, &Call::get("/api/profiles?company_id=anything").key(&key)).0, 200);
    let wrong = Call::get(&format!("/api/client/events?company_id={key}"));
    assert_eq!(said(&gateway, &wrong), (401, "invalid_key".to_owned()));
}

#[test]
fn in_shadow_mode_a_public_key_opens_no_more_than_ever() {
    let upstream = Upstream::ok();
    let keys = "  accept: [bearer, {public_query: company_id}]";
    let gateway = Setup::new(&upstream).keys(keys).routes(ROUTES).config("mode: shadow").start();
    let site = site(&gateway, "acme");
    for path in ["/api/profiles", "/api/any", "/api/nowhere"] {
        assert_eq!(ask(&gateway, &format!("{path}?company_id={site}")).0, 403, "{path}");
    }
}

#[test]
fn a_public_key_is_shown_again_and_an_account_has_one() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    let site = site(&gateway, "acme");
    let list = gateway.run(&["keys", "list", "--json"]).exits(0).json();
    let record = &list["keys"][0];
    assert_eq!((record["key"].as_str(), record["kind"].as_str()), (Some(site.as_str()), Some("public")));
    let id = record["id"].as_str().expect("an id");
    gateway.run(&["keys", "show", id]).exits(0).says(&[]);
    assert!(gateway.run(&["keys", "show", id]).exits(0).stdout.contains(&site));
    let second = gateway.run(&["keys", "create", "--kind", "public", "--account", "acme"]).exits(1);
    second.says(&["the account acme has a public key already", id]);
    for (arguments, why) in [
        (&["keys", "rotate", id][..], "it is public"),
        (&["keys", "reset-secret", id], "not a pair"),
        (&["keys", "clone", id], "it is public"),
    ] {
        gateway.run(arguments).exits(1).says(&[why]);
    }
    for (more, why) in [
        (&["--full"][..], "a public key has no scopes"),
        (&["--expires", "90d"], "a public key has no first and no last day"),
        (&["--from", "10.0.0.0/8"], "a public key has no networks"),
    ] {
        let arguments = [&["keys", "create", "--kind", "public", "--account", "acme"][..], more].concat();
        gateway.run(&arguments).exits(2).says(&[why]);
    }
    gateway.run(&["keys", "create", "--kind", "public"]).exits(2).says(&["name its account"]);
    let target = format!("/api/client/events?company_id={site}");
    for (change, status) in [("disable", 401), ("enable", 200), ("revoke", 401)] {
        gateway.run(&["keys", change, id]).exits(0);
        until("the change", || (ask(&gateway, &target).0 == status).then_some(()));
    }
    let next = gateway.run(&["keys", "create", "--kind", "public", "--account", "acme"]).exits(0).stdout;
    assert_ne!(next.trim(), site);
}

#[test]
fn site_ids_from_elsewhere_are_taken_over_and_told_again() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    let lines = "{\"name\": \"site\", \"kind\": \"public\", \"account\": \"acme\", \"key\": \"Ab12Cd\"}\n";
    let write = |text: &str| std::fs::write(gateway.folder().join("sites.jsonl"), text).expect("a file");
    write(lines);
    gateway.run(&["keys", "import", "sites.jsonl"]).exits(1).says(&["sites.jsonl:1: there is no account `acme`"]);
    gateway.run(&["keys", "import", "sites.jsonl", "--create-accounts"]).exits(0);
    until("the public key", || (ask(&gateway, "/api/client/events?company_id=Ab12Cd").0 == 200).then_some(()));
    let exported = gateway.run(&["keys", "export", "--digests"]).exits(0).stdout;
    assert!(exported.contains("\"key\":\"Ab12Cd\"") && !exported.contains("sha256"), "{exported}");
    for (line, why) in [
        (lines.replace("Ab12Cd", "Ef34Gh"), "the account acme has a public key already"),
        (lines.replace("\"Ab12Cd\"", "\"no id\""), "6 to 12 letters and digits"),
        (lines.replace("\"key\": \"Ab12Cd\"", "\"sha256\": \"00\""), "a public key has no digest"),
        (lines.replace("\"name\"", "\"scopes\": [\"profiles:read\"], \"name\""), "a public key has no scopes"),
    ] {
        write(&line);
        gateway.run(&["keys", "import", "sites.jsonl"]).exits(1).says(&[why]);
    }
}

#[test]
fn a_key_file_holds_site_ids_as_they_are_even_under_a_pepper() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).routes(ROUTES).keys("  pepper: salt\n  accept: [{public_query: company_id}]");
    let text = "keys:\n  - {name: site, kind: public, account: acme, key: Ab12Cd}\n";
    std::fs::write(setup.folder().join("keys.yaml"), text).expect("the key file");
    let gateway = setup.with_key_file("keys.yaml").start();
    assert_eq!(ask(&gateway, "/api/client/events?company_id=Ab12Cd").0, 200);
    assert_eq!(ask(&gateway, "/api/any?company_id=Ab12Cd"), (403, "key_kind_not_allowed".to_owned()));
}

#[test]
fn what_a_public_key_may_is_explained() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    let site = site(&gateway, "acme");
    let explain = |target: &str| gateway.run(&["explain", "GET", target, "--key", &site, "--json"]);
    assert_eq!(explain("/api/client/events").exits(0).json()["decision"], "allow");
    assert_eq!(explain("/api/profiles").exits(3).json()["code"], "key_kind_not_allowed");
}

#[test]
fn a_configuration_without_a_place_for_public_keys_warns_of_their_routes() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).routes(ROUTES).written();
    let checked = finish(setup.command().arg("check")).exits(0);
    let said = [checked.stdout, checked.stderr].concat();
    assert!(said.contains("`keys.accept` names no place for public keys"), "{said}");
}

#[test]
fn a_route_for_anyone_tells_the_upstream_of_nobody() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    let site = site(&gateway, "acme");
    let key = gateway.key(&["--scopes", "profiles:read", "--account", "acme"]);
    let public = Call::get(&format!("/api/health?company_id={site}"));
    for call in [public, Call::get("/api/health").key(&key), Call::get("/api/health")] {
        assert_eq!(gateway.answer(&call).status(), 200);
        let request = upstream.requests().pop().expect("a request");
        assert!(!request.text().to_ascii_lowercase().contains("x-scopegate-"), "{}", request.text());
    }
    // What is wrong with a key that was not needed stands in the log.
    gateway.run(&["keys", "revoke", &crate::keys::id_of(&gateway, &key)]).exits(0);
    until("the revoke", || (gateway.get("/api/profiles", &key).status() == 401).then_some(()));
    assert_eq!(gateway.get("/api/health", &key).status(), 200);
    let line = gateway.process.wait_for("its line", |said| {
        said.lines()
            .find(|line| line.contains("/api/health") && line.contains("The key was revoked."))
            .map(str::to_owned)
    });
    assert!(line.contains("\"allow\""), "{line}");
}
