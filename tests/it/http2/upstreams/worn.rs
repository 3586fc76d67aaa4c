//! Connections to an upstream of HTTP/2 that are not used any further.

use super::*;

#[test]
fn callers_who_give_up_many_requests_do_not_end_the_connection_for_others() {
    let upstream = Upstream2::start(|shared, request, mut respond| async move {
        match request.uri().path() {
            "/api/x" => {
                shared.note("waiting");
                while !shared.has("/api/go") {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                answer_ok(&mut respond);
            }
            "/api/go" => {
                shared.note("/api/go");
                answer_ok(&mut respond);
            }
            _ => {
                shared.note("begun");
                let _ = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
                shared.note("given up");
            }
        }
    });
    let routes = "  POST /x: { auth: anyone }\n  GET /go: { auth: anyone }\n  GET /leave: { auth: anyone }\n";
    let gateway =
        Setup::for_url(&upstream.url()).upstream("  protocol: h2c").routes(routes).config("workers: 1").start();
    let mut patient = gateway.connect();
    patient.send(Call::post("/api/x").body("hello").bytes());
    upstream.wait_for("waiting");
    for number in 1..=110 {
        let mut client = gateway.connect();
        client.send(Call::get("/api/leave").bytes());
        let count = |note: &str| upstream.notes().iter().filter(|said| *said == note).count();
        until("it to be begun", || (count("begun") == number).then_some(()));
        drop(client);
        until("it to be given up", || (count("given up") == number).then_some(()));
    }
    assert_eq!(gateway.answer(&Call::get("/api/go")).status(), 200);
    assert_eq!(upstream.connections(), 2, "the first one is spared");
    assert_eq!(patient.read().status(), 200, "and what is open on it is finished");
}

#[test]
fn an_upstream_that_sends_frames_of_no_use_is_cut_off_and_asked_on_another_connection() {
    let upstream = Upstream::start(|connection| {
        connection.until("PRI");
        connection.send(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00");
        if connection.number == 0 {
            connection.send(b"\x00\x00\x08\x06\x00\x00\x00\x00\x00pingping".repeat(2000));
        } else {
            connection.until("hello");
            // The status 200, and the end of the stream.
            connection.send(b"\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88");
        }
        connection.wait_for_close();
    });
    let routes = "  POST /x: { auth: anyone }\n";
    let gateway =
        Setup::for_url(&upstream.url()).upstream("  protocol: h2c").routes(routes).config("workers: 1").start();
    let call = Call::post("/api/x").body("hello");
    assert_eq!(gateway.answer(&call).status(), 502);
    assert_eq!(gateway.answer(&call).status(), 200);
    assert_eq!(upstream.connections(), 2);
    gateway.process.wait_for("the warning", |said| said.contains("the upstream sends frames of no use").then_some(()));
}
