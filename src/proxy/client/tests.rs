use super::*;
use crate::http1::head::{Limits, request};

const LIMITS: Limits = Limits { header_bytes: 32 << 10, headers: 100, target_bytes: 8 << 10 };

/// Who calls, where 10.0.0.0/8 and fd00::/8 are trusted and `peer` connected.
fn caller(peer: &str, fields: &[&str]) -> String {
    told(peer, fields, false)
}

fn told(peer: &str, fields: &[&str], unix: bool) -> String {
    let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let head = request(text.as_bytes(), &LIMITS).unwrap().unwrap();
    let networks = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let trusted = TrustedProxies { networks, unix };
    let client = client(&head, &trusted, peer.parse().ok());
    client.map_or_else(|| "unknown".to_owned(), |address| address.to_string())
}

#[test]
fn nobody_else_is_believed() {
    assert_eq!(caller("192.0.2.1", &["X-Forwarded-For: 198.51.100.1", "Forwarded: for=198.51.100.1"]), "192.0.2.1");
    assert_eq!(caller("-", &["X-Forwarded-For: 198.51.100.1"]), "unknown", "a Unix socket has no address to trust");
    assert_eq!(caller("10.0.0.1", &[]), "10.0.0.1");
}

#[test]
fn a_unix_socket_can_be_trusted_and_what_is_no_address_is_not() {
    for (fields, expected) in [
        (&["X-Forwarded-For: 203.0.113.9, 198.51.100.1, 10.0.0.7"][..], "198.51.100.1"),
        (&["Forwarded: for=198.51.100.1"], "198.51.100.1"),
        (&["X-Forwarded-For: 203.0.113.9, unknown"], "unknown"),
        (&["X-Forwarded-For: 203.0.113.9, unix"], "unknown"),
        (&[], "unknown"),
    ] {
        assert_eq!(told("-", fields, true), expected, "{fields:?}");
    }
    assert_eq!(told("192.0.2.1", &["X-Forwarded-For: 198.51.100.1"], true), "192.0.2.1");
}

#[test]
fn the_nearest_address_that_is_not_trusted_calls() {
    for (fields, expected) in [
        (&["X-Forwarded-For: 198.51.100.1"][..], "198.51.100.1"),
        (&["X-Forwarded-For: 203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        (&["X-Forwarded-For: 203.0.113.9, 198.51.100.1,10.0.0.7 , fd00::7"], "198.51.100.1"),
        (
            &["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 198.51.100.1", "x-forwarded-for: 10.0.0.7"],
            "198.51.100.1",
        ),
        (&["X-Forwarded-For: 10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        (&["X-Forwarded-For: 203.0.113.9, ,198.51.100.1,"], "198.51.100.1"),
        (&["X-Forwarded-For: "], "10.0.0.1"),
        (&["X-Forwarded-For: 198.51.100.1:4711"], "198.51.100.1"),
        (&["X-Forwarded-For: 2001:db8::1"], "2001:db8::1"),
        (&["X-Forwarded-For: [2001:db8::1]:4711"], "2001:db8::1"),
        (&["X-Forwarded-For: [2001:db8::1]"], "2001:db8::1"),
        (&["X-Forwarded-For: ::ffff:198.51.100.1"], "198.51.100.1"),
        (&["Forwarded: for=203.0.113.9, for=198.51.100.1;proto=https;host=a, For=\"[fd00::7]:1\""], "198.51.100.1"),
        (&["Forwarded: by=10.0.0.1; for=\"198.51.100.1:80\""], "198.51.100.1"),
    ] {
        assert_eq!(caller("10.0.0.1", fields), expected, "{fields:?}");
    }
}

#[test]
fn x_forwarded_for_is_read_and_forwarded_beside_it_is_not() {
    let both = ["Forwarded: for=10.9.9.9", "X-Forwarded-For: 198.51.100.1"];
    assert_eq!(caller("10.0.0.1", &both), "198.51.100.1");
}

#[test]
fn what_is_no_address_makes_the_caller_unknown() {
    for field in [
        "X-Forwarded-For: unknown",
        "X-Forwarded-For: 198.51.100.1, localhost",
        "X-Forwarded-For: 198.51.100.1 10.0.0.1",
        "X-Forwarded-For: 010.0.0.1",
        "X-Forwarded-For: 198.51.100.1, \"10.0.0.1\"",
        "X-Forwarded-For: [10.0.0.1]",
        "Forwarded: for=unknown",
        "Forwarded: for=_hidden",
        "Forwarded: proto=https",
        "Forwarded: for=198.51.100.1;for=10.0.0.1",
        "Forwarded: for=198.51.100.1;",
        "Forwarded: for=198.51.100.1, nonsense",
    ] {
        assert_eq!(caller("10.0.0.1", &[field]), "unknown", "{field}");
    }
}

#[test]
fn a_piece_of_a_quoted_string_is_no_element() {
    for field in [
        "Forwarded: for=198.51.100.1;host=\"a, for=10.9.9.9\"",
        "Forwarded: for=198.51.100.1;host=\"a, for=10.9.9.9;x=\"",
        "Forwarded: for=198.51.100.1;host=\"a, for=10.9.9.9;x=\\\"\\\"\"",
    ] {
        assert_eq!(caller("10.0.0.1", &[field]), "unknown", "{field}");
    }
}
