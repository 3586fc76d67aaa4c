//! Who shows which certificate, and what becomes of it when its file changes.

use super::*;

#[test]
fn a_caller_must_show_a_certificate_where_there_is_an_authority_for_them() {
    let upstream = Upstream::ok();
    let clients = Authority::new();
    let tls = "tls: { cert: cert.pem, key: key.pem, client_ca: clients.pem }";
    let secured = Secured::start_with(Setup::new(&upstream), &clients, tls);
    let shown = clients.issue("caller", 2100);
    let answer = Client::on(secured.socket(secured.authority.caller(Some(&shown)))).send(secured.call().bytes()).read();
    assert_eq!(answer.status(), 200);
    let seen = upstream.requests().len();
    for shown in [None, Some(Authority::new().issue("caller", 2100)), Some(clients.issue("caller", 2021))] {
        let mut socket = secured.socket(secured.authority.caller(shown.as_ref()));
        // The client's side of TLS 1.3 is done before the server has judged.
        let _ = socket.write_all(&secured.call().bytes());
        assert!(socket.read(&mut [0; 16]).is_err(), "{shown:?}");
    }
    assert_eq!(upstream.requests().len(), seen);
    fs::write(secured.gateway.file("caller.pem"), shown.0 + &shown.1).expect("the caller's certificate");
    let said = secured.openssl(&["-cert", "caller.pem", "-key", "caller.pem", "-sess_out", "session.pem"]);
    assert!(said.contains("200 OK"), "{said}");
    let said = secured.openssl(&["-cert", "caller.pem", "-key", "caller.pem", "-sess_in", "session.pem"]);
    assert!(!said.contains("Reused"), "a session that is resumed would show no certificate: {said}");
}

#[test]
fn a_renewed_certificate_is_shown_without_a_connection_being_dropped() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, TLS);
    let mut old = secured.client();
    assert_eq!(old.send(secured.call().bytes()).read().status(), 200);
    let expiry = || secured.gateway.metric("scopegate_certificate_expiry_timestamp_seconds", &["listener"]);
    assert_eq!(expiry(), 4_133_894_400.0, "the last day of 2100");
    let renewed = Authority::new();
    let (certificate, key) = renewed.issue(NAME, 2099);
    fs::write(secured.gateway.file("key.pem"), key).expect("the key");
    fs::write(secured.gateway.file("cert.pem"), certificate).expect("the certificate");
    until("the renewed certificate", || {
        TlsSocket::connect(&Arc::new(renewed.caller(None)), NAME, secured.tcp()).shake_hands().is_ok().then_some(())
    });
    until("its last day", || (expiry() < 4_133_894_400.0).then_some(()));
    assert_eq!(old.send(secured.call().bytes()).read().status(), 200, "the connection of before");
}

#[test]
fn a_bad_certificate_changes_nothing_and_is_told() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, TLS);
    let bad = [
        ("cert.pem", "nonsense".to_owned(), "holds no PEM of a certificate"),
        ("cert.pem", Authority::new().issue(NAME, 2100).0, "is not the key of the certificate"),
        ("cert.pem", Authority::new().issue(NAME, 2021).0, "is not the key of the certificate"),
    ];
    for (number, (file, text, reason)) in bad.into_iter().enumerate() {
        fs::write(secured.gateway.file(file), text).expect("a bad file");
        let failures = || secured.gateway.metric("scopegate_reloads_total", &["result=\"failed\""]);
        until("the failed reload", || (failures() >= (number + 1) as f64).then_some(()));
        secured.gateway.process.wait_for("the reason", |said| {
            said.lines().any(|line| line.contains(reason) && line.contains(".pem")).then_some(())
        });
        assert_eq!(secured.client().send(secured.call().bytes()).read().status(), 200);
    }
}

#[test]
fn tls_that_is_removed_from_the_file_never_becomes_cleartext() {
    let upstream = Upstream::ok();
    let secured = Secured::start(&upstream, TLS);
    let config = fs::read_to_string(secured.gateway.file("scopegate.yaml")).expect("the configuration");
    fs::write(secured.gateway.file("scopegate.yaml"), config.replace(TLS, "")).expect("the new configuration");
    secured.gateway.process.wait_for("the word about a restart", |said| {
        said.lines().any(|line| line.contains("`listen` changed") && line.contains("restart")).then_some(())
    });
    assert_eq!(secured.client().send(secured.call().bytes()).read().status(), 200);
    let answer = Client::on(secured.tcp()).send(secured.call().bytes()).read();
    assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"));
}

#[test]
fn a_pair_that_does_not_fit_keeps_the_gateway_from_starting() {
    let authority = Authority::new();
    let setup = Setup::for_url("http://127.0.0.1:1").config(TLS).written();
    fs::write(setup.folder().join("cert.pem"), authority.issue(NAME, 2100).0).expect("the certificate");
    fs::write(setup.folder().join("key.pem"), authority.issue(NAME, 2100).1).expect("another key");
    for command in ["serve", "check"] {
        let output = crate::support::command::finish(setup.command().arg(command)).exits(4);
        let told = output.stdout + &output.stderr;
        assert!(told.contains("is not the key of the certificate"), "{told}");
    }
}

#[test]
fn the_upstream_asks_for_a_certificate_and_gets_it() {
    let authority = Authority::new();
    let (config, named) = authority.exacting_server("localhost");
    let upstream = Upstream::start_tls_with(config, |connection| connection.answer_all(OK.as_bytes()));
    let setup = Setup::new(&upstream).upstream("  tls: { ca: ca.pem, client_cert: own.pem, client_key: own.key }");
    fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("the authority");
    let (certificate, key) = authority.issue("gateway", 2100);
    fs::write(setup.folder().join("own.pem"), certificate).expect("the certificate");
    fs::write(setup.folder().join("own.key"), key).expect("the key");
    let gateway = setup.start();
    let key = gateway.key(&["--full"]);
    assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
    let asked = named.asked();
    assert!(!asked.is_empty() && asked.iter().all(|name| name.as_deref() == Some("localhost")), "{asked:?}");
    assert_eq!(
        gateway.metric("scopegate_certificate_expiry_timestamp_seconds", &["upstream_client"]),
        4_133_894_400.0,
        "the last day of 2100"
    );
    // What the upstream is trusted by is read anew, too.
    fs::write(gateway.file("ca.pem"), Authority::new().pem()).expect("another authority");
    until("the change", || (gateway.get("/api/profiles", &key).status() == 503).then_some(()));
    let answer = gateway.get("/api/profiles", &key);
    assert!(answer.text().contains("proxy-status: scopegate; error=tls_certificate_error;"), "{}", answer.text());
    gateway.process.wait_for("the reason", |said| said.contains("no authority of `upstream.tls.ca`").then_some(()));
}

#[test]
fn without_a_certificate_that_the_upstream_trusts_nothing_is_answered() {
    let authority = Authority::new();
    let (config, _) = authority.exacting_server("localhost");
    let upstream = Upstream::start_tls_with(config, |connection| connection.answer_all(OK.as_bytes()));
    for (lines, shown) in [
        ("  tls: { ca: ca.pem }", &authority),
        ("  tls: { ca: ca.pem, client_cert: own.pem, client_key: own.key }", &Authority::new()),
    ] {
        let setup = Setup::new(&upstream).upstream(lines).routes("  GET /open: { auth: anyone }\n");
        let (certificate, key) = shown.issue("gateway", 2100);
        for (name, text) in [("ca.pem", authority.pem()), ("own.pem", certificate), ("own.key", key)] {
            fs::write(setup.folder().join(name), text).expect("a file");
        }
        let answer = setup.start().answer(&Call::get("/api/open"));
        assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_failed"), "{lines}: {}", answer.text());
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn the_name_that_the_upstream_is_asked_for_is_the_one_that_its_certificate_must_bear() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("gateway", 2100);
    for (host, more, status, asked) in [
        ("localhost", "", 200, Some("localhost")),
        ("127.0.0.1", "", 503, None),
        ("127.0.0.1", ", server_name: localhost", 200, Some("localhost")),
        ("localhost", ", server_name: api.test", 503, Some("api.test")),
    ] {
        let (config, named) = authority.exacting_server("localhost");
        let upstream = Upstream::start_tls_with(config, |connection| connection.answer_all(OK.as_bytes()));
        let lines = format!("  tls: {{ ca: ca.pem, client_cert: own.pem, client_key: own.key{more} }}");
        let setup = Setup::for_url(&format!("https://{host}:{}", upstream.address().port())).upstream(&lines);
        let setup = setup.routes("  GET /open: { auth: anyone }\n");
        for (name, text) in [("ca.pem", &authority.pem()), ("own.pem", &certificate), ("own.key", &key)] {
            fs::write(setup.folder().join(name), text).expect("a file");
        }
        assert_eq!(setup.start().answer(&Call::get("/api/open")).status(), status, "{host}{more}");
        let names = named.asked();
        assert!(!names.is_empty() && names.iter().all(|name| name.as_deref() == asked), "{host}{more}: {names:?}");
    }
}

#[test]
fn the_upstream_is_vouched_for_by_the_roots_of_the_system_where_nobody_else_is_named() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(&authority, |connection| connection.answer_all(OK.as_bytes()));
    for (lines, trusted, status) in
        [("  tls: { ca: system }", &authority, 200), ("", &authority, 200), ("", &Authority::new(), 503)]
    {
        let setup = Setup::new(&upstream).upstream(lines).routes("  GET /open: { auth: anyone }\n");
        let roots = setup.folder().join("roots.pem");
        fs::write(&roots, trusted.pem()).expect("the roots");
        let gateway = setup.environment("SSL_CERT_FILE", &roots.display().to_string()).start();
        assert_eq!(gateway.answer(&Call::get("/api/open")).status(), status, "{lines}");
    }
}
