//! The head of a request: one verdict for every longer prefix, and what is accepted is what httparse reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::http1::head::{Kind, Limits, RequestHead};
use scopegate::http1::{Body, request, write};
use scopegate_fuzz::assert_stable;

fuzz_target!(|input: (bool, &[u8])| {
    let (tight, bytes) = input;
    let limits = match tight {
        true => Limits { header_bytes: 160, headers: 5, target_bytes: 24 },
        false => Limits::default(),
    };
    assert_stable(bytes, |prefix| match request(prefix, &limits) {
        Ok(None) => None,
        Ok(Some(head)) => Some(Ok(seen(&head))),
        Err(fault) => Some(Err(std::mem::discriminant(&fault))),
    });
    if let Ok(Some(head)) = request(bytes, &limits) {
        assert!(head.size <= bytes.len());
        assert!(head.target.len() <= limits.target_bytes && head.fields.len() <= limits.headers);
        reads_alike(&head, &bytes[..head.size]);
        reads_alike_when_written_again(&head);
    }
});

fn seen(head: &RequestHead<'_>) -> impl PartialEq + std::fmt::Debug + use<> {
    let fields: Vec<_> = head.fields.iter().map(|field| (field.name.to_vec(), field.value.to_vec())).collect();
    let parts = (head.method.to_vec(), head.target.to_vec(), head.host.to_vec(), head.size);
    (parts, fields, head.framing, head.keep_alive, head.expect_continue)
}

fn reads_alike(head: &RequestHead<'_>, wire: &[u8]) {
    let mut slots = [httparse::EMPTY_HEADER; 256];
    let mut theirs = httparse::Request::new(&mut slots);
    assert_eq!(theirs.parse(wire), Ok(httparse::Status::Complete(wire.len())));
    assert_eq!(theirs.method.map(str::as_bytes), Some(head.method));
    assert_eq!(theirs.path.map(str::as_bytes), Some(head.target));
    let theirs: Vec<_> = theirs.headers.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    let ours: Vec<_> = head.fields.iter().map(|field| (field.name, field.value)).collect();
    assert_eq!(ours, theirs);
    // A name in plain form has its kind told in another way.
    head.fields.iter().for_each(|field| assert_eq!(field.kind, Kind::of(field.name), "{}", field.name.escape_ascii()));
    assert_eq!(ours.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"host")).count(), 1);
}

/// The head as the gateway frames it has one reading: one framing field at most, and the same body.
fn reads_alike_when_written_again(head: &RequestHead<'_>) {
    let mut wire = [head.method, b" ", head.target, b" HTTP/1.1\r\n"].concat();
    write::field(&mut wire, b"host", head.host);
    write::framing(&mut wire, Body::of_request(head.framing).outgoing());
    write::end_of_head(&mut wire);
    let again = request(&wire, &Limits::default()).expect("an acceptable head").expect("a whole head");
    assert_eq!((again.framing, again.target, again.host), (head.framing, head.target, head.host));
    assert!(again.fields.len() <= 2, "more than Host and one framing field");
}
