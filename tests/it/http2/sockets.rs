//! Sockets to the upstream: there are never more than may be, whatever callers ask for.

use std::future::poll_fn;

use tokio::task::{JoinHandle, spawn_local};

use super::eventually;
use crate::support::http2::{Answer, Caller, read, run};
use crate::support::{OK, Setup, Upstream};

const OPEN: &str = "  GET|POST /x: { auth: anyone }\n";

/// An upstream that answers once it is allowed to.
fn slow() -> Upstream {
    Upstream::start(|connection| {
        while connection.request().is_some() {
            connection.wait_for("go");
            connection.send(OK);
        }
    })
}

type Call = JoinHandle<Result<Answer, h2::Error>>;

/// So many requests at once, each on a stream of its own.
async fn ask(caller: &mut Caller, count: usize) -> Vec<Call> {
    let mut calls = Vec::new();
    for _ in 0..count {
        poll_fn(|cx| caller.requests.poll_ready(cx)).await.expect("a connection");
        let request = caller.head("GET", "/api/x", "").body(()).expect("a request");
        let response = caller.requests.send_request(request, true).expect("a stream").0;
        calls.push(spawn_local(read(response)));
    }
    calls
}

#[test]
fn streams_have_no_more_sockets_upstream_than_callers_may_have_connections() {
    let upstream = slow();
    let setup = Setup::new(&upstream).routes(OPEN).upstream("  timeouts: { connect: 2s }");
    let gateway = setup.config("limits: { connections: 4 }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let calls = ask(&mut caller, 12).await;
        eventually("those without a socket to be told", || calls.iter().filter(|call| call.is_finished()).count() == 8)
            .await;
        assert_eq!((upstream.connections(), gateway.metric("scopegate_connections", &["upstream"])), (4, 4.0));
        upstream.allow("go");
        let mut statuses = Vec::new();
        for call in calls {
            let answer = call.await.expect("a task").expect("an answer");
            if answer.status == 503 {
                assert_eq!((answer.code().as_str(), answer.field("retry-after")), ("overloaded", "1"));
            }
            statuses.push(answer.status);
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [[200; 4].as_slice(), &[503; 8]].concat());
        assert_eq!(caller.get("/api/x", "").await.status, 200, "there is room again");
    });
}

#[test]
fn a_request_that_finds_no_socket_waits_for_one() {
    let upstream = slow();
    let setup = Setup::new(&upstream).routes(OPEN).upstream("  timeouts: { connect: 20s }");
    let gateway = setup.config("limits: { connections: 3 }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let calls = ask(&mut caller, 10).await;
        eventually("as many as there may be", || upstream.connections() == 3).await;
        upstream.allow("go");
        for call in calls {
            assert_eq!(call.await.expect("a task").expect("an answer").status, 200);
        }
        assert!(gateway.metric("scopegate_connections", &["upstream"]) <= 3.0);
    });
}

#[test]
fn connections_that_one_worker_keeps_make_way_for_the_requests_of_another() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).routes(OPEN).upstream("  timeouts: { connect: 20s }");
    let gateway = setup.config("limits: { connections: 2 }\nworkers: 8").start();
    run(async {
        // Whichever workers they come to: one of them keeps what another has none of.
        for _ in 0..20 {
            let mut caller = Caller::connect(gateway.address()).await;
            assert_eq!(caller.get("/api/x", "").await.status, 200);
            drop(caller);
            // A worker that has not seen one go yet counts it, and a third would be one too many.
            eventually("it to be gone", || gateway.metric("scopegate_connections", &["downstream"]) == 0.0).await;
        }
    });
    assert!(gateway.metric("scopegate_connections", &["upstream"]) <= 2.0);
}
