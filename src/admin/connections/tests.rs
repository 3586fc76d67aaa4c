use std::io;
use std::net::SocketAddr;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;

/// Bounds that no test reaches.
const WIDE: Bounds =
    Bounds { most: 8, head: Duration::from_secs(60), life: Duration::from_secs(60), end: Duration::from_secs(60) };
/// A bound that is soon reached.
const SOON: Duration = Duration::from_millis(100);
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// More than the buffers of two sockets hold.
const LARGE: usize = 32 * 1024 * 1024;

/// Runs `client` against a listener within `bounds`, then stops the listener and waits for its end; all of it under a deadline.
fn against<F: Future<Output = ()>>(bounds: Bounds, client: impl FnOnce(SocketAddr, oneshot::Sender<()>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router =
            Router::new().route("/", get(|| async { "here\n" })).route("/large", get(|| async { vec![b'a'; LARGE] }));
        let (stop, stopped) = oneshot::channel();
        let server = serve(listener, router, bounds, async { drop(stopped.await) });
        let both = async { tokio::join!(server, client(address, stop)) };
        timeout(PATIENCE, both).await.expect("the listener ends in time");
    });
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Sends a request that keeps the connection.
async fn send(stream: &mut TcpStream, target: &str) -> io::Result<()> {
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: admin\r\n\r\n").as_bytes()).await
}

/// Reads an answer to `GET /`; false where the connection has ended.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let mut answer = Vec::new();
    while !answer.ends_with(b"here\n") {
        match stream.read_buf(&mut answer).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
    true
}

/// Waits until the other side has ended the connection.
async fn is_ended(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut rest).await;
}

#[test]
fn a_connection_that_says_nothing_or_only_half_is_closed() {
    against(Bounds { head: SOON, ..WIDE }, |address, stop| async move {
        let [mut silent, mut halting, mut idle] =
            [connect(address).await, connect(address).await, connect(address).await];
        halting.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        send(&mut idle, "/").await.unwrap();
        assert!(is_answered(&mut idle).await);
        is_ended(&mut silent).await;
        is_ended(&mut halting).await;
        is_ended(&mut idle).await;
        drop(stop);
    });
}

#[test]
fn a_connection_beyond_the_most_takes_the_place_of_the_oldest() {
    against(Bounds { most: 2, ..WIDE }, |address, stop| async move {
        let (mut oldest, mut older) = (connect(address).await, connect(address).await);
        let mut third = connect(address).await;
        send(&mut third, "/").await.unwrap();
        assert!(is_answered(&mut third).await, "nobody keeps it out by saying nothing");
        is_ended(&mut oldest).await;
        send(&mut older, "/").await.unwrap();
        assert!(is_answered(&mut older).await, "one went, and no more");
        drop(stop);
    });
}

#[test]
fn connections_that_have_ended_take_no_place() {
    against(Bounds { most: 2, ..WIDE }, |address, stop| async move {
        let mut kept = connect(address).await;
        for _ in 0..10 {
            let mut passing = connect(address).await;
            send(&mut passing, "/").await.unwrap();
            assert!(is_answered(&mut passing).await);
            passing.shutdown().await.unwrap();
            is_ended(&mut passing).await;
        }
        send(&mut kept, "/").await.unwrap();
        assert!(is_answered(&mut kept).await);
        drop(stop);
    });
}

#[test]
fn a_connection_that_never_tires_of_asking_is_ended() {
    against(Bounds { life: SOON, ..WIDE }, |address, stop| async move {
        let mut eager = connect(address).await;
        while send(&mut eager, "/").await.is_ok() && is_answered(&mut eager).await {}
        drop(stop);
    });
}

#[test]
fn a_client_that_takes_no_answer_is_cut_off() {
    against(Bounds { life: SOON, end: SOON, ..WIDE }, |address, stop| async move {
        let mut greedy = connect(address).await;
        send(&mut greedy, "/large").await.unwrap();
        // What is on its way comes, and then the end.
        let mut taken = Vec::new();
        sleep(4 * SOON).await;
        let _ = greedy.read_to_end(&mut taken).await;
        assert!(taken.len() < LARGE, "it was cut off");
        drop(stop);
    });
}

#[test]
fn a_shutdown_lets_an_answer_finish_and_takes_no_more() {
    against(WIDE, |address, stop| async move {
        let mut stream = connect(address).await;
        send(&mut stream, "/large").await.unwrap();
        let mut answer = Vec::new();
        stream.read_buf(&mut answer).await.unwrap();
        drop(stop);
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.len() > LARGE && answer.starts_with(b"HTTP/1.1 200 "));
        assert!(TcpStream::connect(address).await.is_err());
    });
}
