//! PROXY headers: one verdict for every longer prefix, the size that the header itself gives, and nothing read behind it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::server::proxy_protocol::parse;
use scopegate_fuzz::assert_stable;

fuzz_target!(|bytes: &[u8]| {
    assert_stable(bytes, |prefix| match parse(prefix) {
        Ok(None) => None,
        Ok(Some(header)) => Some(Ok(header)),
        Err(malformed) => Some(Err(malformed.to_string())),
    });
    let Ok(Some(header)) = parse(bytes) else { return };
    let whole = &bytes[..header.size];
    match whole[0] {
        b'P' => {
            let line = std::str::from_utf8(whole).unwrap().strip_suffix("\r\n").unwrap();
            assert!(header.size <= 107 && !line.contains(['\r', '\n']));
            let source = header.source.map(|address| address.to_string().parse().unwrap());
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(
                source,
                words.get(2).filter(|_| words[1] != "UNKNOWN").and_then(|word| word.parse::<std::net::IpAddr>().ok())
            );
        }
        _ => assert_eq!(header.size, 16 + usize::from(whole[14]) * 256 + usize::from(whole[15])),
    }
    assert_eq!(parse(whole), Ok(Some(header)));
});
