use super::*;

fn ask<'b>(buf: &'b [u8], to: AnswerTo) -> ResponseHead<'b> {
    match response(buf, &LIMITS, to) {
        Ok(Some(head)) => head,
        other => panic!("{}: {other:?}", buf.escape_ascii()),
    }
}

#[test]
fn a_usual_answer_is_read_as_it_stands() {
    let buf = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nServer: x\r\n\r\nab";
    let head = ask(buf, AnswerTo::Other);
    assert_eq!((head.status, head.reason, head.version), (404, &b"Not Found"[..], Version::Http11));
    assert_eq!((head.framing, head.content_length), (ResponseFraming::Length(2), Some(2)));
    assert!(head.keep_alive);
    assert_eq!(head.fields.len(), 3);
    assert_eq!(&buf[head.size..], b"ab");
}

#[test]
fn answers_without_a_body_have_none_whatever_their_fields_say() {
    for lines in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        for status in [100, 101, 103, 199, 204, 304] {
            let buf = format!("HTTP/1.1 {status} X\r\n{lines}\r\n");
            let head = ask(buf.as_bytes(), AnswerTo::Other);
            assert_eq!((head.status, head.framing), (status, ResponseFraming::None), "{status} {lines}");
            assert!(head.keep_alive);
        }
        assert_eq!(ask(&answer(lines), AnswerTo::Head).framing, ResponseFraming::None, "{lines}");
    }
    assert_eq!(ask(&answer("Content-Length: 5\r\n"), AnswerTo::Head).content_length, Some(5));
}

#[test]
fn an_answer_is_delimited_by_chunks_a_length_or_the_close() {
    for (buf, framing, kept) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ResponseFraming::Chunked, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ResponseFraming::Length(0), true),
        ("HTTP/1.1 200 OK\r\n\r\n", ResponseFraming::UntilClose, false),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", ResponseFraming::UntilClose, false),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n", ResponseFraming::Length(1), false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", ResponseFraming::Length(1), false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", ResponseFraming::Length(1), true),
        ("HTTP/1.0 200 OK\r\n\r\n", ResponseFraming::UntilClose, false),
        ("HTTP/1.1 205 X\r\nContent-Length: 0\r\n\r\n", ResponseFraming::Length(0), true),
        ("HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", ResponseFraming::Length(0), true),
    ] {
        let head = ask(buf.as_bytes(), AnswerTo::Other);
        assert_eq!((head.framing, head.keep_alive), (framing, kept), "{buf:?}");
    }
}

#[test]
fn an_answer_outside_the_grammar_is_refused() {
    for buf in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 204 X\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: a b\r\n\r\n",
        "220 mail.example.com ESMTP\r\n",
        "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let verdict = response(buf.as_bytes(), &LIMITS, AnswerTo::Other).map(|_| ()).map_err(class);
        assert_eq!(verdict, Err(BAD), "{buf:?}");
    }
}

#[test]
fn an_answer_may_lack_a_reason() {
    for buf in ["HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 \u{e9}\r\n\r\n"] {
        assert_eq!(ask(buf.as_bytes(), AnswerTo::Other).reason, b"", "{buf:?}");
    }
}

#[test]
fn an_answer_cannot_name_away_its_framing() {
    let buf = answer("Connection: Transfer-Encoding, X-A\r\nTransfer-Encoding: chunked\r\n");
    let head = ask(&buf, AnswerTo::Other);
    assert!(!named_by_connection(&head.fields, b"transfer-encoding"));
    assert!(named_by_connection(&head.fields, b"x-a"));
}

#[test]
fn the_limits_hold_for_answers() {
    let limits = Limits { header_bytes: 40, headers: 1, target_bytes: 0 };
    let ask = |buf: &str| response(buf.as_bytes(), &limits, AnswerTo::Other).map(|head| head.is_some());
    assert_eq!(ask("HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), Ok(true));
    assert_eq!(ask("HTTP/1.1 200 OK\r\nA: b\r\nC"), Err(HeadFault::HeadersTooLarge(Excess::Fields)));
    assert_eq!(
        ask(&format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(40))),
        Err(HeadFault::HeadersTooLarge(Excess::Bytes))
    );
}
