//! Chunked bodies: any split of the input is relayed alike, and what is relayed ends only where it is canonical.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::http1::head::{Framing, ResponseFraming, Version};
use scopegate::http1::{Body, BodyFault};

/// What was relayed, how much of the input it took, and whether the body ended.
type Relayed = Result<(Vec<u8>, usize, bool), BodyFault>;

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (cut, answer, bytes) = input;
    let body = || match answer {
        true => Body::of_response(ResponseFraming::Chunked, Version::Http11),
        false => Body::of_request(Framing::Chunked),
    };
    let whole = relay(body(), [bytes].into_iter());
    let pieces = relay(body(), bytes.chunks(usize::from(cut) + 1));
    let one_by_one = relay(body(), bytes.chunks(1));
    let data = |relayed: &Relayed| relayed.clone().map(|(out, taken, done)| (content(&out, done), taken, done));
    assert_eq!(data(&whole), data(&pieces), "a split changed the body");
    assert_eq!(data(&whole), data(&one_by_one), "a split changed the body");

    if let Ok((out, taken, true)) = whole {
        assert!(taken <= bytes.len());
        assert_eq!(relay(body(), [&out[..]].into_iter()), Ok((out.clone(), out.len(), true)), "not canonical");
    }
});

fn relay<'b>(mut body: Body, pieces: impl Iterator<Item = &'b [u8]>) -> Relayed {
    let (mut out, mut taken) = (Vec::new(), 0);
    for piece in pieces {
        let passed = body.pass(piece, &mut out)?;
        taken += passed.consumed;
        if passed.done {
            return Ok((out, taken, true));
        }
        assert_eq!(passed.consumed, piece.len(), "bytes were left that belong to the body");
    }
    Ok((out, taken, false))
}

/// The data of canonical chunks, and what follows the last: read as plainly as can be.
fn content(mut wire: &[u8], done: bool) -> (Vec<u8>, Vec<u8>) {
    let mut data = Vec::new();
    while let Some(end) = wire.windows(2).position(|pair| pair == b"\r\n") {
        let digits = std::str::from_utf8(&wire[..end]).expect("hex digits");
        assert!(!digits.starts_with(['+', '-']) && (digits == "0" || !digits.starts_with('0')), "{digits:?}");
        let size = usize::from_str_radix(digits, 16).expect("hex digits alone");
        wire = &wire[end + 2..];
        if size == 0 {
            assert!(done, "a last chunk, and the body goes on");
            assert!(wire.ends_with(b"\r\n"), "the end of the trailers is missing");
            return (data, wire.to_vec());
        }
        data.extend_from_slice(&wire[..size]);
        assert_eq!(&wire[size..size + 2], b"\r\n");
        wire = &wire[size + 2..];
    }
    assert!(wire.is_empty() && !done, "the body ended without a last chunk");
    (data, Vec::new())
}
