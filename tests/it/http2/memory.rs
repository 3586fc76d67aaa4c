//! What the streams of a connection hold on their way through the gateway: little, however many of them stall, without keeping
//! others waiting, and given back afterwards.

use std::future::poll_fn;
use std::io::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::eventually;
use super::frames::{ACK, DATA, END_HEADERS, HEADERS, Raw, SETTINGS, WINDOW_UPDATE, frame, get, head};
use crate::support::http2::{Upstream2, run};
use crate::support::{Gateway, PATIENCE, Setup, Upstream, stands_still, until};

const OPEN: &str = "  GET|POST /x: { auth: anyone }\n";
/// As many streams as a connection may have.
const STREAMS: usize = 128;
/// The most that a window can be.
const WINDOW_MOST: u32 = (1 << 31) - 1;
/// What the answers of one connection may hold, in KiB, while nobody takes them.
const ANSWERS: u64 = 18 << 10;
/// What its uploads may hold. 64 KiB of each may be on their way, 8 MiB in all, and are copied when they are gathered.
const UPLOADS: u64 = 32 << 10;
/// Streams that carry data byte by byte.
const FEW: usize = 20;
/// What those of one connection may hold, in KiB: each byte costs the library far more than itself.
const PIECES: u64 = 12 << 10;
/// Bytes of a request body that may be on their way on one stream.
const STREAM_WINDOW: u32 = 64 << 10;
/// What may be left of it, in KiB.
const LEFT: u64 = 12 << 10;

/// An upstream whose answers have no end, over HTTP/1.1 or over HTTP/2, and how many of them have begun.
enum Endless {
    Http1(Upstream),
    Http2(Upstream2),
}

impl Endless {
    fn over_http_1() -> Self {
        Self::Http1(Upstream::start(|connection| {
            connection.request();
            connection.note("begun");
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let block = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            while connection.send(&block) {}
        }))
    }

    fn over_http_2() -> Self {
        Self::Http2(Upstream2::start(|shared, _, mut respond| async move {
            shared.note("begun");
            let Ok(mut stream) = respond.send_response(Response::new(()), false) else { return };
            while send(&mut stream, 16 << 10).await {}
        }))
    }

    /// Its answers come in chunks of a byte.
    fn byte_by_byte() -> Self {
        Self::Http1(Upstream::start(|connection| {
            connection.request();
            connection.note("begun");
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunks = "1\r\nx\r\n".repeat(10_000);
            while connection.send(&chunks) {}
        }))
    }

    fn gateway(&self) -> Gateway {
        match self {
            Self::Http1(upstream) => Setup::new(upstream),
            Self::Http2(upstream) => Setup::for_url(&upstream.url()).upstream("  protocol: h2c"),
        }
        .routes(OPEN)
        .config("workers: 1")
        .start()
    }

    fn begun(&self) -> usize {
        match self {
            Self::Http1(upstream) => upstream.noted("begun"),
            Self::Http2(upstream) => upstream.notes().iter().filter(|note| *note == "begun").count(),
        }
    }
}

/// Sends at most so many bytes, as there is room for them; false when there never will be.
async fn send(stream: &mut SendStream<Bytes>, most: usize) -> bool {
    stream.reserve_capacity(most);
    let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return false };
    stream.send_data(Bytes::from(vec![b'x'; room.min(most)]), false).is_ok()
}

/// A caller whose streams have windows of 64 KiB and whose connection has room for all of them.
async fn caller(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let handshake = h2::client::Builder::new().initial_connection_window_size(64 << 20).handshake(stream);
    let (requests, connection) = handshake.await.expect("a handshake");
    spawn_local(connection);
    poll_fn({
        let mut requests = requests.clone();
        move |cx| requests.poll_ready(cx)
    })
    .await
    .expect("a connection");
    requests
}

/// Reads that many bytes of a body, and makes room for more as it does.
async fn take(body: &mut RecvStream, count: usize) {
    let mut taken = 0;
    while taken < count {
        let data = body.data().await.expect("more").expect("data");
        taken += data.len();
        body.flow_control().release_capacity(data.len()).expect("room");
    }
}

fn request(address: SocketAddr, method: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://{address}/api/x")).body(()).expect("a request")
}

/// What the gateway holds beyond `before`, once that stands still.
fn held(gateway: &Gateway, before: u64) -> u64 {
    until("memory that stands still", stands_still(|| gateway.memory("RssAnon") as usize)) as u64 - before
}

fn assert_given_back(gateway: &Gateway, before: u64) {
    // An upload may last for `limits.body_stall` before it is seen that its caller is gone.
    let start = Instant::now();
    while gateway.memory("RssAnon") > before + LEFT {
        assert!(start.elapsed() < 4 * PATIENCE, "{} KiB are not given back", gateway.memory("RssAnon") - before);
        thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn answers_that_nobody_takes_hold_little_and_that_is_given_back() {
    for upstream in [Endless::over_http_1(), Endless::over_http_2()] {
        let gateway = upstream.gateway();
        let before = gateway.memory("RssAnon");
        for (round, window) in [WINDOW_MOST, 0].into_iter().enumerate() {
            let mut caller = Raw::connect(gateway.address());
            let window = window.to_be_bytes();
            caller.send(&frame(SETTINGS, 0, 0, &[&[0, 4], &window[..]].concat()));
            caller.send(&frame(WINDOW_UPDATE, 0, 0, &(WINDOW_MOST - 65_535).to_be_bytes()));
            let calls: Vec<u8> = (0..STREAMS as u32).flat_map(|number| get(2 * number + 1)).collect();
            caller.send(&calls);
            until("all answers", || (upstream.begun() == (round + 1) * STREAMS).then_some(()));
            let held = held(&gateway, before);
            assert!(held < ANSWERS, "{held} KiB in round {round} of {upstream}");
            drop(caller);
            assert_given_back(&gateway, before);
        }
    }
}

#[test]
fn answers_in_chunks_of_a_byte_that_nobody_takes_hold_little() {
    let upstream = Endless::byte_by_byte();
    let gateway = upstream.gateway();
    let before = gateway.memory("RssAnon");
    let mut caller = Raw::connect(gateway.address());
    caller.send(&frame(SETTINGS, 0, 0, &[&[0, 4], &WINDOW_MOST.to_be_bytes()[..]].concat()));
    caller.send(&frame(WINDOW_UPDATE, 0, 0, &(WINDOW_MOST - 65_535).to_be_bytes()));
    caller.send(&(0..FEW as u32).flat_map(|number| get(2 * number + 1)).collect::<Vec<_>>());
    until("all answers", || (upstream.begun() == FEW).then_some(()));
    let held = held(&gateway, before);
    assert!(held < PIECES, "{held} KiB");
}

#[test]
fn uploads_byte_by_byte_that_the_upstream_does_not_take_hold_little() {
    // An upstream that gives room for all there is, and whose socket is full.
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", upstream.local_addr().expect("its address"));
    let gateway = Setup::for_url(&url).upstream("  protocol: h2c").routes(OPEN).config("workers: 1").start();
    let before = gateway.memory("RssAnon");
    let mut caller = Raw::connect(gateway.address());
    let posts = (0..FEW as u32).flat_map(|number| frame(HEADERS, END_HEADERS, 2 * number + 1, &head(0x83, "/api/x")));
    caller.send(&posts.collect::<Vec<_>>());
    let (mut connection, _) = upstream.accept().expect("a connection");
    let hello = [
        frame(SETTINGS, 0, 0, &[&[0, 4], &WINDOW_MOST.to_be_bytes()[..]].concat()),
        frame(WINDOW_UPDATE, 0, 0, &(WINDOW_MOST - 65_535).to_be_bytes()),
    ];
    connection.write_all(&hello.concat()).expect("bytes that are taken");
    // It is told of new room as long as what it sent goes on, and stops when there is none.
    let pieces =
        (0..FEW as u32).flat_map(|number| frame(DATA, 0, 2 * number + 1, b"x")).collect::<Vec<_>>().repeat(512);
    (0..30).for_each(|_| caller.send(&pieces));
    let held = held(&gateway, before);
    assert!(held < PIECES, "{held} KiB");
}

#[test]
fn a_connection_that_began_when_the_worker_was_short_of_room_may_send_as_much_as_others_later() {
    let upstream = Endless::over_http_2();
    let gateway = upstream.gateway();
    let mut crowd = Vec::new();
    let mut late = until("a worker that is short of room", || {
        let mut other = Raw::connect(gateway.address());
        let window = window(&mut other);
        if window < STREAM_WINDOW {
            return Some(other);
        }
        assert_eq!(window, STREAM_WINDOW);
        other.send(&frame(SETTINGS, 0, 0, &[&[0, 4], &WINDOW_MOST.to_be_bytes()[..]].concat()));
        other.send(&frame(WINDOW_UPDATE, 0, 0, &(WINDOW_MOST - 65_535).to_be_bytes()));
        other.send(&(0..STREAMS as u32).flat_map(|number| get(2 * number + 1)).collect::<Vec<_>>());
        crowd.push(other);
        None
    });
    late.send(&frame(SETTINGS, ACK, 0, &[]));
    drop(crowd);
    assert_eq!(window(&mut late), STREAM_WINDOW);
}

/// What the next settings of the gateway say of the window of a stream.
fn window(caller: &mut Raw) -> u32 {
    loop {
        let settings = caller.next_of(SETTINGS, 0);
        let window = settings.payload.chunks(6).position(|setting| setting.starts_with(&[0, 4]));
        if let Some(place) = window {
            return settings.number(6 * place + 2);
        }
    }
}

#[test]
fn uploads_that_the_upstream_does_not_take_hold_little_and_that_is_given_back() {
    let one = Upstream::start(|connection| {
        connection.request_head();
        connection.note("begun");
        connection.stall();
    });
    let other = Upstream2::start(|shared, request, _respond| async move {
        shared.note("begun");
        std::future::pending::<()>().await;
        drop(request);
    });
    for upstream in [Endless::Http1(one), Endless::Http2(other)] {
        let gateway = upstream.gateway();
        let before = gateway.memory("RssAnon");
        run(async {
            let mut requests = caller(gateway.address()).await;
            for _ in 0..STREAMS {
                let call = requests.send_request(request(gateway.address(), "POST"), false);
                let (_, mut stream) = call.expect("a stream");
                spawn_local(async move { while send(&mut stream, 16 << 10).await {} });
            }
            drop(requests);
            eventually("all requests", || upstream.begun() == STREAMS).await;
            let mut still = stands_still(|| gateway.memory("RssAnon") as usize);
            eventually("memory that stands still", || still().is_some()).await;
        });
        let held = gateway.memory("RssAnon").saturating_sub(before);
        assert!(held < UPLOADS, "{held} KiB before {upstream}");
        assert_given_back(&gateway, before);
    }
}

#[test]
fn a_stream_goes_on_whose_caller_takes_nothing_of_many_others() {
    for upstream in [Endless::over_http_1(), Endless::over_http_2()] {
        let gateway = upstream.gateway();
        run(async {
            let mut stalled = caller(gateway.address()).await;
            let bodies: Vec<_> = (1..STREAMS)
                .map(|_| stalled.send_request(request(gateway.address(), "GET"), true).expect("a stream"))
                .collect();
            eventually("all answers", || upstream.begun() == STREAMS - 1).await;
            let mut others = caller(gateway.address()).await;
            for requests in [&mut stalled, &mut others] {
                let (response, _) = requests.send_request(request(gateway.address(), "GET"), true).expect("a stream");
                take(&mut response.await.expect("an answer").into_body(), 4 << 20).await;
            }
            drop(bodies);
        });
    }
}

impl std::fmt::Display for Endless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http1(_) => "an upstream of HTTP/1.1",
            Self::Http2(_) => "an upstream of HTTP/2",
        })
    }
}
