//! Every sentence with which a request head is refused: callers read it as the `detail` of their 400.

use super::*;

#[test]
fn every_refusal_of_a_request_head_is_a_sentence_that_says_what_to_do() {
    let options = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}\r\n\r\n", "a, ".repeat(300));
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}\r\n\r\n", "a".repeat(9000));
    let heads: [&str; 23] = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: \u{1}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n",
        &options,
        &long,
    ];
    let told = heads.map(|head| {
        let Err(fault) = request(head.as_bytes(), &LIMITS) else { panic!("{head:?} is not refused") };
        let start: String = head.escape_debug().take(78).collect();
        let sentence = fault.to_string();
        assert!(
            class(fault) != BAD || (sentence.ends_with('.') && sentence.starts_with(char::is_uppercase)),
            "{sentence}"
        );
        format!("{start}\n    {sentence}")
    });
    insta::assert_snapshot!(told.join("\n"));
}
