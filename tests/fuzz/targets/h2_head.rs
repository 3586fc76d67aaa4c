//! A head that came by HTTP/2: written as HTTP/1.1 it is one head, and our own reading finds in it what HTTP/2 said, or refuses
//! it.
//!
//! The input is text: method, `:authority`, `:path`, `:protocol` and `follows` or nothing, each on a line of its own, then the
//! fields. It is put together as the `h2` crate does it, so that no request is tried that the crate would refuse.
#![no_main]

use h2::ext::Protocol;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri};
use libfuzzer_sys::fuzz_target;
use scopegate::http1::head::{Framing, Limits};
use scopegate::http1::{RequestHead, request};
use scopegate::proxy::fuzzing::{NONCE, translated};

type Fields = Vec<(String, Vec<u8>)>;

/// Wide enough that nothing is refused for its size.
const WIDE: Limits = Limits { header_bytes: 1 << 20, headers: 10_000, target_bytes: 1 << 20 };

fuzz_target!(|bytes: &[u8]| {
    let Some(request) = handed_over(bytes) else { return };
    let said = Said::of(&request);
    let Some(wire) = translated(request) else {
        assert!(said.is_malformed(), "refused without a reason");
        return;
    };
    assert!(!said.is_malformed(), "written all the same");
    let text = wire.strip_suffix(b"\r\n\r\n").expect("an end");
    let mut lines = text.split(|byte| *byte == b'\n').rev();
    let last = lines.next().expect("a line");
    assert!(!last.contains(&b'\r') && !last.is_empty());
    for line in lines {
        let line = line.strip_suffix(b"\r").expect("no bare LF");
        assert!(!line.is_empty(), "a second head");
        assert!(!line.iter().any(|byte| matches!(byte, b'\r' | 0)), "a bare CR or NUL");
    }
    // What is refused here is answered with 400.
    let Ok(head) = self::request(&wire, &WIDE) else { return };
    let head = head.expect("a whole head");
    assert_eq!(head.size, wire.len(), "something follows the head");
    said.is_found_in(&head);
});

/// The request that the `h2` crate would make of it.
fn handed_over(bytes: &[u8]) -> Option<Request<bool>> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (method, authority, path, protocol, follows) = (next(), next(), next(), next(), next());
    let method = Method::from_bytes(method).ok()?;
    let is_extended = method == Method::CONNECT && !protocol.is_empty();
    let mut parts = Parts::default();
    if !authority.is_empty() {
        parts.authority = Some(Authority::try_from(authority).ok()?);
    }
    if method != Method::CONNECT || is_extended {
        parts.scheme = parts.authority.as_ref().map(|_| Scheme::HTTPS);
        parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?).filter(|_| !path.is_empty());
    }
    // Of a path, what follows `#` is cut off. Nothing else is changed before anybody sees it.
    let kept = path.split(|byte| *byte == b'#').next().unwrap_or_default();
    assert!(parts.path_and_query.as_ref().is_none_or(|path| kept.is_empty() || path.as_str().as_bytes() == kept));
    assert!(parts.authority.as_ref().is_none_or(|known| known.as_str().as_bytes() == authority));
    let mut request = Request::new(follows == b"follows");
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.method_mut() = method;
    if is_extended {
        request.extensions_mut().insert(Protocol::from(std::str::from_utf8(protocol).ok()?));
    }
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_at(line.iter().skip(1).position(|byte| *byte == b':')? + 1);
        request.headers_mut().append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(&value[1..]).ok()?);
    }
    Some(request)
}

/// What a request says, without a look at how it is written.
struct Said {
    method: String,
    authority: Option<String>,
    path: Option<String>,
    is_websocket: bool,
    follows: bool,
    fields: HeaderMap,
}

impl Said {
    fn of(request: &Request<bool>) -> Self {
        let protocol = request.extensions().get::<Protocol>();
        Self {
            method: request.method().to_string(),
            authority: request.uri().authority().map(ToString::to_string),
            path: request.uri().path_and_query().map(|path| path.as_str().to_owned()),
            is_websocket: protocol.is_some_and(|protocol| protocol.as_str() == "websocket"),
            follows: *request.body(),
            fields: request.headers().clone(),
        }
    }

    /// No request by RFC 9113 (8.2.2, 8.3.1, 8.5) or RFC 8441 (4).
    fn is_malformed(&self) -> bool {
        let of_one_hop = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
        let path = self.path.as_deref().unwrap_or_default();
        let has_target = match (self.method.as_str(), self.is_websocket) {
            ("CONNECT", false) => self.authority.is_some(),
            (_, true) => path.starts_with('/'),
            _ => path.starts_with('/') || path == "*",
        };
        !has_target || of_one_hop.iter().any(|name| self.fields.contains_key(*name))
    }

    fn is_found_in(&self, head: &RequestHead<'_>) {
        let method = if self.is_websocket { "GET" } else { &self.method };
        let target = if method == "CONNECT" { self.authority.as_deref() } else { self.path.as_deref() };
        assert_eq!(head.method, method.as_bytes());
        assert_eq!(head.target, target.expect("a target").as_bytes());
        for host in self.authority.iter().map(String::as_bytes).chain(self.fields.get_all(HOST).iter().map(trimmed)) {
            assert!(head.host.eq_ignore_ascii_case(host), "another host");
        }
        assert_eq!(head.connection.upgrade, self.is_websocket);
        let (hosts, others): (Fields, Fields) = head
            .fields
            .iter()
            .map(|field| (String::from_utf8(field.name.to_vec()).expect("a token"), field.value.to_vec()))
            .partition(|(name, _)| name == "host");
        assert_eq!(hosts.len(), 1);
        assert_eq!(others, self.written_fields());
        let measured = self.fields.contains_key(CONTENT_LENGTH);
        match head.framing {
            Framing::Length(_) => assert!(measured),
            Framing::Chunked => assert!(self.follows && !measured && !self.is_websocket),
            Framing::None => assert!(!measured && (!self.follows || self.is_websocket)),
        }
    }

    fn written_fields(&self) -> Fields {
        let apart = |name: &HeaderName| *name == HOST || *name == COOKIE;
        let ours = |name: &HeaderName| self.is_websocket && *name == SEC_WEBSOCKET_KEY;
        let mut fields: Fields = self
            .fields
            .iter()
            .filter(|(name, _)| !apart(name) && !ours(name))
            .map(|(name, value)| (name.to_string(), trimmed(value).to_vec()))
            .collect();
        let cookies: Vec<_> = self.fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if !cookies.is_empty() {
            fields.push(("cookie".to_owned(), cookies.join(&b"; "[..]).trim_ascii().to_vec()));
        }
        let mut add = |name: &str, value: &[u8]| fields.push((name.to_owned(), value.to_vec()));
        if self.is_websocket {
            add("connection", b"upgrade");
            add("upgrade", b"websocket");
            add("sec-websocket-key", NONCE);
        } else if self.follows && !self.fields.contains_key(CONTENT_LENGTH) {
            add("transfer-encoding", b"chunked");
        }
        fields
    }
}

/// Space around a value is none of it (RFC 9110 5.5).
fn trimmed(value: &HeaderValue) -> &[u8] {
    value.as_bytes().trim_ascii()
}
