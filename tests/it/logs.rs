//! The access log, and that no secret is in any log.

use serde_json::Value;

use crate::support::{Call, Gateway, Setup, Upstream, base64, until};

/// The access log's line about the request with that id.
fn line(gateway: &Gateway, id: &str) -> Value {
    gateway.process.wait_for("the line of the request", |said| {
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["request_id"] == id)
    })
}

#[test]
fn each_request_has_a_line_with_what_was_decided() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    gateway.answer(&Call::get("/api/profiles/1?email=a%40b").key(&key).field("X-Request-Id", "allowed-1"));
    let allowed = line(&gateway, "allowed-1");
    let expected = [
        ("method", "GET"),
        ("route", "GET /api/profiles/{id}"),
        ("decision", "allow"),
        ("path", "/api/profiles/1"),
        ("client", "127.0.0.1"),
    ];
    for (name, value) in expected {
        assert_eq!(allowed[name], value, "{name} in {allowed}");
    }
    assert_eq!(allowed["status"], 200);
    assert!(allowed["key_id"].as_str().is_some_and(|id| id.starts_with("key_")), "{allowed}");
    assert!(allowed["duration_ms"].as_f64().is_some_and(|time| time >= 0.0), "{allowed}");
    assert!(allowed["upstream_ms"].as_f64().is_some() && allowed.get("code").is_none_or(Value::is_null), "{allowed}");
    assert!(!allowed.to_string().contains("email"), "a query may hold a secret: {allowed}");
    gateway.answer(&Call::get("/api/profiles/1?include=lists").key(&key).field("X-Request-Id", "denied-1"));
    let denied = line(&gateway, "denied-1");
    assert_eq!(
        (denied["status"].as_u64(), denied["decision"].as_str(), denied["code"].as_str()),
        (Some(403), Some("deny"), Some("insufficient_scope"))
    );
    gateway.answer(&Call::get("/api/profiles").field("X-Request-Id", "anonymous-1"));
    let anonymous = line(&gateway, "anonymous-1");
    assert_eq!((anonymous["status"].as_u64(), anonymous["code"].as_str()), (Some(401), Some("missing_key")));
    assert!(anonymous.get("key_id").is_none_or(Value::is_null), "{anonymous}");
}

#[test]
fn a_key_that_is_known_and_does_not_work_is_named_in_the_log_and_the_caller_is_told_nothing_of_it() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let call = |key: &str, id: &str| Call::get("/api/profiles").key(key).field("X-Request-Id", id);
    let key = || gateway.key(&["--scopes", "profiles:read", "--account", "acme"]);
    let [disabled, revoked, deleted] = [key(), key(), key()];
    let unknown = gateway.key(&["--full"]);
    let body_of = |key: &str, id: &str| {
        let answer = until("the end of the key", || {
            Some(gateway.answer(&call(key, id))).filter(|answer| answer.status() == 401)
        });
        answer.text().replace(id, "")
    };
    for (key, id, ends, reason) in [
        (&disabled, "disabled-1", ["disable"].as_slice(), "The key is disabled."),
        (&revoked, "revoked-1", &["revoke"], "The key was revoked."),
        (&deleted, "deleted-1", &["revoke", "delete"], "The key was deleted."),
    ] {
        gateway.answer(&call(key, &format!("{id}-before")));
        let named = line(&gateway, &format!("{id}-before"))["key_id"].as_str().expect("an id").to_owned();
        ends.iter().for_each(|end| drop(gateway.run(&["keys", end, &named])));
        let refused = body_of(key, id);
        let said = gateway.process.wait_for("the refusal", |said| {
            let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.into_iter().find(|line| line["request_id"] == id && line["status"] == 401)
        });
        assert_eq!(
            (said["key_id"].as_str(), said["code"].as_str()),
            (Some(named.as_str()), Some("invalid_key")),
            "{said}"
        );
        assert_eq!(said["reason"], reason, "{said}");
        assert!(!refused.contains(&named) && !refused.contains(reason), "{refused}");
    }
    let stranger = format!("{}x", unknown.get(..unknown.len() - 1).expect("a key"));
    gateway.answer(&call(&stranger, "stranger-1"));
    let said = line(&gateway, "stranger-1");
    assert!(said.get("key_id").is_none_or(Value::is_null) && said.get("reason").is_none_or(Value::is_null), "{said}");
}

#[test]
fn a_refused_message_has_a_line_too() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let answer = gateway.connect().send("GET /api/profiles HTTP/1.1\r\n\r\n").read();
    let line = line(&gateway, answer.field("x-request-id").expect("an id"));
    assert_eq!((line["status"].as_u64(), line["code"].as_str()), (Some(400), Some("bad_request")));
}

#[test]
fn a_head_that_is_refused_is_logged_with_what_its_first_line_says() {
    let upstream = Upstream::ok();
    let gateway =
        Setup::new(&upstream).config("limits: { target_bytes: 1KiB, headers: 5, header_timeout: 500ms }").start();
    let key = gateway.create_key(&["--full"]);
    let long = "a".repeat(2000);
    let many = "X: 1\r\n".repeat(9);
    for (bytes, status, method, path) in [
        // As HAProxy asks for health by default.
        ("GET /health HTTP/1.0\r\n\r\n".to_owned(), 400, "GET", "/health"),
        (format!("DELETE /things/{key}?q=1 HTTP/1.1\r\n\r\n"), 400, "DELETE", "/things/sg_***"),
        (format!("GET /list?{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414, "GET", "/list"),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414, "GET", ""),
        ("PUT /x HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n".to_owned(), 417, "PUT", "/x"),
        (format!("GET /many HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431, "GET", "/many"),
        ("POST /slow HTTP/1.1\r\nHo".to_owned(), 408, "POST", "/slow"),
        ("GET /part".to_owned(), 408, "GET", ""),
        ("nonsense\r\n\r\n".to_owned(), 400, "", ""),
    ] {
        let answer = gateway.connect().send(&bytes).read();
        assert_eq!(answer.status(), status, "{bytes}");
        let line = line(&gateway, answer.field("x-request-id").expect("an id"));
        assert_eq!((line["method"].as_str(), line["path"].as_str()), (Some(method), Some(path)), "{bytes}: {line}");
    }
}

#[test]
fn the_log_can_be_switched_off_and_written_as_text() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("log: { format: text, access: false }").start();
    gateway.answer(&Call::get("/api/health").field("X-Request-Id", "unlogged-1"));
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    assert!(!gateway.process.last_words().contains("unlogged-1"));
    let gateway = Setup::new(&upstream).config("log: { format: text }").start();
    gateway.answer(&Call::get("/api/health").field("X-Request-Id", "logged-1"));
    gateway.process.wait_for("a line of text", |said| {
        said.lines().find(|line| line.contains("request_id=logged-1")).map(str::to_owned)
    });
}

#[test]
fn a_caller_cannot_forge_a_line() {
    let upstream = Upstream::ok();
    for format in ["json", "text"] {
        let gateway = Setup::new(&upstream).config(&format!("log: {{ format: {format} }}")).start();
        gateway.answer(&Call::get("/a%0Alevel=error%0D%0Aforged").field("X-Request-Id", "forge\u{85}d level=error"));
        gateway.answer(&Call::get("/\"forged\":\"").field("X-Request-Id", "last-1"));
        let said = gateway.process.wait_for("the last line", |said| {
            said.lines().any(|line| line.contains("last-1")).then(|| said.to_owned())
        });
        assert!(
            said.lines().all(|line| !line.trim_start().starts_with("forged") && !line.starts_with("level=error")),
            "{said}"
        );
        if format == "json" {
            let about = said.lines().filter(|line| line.contains("forged")).map(serde_json::from_str::<Value>);
            assert!(about.into_iter().all(|line| line.is_ok()), "{said}");
        }
    }
}

#[test]
fn no_key_and_no_credential_is_in_any_log_or_figure() {
    const CREDENTIAL: &str = "canary-credential-4f1d";
    const PEPPER: &str = "canary-pepper-77aa";
    const STRANGER: &str = "canary-stranger-key-9c0e";
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream)
        .upstream("  credential: { header: Authorization, value: \"Bearer ${env:REAL}\" }")
        .keys("  pepper: ${env:PEPPER}\n  accept: [bearer, {header: X-Api-Key}, basic, {query: api_key}, {cookie: sg_key}]")
        .config("log: { level: debug, format: json }")
        .environment("REAL", CREDENTIAL)
        .environment("PEPPER", PEPPER)
        .start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let basic = base64(format!("{key}:").as_bytes());
    for secret in [key.as_str(), STRANGER] {
        for call in [
            Call::get("/api/profiles").key(secret),
            Call::get("/api/files/a").key(secret),
            Call::get("/api/profiles").field("X-Api-Key", secret),
            Call::get("/api/profiles")
                .field("Authorization", &format!("Basic {}", base64(format!("{secret}:").as_bytes()))),
            Call::get(&format!("/api/profiles?api_key={secret}&a=1")),
            Call::get(&format!("http://api.test/api/profiles?api_key={secret}")),
            Call::get("/api/profiles").field("Cookie", &format!("a=1; sg_key={secret}")),
            Call::get("/api/profiles").key(secret).field("X-Api-Key", "other"),
            Call::get(&format!("/api/../profiles?api_key={secret}")),
        ] {
            let answer = gateway.answer(&call);
            for word in [secret, CREDENTIAL, PEPPER] {
                assert!(!answer.text().contains(word), "{word} in {}", answer.text());
            }
        }
        // Not HTTP at all, with a key in it.
        let _ = gateway
            .connect()
            .send(format!("GET /api/profiles?api_key={secret} HTTP/1.1\r\nAuthorization : {secret}\r\n\r\n"))
            .read();
    }
    std::fs::write(gateway.file("policy.yaml"), "nonsense").expect("a bad policy");
    gateway.process.signal("HUP");
    gateway.process.wait_for("the word about the bad policy", |said| said.contains("policy.yaml").then_some(()));
    let metrics = gateway.admin("/metrics").body_text();
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    let said = gateway.process.last_words();
    for (what, word) in [
        ("the key", key.as_str()),
        ("the key in base64", &basic),
        ("a stranger", STRANGER),
        ("the credential", CREDENTIAL),
        ("the pepper", PEPPER),
    ] {
        assert!(!said.contains(word), "{what} is in the log:\n{said}");
        assert!(!metrics.contains(word), "{what} is in the metrics");
    }
    assert!(
        said.contains("\"decision\":\"allow\"") && said.contains("\"decision\":\"deny\""),
        "there was something to look at"
    );
}

#[test]
fn a_log_file_may_be_rotated_by_renaming_it() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("log: { output: gate.log, format: logfmt }").start();
    let call = |id: &str| {
        gateway.answer(&Call::get("/api/health").field("X-Request-Id", id));
    };
    let has = |file: &str, id: &str| std::fs::read_to_string(gateway.file(file)).is_ok_and(|text| text.contains(id));
    call("before-1");
    until("the first line", || has("gate.log", "before-1").then_some(()));
    std::fs::rename(gateway.file("gate.log"), gateway.file("gate.log.1")).expect("a rotation");
    until("a line in a new file", || {
        call("after-1");
        has("gate.log", "after-1").then_some(())
    });
    assert!(has("gate.log.1", "before-1") && !has("gate.log", "before-1"));
}

#[test]
fn a_whole_key_is_shown_nowhere_even_where_no_key_belongs() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let reader = gateway.key(&["--scopes", "profiles:read"]);
    let key = gateway.key(&["--scopes", "files:read"]);
    let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let twice = encoded.replace('%', "%25");
    let [alone, named] = [base64(format!("{key}:").as_bytes()), base64(format!("a_user:{key}").as_bytes())];
    let calls = [
        Call::get(&format!("/api/files/{alone}")),
        Call::get(&format!("/api/files/{named}")),
        Call::get("/api/profiles").field("X-Request-Id", alone.trim_end_matches('=')),
        Call::get(&format!("/api/files/{}", key.get(..key.len() - 1).expect("a key"))),
        Call::get(&format!("/api/files/{key}")),
        Call::get(&format!("/api/{encoded}/a")),
        Call::get(&format!("/api/files/{twice}")),
        Call::get(&format!("http://api.test/api/Bearer{key}")),
        Call::new(&key, "/api/profiles"),
        Call::get("/api/profiles").field("X-Request-Id", &key),
        Call::get("/api/profiles").field("X-Request-Id", &format!("job:{key}/1")),
        Call::get(&format!("/api/profiles/1?include={key}")),
        Call::get(&format!("/api/profiles/1?include={encoded}")),
        Call::get(&format!("/api/profiles/1?include=lists,{}-{key}", "x".repeat(40))),
        Call::get(&format!("/api/profiles/1?include[{key}]=a")),
        Call::get(&format!("/api/profiles/1?include={key}")).field("Content-Type", "application/grpc"),
    ];
    // All but the two last bytes: what is shown of a key must not lead to the rest of it.
    let piece = key.get(..key.len() - 2).expect("a key");
    for call in calls {
        for call in [call.clone().key(&reader), call] {
            let answer = gateway.answer(&call);
            for word in [piece, alone.trim_end_matches('=')] {
                assert!(!answer.text().contains(word), "a key in {}", answer.text());
            }
        }
    }
    let passed = gateway.answer(&Call::get(&format!("/api/files/{key}")).key(&key).field("X-Request-Id", &key));
    assert!(passed.status() == 200 && !passed.text().contains(piece), "{}", passed.text());
    let path = format!("/api/files/{key}");
    let forwarded = upstream.requests().into_iter().find(|request| request.target() == path);
    let forwarded = forwarded.expect("what is forwarded stays as it was").text();
    assert_eq!(forwarded.matches(&key).count(), 1, "no id is a key: {forwarded}");
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    let said = gateway.process.last_words();
    let tail = named.get(named.len() - 20..).expect("the end of a key");
    for word in [piece, encoded.as_str(), twice.as_str(), alone.trim_end_matches('='), tail] {
        assert!(!said.contains(word), "{word} is in the log:\n{said}");
    }
    for shown in ["/api/files/sg_***", "/api/sg_***/a", "/api/Bearersg_***", "\"method\":\"sg_***\""] {
        assert!(said.contains(shown), "{shown} is not in the log:\n{said}");
    }
}
