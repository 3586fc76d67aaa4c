//! Fields that ask for another method, path, host or body.

use super::Case;

pub const CASES: &[Case] = &[
    // Another method.
    (b"GET /api/things/1\r\nX-HTTP-Method-Override: DELETE", "method_override"),
    (b"GET /api/things/1\r\nX-HTTP-Method: DELETE", "method_override"),
    (b"GET /api/things/1\r\nX-Method-Override: DELETE", "method_override"),
    (b"GET /api/things/1\r\nx-http-method-override: get", "method_override"),
    (b"GET /api/things/1\r\nX_HTTP_Method_Override: DELETE", "method_override"),
    // Another path: dropped, since the upstream must not see it.
    (b"GET /api/things/3\r\nX-Original-URL: /api/admin", "allow"),
    (b"GET /api/things/4\r\nX-Rewrite-URL: /api/admin", "allow"),
    (b"GET /api/things/5\r\nX-Forwarded-Prefix: /api/admin", "allow"),
    // A path that some rule opens does not open this one.
    (b"GET /api/admin\r\nX-Original-URL: /api/open", "insufficient_scope"),
    (b"GET /api/admin\r\nX-Forwarded-Uri: /api/open", "insufficient_scope"),
    (b"GET /api/admin\r\nUser-Agent: kube-probe/1.31", "insufficient_scope"),
    (b"GET /api/admin\r\nX-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1", "insufficient_scope"),
    (b"GET /api/admin\r\nX-ScopeGate-Scopes: *\r\nX-ScopeGate-Key-Id: key_0", "insufficient_scope"),
    (b"GET /api/admin\r\nReferer: http://api.test/api/open\r\nOrigin: http://api.test", "insufficient_scope"),
    // Another host or key.
    (b"GET /api/things\r\nHost: api.test", "bad_request"),
    (b"GET /api/things\r\nhost: evil.test", "bad_request"),
    (b"GET /api/things\r\nHost : evil.test", "bad_request"),
    (b"GET /api/things\r\nAuthorization: Bearer other", "ambiguous_key"),
    (b"GET /api/things\r\nauthorization: Basic eDp5", "ambiguous_key"),
    (b"GET /api/things\r\nX-Api-Key: other", "ambiguous_key"),
    (b"GET /api/things\r\nX-Api-Key: a\r\nX-Api-Key: a", "ambiguous_key"),
    (b"GET /api/things\r\nConnection: authorization", "bad_request"),
    (b"GET /api/things\r\nConnection: close, host", "bad_request"),
    (b"GET /api/things\r\nConnection: content-length", "bad_request"),
    // Another body, which is another request behind this one.
    (b"POST /api/things\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "bad_request"),
    (b"POST /api/things\r\nContent-Length: 3, 3\r\n\r\nabc", "bad_request"),
    (b"POST /api/things\r\nContent-Length: +3\r\n\r\nabc", "bad_request"),
    (b"POST /api/things\r\nContent-Length: 0x3\r\n\r\nabc", "bad_request"),
    (b"POST /api/things\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad_request"),
    (b"POST /api/things\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", "bad_request"),
    (b"POST /api/things\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "bad_request"),
    (b"POST /api/things\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "bad_request"),
    (b"POST /api/things\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", "bad_request"),
    (b"POST /api/things\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "bad_request"),
    (b"POST /api/things\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad_request"),
    (b"POST /api/things\r\nX: y\r\n folded", "bad_request"),
    (b"POST /api/things\r\n: empty", "bad_request"),
    (b"POST /api/things\r\nX\x00: y", "bad_request"),
    (b"POST /api/things\r\nX: y\x00", "bad_request"),
    (b"POST /api/things\r\nExpect: 200-ok\r\nContent-Length: 0", "expectation_failed"),
    // Another protocol: dropped.
    (b"GET /api/things/6\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk", "allow"),
    (b"GET /api/things/7\r\nConnection: Upgrade\r\nUpgrade: websocket", "allow"),
];
