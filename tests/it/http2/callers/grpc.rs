//! Callers of gRPC: how they are refused, and how long their messages may take.

use super::*;

#[test]
fn denials_are_answered_and_those_of_grpc_as_grpc() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--no-scopes"]);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        for (key, status, code, grpc) in
            [("", 401, "missing_key", "16"), (key.as_str(), 403, "insufficient_scope", "7")]
        {
            let answer = caller.get("/api/profiles", key).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code));
            assert!(!answer.fields.contains_key("connection"));
            let head = caller.head("GET", "/api/profiles", key).header("content-type", "application/grpc+proto");
            let answer = caller.call(head).await.expect("an answer");
            assert_eq!((answer.status, answer.field("grpc-status"), answer.alone), (200, grpc, true), "trailers-only");
        }
    });
    assert!(upstream.requests().iter().all(|request| request.target() == "/api/whoami"));
}

#[test]
fn a_silent_grpc_upload_without_a_key_has_a_deadline_until_its_answer_has_begun() {
    let upstream = Upstream::start(|connection| {
        let Some(mut request) = connection.request_head() else { return };
        if request.target().ends_with("answered") {
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        }
        if connection.rest(&mut request) {
            connection.send("0\r\n\r\n");
        }
    });
    let setup = Setup::new(&upstream).routes("  POST /x: { auth: anyone }\n");
    let gateway = setup.config("limits: { body_stall: 2s }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = |caller: &Caller, target| caller.head("POST", target, "").header("content-type", "application/grpc");
        let begun = head(&caller, "/api/x?answered");
        let (response, mut answered) = caller.begin(begun).await;
        let mut body = response.await.expect("the head of an answer").into_body();
        let silent = head(&caller, "/api/x");
        let (response, mut stream) = caller.begin(silent).await;
        stream.send_data(Bytes::from_static(b"half"), false).expect("data");
        let answer = read(response).await.expect("an answer");
        assert_eq!((answer.status, answer.field("grpc-status"), answer.alone), (200, "4", true), "408, as gRPC has it");
        // By now the first one has been silent for longer than a body may be.
        answered.send_data(Bytes::new(), true).expect("the end");
        assert!(body.data().await.is_none_or(|data| data.is_ok_and(|data| data.is_empty())));
    });
}

#[test]
fn the_messages_of_a_grpc_upload_with_a_key_may_take_their_time() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { body_stall: 500ms }").start();
    let key = gateway.key(&["--full"]);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.head("POST", "/api/profiles", &key).header("content-type", "application/grpc");
        let (response, mut stream) = caller.begin(head).await;
        // Before the first message and after it, longer than any other body may be silent: one that begins later, with the
        // same key, has had its deadline by then.
        for _ in 0..2 {
            let (late, _held) = caller.begin(caller.head("POST", "/api/profiles", &key)).await;
            assert_eq!(read(late).await.expect("an answer").code(), "request_timeout");
            stream.send_data(Bytes::from_static(b"message"), false).expect("data");
        }
        stream.send_data(Bytes::new(), true).expect("the end");
        assert_eq!(read(response).await.expect("an answer").status, 200);
    });
}
