use super::*;

#[test]
fn a_host_is_a_name_or_an_address_with_an_optional_port() {
    for host in [
        "a",
        "a.b-c_d~e.",
        "EXAMPLE.com",
        "127.0.0.1",
        "127.0.0.1:80",
        "a:1",
        "a:65535",
        "[::1]",
        "[::1]:443",
        "[::ffff:1.2.3.4]",
        "xn--bcher-kva.example",
    ] {
        assert_eq!(read(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).host, host.as_bytes());
    }
    for host in [
        "",
        ":",
        ":80",
        "a:",
        "a:65536",
        "a:100000",
        "a:+1",
        "a:8 0",
        "a:b",
        "a:1:2",
        "a b",
        "a, b",
        "a,b",
        "a/b",
        "a?b",
        "a#b",
        "a@b",
        "u:p@b",
        "a\\b",
        "a\tb",
        "a%2eb",
        "a;b",
        "é.com",
        "::1",
        "[",
        "[]",
        "[::1",
        "[::1]a",
        "[::1]:",
        "[::1]:x",
        "[1.2.3.4]",
        "[fe80::1%eth0]",
        "[v1.a]",
        "[::1] :80",
        "http://a",
        "\"a\"",
        "*.a",
    ] {
        let buf = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(refused(buf.as_bytes()), BAD, "{host}");
    }
}

#[test]
fn the_authority_of_an_absolute_target_must_be_the_host() {
    let ask = |target: &str, host: &str| {
        let buf = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        request(buf.as_bytes(), &LIMITS).map(|head| head.is_some()).map_err(class)
    };
    for target in ["http://a.b/x", "http://A.B", "HTTPS://a.B?q", "http://a.b#f", "http://a.b/?u=http://c"] {
        assert_eq!(ask(target, "a.b"), Ok(true), "{target}");
    }
    assert_eq!(ask("http://a.b:80/", "a.b:80"), Ok(true));
    for (target, host) in [
        ("http://a.b/", "c"),
        ("http://a.b:80/", "a.b"),
        ("http://a.b/", "a.b:80"),
        ("http://u@a.b/", "a.b"),
        ("http://a.b\\@c/", "c"),
        ("http:///x", "a"),
        ("x+y-z.1://a/", "b"),
    ] {
        assert_eq!(ask(target, host), Err(BAD), "{target} {host}");
    }
    // These have no authority; the policy judges their form.
    for target in ["/x?http://c", "*", "//c/x", "c/http://d", "a.b:443"] {
        assert_eq!(ask(target, "a.b"), Ok(true), "{target}");
    }
}

#[test]
fn an_expectation_other_than_continue_fails() {
    let body = "Content-Length: 1\r\n";
    assert!(read(&with(&format!("{body}Expect: 100-Continue\r\n"))).expect_continue);
    assert!(read(&with("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n")).expect_continue);
    for lines in ["Expect: 100-continue\r\n", "Expect: 100-continue\r\nContent-Length: 0\r\n"] {
        assert!(!read(&with(lines)).expect_continue, "nothing to continue: {lines}");
    }
    let old = b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n";
    assert!(!read(old).expect_continue);
    for value in
        ["", "100", "100-continue, 100-continue", "100-continue;q=1", "x", "100-continue\r\nExpect: 100-continue"]
    {
        let buf = with(&format!("{body}Expect: {value}\r\n"));
        assert_eq!(refused(&buf), HeadFault::ExpectationFailed, "{value}");
    }
}

#[test]
fn a_connection_is_kept_by_its_version_and_options() {
    for (version, lines, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: x-a, ,close\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Proxy-Connection: close\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Proxy-Connection: keep-alive\r\n", false),
    ] {
        let buf = format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
        assert_eq!(read(buf.as_bytes()).keep_alive, kept, "{version} {lines}");
    }
}

#[test]
fn connection_names_fields_that_end_at_this_hop() {
    let buf = with("Connection: close, X-A,\tx-b ,,\r\nX-A: 1\r\nConnection: upgrade, TE\r\n");
    let head = read(&buf);
    assert!(head.connection.names_fields && head.connection.upgrade && head.connection.close);
    for name in ["X-A", "x-B", "te", "Upgrade"] {
        assert!(named_by_connection(&head.fields, name.as_bytes()), "{name}");
    }
    for name in ["X-C", "X", "", "X-A, x-b"] {
        assert!(!named_by_connection(&head.fields, name.as_bytes()), "{name}");
    }
    assert!(!read(&with("Connection: keep-alive\r\n")).connection.names_fields);
}

#[test]
fn a_caller_cannot_name_away_what_the_gateway_reads() {
    for name in ["Host", "content-length", "Transfer-Encoding", "Authorization", "Cookie", "Expect"] {
        assert_eq!(refused(&with(&format!("Connection: close, {name}\r\n"))), BAD, "{name}");
    }
    for value in ["a b", "\"a\"", "a;b", "a/b", "é"] {
        assert_eq!(refused(&with(&format!("Connection: {value}\r\n"))), BAD, "{value}");
    }
}

#[test]
fn connection_has_few_options_however_they_are_spread() {
    let options = |count: usize| vec!["a"; count].join(",");
    let long = |bytes: usize| format!("Connection: {}\r\n", "a".repeat(bytes));
    let spaced = |bytes: usize| format!("Connection: a{}b\r\n", ", ".repeat(bytes / 2 - 1));
    for (lines, good) in [
        (format!("Connection: {}\r\n", options(32)), true),
        (format!("Connection: {}\r\n", options(33)), false),
        (format!("Connection: {}\r\nConnection: {}\r\n", options(16), options(16)), true),
        (format!("Connection: {}\r\nConnection: {}\r\n", options(16), options(17)), false),
        (format!("Connection: {}\r\n", ["close"; 33].join(",")), false),
        (long(1024), true),
        (long(1025), false),
        (long(512).repeat(2), true),
        (long(513).repeat(2), false),
        (spaced(1024), true),
        (spaced(1026), false),
    ] {
        let asked = request(&with(&lines), &LIMITS).map(|head| head.is_some()).map_err(class);
        let answered = response(&answer(&lines), &LIMITS, AnswerTo::Other).map(|head| head.is_some()).map_err(class);
        let verdict = if good { Ok(true) } else { Err(BAD) };
        assert_eq!((asked, answered), (verdict, verdict), "{lines}");
    }
}
