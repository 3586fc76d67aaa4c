//! The `Host` value and the authority of an absolute-form target.

use std::net::Ipv6Addr;

/// Whether `value` is a host with an optional port: a name of letters, digits and `-._~`, an IPv4 address, or an IPv6 address in
/// brackets. Narrower than RFC 3986: percent escapes, `!$&'()*+,;=`, user information, zones and an empty name or port are refused,
/// as no name in use has them and servers read them differently.
pub(super) fn is_valid(value: &[u8]) -> bool {
    let port = match value {
        [b'[', rest @ ..] => {
            let Some(close) = rest.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let (address, after) = rest.split_at(close);
            let parsed = str::from_utf8(address).map(str::parse::<Ipv6Addr>);
            if !matches!(parsed, Ok(Ok(_))) {
                return false;
            }
            after.get(1..).unwrap_or_default()
        }
        _ => {
            let length = value.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(value.len());
            if length == 0 {
                return false;
            }
            value.get(length..).unwrap_or_default()
        }
    };
    match port {
        [] => true,
        [b':', digits @ ..] => is_port(digits),
        _ => false,
    }
}

/// The authority of a target in absolute form; other forms have none. It may hold anything.
pub(super) fn authority(target: &[u8]) -> Option<&[u8]> {
    // Origin form and `*` are nearly all there is: told by the first byte.
    let [b'A'..=b'Z' | b'a'..=b'z', ..] = target else {
        return None;
    };
    let after_scheme = memchr::memmem::find(target, b"://")? + 3;
    let scheme = target.get(..after_scheme - 3)?;
    if !scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')) {
        return None;
    }
    let rest = target.get(after_scheme..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    rest.get(..end.unwrap_or(rest.len()))
}

const fn is_name_byte(byte: u8) -> bool {
    const NAME: [bool; 256] = {
        let mut name = [false; 256];
        let mut byte = b'-';
        while byte <= b'~' {
            #[expect(clippy::indexing_slicing, reason = "a byte is within 256, and this runs in the compiler")]
            {
                name[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
            }
            byte += 1;
        }
        name
    };
    #[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
    NAME[byte as usize]
}

fn is_port(digits: &[u8]) -> bool {
    let value = digits.iter().try_fold(0u32, |value, byte| match byte {
        b'0'..=b'9' => Some(value.saturating_mul(10).saturating_add(u32::from(byte - b'0'))),
        _ => None,
    });
    (1..=5).contains(&digits.len()) && value.is_some_and(|port| port <= 0xFFFF)
}
