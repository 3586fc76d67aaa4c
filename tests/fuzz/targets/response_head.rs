//! The head of an answer: one verdict for every longer prefix, and what is accepted is what httparse and hyper's client read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::http1::head::{AnswerTo, Kind, Limits, ResponseFraming, ResponseHead};
use scopegate::http1::response;
use scopegate_fuzz::hyper::sorted;
use scopegate_fuzz::{assert_stable, client};

fuzz_target!(|input: (bool, bool, &[u8])| {
    let (tight, to_head, bytes) = input;
    let limits = match tight {
        true => Limits { header_bytes: 160, headers: 5, target_bytes: 24 },
        false => Limits::default(),
    };
    let to = if to_head { AnswerTo::Head } else { AnswerTo::Other };
    assert_stable(bytes, |prefix| match response(prefix, &limits, to) {
        Ok(None) => None,
        Ok(Some(head)) => Some(Ok(seen(&head))),
        Err(fault) => Some(Err(std::mem::discriminant(&fault))),
    });
    if let Ok(Some(head)) = response(bytes, &limits, to) {
        assert!(head.size <= bytes.len() && (100..=999).contains(&head.status));
        assert!(head.framing != ResponseFraming::UntilClose || !head.keep_alive);
        let without_body = to_head || matches!(head.status, 100..=199 | 204 | 304);
        assert_eq!(head.framing == ResponseFraming::None, without_body);
        reads_alike(&head, &bytes[..head.size]);
        if head.status >= 200 {
            hyper_reads_alike(&head, &bytes[..head.size], to_head);
        }
    }
});

fn seen(head: &ResponseHead<'_>) -> impl PartialEq + std::fmt::Debug + use<> {
    let fields: Vec<_> = head.fields.iter().map(|field| (field.name.to_vec(), field.value.to_vec())).collect();
    (head.status, head.reason.to_vec(), fields, head.framing, head.content_length, head.keep_alive, head.size)
}

fn reads_alike(head: &ResponseHead<'_>, wire: &[u8]) {
    let mut slots = [httparse::EMPTY_HEADER; 256];
    let mut theirs = httparse::Response::new(&mut slots);
    assert_eq!(theirs.parse(wire), Ok(httparse::Status::Complete(wire.len())));
    assert_eq!(theirs.code, Some(head.status));
    let theirs: Vec<_> = theirs.headers.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    let ours: Vec<_> = head.fields.iter().map(|field| (field.name, field.value)).collect();
    assert_eq!(ours, theirs);
    // A name in plain form has its kind told in another way.
    head.fields.iter().for_each(|field| assert_eq!(field.kind, Kind::of(field.name), "{}", field.name.escape_ascii()));
}

/// hyper's client finds the same fields, and the end of the body where the gateway finds it: here no byte of one follows.
fn hyper_reads_alike(head: &ResponseHead<'_>, wire: &[u8], to_head: bool) {
    let reading = client::read(wire, to_head).unwrap_or_else(|| panic!("hyper refuses {}", wire.escape_ascii()));
    assert_eq!(reading.status, head.status);
    let ours = head
        .fields
        .iter()
        .map(|field| (String::from_utf8_lossy(field.name).to_ascii_lowercase(), field.value.to_vec()));
    assert_eq!(reading.fields, sorted(ours.collect()));
    let (length, ends_here) = match head.framing {
        ResponseFraming::Chunked => (None, false),
        ResponseFraming::Length(length) => (Some(length), length == 0),
        ResponseFraming::None => (Some(0), true),
        ResponseFraming::UntilClose => (None, true),
    };
    assert_eq!((reading.length, reading.body.is_some()), (length, ends_here), "{}", wire.escape_ascii());
}
