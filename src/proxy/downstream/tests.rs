//! Connections whose streams fail in ways that sockets seldom do.

use super::*;
use crate::policy::Vocabulary;
use crate::proxy::exchange::tests::{Stage, script, snapshot, stage};
use crate::proxy::stream::scripted::{Script, Scripted};
use crate::proxy::upstream::Lease;
use crate::snapshot::Carrier;

#[test]
fn a_panic_in_a_request_is_answered_counted_and_costs_its_connection_alone() {
    let stage = stage();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // The head breaks off in the middle, so that the request has begun when its stream panics.
    for _ in 0..2 {
        let awkward = Script { panics: true, ends: true, ..script(b"GET /a HTTP/1.1\r\nHo", &[100], (1000, 0)) };
        let (stream, written) = Scripted::new(awkward);
        runtime.block_on(serve(
            Rc::clone(&stage.worker),
            Stream::Scripted(stream),
            Peer { address: None, carrier: Carrier::Cleartext },
        ));
        let answer = String::from_utf8(written.borrow().clone()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n") && answer.contains("internal_error"), "{answer}");
    }
    let text = stage.metrics.render().unwrap();
    assert!(text.contains("scopegate_denials_total{code=\"internal_error\"} 2\n"), "{text}");
    let open = "scopegate_connections{side=\"downstream\"} 0\n";
    assert!(text.contains(open), "{text}");
}

#[test]
fn a_call_of_grpc_that_panics_is_told_so_in_its_own_form_and_the_next_request_is_none() {
    let stage = stage();
    // Without sockets no connection can be dialled: that panics.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for (kind, begins) in [
        (
            "application/grpc",
            "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\ngrpc-status: 13\r\n",
        ),
        ("application/json", "HTTP/1.1 500 Internal Server Error\r\n"),
    ] {
        let head = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: 0\r\n\r\n");
        let whole = Script { ends: true, ..script(head.as_bytes(), &[head.len()], (1000, 0)) };
        let (stream, written) = Scripted::new(whole);
        let peer = Peer { address: None, carrier: Carrier::Cleartext };
        runtime.block_on(serve(Rc::clone(&stage.worker), Stream::Scripted(stream), peer));
        let answer = String::from_utf8(written.borrow().clone()).unwrap();
        assert!(answer.starts_with(begins), "{answer}");
    }
}

#[test]
fn a_request_that_is_cut_after_a_reload_counts_for_the_route_that_it_was_judged_by() {
    let stage = stage();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let (stream, _) = Scripted::new(script(head, &[head.len()], (1000, 0)));
    let peer = Peer { address: None, carrier: Carrier::Cleartext };
    let mut connection = Connection::new(Rc::clone(&stage.worker), Stream::Scripted(stream), peer);
    let read = runtime.block_on(connection.read_request()).unwrap_or_else(|_| panic!("a request"));
    assert!(matches!(read.verdict, Verdict::Forward(_)));
    // As when the task ends with the process: what it holds goes first.
    drop(read);
    stage.worker.handle.swap(snapshot((2, "GET /b"), &Vocabulary::new(), &stage.metrics));
    drop(connection);
    let text = stage.metrics.render().unwrap();
    assert!(text.contains("scopegate_requests_total{route=\"POST /a\""), "{text}");
    assert!(!text.contains("scopegate_requests_total{route=\"GET /b\""), "{text}");
}

/// A gateway with one route, which is open to anyone and reads.
fn reading() -> Stage {
    let stage = stage();
    stage.worker.handle.swap(snapshot((2, "GET /a"), &Vocabulary::new(), &stage.metrics));
    stage
}

/// What a caller is answered who sends `bytes` in one go to a gateway that cannot dial: that panics.
fn answered(stage: &Stage, bytes: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let whole = Script { ends: true, ..script(bytes.as_bytes(), &[bytes.len()], (1000, 0)) };
    let (stream, written) = Scripted::new(whole);
    let peer = Peer { address: None, carrier: Carrier::Cleartext };
    runtime.block_on(serve(Rc::clone(&stage.worker), Stream::Scripted(stream), peer));
    let written = written.borrow().clone();
    String::from_utf8(written).unwrap()
}

#[test]
fn a_head_request_that_panics_is_answered_without_a_body() {
    let answer = answered(&reading(), "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 500 ") && !answer.contains("content-length: 0\r\n"), "{answer}");
    assert_eq!(answer.find("\r\n\r\n"), Some(answer.len() - 4), "{answer}");
}

/// The runtime has seen nothing of what came since the answer before, so that it takes the kernel to tell.
#[test]
fn a_request_that_came_with_the_one_before_gets_no_connection_on_which_something_came_meanwhile() {
    let stage = reading();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (up, asked) = Scripted::new(script(&answer.repeat(2), &[answer.len()], (1000, 0)));
    let view = stage.worker.view();
    view.fleet.choose().unwrap().pool.put(Lease::of_test(Stream::Scripted(up), false, &stage.worker.cells));
    let get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = answered(&stage, &get.repeat(2));
    assert!(answers.starts_with("HTTP/1.1 200 OK\r\n"), "{answers}");
    assert!(answers.contains("HTTP/1.1 500 "), "the second needed a connection of its own: {answers}");
    assert_eq!(asked.borrow().windows(7).filter(|part| part == b"GET /a ").count(), 1);
}

/// Thousands of connections wait for their next request, and each holds this future meanwhile. The ceiling is a little above what
/// it takes. Where it grew, look for a value that lives across an `await` on the way to the next request, and for a future that is
/// awaited in place and not in a `Box`. Whoever makes it smaller lowers the ceiling.
#[test]
fn a_connection_at_rest_takes_little_more_than_its_fields() {
    const CEILING: usize = 704;
    let stage = stage();
    let (stream, _) = Scripted::new(script(b"", &[], (1000, 0)));
    let peer = Peer { address: None, carrier: Carrier::Cleartext };
    let size = size_of_val(&serve(Rc::clone(&stage.worker), Stream::Scripted(stream), peer));
    let fields = size_of::<Connection>();
    assert!(
        size <= CEILING,
        "{size} bytes for a connection at rest, {fields} of them its fields; at most {CEILING} may be"
    );
}
