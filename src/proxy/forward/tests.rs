//! Invariant 1 of `http1`: whatever is forwarded reads back as what was judged, with nothing in it that only the gateway
//! may say.

use proptest::prelude::*;

use super::*;
use crate::config::{self, Environment, Source};
use crate::http1::head::{self, Limits};
use crate::policy::{Request, Vocabulary};

const POLICY: &str = "version: 1\nmethod_override: drop\nroutes:\n  ANY /{*rest}: { auth: key }\n";
const CONFIG: &str = "\
upstream:
  url: http://127.0.0.1:1
  credential: { header: Authorization, value: Bearer REAL }
keys:
  accept: [bearer, basic, { header: X-Api-Key }, { query: api_key }, { cookie: sg_key }]
";
/// Stands for the caller's key: it may never be forwarded.
const KEY: &str = "CALLERKEY";
/// Stands for what a caller may not say.
const SPOOF: &str = "SPOOF";

fn config() -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scopegate.yaml");
    std::fs::write(&file, CONFIG.to_owned() + "policy: {}\n").unwrap();
    let source = Source {
        file: Some(file),
        environment: Environment::new(|_| None),
        policy_text: Some(("policy".to_owned(), POLICY.to_owned())),
        ..Source::default()
    };
    config::load(&source, &Vocabulary::new()).unwrap().config
}

/// What would be sent for a request, or `None` where it is refused.
fn forwarded(config: &Config, request: &[u8], peer: IpAddr) -> Option<Vec<u8>> {
    let head = head::request(request, &Limits::default()).ok()??;
    let judged = config.policy.judge(&Request { method: head.method, target: head.target, override_header: false });
    let target = judged.ok()?;
    let line = CredentialLine::Header {
        name: "Authorization".into(),
        line: crate::key::secret::Secret::new(&b"Authorization: Bearer REAL\r\n"[..]),
    };
    let outgoing = Outgoing {
        config,
        target: &target,
        entry: None,
        credential: Some(&line),
        request_id: b"id-1",
        peer: Peer { address: Some(peer), carrier: Carrier::Cleartext },
        client: client::client(&head, &config.trusted_proxies, Some(peer)),
        protocol: Protocol::Http1,
        expect: head.expect_continue,
        upgrade: false,
        has_connection: head.connection.names_fields,
    };
    let mut out = Vec::new();
    write_head(&head, &outgoing, &mut out);
    Some(out)
}

/// Fields that end at the gateway, or that it alone may write, in spellings of all sorts.
fn spoofed() -> impl Strategy<Value = (String, String)> {
    let names = prop::sample::select(vec![
        "X-ScopeGate-Key-Id",
        "x-scopegate-scopes",
        "X_ScopeGate_Account",
        "X-Forwarded-For",
        "x-forwarded-host",
        "X-Forwarded-Proto",
        "X-Forwarded-Anything",
        "Forwarded",
        "X-Real-IP",
        "Proxy-Connection",
        "Keep-Alive",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Upgrade",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "some_name",
        "Content_Length",
        "Transfer_Encoding",
        "X_Forwarded_For",
    ]);
    names.prop_map(|name| (name.to_owned(), SPOOF.to_owned()))
}

fn keyed() -> impl Strategy<Value = (String, String)> {
    prop::sample::select(vec![
        ("Authorization", format!("Bearer {KEY}")),
        ("authorization", format!("bearer   {KEY}")),
        ("X-Api-Key", KEY.to_owned()),
        ("Cookie", format!("a=KEEP; sg_key={KEY}; b=KEEP")),
        ("Cookie", format!("sg_key={KEY}")),
    ])
    .prop_map(|(name, value)| (name.to_owned(), value))
}

fn kept() -> impl Strategy<Value = (String, String)> {
    ("[a-z]{1,3}-[a-z]{1,8}", "KEEP[!-~]{0,20}").prop_filter("a name with a meaning", |(name, _)| {
        Kind::of(name.as_bytes()) == Kind::Other && name != "x-api-key"
    })
}

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let connection = prop::sample::select(vec!["close", "keep-alive", "x-secret, close", "via", "x-request-id"])
        .prop_map(|value| ("Connection".to_owned(), value.to_owned()));
    let hidden = Just(("X-Secret".to_owned(), "KEEP".to_owned()));
    prop::collection::vec(prop_oneof![3 => spoofed(), 2 => keyed(), 4 => kept(), 1 => connection, 1 => hidden], 0..12)
}

fn targets() -> impl Strategy<Value = String> {
    prop_oneof![
        "/[a-z0-9._~-]{1,8}(/[a-z0-9%]{1,8}){0,3}",
        Just(format!("/a?api_key={KEY}")),
        Just(format!("/a?x=1&api%5Fkey={KEY}&y=%24")),
        Just("/a/b?x[0:1:0]&&=".to_owned()),
        Just("http://api.test/a/b?c".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_is_forwarded_reads_back_as_what_was_judged(
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "DELETE"]),
        target in targets(),
        fields in fields(),
        body in prop::sample::select(vec!["", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"]),
    ) {
        let config = config();
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("{method} {target} HTTP/1.1\r\nHost: api.test\r\n{lines}{body}\r\n");
        let Some(out) = forwarded(&config, request.as_bytes(), IpAddr::from([203, 0, 113, 7])) else { return Ok(()) };
        let text = String::from_utf8(out.clone()).unwrap();
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut read = httparse::Request::new(&mut slots);
        prop_assert_eq!(read.parse(&out).unwrap(), httparse::Status::Complete(out.len()));
        prop_assert_eq!(read.method, Some(method));
        let origin = target.strip_prefix("http://api.test").unwrap_or(&target);
        if !target.contains(KEY) {
            prop_assert_eq!(read.path, Some(origin));
        }
        prop_assert!(!text.contains(KEY), "{}", text);
        prop_assert!(!text.contains(SPOOF), "{}", text);
        let count = |name: &str| read.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
        for name in ["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "authorization"] {
            prop_assert_eq!(count(name), 1, "{} in {}", name, text);
        }
        prop_assert_eq!(count("connection"), 0);
        prop_assert_eq!(count("content-length") + count("transfer-encoding"), usize::from(!body.is_empty()));
        prop_assert!(text.contains("Authorization: Bearer REAL\r\n"));
        // What may pass does, in its order and unchanged, unless Connection names it.
        let named = |name: &str| fields.iter().any(|(field, value)| {
            field == "Connection" && value.split(", ").any(|token| token.eq_ignore_ascii_case(name))
        });
        let expected: Vec<String> = fields
            .iter()
            .filter(|(name, value)| value.starts_with("KEEP") && !named(name))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let found: Vec<&str> = text.split("\r\n").filter(|line| line.contains(": KEEP")).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_trusted_proxy_is_continued_and_nobody_else() {
    let mut config = config();
    let request = b"GET /a HTTP/1.1\r\nHost: api.test\r\nX-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=a\r\n\r\n";
    let peer = IpAddr::from([10, 0, 0, 9]);
    let untrusted = String::from_utf8(forwarded(&config, request, peer).unwrap()).unwrap();
    assert!(untrusted.contains("x-forwarded-for: 10.0.0.9\r\n") && untrusted.contains("x-forwarded-proto: http\r\n"));
    assert!(!untrusted.contains("Forwarded: for=a"));
    config.trusted_proxies.networks.push("10.0.0.0/8".parse().unwrap());
    let trusted = String::from_utf8(forwarded(&config, request, peer).unwrap()).unwrap();
    assert!(
        trusted.contains("x-forwarded-for: 198.51.100.1, 10.0.0.9\r\n")
            && trusted.contains("x-forwarded-proto: https\r\n")
    );
    assert!(!trusted.contains("Forwarded: for=a"), "beside X-Forwarded-For nobody vouches for it");
}

#[test]
fn a_trusted_proxy_may_say_forwarded_in_place_of_x_forwarded_for() {
    let mut config = config();
    config.trusted_proxies.networks = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let request = b"GET /a HTTP/1.1\r\nHost: h\r\nForwarded: for=192.0.2.7, for=198.51.100.1;proto=https\r\nX-Real-IP: 1.1.1.1\r\n\r\n";
    for (peer, own) in [("10.0.0.9", "for=10.0.0.9"), ("fd00::9", "for=\"[fd00::9]\"")] {
        let sent = String::from_utf8(forwarded(&config, request, peer.parse().unwrap()).unwrap()).unwrap();
        assert!(sent.contains("Forwarded: for=192.0.2.7, for=198.51.100.1;proto=https\r\n"), "{sent}");
        assert!(sent.contains(&format!("forwarded: {own}\r\n")), "{sent}");
        assert!(sent.contains(&format!("x-forwarded-for: 198.51.100.1, {peer}\r\n")), "{sent}");
        assert!(sent.contains("x-real-ip: 198.51.100.1\r\n") && !sent.contains("1.1.1.1"), "{sent}");
    }
}

#[test]
fn an_ipv6_caller_is_forwarded_as_text() {
    for (address, text) in [
        ("2001:db8::1", "2001:db8::1"),
        ("::", "::"),
        ("2001:DB8:0:0:1:0:0:ff", "2001:db8::1:0:0:ff"),
        ("1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
    ] {
        let out = forwarded(&config(), b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", address.parse().unwrap()).unwrap();
        assert!(String::from_utf8(out).unwrap().contains(&format!("x-forwarded-for: {text}\r\n")), "{address}");
    }
}

#[test]
fn what_a_server_may_take_for_the_credential_of_the_query_goes_on_with_no_request() {
    let accept = config().keys.accept;
    let sent = |query: &str| {
        let mut out = Vec::new();
        write_without_parameter(&accept, format!("/a?{query}").as_bytes(), b"up_key", &mut out);
        String::from_utf8(out).unwrap()
    };
    for taken in [
        "up_key=x",
        "up_key",
        "up_key[]=x",
        "up_key%5B%5D=x",
        "up_key[a]=x",
        "UP_KEY=x",
        "Up%5fKey=x",
        "+up_key=x",
        "%20up_key=x",
        "up_key%00=x",
        "up_key%00y=x",
        "up.key=x",
        "up+key=x",
        "up[key=x",
        "up_key+=x",
        "b=1;up_key=x",
        ";up_key=x",
        "up_key;c=1",
    ] {
        assert_eq!(sent(taken), "/a", "{taken}");
        assert_eq!(sent(&format!("a=1&{taken}&b=2")), "/a?a=1&b=2", "{taken}");
    }
    for kept in ["up_keys=x", "my_up_key=x", "a=up_key", "up=key", "a[up_key]=x", "upkey=x", "a=1;b=2"] {
        assert_eq!(sent(kept), format!("/a?{kept}"));
    }
}
