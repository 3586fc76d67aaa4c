use super::*;

#[test]
fn a_usual_head_is_read_as_it_stands() {
    let buf = b"POST /api/profiles?x=%20 HTTP/1.1\r\nHost: api.example.com:8080\r\nAuthorization:Bearer k\r\n\
        X-Empty:\r\nX-Space: \t a b\t \r\ncontent-length: 3\r\n\r\nabcGET /";
    let head = read(buf);
    assert_eq!(head.method, b"POST");
    assert_eq!(head.target, b"/api/profiles?x=%20");
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.host, b"api.example.com:8080");
    assert_eq!(head.framing, Framing::Length(3));
    assert!(head.keep_alive && !head.expect_continue);
    assert_eq!(&buf[head.size..], b"abcGET /");
    let fields: Vec<_> = head.fields.iter().map(|field| (field.name, field.value, field.kind)).collect();
    let expected: [(&[u8], &[u8], Kind); 5] = [
        (b"Host", b"api.example.com:8080", Kind::Host),
        (b"Authorization", b"Bearer k", Kind::Authorization),
        (b"X-Empty", b"", Kind::Other),
        (b"X-Space", b"a b", Kind::Other),
        (b"content-length", b"3", Kind::ContentLength),
    ];
    assert_eq!(fields, expected);
    assert!(!head.fields.spilled());
}

#[test]
fn framing_that_has_two_readings_is_refused() {
    for lines in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x1\r\n",
        "Content-Length: 1 1\r\n",
        "Content-Length: 1.0\r\n",
        "Content-Length: 1a\r\n",
        "Content-Length: \r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: chunked;a=b\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ] {
        assert_eq!(refused(&with(lines)), BAD, "{lines}");
    }
    assert_eq!(refused(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), BAD);
}

#[test]
fn framing_with_one_reading_is_taken() {
    for (lines, framing) in [
        ("", Framing::None),
        ("Content-Length: 0\r\n", Framing::Length(0)),
        ("Content-Length: 007\r\n", Framing::Length(7)),
        ("Content-Length: 9223372036854775807\r\n", Framing::Length(i64::MAX as u64)),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
        ("transfer-encoding: CHUNKED\r\n", Framing::Chunked),
        ("Content_Length: 4\r\n", Framing::None),
    ] {
        assert_eq!(read(&with(lines)).framing, framing, "{lines}");
    }
}

#[test]
fn lines_that_are_not_in_the_grammar_are_refused() {
    for head in [
        // Line ends.
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nB: c\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nB:\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nB: \n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rB: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        // Folding and spaces.
        "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n d\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\td\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nB:\r\n d\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nB\t: c\r\n\r\n",
        // Names.
        "GET / HTTP/1.1\r\nHost: a\r\n: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nB\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nB c: d\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nB(: d\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\u{e9}: d\r\n\r\n",
        // The request line.
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / \r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET HTTP/1.1\r\nHost: a\r\n\r\n",
        " / HTTP/1.1\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        // Host.
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
    ] {
        assert_eq!(refused(head.as_bytes()), BAD, "{head:?}");
    }
}

#[test]
fn every_byte_is_judged_by_its_table_wherever_it_stands() {
    // Paddings put the byte into different lanes of a vectorised reader.
    for padding in [0, 1, 7, 15, 16, 31, 32, 63] {
        let padding = "a".repeat(padding);
        for byte in 0..=255u8 {
            let place =
                |before: &str, after: &str| [before.as_bytes(), padding.as_bytes(), &[byte], after.as_bytes()].concat();
            let accepted = |buf: &[u8]| matches!(request(buf, &LIMITS), Ok(Some(_)));
            let say = |what: &str| format!("{what} {byte:#04x} after {}", padding.len());
            let token = is_token_byte(byte);
            let method = place("M", "M / HTTP/1.1\r\nHost: a\r\n\r\n");
            // A space ends the method, and then the rest is no target.
            assert_eq!(accepted(&method), token, "{}", say("method"));
            let name = place("GET / HTTP/1.1\r\nHost: a\r\nN", "N: v\r\n\r\n");
            // A colon ends the name.
            assert_eq!(accepted(&name), token || byte == b':', "{}", say("name"));
            let value = place("GET / HTTP/1.1\r\nHost: a\r\nN: v", "v\r\n\r\n");
            assert_eq!(accepted(&value), byte == b'\t' || (byte >= b' ' && byte != 0x7F), "{}", say("value"));
            let target = place("GET /", "/ HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(accepted(&target), (0x21..0x7F).contains(&byte), "{}", say("target"));
        }
    }
}

#[test]
fn a_target_may_hold_utf_8_and_nothing_else_above_ascii() {
    assert_eq!(read("GET /é?ü HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes()).target, "/é?ü".as_bytes());
    assert_eq!(refused(b"GET /\xE9 HTTP/1.1\r\nHost: a\r\n\r\n"), BAD);
}

#[test]
fn one_empty_line_before_a_request_is_skipped() {
    let buf = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(read(buf).size, buf.len());
    for more in ["", "\r", "\r\n"] {
        assert!(matches!(request(more.as_bytes(), &LIMITS), Ok(None)), "{more:?}");
    }
}

#[test]
fn no_credential_shows_in_debug_output() {
    let buf =
        b"GET /?api_key=hunter2 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer hunter2\r\nX-Api-Key: hunter2\r\n\r\n";
    let shown = format!("{:?}", read(buf));
    assert!(shown.contains("Authorization: <14 bytes>") && !shown.contains("hunter2"), "{shown}");
    let buf = answer("Set-Cookie: hunter2\r\n");
    let shown = format!("{:?}", response(&buf, &LIMITS, AnswerTo::Other));
    assert!(shown.contains("Set-Cookie: <7 bytes>") && !shown.contains("hunter2"), "{shown}");
}
