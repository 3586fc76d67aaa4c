//! Connections of HTTP/2 to an upstream that falls silent.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::*;
use crate::proxy::exchange::Fate;
use crate::proxy::exchange::tests::stage;
use crate::snapshot::{Protocol, UpstreamAddress};

const PACE: Pace = Pace { every: Duration::from_millis(50), answer: Duration::from_secs(1) };
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends a request over HTTP/2 to an upstream on a Unix socket that does `serve`, and returns what came of it: what was
/// answered, and the fate of the request where nothing was.
async fn ask<F: Future<Output = ()> + 'static>(serve: impl FnOnce(UnixStream) -> F) -> (String, Option<Fate>) {
    let stage = stage();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let view = stage.worker.view();
    let server = view.fleet.choose().unwrap();
    let mut origin = Origin { protocol: Protocol::H2c, ..server.origin.clone() };
    origin.server.address = UpstreamAddress::Unix(path);
    let timeouts = view.snapshot.config.upstream.timeouts;
    server.pool.sessions.pace.set(PACE);
    let watch = Rc::clone(&stage.worker.watch);
    let ticks = spawn_local(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            watch.sweep(0);
        }
    });
    let Lease { mut stream, .. } = server.pool.stream((&origin, &stage.worker.room), &timeouts, 0).await.unwrap();
    let serving = spawn_local(serve(listener.accept().await.unwrap().0));
    stream.write_all(b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an end").unwrap();
    ticks.abort();
    serving.abort();
    (answer, stream.fate())
}

/// Takes what comes, up to the head of the first stream.
async fn take_head(stream: &mut UnixStream) {
    let (mut taken, mut byte) = (Vec::new(), [0]);
    while !taken.windows(6).any(|part: &[u8]| part[0] == 1 && part[2..] == [0, 0, 0, 1]) {
        stream.read_exact(&mut byte).await.unwrap();
        taken.push(byte[0]);
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test)
}

#[test]
fn an_upstream_that_answers_no_ping_is_given_up_in_the_gateways_name() {
    let (answer, fate) = run(ask(|mut stream| async move {
        // It takes what comes, and says nothing but its settings.
        stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }));
    assert_eq!((answer.as_str(), fate), ("", Some(Fate::Silent)));
}

#[test]
fn an_upstream_whose_answer_comes_slowly_is_not_given_up_for_a_late_pong() {
    let (answer, _) = run(ask(|mut stream| async move {
        stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        take_head(&mut stream).await;
        // 200, and its body for three times as long as a PONG may take, which never comes.
        stream.write_all(b"\0\0\x01\x01\x04\0\0\0\x01\x88").await.unwrap();
        for last in [[0; 11].as_slice(), &[1]].concat() {
            tokio::time::sleep(Duration::from_millis(250)).await;
            stream.write_all(&[0, 0, 1, 0, last, 0, 0, 0, 1, b'x']).await.unwrap();
        }
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }));
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("0\r\n\r\n"), "{answer}");
}

#[test]
fn who_waits_for_a_connection_that_goes_away_unasked_gets_another() {
    run(async {
        let stage = stage();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let view = stage.worker.view();
        let server = view.fleet.choose().unwrap();
        let mut origin = Origin { protocol: Protocol::H2c, ..server.origin.clone() };
        origin.server.address = UpstreamAddress::Unix(path);
        let timeouts = view.snapshot.config.upstream.timeouts;
        let ask = || server.pool.stream((&origin, &stage.worker.room), &timeouts, 0);
        let _tried = ask().await.unwrap();
        let mut gone = listener.accept().await.unwrap().0;
        let serving = async {
            // Settings and a GOAWAY at once, and the end.
            let goodbye = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
            gone.write_all(goodbye).await.unwrap();
            gone.shutdown().await.unwrap();
            let mut next = listener.accept().await.unwrap().0;
            next.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
            next
        };
        let (waited, _next) = timeout(PATIENCE, async { tokio::join!(ask(), serving) }).await.expect("a connection");
        assert!(waited.is_ok());
    });
}
