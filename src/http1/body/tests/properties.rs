use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Chunked bodies, mostly in the grammar, at times with one byte changed.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let extension = select(&["", "", ";a", ";a=\"b\"", ";;", " "][..]);
    let chunk =
        (prop::collection::vec(any::<u8>(), 1..40), extension, any::<bool>()).prop_map(|(data, extension, padded)| {
            let zeros = if padded { "00" } else { "" };
            [format!("{zeros}{:X}{extension}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat()
        });
    let trailers = prop::collection::vec(select(&["a: b\r\n", "Host: x\r\n", "grpc-status: 0\r\n", "x\r\n"][..]), 0..3);
    let change = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    (prop::collection::vec(chunk, 0..5), trailers, change).prop_map(|(chunks, trailers, change)| {
        let mut buf = chunks.concat();
        buf.extend_from_slice(b"0\r\n");
        buf.extend_from_slice(trailers.concat().as_bytes());
        buf.extend_from_slice(b"\r\nnext");
        if let Some((at, byte)) = change {
            let at = at.index(buf.len());
            buf[at] = byte;
        }
        buf
    })
}

fn pieces<'b>(buf: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(buf.len())).collect();
    cuts.sort_unstable();
    cuts.push(buf.len());
    let mut start = 0;
    cuts.iter().map(|cut| &buf[std::mem::replace(&mut start, *cut)..*cut]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_split_of_a_chunked_body_gives_the_same_data_and_verdict(
        buf in bodies(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        answer: bool,
    ) {
        let body = || if answer { chunked_answer() } else { chunked_request() };
        let told = |outcome: Result<(Vec<u8>, usize, bool), BodyFault>| outcome.map(|(out, consumed, done)| (canonical(&out), consumed, done));
        let whole = told(pass_all(&mut body(), [&buf[..]]));
        let split = told(pass_all(&mut body(), pieces(&buf, &cuts)));
        let bytes = told(pass_all(&mut body(), buf.chunks(1)));
        prop_assert_eq!(&whole, &split);
        prop_assert_eq!(&whole, &bytes);
        if let Ok((chunks, _, done)) = whole {
            prop_assert_eq!(chunks.is_some(), done, "what ends is canonical, and only that");
        }
    }

    #[test]
    fn data_survives_chunking_and_reading_again(data in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6)) {
        let mut chunker = Body::of_response(ResponseFraming::UntilClose, Version::Http11);
        let mut wire = Vec::new();
        for piece in &data {
            chunker.pass(piece, &mut wire).unwrap();
        }
        chunker.finish(&mut wire).unwrap();
        let mut plain = Vec::new();
        let passed = Body::of_response(ResponseFraming::Chunked, Version::Http10).pass(&wire, &mut plain);
        prop_assert_eq!(passed, Ok(Passed { consumed: wire.len(), data: plain.len(), done: true }));
        prop_assert_eq!(plain, data.concat());
        prop_assert_eq!(canonical(&wire).map(|(data, _)| data), Some(data.concat()));
    }

    #[test]
    fn a_length_is_the_number_of_bytes_relayed(length in 0..200u64, input in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        prop_assume!(!input.is_empty());
        let mut body = Body::of_request(Framing::Length(length));
        let mut out = Vec::new();
        for piece in pieces(&input, &cuts) {
            body.pass(piece, &mut out).unwrap();
        }
        let relayed = input.len().min(usize::try_from(length).unwrap());
        prop_assert_eq!(&out[..], &input[..relayed]);
        prop_assert_eq!(body.finish(&mut out).is_ok(), relayed as u64 == length);
    }

    #[test]
    fn arbitrary_bytes_are_relayed_or_refused_without_a_panic(buf in prop::collection::vec(any::<u8>(), 0..200)) {
        for mut body in [chunked_request(), chunked_answer()] {
            let _ = pass_all(&mut body, [&buf[..]]);
        }
    }
}
