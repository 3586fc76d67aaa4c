//! How a WebSocket over HTTP/2 ends: by either side, by its key, by its idle time.

use super::*;

#[test]
fn the_end_of_one_direction_is_passed_on_and_the_other_goes_on() {
    let (upstream, gateway, key) = start(|connection| {
        if !agree(connection) {
            return;
        }
        connection.half_close();
        let heard = connection.until("!") == b"still here!";
        connection.note(if heard { "heard" } else { "lost" });
        connection.wait_for_close();
    });
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.handshake("/api/live", &key);
        let mut live = caller.open(head).await;
        assert!(live.body.data().await.is_none_or(|data| data.is_ok_and(|data| data.is_empty())));
        live.say(b"still here!");
        eventually("the upstream to hear it", || upstream.noted("heard") == 1).await;
        live.end();
        eventually("the end", || upstream.noted("gone") == 1).await;
        assert_eq!(live.hear_out().await, (Vec::new(), None));
    });
}

#[test]
fn what_breaks_off_on_one_side_is_reset_on_the_other() {
    let (upstream, gateway, key) = start(|connection| {
        if agree(connection) && connection.until("!") == b"now!" {
            connection.send("so far");
            connection.reset();
        } else {
            connection.note("gone");
        }
    });
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.handshake("/api/live", &key);
        let mut live = caller.open(head).await;
        live.say(b"now!");
        let (_, reset) = live.hear_out().await;
        assert_eq!(reset, Some(Reason::CANCEL));
        let head = caller.handshake("/api/live", &key);
        let mut live = caller.open(head).await;
        live.say(b"half a wo");
        live.sending.send_reset(Reason::CANCEL);
        eventually("the upstream's side", || upstream.noted("gone") == 1).await;
        eventually("the counts", || gateway.metric("scopegate_requests_total", &["status=\"101\""]) == 2.0).await;
    });
}

#[test]
fn a_websocket_over_http_2_in_which_nothing_moves_is_closed_and_the_connection_goes_on() {
    let (upstream, gateway, key) = start_with("limits: { idle: 2s }", echo);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let live = open(&mut caller, &key).await;
        assert_eq!(live.hear_out().await, (IDLE.to_vec(), None));
        assert_eq!(caller.get("/api/none", &key).await.status, 403);
    });
    upstream.wait_for("over");
}
