//! Callers that take or send slowly, or not at all: they cost nobody else anything, and what moves is not cut.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use socket2::{Domain, Socket, Type};

use super::eventually;
use super::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Raw, SETTINGS, WINDOW_UPDATE, frame, head};
use crate::keys::id_of;
use crate::support::http2::{Caller, drain, read, run};
use crate::support::{Call, Client, PATIENCE, Setup, Upstream, activated, assert_prompt};

const OPEN: &str = "  GET|POST /x: { auth: anyone }\n";

/// A connection to `address` on which little is on its way.
fn narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(64 << 10).expect("a small buffer");
    socket.connect(&address.into()).expect("the gateway");
    socket.into()
}

/// A way to `address` on which answers come no faster than 250 KB in a second, and which holds little of them.
fn slow_way(address: SocketAddr) -> SocketAddr {
    slow_way_over(move || narrow(address))
}

/// The same over the connections that `far` makes.
fn slow_way_over(mut far: impl FnMut() -> TcpStream + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let way = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let mut far = far();
            let (mut from_near, mut to_far) = (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
            thread::spawn(move || {
                let _ = std::io::copy(&mut from_near, &mut to_far);
                let _ = to_far.shutdown(Shutdown::Write);
            });
            thread::spawn(move || {
                let (mut near, mut piece) = (near, vec![0; 10 << 10]);
                while let Ok(count @ 1..) = far.read(&mut piece) {
                    if near.write_all(&piece[..count]).is_err() {
                        break;
                    }
                    thread::park_timeout(Duration::from_millis(40));
                }
                let _ = near.shutdown(Shutdown::Both);
            });
        }
    });
    way
}

fn long_answers(length: usize) -> Upstream {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    Upstream::answering([head.into_bytes(), vec![b'x'; length]].concat())
}

/// An upstream that takes nothing of a body whose target ends in `stalls`, and all of any other. It listens on a Unix socket:
/// the kernel takes little on its way there.
fn one_that_stalls(path: &Path) -> Upstream {
    Upstream::start_unix(path, |connection| {
        let Some(mut request) = connection.request_head() else { return };
        if request.target().ends_with("stalls") {
            connection.note("stalls");
            connection.stall();
        }
        connection.discard_rest(&mut request);
        connection.send(crate::support::OK);
    })
}

#[test]
fn a_caller_that_takes_its_answer_slowly_but_steadily_gets_all_of_it() {
    let upstream = long_answers(LONG);
    let gateway = Setup::new(&upstream).routes(OPEN).config("limits: { write_stall: 2s }").start();
    takes_all_of_it(slow_way(gateway.address()));
}

#[test]
fn so_does_one_whose_connection_waited_for_the_gateway_to_start() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    let mut early = Some(narrow(address));
    let upstream = long_answers(LONG);
    let setup = Setup::new(&upstream).routes(OPEN).config("limits: { write_stall: 2s }");
    let setup = setup.listen(&format!("\"{address}\""));
    let _gateway = setup.start_by(|command| activated(command, listener.try_clone().expect("a copy").into()));
    takes_all_of_it(slow_way_over(move || early.take().expect("one caller")));
}

/// A kernel that is left to itself asks for more once a third of some megabytes is gone, which takes longer than a stall.
const LONG: usize = 4 << 20;

fn takes_all_of_it(way: SocketAddr) {
    let mut client = Client::connect(way);
    client.send(Call::get("/api/x").bytes());
    let mut head = client.read_head();
    assert_eq!(client.discard_body(&mut head), LONG as u64);
}

#[test]
fn the_end_of_an_answer_goes_out_once_a_slow_caller_has_room_for_it() {
    let upstream = Upstream::start(|connection| {
        while let Some(request) = connection.request_head() {
            let length = request.target().rsplit('=').next().and_then(|length| length.parse().ok()).expect("a length");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            connection.send([head.into_bytes(), vec![b'x'; length]].concat());
        }
    });
    let gateway = Setup::new(&upstream).routes(OPEN).start();
    let way = slow_way(gateway.address());
    let takes = |length: usize| {
        move || {
            let mut caller = Raw::connect(way);
            // Room for all of it: nothing that the caller sends later lets the gateway go on.
            caller.send(&frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]));
            caller.send(&frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]));
            caller.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head(0x82, &format!("/api/x?n={length}"))));
            let mut left = length;
            loop {
                let data = caller.next_of(DATA, 1);
                left -= data.payload.len();
                if data.flags & END_STREAM != 0 {
                    return assert_eq!(left, 0);
                }
            }
        }
    };
    let callers: Vec<_> = (0..32).map(|step| thread::spawn(takes(300_000 + 1_500 * step))).collect();
    callers.into_iter().for_each(|caller| caller.join().expect("an answer without a pause"));
}

#[test]
fn streams_that_share_a_slow_connection_wait_for_their_turn() {
    const LONG: usize = 120_000;
    let upstream = long_answers(LONG);
    let gateway = Setup::new(&upstream).routes(OPEN).config("limits: { write_stall: 1s }").start();
    let way = slow_way(gateway.address());
    run(async {
        let stream = tokio::net::TcpStream::connect(way).await.expect("a connection");
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 24).initial_connection_window_size(1 << 26);
        let (mut requests, connection) = builder.handshake::<_, Bytes>(stream).await.expect("a handshake");
        tokio::task::spawn_local(connection);
        let mut calls = Vec::new();
        // A turn of all of them takes longer than a stall.
        for _ in 0..24 {
            let request = http::Request::get(format!("http://{way}/api/x")).body(()).expect("a request");
            calls.push(tokio::task::spawn_local(read(requests.send_request(request, true).expect("a stream").0)));
        }
        for call in calls {
            let answer = call.await.expect("a task").expect("an answer");
            assert_eq!((answer.reset, answer.body.len()), (None, LONG));
        }
    });
}

#[test]
fn a_stream_ends_with_its_key_though_its_caller_takes_nothing() {
    let upstream = Upstream::start(|connection| {
        if connection.request().is_some_and(|request| request.target() == "/api/profiles") {
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let block = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            while connection.send(&block) {}
            connection.note("gone");
        } else {
            connection.send(crate::support::OK);
        }
    });
    let gateway = Setup::new(&upstream).config("limits: { write_stall: 1h }").start();
    let mut times = Vec::new();
    for round in 1..=3 {
        let key = gateway.key(&["--scopes", "profiles:read"]);
        run(async {
            let mut caller = Caller::connect(gateway.address()).await;
            let head = caller.head("GET", "/api/profiles", &key).body(()).expect("a request");
            let response = caller.requests.send_request(head, true).expect("a stream").0;
            let mut body = response.await.expect("an answer").into_body();
            // The window is full once this much has come of it, and nobody says that there is room again.
            let mut came = 0;
            while came < 65_535 {
                came += body.data().await.expect("data").expect("data").len();
            }
            gateway.run(&["keys", "revoke", &id_of(&gateway, &key)]).exits(0);
            let revoked = Instant::now();
            let error = body.data().await.expect("more than an end").expect_err("a reset");
            assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
            times.push(revoked.elapsed());
            eventually("the upstream to be rid of it", || upstream.noted("gone") == round).await;
        });
    }
    assert_prompt("a stream that nobody reads", times);
}

#[test]
fn uploads_that_the_upstream_does_not_take_hold_up_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = one_that_stalls(&folder.path().join("api.sock"));
    let gateway = Setup::new(&upstream).routes(OPEN).config("limits: { h2_streams: 40 }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let mut stalled = Vec::new();
        for number in 1..40 {
            let head = caller.head("POST", "/api/x?stalls", "");
            let (response, mut stream) = caller.begin(head).await;
            stream.send_data(Bytes::from(vec![b'x'; 1 << 20]), false).expect("data");
            eventually("its request upstream", || upstream.noted("stalls") == number).await;
            stalled.push((response, stream));
        }
        let head = caller.head("POST", "/api/x", "");
        let (response, mut stream) = caller.begin(head).await;
        stream.send_data(Bytes::from(vec![b'x'; 1 << 20]), true).expect("data");
        // Before the patience of those that stall is at its end.
        let answer = tokio::time::timeout(PATIENCE / 2, response).await.expect("an answer while the others stall");
        let (parts, mut body) = answer.expect("an answer").into_parts();
        drain(&mut body, &mut Vec::new()).await.expect("its end");
        assert_eq!(parts.status, 200);
    });
}

#[test]
fn bytes_one_by_one_that_the_upstream_does_not_take_end_no_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = one_that_stalls(&folder.path().join("api.sock"));
    let gateway = Setup::new(&upstream).routes(OPEN).start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.head("POST", "/api/x?stalls", "");
        let (_response, mut stream) = caller.begin(head).await;
        eventually("its request upstream", || upstream.noted("stalls") == 1).await;
        // Most of what is taken on the way, and then bytes: each is a frame, within the room that was given.
        stream.reserve_capacity(1 << 20);
        let block = Bytes::from(vec![b'x'; 4096]);
        while let Ok(Some(Ok(room))) =
            tokio::time::timeout(Duration::from_secs(1), poll_fn(|cx| stream.poll_capacity(cx))).await
        {
            for _ in 0..room.saturating_sub(30_000) / block.len() {
                stream.send_data(block.clone(), false).expect("data");
            }
            if room <= 34_096 {
                break;
            }
        }
        for _ in 0..stream.capacity() {
            stream.send_data(Bytes::from_static(b"x"), false).expect("a byte");
        }
        let head = caller.head("POST", "/api/x", "");
        let (response, mut stream) = caller.begin(head).await;
        stream.send_data(Bytes::from_static(b"{}"), true).expect("data");
        let answer = tokio::time::timeout(PATIENCE / 2, response).await.expect("an answer while the other stalls");
        assert_eq!(answer.expect("an answer").status(), 200);
    });
}
