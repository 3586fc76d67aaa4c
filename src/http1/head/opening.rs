//! What the first line of a request says where the rest of its head is refused: for the log and the form of the answer, never
//! for a decision.

use super::is_token_byte;

/// The method and the target up to its query, as far as the request line in `bytes` is sound; the target is `None` where it is
/// not, or has not come to its end yet. One empty line before it is skipped.
pub fn opening(bytes: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let end = memchr::memchr(b' ', bytes)?;
    let (method, rest) = bytes.split_at_checked(end)?;
    if method.is_empty() || !method.iter().all(|byte| is_token_byte(*byte)) {
        return None;
    }
    let rest = rest.get(1..)?;
    let target = memchr::memchr2(b' ', b'?', rest).and_then(|end| rest.split_at_checked(end));
    let sound = target.filter(|(target, rest)| {
        // What follows a target says that this is HTTP, unless a query is in between.
        let follows = rest.starts_with(b"?") || rest.starts_with(b" HTTP/");
        follows && !target.is_empty() && target.iter().all(u8::is_ascii_graphic)
    });
    Some((method, sound.map(|(target, _)| target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_far_as_it_is_sound() {
        let read = |line: &'static str| {
            opening(line.as_bytes()).map(|(method, target)| {
                let text = |bytes: &'static [u8]| std::str::from_utf8(bytes).unwrap();
                (text(method), target.map(text))
            })
        };
        assert_eq!(read("GET /health HTTP/1.0\r\n\r\n"), Some(("GET", Some("/health"))));
        assert_eq!(read("PATCH /a?b=c HT"), Some(("PATCH", Some("/a"))));
        assert_eq!(read("\r\nHEAD /a HTTP/1.1\r\n"), Some(("HEAD", Some("/a"))));
        assert_eq!(read("\r\n\r\nHEAD /a HTTP/1.1\r\n"), None);
        assert_eq!(read("GET /a"), Some(("GET", None)), "more of it may come");
        assert_eq!(read("GET /a\r\nHost: a\r\n\r\n"), Some(("GET", None)));
        assert_eq!(read("GET /a b HTTP/1.1\r\n"), Some(("GET", None)));
        assert_eq!(read("GET /\u{e4} HTTP/1.1\r\n"), Some(("GET", None)));
        assert_eq!(read("G(T /a HTTP/1.1\r\n"), None);
        assert_eq!(read(" /a HTTP/1.1\r\n"), None);
        assert_eq!(read("\u{16}\u{3}\u{1} HTTP/"), None, "a handshake of TLS");
        assert_eq!(read(""), None);
    }
}
