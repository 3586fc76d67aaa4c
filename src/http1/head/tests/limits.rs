use super::*;

#[test]
fn limits_hold_to_the_byte() {
    let limits = Limits { header_bytes: 60, headers: 2, target_bytes: 10 };
    let ask = |head: &str| request(head.as_bytes(), &limits).map(|head| head.is_some()).map_err(class);
    let filled = |length: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nB: ";
        format!("{start}{}\r\n\r\n", "c".repeat(length - start.len() - 4))
    };
    assert_eq!(ask(&filled(60)), Ok(true));
    assert_eq!(ask(&filled(61)), Err(HeadFault::HeadersTooLarge(Excess::Bytes)));
    assert_eq!(ask(filled(61).strip_suffix('\n').unwrap()), Ok(false));
    assert_eq!(ask("GET /234567890 HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(true));
    assert_eq!(ask("GET /2345678901 HTTP/1.1\r\nHost: a\r\n\r\n"), Err(HeadFault::TargetTooLong));
    assert_eq!(ask("GET /234567890"), Ok(false));
    assert_eq!(ask("GET /2345678901"), Err(HeadFault::TargetTooLong));
    assert_eq!(ask("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n"), Ok(true));
    assert_eq!(
        ask("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nD: e\r\n\r\n"),
        Err(HeadFault::HeadersTooLarge(Excess::Fields))
    );
    assert_eq!(ask("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nD"), Err(HeadFault::HeadersTooLarge(Excess::Fields)));
    assert_eq!(ask("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n"), Ok(false));
    let zero = Limits { header_bytes: 0, headers: 0, target_bytes: 0 };
    assert_eq!(request(b"G", &zero).map(|_| ()), Err(HeadFault::HeadersTooLarge(Excess::Bytes)));
}

#[test]
fn a_limit_above_the_most_fields_means_the_most_fields() {
    let limits = Limits { headers: usize::MAX, ..LIMITS };
    let lines = |count: usize| with(&"a: b\r\n".repeat(count - 1));
    let fields = |buf: &[u8]| request(buf, &limits).map(|head| head.map(|head| head.fields.len()));
    assert_eq!(fields(&lines(MAX_FIELDS)), Ok(Some(MAX_FIELDS)));
    assert_eq!(fields(&lines(MAX_FIELDS + 1)), Err(HeadFault::HeadersTooLarge(Excess::Fields)));
}

#[test]
fn a_head_that_is_wrong_already_is_refused_before_it_is_complete() {
    for (start, fault) in [
        ("G(", BAD),
        ("GET /\t", BAD),
        ("GET / HTTP/1.1\n", BAD),
        ("GET / HTTP/2", BAD),
        ("GET http://u@a/ HTTP/1.1", BAD),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", BAD),
        ("GET / HTTP/1.1\r\nHost: a b\r\n", BAD),
        ("GET / HTTP/1.1\r\nA ", BAD),
        ("GET / HTTP/1.1\r\nA: b\r\n ", BAD),
        ("GET / HTTP/1.1\r\nA: \0", BAD),
        ("GET / HTTP/1.1\r\nA: b\r\n\r", BAD),
        ("GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", BAD),
        ("GET / HTTP/1.1\r\nExpect: a\r\n", HeadFault::ExpectationFailed),
        ("GET / HTTP/1.1\r\nExpect: a\r\nB ", HeadFault::ExpectationFailed),
    ] {
        assert_eq!(refused(start.as_bytes()), fault, "{start:?}");
        let before = &start.as_bytes()[..start.len() - 1];
        let verdict = request(before, &LIMITS).map(|head| head.is_none());
        assert!(verdict == Ok(true) || start.ends_with("B "), "refused by its last byte: {start:?} {verdict:?}");
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_judged_once_a_line_and_ends_the_same() {
    let reading = |buf: &[u8]| {
        let (mut judged, mut readings) = (0, 0);
        for length in 1..=buf.len() {
            let start = &buf[..length];
            if !is_due(start, judged, &LIMITS) {
                continue;
            }
            readings += 1;
            match request(start, &LIMITS) {
                Ok(None) => judged = length,
                done => return (readings, length, done.map(|_| ()).map_err(class)),
            }
        }
        panic!("no verdict");
    };
    let buf = with(&format!("A: b\r\nC: {}\r\n", "d".repeat(4096)));
    assert_eq!(reading(&buf), (1 + 4 + 4 + 1, buf.len(), Ok(())));
    let buf = format!("GET / HTTP/1.1\r\nHost: {}", "a".repeat(LIMITS.header_bytes));
    assert_eq!(reading(buf.as_bytes()).1, LIMITS.header_bytes + 1);
    assert_eq!(reading(buf.as_bytes()).2, Err(HeadFault::HeadersTooLarge(Excess::Bytes)));
}
