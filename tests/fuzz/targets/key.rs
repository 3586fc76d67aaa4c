//! What a caller or an operator may write as a key, an id, a date, a network.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::key::secret::{Checked, LONGEST, Secret, check, is_prefix};
use scopegate::key::{KeyId, Timestamp, parse_network};

fuzz_target!(|bytes: &[u8]| {
    let verdict = check("sg", bytes);
    let visible = !bytes.is_empty() && bytes.len() <= LONGEST && bytes.iter().all(u8::is_ascii_graphic);
    assert_eq!(verdict == Checked::Malformed, !visible);
    assert_eq!(matches!(verdict, Checked::Ours | Checked::BadChecksum), visible && bytes.starts_with(b"sg_"));
    if verdict == Checked::Ours {
        // The checksum notices every change of one character.
        for at in 3..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(check("sg", &changed), Checked::BadChecksum);
        }
    }
    let secret = Secret::new(bytes);
    assert!(secret.matches(bytes));
    assert_eq!(format!("{secret:?}"), "Secret(redacted)");

    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if is_prefix(text) {
        assert_eq!(check(text, Secret::mint(text).expect("randomness").expose()), Checked::Ours);
    }
    if let Some(id) = KeyId::parse(text) {
        assert_eq!(KeyId::parse(id.as_str()), Some(id.clone()));
        assert!(id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)));
    }
    for now in [Timestamp::from_millis(0), Timestamp::MIN, Timestamp::MAX, Timestamp::from_millis(1_800_000_000_000)] {
        if let Ok(moment) = Timestamp::parse(text, now) {
            assert_eq!(Timestamp::parse_moment(&moment.to_string()), Ok(moment), "{text:?}");
            assert_eq!(moment.to_http_date().len(), 29);
        }
    }
    if let Ok(network) = parse_network(text) {
        assert_eq!(parse_network(&network.to_string()).ok(), Some(network));
        assert!(network.contains(&network.network()));
    }
});
