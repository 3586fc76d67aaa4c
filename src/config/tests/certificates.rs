//! Certificates, keys and listeners: what is taken, and what is told of those that cannot be used.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use super::*;
use crate::config::listen::Carrier;
use crate::config::{Address, MinVersion};

/// An authority, a leaf that it signed, and the key of the leaf, as PEM.
struct Issued {
    authority: String,
    leaf: String,
    key: String,
}

fn issued(from: i32, until: (i32, u8, u8)) -> Issued {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "An authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["api.test".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "A leaf");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until.0, until.1, until.2);
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &authority).unwrap();
    Issued { authority: authority.pem(), leaf: leaf.pem(), key: key.serialize_pem() }
}

fn good() -> Issued {
    issued(2020, (2120, 1, 1))
}

/// What is told of these two files as `tls`.
fn told(cert: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> String {
    let case = Case::new().file("scopegate.yaml", &with("tls: { cert: cert.pem, key: key.pem }\n"));
    std::fs::write(case.path("cert.pem"), cert).unwrap();
    std::fs::write(case.path("key.pem"), key).unwrap();
    listed(&case)
}

#[test]
fn a_chain_with_its_key_is_taken() {
    let Issued { authority, leaf, key } = good();
    let text = with("tls: { cert: cert.pem, key: key.pem, client_ca: ca.pem, min_version: 1.3 }\n");
    let case = Case::new().file("scopegate.yaml", &text).file("cert.pem", &format!("{leaf}{authority}"));
    let case = case.file("key.pem", &key).file("ca.pem", &authority);
    let loaded = case.load().unwrap();
    let tls = loaded.config.tls.unwrap();
    assert_eq!(tls.certificate.key_pem.expose(), key.as_bytes());
    assert_eq!(tls.certificate.expires.to_string(), "2120-01-01T00:00:00Z");
    assert_eq!((tls.client_ca.unwrap().pem, tls.min_version), (authority.into_bytes(), MinVersion::Tls13));
    assert!(loaded.warnings.is_empty());
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        assert!(loaded.files.paths().any(|path| path == case.path(name)), "{name} is watched");
    }
    let shown = format!("{:?}", tls.certificate);
    assert!(!key.lines().any(|line| shown.contains(line)), "{shown}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_why() {
    let Issued { authority, leaf, key } = good();
    let other = good();
    let expired = issued(2020, (2021, 2, 3));
    let early = issued(2119, (2120, 1, 1));
    let secret = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n-----END RSA PRIVATE KEY-----\n";
    let junk = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    let cut = "-----BEGIN PRIVATE KEY-----\nAA==\n";
    let bad = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
    let cases = [
        ("another key", told(&leaf, &other.key)),
        ("the wrong order", told(format!("{authority}{leaf}"), &key)),
        ("a stranger behind it", told(format!("{leaf}{}", other.leaf), &key)),
        ("expired", told(&expired.leaf, &expired.key)),
        ("not yet", told(&early.leaf, &early.key)),
        ("swapped", told(&key, &leaf)),
        ("no PEM", told("hello", "")),
        ("DER", told([0x30, 0x82, 0x01], [0x30, 0x82, 0x02])),
        ("a passphrase", told(&leaf, secret)),
        ("an old passphrase", told(&leaf, old)),
        ("no certificate inside", told(junk, &key)),
        ("no end", told(&leaf, cut)),
        ("no key inside", told(&leaf, bad)),
    ];
    let all: Vec<String> = cases.iter().map(|(what, told)| format!("# {what}\n{told}")).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_certificate_that_expires_soon_is_warned_of() {
    let soon = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().tomorrow().unwrap();
    let day = |number: i8| u8::try_from(number).unwrap();
    let Issued { leaf, key, .. } = issued(2020, (i32::from(soon.year()), day(soon.month()), day(soon.day())));
    let case = Case::new().file("scopegate.yaml", &with("tls: { cert: cert.pem, key: key.pem }\n"));
    let warnings = case.file("cert.pem", &leaf).file("key.pem", &key).load().unwrap().warnings;
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.message.contains(&format!("cert.pem expires on {soon}T00:00:00Z")), "{warning}");
}

#[test]
fn the_upstreams_certificates_are_judged_likewise() {
    let Issued { authority, leaf, key } = good();
    let text = "policy: policy.yaml\nupstream: { url: https://x, tls: { ca: ca.pem, client_cert: cert.pem, client_key: key.pem, server_name: y } }\n";
    let case = Case::new().file("scopegate.yaml", text);
    let case = case.file("ca.pem", &authority).file("cert.pem", &leaf).file("key.pem", &key);
    let loaded = case.load().unwrap();
    let tls = loaded.config.upstream.tls;
    assert!(matches!(tls.ca, Ca::File(Roots { pem, .. }) if pem == authority.as_bytes()));
    assert_eq!(tls.client.unwrap().key_pem.expose(), key.as_bytes());
    assert_eq!(tls.server_name.as_deref(), Some("y"));
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        assert!(loaded.files.paths().any(|path| path == case.path(name)), "{name} is watched");
    }
    let wrong = case.file("ca.pem", "nothing").file("key.pem", &good().key);
    insta::assert_snapshot!(listed(&wrong));
}

#[test]
fn a_listener_ends_tls_where_there_is_a_certificate_unless_it_says_otherwise() {
    let Issued { leaf, key, .. } = good();
    let carriers = |listen: &str, tls: &str| -> Vec<Carrier> {
        let case = Case::new().file("cert.pem", &leaf).file("key.pem", &key);
        let loaded = case.file("scopegate.yaml", &with(&format!("{listen}{tls}"))).load();
        loaded.unwrap().config.listen.iter().map(|listen| listen.carrier).collect()
    };
    let listen = "listen: ['127.0.0.1:1', {address: '127.0.0.1:2', tls: false}, {address: '127.0.0.1:3', tls: true}, 'unix:x']\n";
    let tls = "tls: { cert: cert.pem, key: key.pem }\n";
    assert_eq!(carriers(listen, tls), [Carrier::Tls, Carrier::Cleartext, Carrier::Tls, Carrier::Cleartext]);
    assert_eq!(carriers("", tls), [Carrier::Tls]);
    assert_eq!(carriers("", "tls: none\n"), [Carrier::Cleartext]);
}

#[test]
fn a_listener_says_who_may_send_a_proxy_header_and_who_may_connect() {
    let text =
        "listen: [{address: '127.0.0.1:1', proxy_protocol: [10.0.0.0/8, '::1']}, {address: 'unix:x', mode: 0660}]\n";
    let config = compiled(text);
    let [tcp, unix] = config.listen.as_slice() else { panic!("two listeners") };
    assert_eq!(tcp.proxy_protocol, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    assert_eq!(unix.mode, Some(0o660));
    assert!(matches!(unix.address, Address::Unix(_)) && unix.proxy_protocol.is_empty());
}

#[test]
fn limits_of_a_connection_are_read() {
    let text = "limits: { connections_per_address: 5, requests_per_connection: 1000, connection_age: 1h }\n";
    let limits = compiled(text).limits;
    assert_eq!((limits.connections_per_address, limits.requests_per_connection), (Some(5), Some(1000)));
    assert_eq!(limits.connection_age, Some(std::time::Duration::from_secs(3600)));
    let none = compiled("limits: { connections_per_address: none, connection_age: none }\n").limits;
    assert_eq!((none.connections_per_address, none.requests_per_connection, none.connection_age), (None, None, None));
}

#[test]
fn tls_settings_for_an_upstream_in_cleartext_are_told() {
    let told = |url: &str, tls: &str| {
        let text = format!("upstream: {{ url: \"{url}\", tls: {{ {tls} }} }}\npolicy: policy.yaml\n");
        let loaded = Case::new().file("scopegate.yaml", &text).file("ca.pem", &good().authority).load().unwrap();
        loaded.warnings.iter().map(|warning| warning.message.to_string()).collect::<Vec<_>>()
    };
    let warning = ["`upstream.tls` is given, and the upstream is cleartext"];
    assert_eq!(told("http://127.0.0.1:1", "ca: ca.pem"), warning);
    assert_eq!(told("http://127.0.0.1:1", "server_name: api.test"), warning);
    assert_eq!(told("unix:api.sock", "server_name: api.test"), warning);
    assert!(told("http://127.0.0.1:1", "ca: system").is_empty(), "that is what it is when left out");
    assert!(told("https://127.0.0.1:1", "ca: ca.pem").is_empty());
}
