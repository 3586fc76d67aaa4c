use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::http1::body::Body;
use crate::http1::write;

/// Limits small enough for generated heads to meet them.
const TIGHT: Limits = Limits { header_bytes: 160, headers: 5, target_bytes: 24 };

const LINES: &[&str] = &[
    "Host: a.example",
    "Host: a.example",
    "Host: a.example",
    "Host: b",
    "host: [::1]:80",
    "Host: a b",
    "A: b",
    "X-Api-Key: k",
    "Empty:",
    "Content-Length: 3",
    "Content-Length: 0",
    "Content-Length: +3",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Expect: 100-continue",
    "Expect: x",
    "Connection: close, X-Api-Key",
    "Connection: host",
    "Connection: keep-alive",
    "A : b",
    ": b",
    " folded",
    "Cookie: a=b; c=d",
    "X_Forwarded_For: 1",
    "X-ScopeGate-Scopes: *",
    "Upgrade: h2c",
    "Accept: \u{e9}",
    "Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

const STARTS: &[&str] = &[
    "GET / HTTP/1.1",
    "GET / HTTP/1.1",
    "POST /a?b=c HTTP/1.1",
    "GET / HTTP/1.0",
    "GET http://a.example/x HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1",
    "GET  / HTTP/1.1",
    "GET / HTTP/2.0",
    "\r\nGET / HTTP/1.1",
];

const STATUSES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 204",
    "HTTP/1.0 200 ",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 099 X",
    "HTTP/3 200",
];

const ENDS: &[&str] = &["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n"];

/// A head of good and bad parts, at times with one byte changed, and bytes after it.
fn heads(starts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let line = (select(LINES), select(ENDS)).prop_map(|(line, end)| format!("{line}{end}"));
    let lines = prop::collection::vec(line, 0..8);
    let change = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    (select(starts), select(ENDS), lines, change, "\r\n[a-z\r\n]{0,8}").prop_map(|(start, end, lines, change, rest)| {
        let mut buf = format!("{start}{end}{}{rest}", lines.concat()).into_bytes();
        if let Some((at, byte)) = change {
            let at = at.index(buf.len());
            buf[at] = byte;
        }
        buf
    })
}

/// All that was read.
fn seen(head: &RequestHead<'_>) -> String {
    let values: Vec<_> = head.fields.iter().map(|field| (field.name, field.value, field.kind)).collect();
    let rest = (
        head.method,
        head.target,
        head.version,
        head.host,
        head.framing,
        head.connection,
        head.expect_continue,
        head.keep_alive,
    );
    format!("{} {rest:?} {values:?}", head.size)
}

fn seen_of_answer(head: &ResponseHead<'_>) -> String {
    let values: Vec<_> = head.fields.iter().map(|field| (field.name, field.value, field.kind)).collect();
    let rest =
        (head.status, head.reason, head.version, head.framing, head.content_length, head.connection, head.keep_alive);
    format!("{} {rest:?} {values:?}", head.size)
}

/// What was read, or the kind of refusal: enough to tell two verdicts apart. `None` is "more bytes".
fn verdict(buf: &[u8], limits: &Limits) -> Option<Result<String, HeadFault>> {
    match request(buf, limits) {
        Ok(None) => None,
        Ok(Some(head)) => {
            assert!(head.size <= buf.len());
            Some(Ok(seen(&head)))
        }
        Err(fault) => Some(Err(class(fault))),
    }
}

fn response_verdict(buf: &[u8], limits: &Limits, to: AnswerTo) -> Option<Result<String, HeadFault>> {
    match response(buf, limits, to) {
        Ok(None) => None,
        Ok(Some(head)) => {
            assert!(head.size <= buf.len());
            Some(Ok(seen_of_answer(&head)))
        }
        Err(fault) => Some(Err(class(fault))),
    }
}

/// Whether `verdict` turns from "more" to one and the same answer for every longer prefix.
fn is_stable<T: PartialEq + fmt::Debug>(buf: &[u8], verdict: impl Fn(&[u8]) -> Option<T>) -> Result<(), TestCaseError> {
    let mut first = None;
    for length in 0..=buf.len() {
        let now = verdict(&buf[..length]);
        if first.is_some() {
            prop_assert_eq!(&now, &first, "the verdict changed at {} of {}", length, buf.escape_ascii());
        }
        first = now;
    }
    Ok(())
}

#[test]
fn usual_heads_are_in_plain_form() {
    let requests = [
        "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET /api/profiles/01HZX3Q5?include=lists&page%5Bsize%5D=50 HTTP/1.1\r\nHost: a.example:8080\r\n\
         User-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate, br\r\nAccept: */*\r\n\
         Connection: keep-alive\r\nAuthorization: Bearer abc\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
        "POST /a HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\nabc",
        "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n",
    ];
    for text in requests {
        let mut head = RequestHead::unread();
        assert!(request::read_plain(text.as_bytes(), &LIMITS, &mut head).is_some(), "{text:?}");
        assert!(text.split_at(head.size).0.ends_with("\r\n\r\n"));
    }
    let answers = [
        "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\nCache-Control: no-store\r\nVary: Accept, Cookie\r\nServer: upstream\r\n\r\n{}",
        "HTTP/1.1 204 No Content\r\nconnection: keep-alive\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nset-cookie: a=b; Path=/; HttpOnly\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nETag: \"x\"\r\n\r\n",
    ];
    for text in answers {
        let mut head = ResponseHead::unread();
        let read = response::read_plain((text.as_bytes(), AnswerTo::Other), &LIMITS, &mut head);
        assert!(read.is_some(), "{text:?}");
        assert!(text.split_at(head.size).0.ends_with("\r\n\r\n"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_split_of_a_request_gives_the_same_verdict(buf in heads(STARTS)) {
        is_stable(&buf, |prefix| verdict(prefix, &TIGHT))?;
        is_stable(&buf, |prefix| verdict(prefix, &LIMITS))?;
    }

    #[test]
    fn any_split_of_an_answer_gives_the_same_verdict(buf in heads(STATUSES)) {
        for to in [AnswerTo::Head, AnswerTo::Other] {
            is_stable(&buf, |prefix| response_verdict(prefix, &TIGHT, to))?;
            is_stable(&buf, |prefix| response_verdict(prefix, &LIMITS, to))?;
        }
    }

    #[test]
    fn more_is_asked_for_only_while_some_continuation_is_acceptable(buf in heads(STARTS)) {
        for (at, _) in buf.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            let start = &buf[..=at];
            if verdict(start, &LIMITS).is_none() {
                let target = start.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
                let host = host::authority(target).unwrap_or(b"a");
                let host_line = [b"Host: ", host, b"\r\n\r\n"].concat();
                let ends: [&[u8]; 3] = [b"\r\n", &host_line, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"];
                let accepted = ends.iter().any(|end| matches!(verdict(&[start, end].concat(), &LIMITS), Some(Ok(_))));
                prop_assert!(accepted, "{}", start.escape_ascii());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_judged_without_a_panic(buf in prop::collection::vec(any::<u8>(), 0..200), limit in 0..200usize) {
        let limits = Limits { header_bytes: limit, headers: limit / 20, target_bytes: limit / 4 };
        is_stable(&buf, |prefix| verdict(prefix, &limits))?;
        is_stable(&buf, |prefix| response_verdict(prefix, &limits, AnswerTo::Other))?;
    }

    #[test]
    fn what_is_accepted_reads_the_same_to_httparse_when_written_again(buf in heads(STARTS)) {
        let Ok(Some(head)) = request(&buf, &LIMITS) else { return Ok(()) };
        let mut out = [head.method, b" ", head.target, b" HTTP/1.1\r\n"].concat();
        for field in head.fields.iter().filter(|field| !field.kind.is_hop_by_hop() && field.kind != Kind::ContentLength) {
            write::field(&mut out, field.name, field.value);
        }
        write::framing(&mut out, Body::of_request(head.framing).outgoing());
        write::end_of_head(&mut out);

        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        prop_assert_eq!(parsed.parse(&out), Ok(httparse::Status::Complete(out.len())));
        prop_assert_eq!(parsed.method.map(str::as_bytes), Some(head.method));
        prop_assert_eq!(parsed.path.map(str::as_bytes), Some(head.target));
        let named = |name: &str| parsed.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).count();
        prop_assert_eq!(named("host"), 1);
        prop_assert_eq!(named("connection") + named("upgrade") + named("te"), 0);
        prop_assert!(named("content-length") + named("transfer-encoding") <= 1);
        let again = read(&out);
        prop_assert_eq!((again.framing, again.host, again.target), (head.framing, head.host, head.target));
    }

    #[test]
    fn what_is_accepted_of_the_wire_is_what_httparse_reads(buf in heads(STARTS)) {
        let Ok(Some(head)) = request(&buf, &LIMITS) else { return Ok(()) };
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        prop_assert_eq!(parsed.parse(&buf), Ok(httparse::Status::Complete(head.size)));
        let theirs: Vec<_> = parsed.headers.iter().map(|header| (header.name.as_bytes(), header.value)).collect();
        let ours: Vec<_> = head.fields.iter().map(|field| (field.name, field.value)).collect();
        prop_assert_eq!(theirs, ours);
    }

    #[test]
    fn a_request_in_plain_form_is_read_as_httparse_reads_it(buf in heads(STARTS)) {
        for limits in [&LIMITS, &TIGHT] {
            let (mut plain, mut theirs) = (RequestHead::unread(), RequestHead::unread());
            if request::read_plain(&buf, limits, &mut plain).is_some() {
                prop_assert_eq!(request::read(&buf, limits, &mut theirs), Ok(true));
                prop_assert_eq!(seen(&plain), seen(&theirs));
            }
        }
    }

    #[test]
    fn an_answer_in_plain_form_is_read_as_httparse_reads_it(buf in heads(STATUSES)) {
        for (limits, to) in [(&LIMITS, AnswerTo::Other), (&LIMITS, AnswerTo::Head), (&TIGHT, AnswerTo::Other)] {
            let (mut plain, mut theirs) = (ResponseHead::unread(), ResponseHead::unread());
            if response::read_plain((&buf, to), limits, &mut plain).is_some() {
                prop_assert_eq!(response::read((&buf, to), limits, &mut theirs), Ok(true));
                prop_assert_eq!(seen_of_answer(&plain), seen_of_answer(&theirs));
            }
        }
    }

    #[test]
    fn an_answer_without_a_body_never_has_one(buf in heads(STATUSES)) {
        if let Ok(Some(head)) = response(&buf, &LIMITS, AnswerTo::Head) {
            prop_assert_eq!(head.framing, ResponseFraming::None);
        }
        if let Ok(Some(head)) = response(&buf, &LIMITS, AnswerTo::Other) {
            prop_assert_eq!(head.framing == ResponseFraming::None, matches!(head.status, 100..=199 | 204 | 304));
            prop_assert!(head.framing != ResponseFraming::UntilClose || !head.keep_alive);
        }
    }
}
