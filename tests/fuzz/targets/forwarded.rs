//! What is forwarded: hyper reads the caller's head as the gateway did, and what is sent on has one reading, too, with nothing
//! in it that ends at this hop or that only the gateway may say.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use scopegate::config::{self, Config, Environment, Source};
use scopegate::http1::head::{Kind, Limits};
use scopegate::http1::{RequestHead, request};
use scopegate::policy::Vocabulary;
use scopegate::proxy::fuzzing::forwarded;
use scopegate_fuzz::hyper::assert_reads_alike;

const POLICY: &str = "\
version: 1
method_override: drop
routes:
  ANY /{*rest}: { auth: anyone }
  OPTIONS /{*rest}: { auth: anyone }
  GET /ws: { auth: anyone, upgrade: websocket }
";
const CONFIG: &str = "\
upstream: { url: http://127.0.0.1:1 }
keys: { accept: [bearer, basic, { header: X-Api-Key }, { query: api_key }, { cookie: sg_key }] }
policy: {}
";

static LOADED: LazyLock<Config> = LazyLock::new(|| {
    let file = std::env::temp_dir().join(format!("scopegate-fuzz-forwarded-{}.yaml", std::process::id()));
    std::fs::write(&file, CONFIG).expect("a temporary file");
    let source = Source {
        file: Some(file.clone()),
        environment: Environment::new(|_| None),
        policy_text: Some(("policy".to_owned(), POLICY.to_owned())),
        ..Source::default()
    };
    let loaded = config::load(&source, &Vocabulary::new()).unwrap_or_else(|faults| panic!("{faults:?}"));
    let _ = std::fs::remove_file(&file);
    loaded.config
});

/// Wider than what callers may send: the gateway adds to it.
const WIDE: Limits = Limits { header_bytes: 64 * 1024, headers: 256, target_bytes: 16 * 1024 };

fuzz_target!(|bytes: &[u8]| {
    let Some(wire) = forwarded(&LOADED, bytes) else { return };
    let head = request(bytes, &Limits::default()).expect("it was read").expect("it was whole");
    let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    assert_reads_alike(&bytes[start..head.size], &head);

    let sent = request(&wire, &WIDE).expect("an acceptable head").expect("a whole head");
    assert_eq!(sent.size, wire.len());
    assert_reads_alike(&wire, &sent);
    says_the_same(&head, &sent);
    says_nothing_else(&head, &sent);
});

/// Method, framing and host are those that were judged; the target is, but for a key in its query.
fn says_the_same(head: &RequestHead<'_>, sent: &RequestHead<'_>) {
    assert_eq!((sent.method, sent.framing, sent.host), (head.method, head.framing, head.host));
    assert_eq!(sent.expect_continue, head.expect_continue);
    let path = |target: &[u8]| target.split(|byte| *byte == b'?').next().unwrap_or_default().to_vec();
    assert!(sent.target.starts_with(b"/"));
    assert!(path(head.target).ends_with(&path(sent.target)) || path(sent.target) == b"/");
    let parameters = |target: &[u8]| -> Vec<Vec<u8>> {
        let query = target.iter().position(|byte| *byte == b'?').map(|mark| &target[mark + 1..]);
        query.into_iter().flat_map(|query| query.split(|byte| *byte == b'&')).map(<[u8]>::to_vec).collect()
    };
    let is_key = |piece: &[u8]| piece.starts_with(b"api_key=") || piece == b"api_key";
    let sent_on = parameters(sent.target);
    assert!(!sent_on.iter().any(|piece| is_key(piece)), "a key goes on");
    let mut given = parameters(head.target).into_iter();
    assert!(sent_on.iter().all(|piece| given.any(|other| other == *piece)), "the query is another one");
}

/// No field of the caller's is left that the gateway speaks for, and each of the gateway's stands once.
fn says_nothing_else(head: &RequestHead<'_>, sent: &RequestHead<'_>) {
    let count = |kind: Kind| sent.fields.iter().filter(|field| field.kind == kind).count();
    for kind in [
        Kind::Forwarded,
        Kind::HopByHop,
        Kind::Identity,
        Kind::Lookalike,
        Kind::MethodOverride,
        Kind::Te,
        Kind::Trailer,
        Kind::Underscore,
        Kind::UrlOverride,
        Kind::XForwarded,
        Kind::XRealIp,
    ] {
        assert_eq!(count(kind), 0, "{kind:?}");
    }
    for kind in [Kind::RequestId, Kind::XForwardedFor, Kind::XForwardedHost, Kind::XForwardedProto, Kind::Authorization]
    {
        assert_eq!(count(kind), 1, "{kind:?}");
    }
    assert!(count(Kind::ContentLength) + count(Kind::TransferEncoding) <= 1);
    let is_tunnel = count(Kind::Upgrade) == 1;
    assert_eq!(count(Kind::Connection), usize::from(is_tunnel));
    assert_eq!((sent.connection.upgrade, sent.connection.names_fields), (is_tunnel, false));
    assert!(!is_tunnel || (head.target.ends_with(b"/ws") || head.target.contains(&b'?')) && head.connection.upgrade);
    let value =
        |name: &[u8]| sent.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value);
    assert_eq!(value(b"authorization"), Some(&b"Bearer REAL"[..]));
    assert_eq!(value(b"x-api-key"), None);
    assert_eq!(value(b"x-forwarded-for"), Some(&b"192.0.2.1"[..]));
}
