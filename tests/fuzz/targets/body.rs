//! Chunked bodies: any split of the input is relayed alike, what is relayed ends only where it is canonical, and hyper's client finds
//! the same data in it as in the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::http1::head::{Framing, ResponseFraming, Version};
use scopegate::http1::{Body, BodyFault};
use scopegate_fuzz::answers::chunks;
use scopegate_fuzz::client;

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
        assert_read_alike(&bytes[..taken], &out);
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
fn content(wire: &[u8], done: bool) -> (Vec<u8>, Vec<u8>) {
    let (data, end) = chunks(wire);
    assert_eq!(end.is_some(), done, "a last chunk where the body goes on, or none where it ends");
    let end = end.unwrap_or_default();
    assert!(!done || end.ends_with(b"\r\n"), "the end of the trailers is missing");
    (data, end.to_vec())
}

/// hyper's client finds the same data in what came and in what went on.
fn assert_read_alike(came: &[u8], went_on: &[u8]) {
    let read = |body: &[u8]| {
        let wire = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", body].concat();
        let body = client::read(&wire, false).expect("a head").body;
        body.unwrap_or_else(|| panic!("hyper refuses {}", wire.escape_ascii()))
    };
    let ((data, trailers), (sent, kept)) = (read(came), read(went_on));
    assert_eq!(sent, data, "other data");
    assert_eq!(sent, chunks(went_on).0, "other data");
    assert!(kept.iter().all(|trailer| trailers.contains(trailer)), "a trailer that nobody sent");
}
