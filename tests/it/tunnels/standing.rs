//! What a tunnel says of the server behind it: that it answered, at once, and nothing more when it ends.

use super::*;

const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// A server that is ill but for its tunnels, and ends each of them in a reset once a word has come.
fn breaking() -> Upstream {
    Upstream::start(|connection| {
        while let Some(request) = connection.request() {
            if !request.has("upgrade") {
                connection.send(UNAVAILABLE);
                continue;
            }
            connection.send(AGREED);
            connection.until(" ");
            connection.reset();
            return;
        }
    })
}

fn start_before(urls: &[String]) -> Gateway {
    let health = "  health: { interval: 1h, eject_after: 3 }";
    let routes = format!("{ROUTES}  GET /other: {{ auth: anyone }}\n");
    Setup::for_servers(urls).upstream(health).routes(&routes).config("workers: 1").start()
}

fn tunnel(gateway: &Gateway) -> Client {
    let mut client = gateway.connect();
    assert_eq!(client.send(handshake("/api/open").bytes()).read_head().status(), 101);
    client
}

fn up(gateway: &Gateway) -> f64 {
    gateway.metric("scopegate_upstream_up", &[])
}

/// A caller with one route could have every server left out by it.
#[test]
fn tunnels_that_break_off_make_no_server_look_ill() {
    let servers = [breaking(), breaking()];
    let gateway = start_before(&servers.each_ref().map(Upstream::url));
    for _ in 0..12 {
        tunnel(&gateway).send_more("word ").read_to_end();
    }
    until("their end", || (requests(&gateway, &["status=\"101\""]) == 12.0).then_some(()));
    assert_eq!(up(&gateway), 2.0, "{}", gateway.process.said());
    assert!(!gateway.process.said().contains("several times in a row"));
}

#[test]
fn a_server_that_agrees_to_a_tunnel_has_answered_whatever_becomes_of_it() {
    let server = breaking();
    let gateway = start_before(&[server.url()]);
    let fail = |times| {
        for _ in 0..times {
            assert_eq!(gateway.answer(&Call::get("/api/other")).status(), 503);
        }
    };
    fail(2);
    let mut open = tunnel(&gateway);
    fail(2);
    assert_eq!(up(&gateway), 1.0, "its failures are counted from the 101 on, which is no failure");
    open.send_more("word ").read_to_end();
    until("its end", || (requests(&gateway, &["status=\"101\""]) == 1.0).then_some(()));
    fail(1);
    until("the word of it", || (up(&gateway) == 0.0).then_some(()));
}
