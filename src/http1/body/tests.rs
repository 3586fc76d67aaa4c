mod properties;

use super::*;

fn chunked_request() -> Body {
    Body::of_request(Framing::Chunked)
}

fn chunked_answer() -> Body {
    Body::of_response(ResponseFraming::Chunked, Version::Http11)
}

/// Passes `pieces` one after another; the output, the bytes consumed, and whether the body ended.
fn pass_all<'p>(
    body: &mut Body,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Result<(Vec<u8>, usize, bool), BodyFault> {
    let (mut out, mut consumed) = (Vec::new(), 0);
    for piece in pieces {
        let passed = body.pass(piece, &mut out)?;
        consumed += passed.consumed;
        assert_eq!(passed.done, body.is_done());
        if passed.done {
            break;
        }
        assert_eq!(passed.consumed, piece.len(), "all of the input is taken until the body ends");
    }
    Ok((out, consumed, body.is_done()))
}

fn pass(body: &mut Body, input: &str) -> Result<String, BodyFault> {
    let (out, ..) = pass_all(body, [input.as_bytes()])?;
    Ok(String::from_utf8(out).unwrap())
}

/// Reads a body of canonical chunks: data and trailer lines. `None` where anything is not as we write it.
fn canonical(mut input: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut data = Vec::new();
    loop {
        let line = input.windows(2).position(|pair| pair == b"\r\n")?;
        let digits = str::from_utf8(&input[..line]).ok()?;
        let size = usize::from_str_radix(digits, 16).ok()?;
        if format!("{size:x}") != digits {
            return None;
        }
        input = &input[line + 2..];
        if size == 0 {
            let trailers = input.strip_suffix(b"\r\n")?;
            return (trailers.is_empty() || trailers.ends_with(b"\r\n")).then(|| (data, trailers.to_vec()));
        }
        data.extend_from_slice(input.get(..size)?);
        input = input[size..].strip_prefix(b"\r\n")?;
    }
}

#[test]
fn chunks_are_written_again_without_extensions_and_leading_zeros() {
    for (input, output) in [
        ("0\r\n\r\n", "0\r\n\r\n"),
        ("5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("00A\r\n0123456789\r\n0\r\n\r\n", "a\r\n0123456789\r\n0\r\n\r\n"),
        ("000000000000005\r\nhello\r\n000\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("5;\thm\u{e9}\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "2\r\n\r\n\r\n0\r\n\r\n"),
    ] {
        assert_eq!(pass(&mut chunked_request(), input).as_deref(), Ok(output), "{input:?}");
        assert_eq!(pass(&mut chunked_answer(), input).as_deref(), Ok(output), "{input:?}");
    }
}

#[test]
fn chunks_outside_the_grammar_are_refused() {
    let extension = |bytes: usize| format!("1;{}\r\n", "x".repeat(bytes - 1));
    let table = [
        ("\r\n", BodyFault::ChunkSize),
        ("g\r\n", BodyFault::ChunkSize),
        ("0x5\r\nhello", BodyFault::ChunkSize),
        ("-5\r\nhello", BodyFault::ChunkSize),
        ("+5\r\nhello", BodyFault::ChunkSize),
        (" 5\r\nhello", BodyFault::ChunkSize),
        ("5 \r\nhello", BodyFault::ChunkSize),
        ("5 ;a\r\nhello", BodyFault::ChunkSize),
        ("5\t\r\nhello", BodyFault::ChunkSize),
        ("5 5\r\nhello", BodyFault::ChunkSize),
        (";a\r\nhello", BodyFault::ChunkSize),
        ("5\nhello\r\n0\r\n\r\n", BodyFault::ChunkSize),
        ("5_0\r\nhello", BodyFault::ChunkSize),
        ("0000000000000005\r\nhello", BodyFault::ChunkSize),
        ("FFFFFFFFFFFFFFFF\r\n", BodyFault::ChunkSize),
        ("10000000000000000\r\n", BodyFault::ChunkSize),
        ("5\r\nhello\r\n\r\n", BodyFault::ChunkSize),
        ("5\r\nhello\r\n\n", BodyFault::ChunkSize),
        ("5\rhello", BodyFault::ChunkEnd),
        ("5\r\r\nhello", BodyFault::ChunkEnd),
        ("5\r\nhello0\r\n\r\n", BodyFault::ChunkEnd),
        ("5\r\nhello!\r\n", BodyFault::ChunkEnd),
        ("5\r\nhello\n0\r\n\r\n", BodyFault::ChunkEnd),
        ("5\r\nhello\r0\r\n\r\n", BodyFault::ChunkEnd),
        ("5;a\nhello", BodyFault::Extension),
        ("5;a\0\r\nhello", BodyFault::Extension),
        ("5;a\x7f\r\nhello", BodyFault::Extension),
        ("5;a\rb\r\nhello", BodyFault::ChunkEnd),
        (&extension(257), BodyFault::ExtensionTooLong),
    ];
    for (input, fault) in table {
        let mut body = chunked_request();
        assert_eq!(pass(&mut body, input), Err(fault), "{input:?}");
        assert_eq!(pass(&mut body, "0\r\n\r\n"), Err(fault), "a body that failed stays failed: {input:?}");
        assert!(!body.is_done());
    }
    assert!(pass(&mut chunked_request(), &extension(256)).is_ok());
}

#[test]
fn extensions_of_all_chunks_together_are_capped() {
    let chunk = format!("1;{}\r\nx\r\n", "e".repeat(255));
    let mut body = chunked_request();
    for _ in 0..64 {
        assert!(pass(&mut body, &chunk).is_ok());
    }
    assert_eq!(pass(&mut body, &chunk), Err(BodyFault::ExtensionTooLong));
}

#[test]
fn bytes_after_a_body_are_left_for_the_next_message() {
    for (mut body, input, consumed, data) in [
        (chunked_request(), "2;x\r\nab\r\n0\r\n\r\nGET /", 14, 2),
        (chunked_answer(), "0\r\na: b\r\n\r\nHTTP/1.1", 11, 0),
        (Body::of_request(Framing::Length(3)), "abcGET /", 3, 3),
        (Body::of_request(Framing::None), "GET /", 0, 0),
        (Body::of_response(ResponseFraming::None, Version::Http11), "HTTP/1.1", 0, 0),
    ] {
        let mut out = Vec::new();
        let passed = body.pass(input.as_bytes(), &mut out);
        assert_eq!(passed, Ok(Passed { consumed, data, done: true }), "{input:?}");
        let length = out.len();
        assert_eq!(body.pass(b"GET /", &mut out), Ok(Passed { consumed: 0, data: 0, done: true }));
        assert_eq!(body.finish(&mut out), Ok(()));
        assert_eq!(out.len(), length, "the end is written once");
    }
}

#[test]
fn trailers_of_a_request_are_dropped() {
    let mut body = chunked_request();
    let out = pass(&mut body, "1\r\nx\r\n0\r\nX-Sum: 1\r\nAuthorization: Bearer k\r\n\r\n");
    assert_eq!(out.as_deref(), Ok("1\r\nx\r\n0\r\n\r\n"));
    assert_eq!(body.trailers(), b"");
}

#[test]
fn trailers_of_a_request_pass_filtered_where_they_are_asked_for() {
    let mut body = Body::of_request_with_trailers(Framing::Chunked);
    let out = pass(&mut body, "1\r\nx\r\n0\r\nX-Sum: 1\r\nAuthorization: Bearer k\r\nX-ScopeGate-Account: a\r\n\r\n");
    assert_eq!(out.as_deref(), Ok("1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n"));
    let mut body = Body::of_request_with_trailers(Framing::Length(1));
    assert_eq!(pass(&mut body, "x").as_deref(), Ok("x"));
}

#[test]
fn trailers_of_an_answer_pass_unless_they_frame_route_or_authenticate() {
    let mut body = chunked_answer();
    let input = "0\r\ngrpc-status: 0\r\nContent-Length: 5\r\ntransfer-encoding: chunked\r\nHost: a\r\nSet-Cookie: a=b\r\nConnection: x\r\n\
        Authorization: k\r\nContent-Type: a/b\r\nTE: x\r\nKeep-Alive: 1\r\nTrailer: x\r\nX-ScopeGate-Key-Id: 1\r\nX_ScopeGate_Scopes: *\r\n\
        WWW-Authenticate: a\r\nContent_Length: 7\r\nProxy-Authenticate: a\r\nUpgrade: x\r\nServer-Timing:\t a;dur=1 \r\n\r\n";
    let kept = "grpc-status: 0\r\nServer-Timing:\t a;dur=1 \r\n";
    assert_eq!(pass(&mut body, input), Ok(format!("0\r\n{kept}\r\n")));
    assert_eq!(body.trailers(), kept.as_bytes());
}

#[test]
fn trailers_outside_the_grammar_are_refused() {
    for lines in [
        "a\r\n\r\n",
        ": b\r\n\r\n",
        "a : b\r\n\r\n",
        " a: b\r\n\r\n",
        "a: b\r\n c\r\n\r\n",
        "a: b\n\r\n",
        "a: b\rc: d\r\n\r\n",
        "a: \0\r\n\r\n",
        "a: b\r\r\n\r\n",
        "\n",
        "\r\r\n",
        "a(: b\r\n\r\n",
        "a: \x7f\r\n\r\n",
    ] {
        for mut body in [chunked_request(), chunked_answer()] {
            assert_eq!(pass(&mut body, &format!("0\r\n{lines}")), Err(BodyFault::Trailer), "{lines:?}");
        }
    }
}

#[test]
fn trailers_are_capped_whether_they_are_kept_or_not() {
    let line = format!("Host: {}\r\n", "x".repeat(1000));
    for mut body in [chunked_request(), chunked_answer()] {
        assert_eq!(pass(&mut body, &format!("0\r\n{}", line.repeat(8))).as_deref(), Ok(""));
        assert_eq!(pass(&mut body, &line), Err(BodyFault::TrailersTooLong));
    }
}

#[test]
fn a_length_is_counted_down_and_no_byte_more_is_taken() {
    let mut body = Body::of_request(Framing::Length(5));
    assert_eq!(body.outgoing(), Outgoing::Length(5));
    assert_eq!(body.take(2), 2);
    assert_eq!(pass(&mut body, "c").as_deref(), Ok("c"));
    assert!(!body.is_done());
    assert_eq!(body.take(0), 0);
    assert_eq!(body.take(10), 2);
    assert!(body.is_done());
    assert_eq!(body.take(10), 0);
    let mut endless = Body::of_request(Framing::Length(u64::MAX));
    assert_eq!(endless.take(usize::MAX / 2), usize::MAX / 2);
}

#[test]
fn bytes_that_need_chunk_lines_are_not_taken_as_they_are() {
    assert_eq!(chunked_request().take(10), 0);
    assert_eq!(Body::of_response(ResponseFraming::UntilClose, Version::Http11).take(10), 0);
    assert_eq!(Body::of_response(ResponseFraming::UntilClose, Version::Http10).take(10), 10);
    assert_eq!(Body::of_response(ResponseFraming::Chunked, Version::Http10).take(10), 0);
}

#[test]
fn a_body_that_is_cut_short_does_not_end() {
    for (mut body, input) in [
        (Body::of_request(Framing::Length(2)), "a"),
        (chunked_answer(), ""),
        (chunked_answer(), "5\r\nhel"),
        (chunked_answer(), "5\r\nhello\r\n"),
        (chunked_answer(), "0\r\n"),
        (chunked_answer(), "0\r\na: b\r\n"),
        (chunked_answer(), "0\r\n\r"),
    ] {
        let mut out = pass(&mut body, input).unwrap().into_bytes();
        let length = out.len();
        assert_eq!(body.finish(&mut out), Err(BodyFault::Truncated), "{input:?}");
        assert_eq!(out.len(), length);
        assert_eq!(canonical(&out), None, "no clean end: {input:?}");
    }
}

#[test]
fn a_body_until_the_close_goes_on_in_chunks() {
    let mut body = Body::of_response(ResponseFraming::UntilClose, Version::Http11);
    assert_eq!(body.outgoing(), Outgoing::Chunked);
    let mut out = pass(&mut body, "hello").unwrap().into_bytes();
    assert!(!body.is_done());
    assert_eq!(body.finish(&mut out), Ok(()));
    assert_eq!(out, b"5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(body.pass(b"late", &mut out), Ok(Passed { consumed: 0, data: 0, done: true }));
}

#[test]
fn a_caller_of_http_1_0_gets_no_chunks() {
    let mut body = Body::of_response(ResponseFraming::Chunked, Version::Http10);
    assert_eq!(body.outgoing(), Outgoing::UntilClose);
    assert_eq!(pass(&mut body, "5\r\nhello\r\n0\r\na: b\r\n\r\n").as_deref(), Ok("hello"));
    let mut body = Body::of_response(ResponseFraming::UntilClose, Version::Http10);
    assert_eq!(pass(&mut body, "hello").as_deref(), Ok("hello"));
    assert_eq!(body.finish(&mut Vec::new()), Ok(()));
}

#[test]
fn steps_give_the_ranges_of_the_data() {
    let mut body = chunked_answer();
    let input = b"3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\nrest";
    let (mut at, mut data, mut out) = (0, Vec::new(), Vec::new());
    loop {
        let step = body.step(&input[at..]).unwrap();
        data.push(&input[at..][step.data]);
        at += step.consumed;
        if step.done {
            break;
        }
    }
    assert_eq!(data, [&b"abc"[..], b"de", b""]);
    assert_eq!(&input[at..], b"rest");
    body.write_end(&mut out);
    body.write_end(&mut out);
    assert_eq!(out, b"0\r\n\r\n");
}
