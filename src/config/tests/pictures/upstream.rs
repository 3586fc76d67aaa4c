//! The upstream: its address, how it is spoken to, the credential that it gets.

use super::*;

#[test]
fn addresses() {
    let documents = [
        "{}",
        "{ url: }",
        "{ url: '' }",
        "{ url: 127.0.0.1:3000 }",
        "{ url: ftp://a }",
        "{ url: 'http://' }",
        "{ url: http://a/v1 }",
        "{ url: 'http://user:geheim@a' }",
        "{ url: 'http://a b' }",
        "{ url: http://a:0 }",
        "{ url: http://a:99999 }",
        "{ url: 'http://a:b' }",
        "{ url: 'http://[::1' }",
        "{ url: 'http://[a]' }",
        "{ url: 'http://[::1]a' }",
        "{ url: 'unix:' }",
        "{ url: http://a, urls: [http://b] }",
        "{ urls: [] }",
        "{ urls: http://a }",
        "{ urls: [http://a, http://A/] }",
        "{ urls: [http://a, https://b] }",
        "{ urls: [http://a, 'http://b/v1', 'http://user:geheim@c'] }",
        "{ url: [http://a] }",
        "{ urls: [{ url: http://a, weight: 2 }, http://b] }",
        "{ ulr: http://a }",
        "http://a",
    ];
    insta::assert_snapshot!(pictures(documents, of_upstream));
}

#[test]
fn how_it_is_spoken_to() {
    let documents = [
        "{ url: http://a, host: 'a b' }",
        "{ url: http://a, max_pending: 0 }",
        "{ url: https://a, protocol: h2c }",
        "{ url: http://a, protocol: h2 }",
        "{ url: http://a, protocol: h3 }",
        "{ url: http://a, health: { path: up, interval: 0s, eject_after: 0 } }",
        "{ urls: [http://a, http://b], health: { path: '/u p', interval: often } }",
        "{ url: http://a, timeouts: { connect: 0s, response: none, request: 4000d } }",
        "{ url: http://a, retries: { connect: 11, idempotent: many, budget: 20 } }",
        "{ url: http://a, keepalive: 4, pool: true, linger: 500ms, token: 1234, others: geheim }",
        "{ url: https://a, tls: { ca: none.pem } }",
        "{ url: https://a, tls: { ca: policy.yaml } }",
        "{ url: https://a, tls: { client_cert: c.pem } }",
        "{ url: https://a, tls: { server_name: 'a b' } }",
    ];
    insta::assert_snapshot!(pictures(documents, of_upstream));
}

#[test]
fn credentials() {
    let documents = [
        "{ url: http://a, credential: geheim }",
        "{ url: http://a, credential: {} }",
        "{ url: http://a, credential: { header: X-A } }",
        "{ url: http://a, credential: { value: geheim } }",
        "{ url: http://a, credential: { header: X-A, query: a, value: geheim } }",
        "{ url: http://a, credential: { header: a b, value: geheim } }",
        "{ url: http://a, credential: { header: Host, value: geheim } }",
        "{ url: http://a, credential: { header: X-A, value: '' } }",
        "{ url: http://a, credential: { header: X-A, value: ' geheim' } }",
        "{ url: http://a, credential: { header: X-A, value: \"gehe\\r\\nim\" } }",
        "{ url: http://a, credential: { query: '', value: geheim } }",
        "{ url: http://a, credential: { basic: { username: 'u:v', password: geheim } } }",
        "{ url: http://a, credential: { basic: { username: u } } }",
        "{ url: http://a, credential: { basic: { username: u, password: geheim }, value: geheim } }",
        "{ url: http://a, credential: { basic: geheim } }",
        "{ url: http://a, credentials: [geheim] }",
        "{ url: http://a, credential: { header: X-A, value: '${env:NOPE}' } }",
        "{ url: http://a, credential: { header: X-A, value: '${env:EMPTY}' } }",
        "{ url: http://a, credential: { header: X-A, value: '${file:none}' } }",
        "{ url: http://a, credential: { header: X-A, value: '${file:empty}' } }",
        "{ url: http://a, credential: { header: X-A, value: '${vault:x}' } }",
        "{ url: http://a, credential: { header: X-A, value: '${env:NOPE' } }",
        "{ url: '${env:URL}' }",
    ];
    let shown = pictures(documents, |upstream| {
        let text = format!("policy: policy.yaml\nupstream: {upstream}\n");
        let case = Case::new().file("scopegate.yaml", &text).file("empty", "\n");
        told(&case.variable("EMPTY", "").variable("URL", "geheim://x"))
    });
    assert!(!shown.contains("geheim"), "{shown}");
    insta::assert_snapshot!(shown);
}
