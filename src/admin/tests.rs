use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

fn state() -> AdminState {
    AdminState { metrics: Arc::new(Metrics::new(1)), readiness: Arc::default() }
}

/// The whole answer to one request on a connection of its own.
async fn ask(address: SocketAddr, request_line: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request_line} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Runs `client` against a listener that serves `state`, then stops the listener and waits for its end.
fn against<F: Future<Output = ()>>(state: AdminState, client: impl FnOnce(SocketAddr) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = serve(listener, state, async { drop(stopped.await) });
        let client = async {
            client(address).await;
            drop(stop);
        };
        tokio::join!(server, client);
    });
}

#[test]
fn ready_waits_for_keys_and_listeners_and_ends_with_the_drain() {
    let state = state();
    let readiness = Arc::clone(&state.readiness);
    against(state, |address| async move {
        let answer = ask(address, "GET /readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("not ready: keys are being loaded\n"), "{answer}");
        readiness.set_store_loaded();
        assert!(ask(address, "GET /readyz").await.ends_with("not ready: not listening yet\n"));
        readiness.set_listening();
        assert!(ask(address, "GET /readyz").await.starts_with("HTTP/1.1 200 "));
        readiness.set_draining();
        assert!(ask(address, "GET /readyz").await.ends_with("not ready: draining\n"));
        assert!(ask(address, "GET /livez").await.starts_with("HTTP/1.1 200 "));
    });
}

#[test]
fn ready_says_for_how_long_the_store_is_away_and_ends_when_no_key_is_let_in() {
    let state = state();
    state.readiness.set_store_loaded();
    state.readiness.set_listening();
    let absence = Arc::new(std::sync::Mutex::new(None));
    let told = Arc::clone(&absence);
    state.readiness.store_from(move || *told.lock().unwrap());
    against(state, |address| async move {
        let asked = async |since: Option<u64>, is_stale| {
            *absence.lock().unwrap() =
                Some(Absence { since: since.map(std::time::Duration::from_secs), is_stale, why: "refuses this user" });
            ask(address, "GET /readyz").await
        };
        assert!(ask(address, "GET /readyz").await.ends_with("\r\n\r\nready\n"));
        let answer = asked(Some(12), false).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(
            answer.ends_with(
                "ready: the key store has been away for 12 s (it refuses this user), known keys go on working\n"
            ),
            "{answer}"
        );
        let answer = asked(Some(960), true).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        let words = "not ready: the key store has been away for 960 s (it refuses this user), longer than keys.max_stale, and no key is let in\n";
        assert!(answer.ends_with(words), "{answer}");
        assert!(asked(None, false).await.ends_with(
            "not ready: the key store could not be read yet, the log says why; no key is let in until it is: it refuses this user\n"
        ));
        *absence.lock().unwrap() = None;
        assert!(ask(address, "GET /readyz").await.ends_with("\r\n\r\nready\n"));
    });
}

#[test]
fn metrics_are_served_as_prometheus_reads_them() {
    against(state(), |address| async move {
        let answer = ask(address, "GET /metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
        assert!(answer.contains("\nscopegate_denials_total{code=\"missing_key\"} 0\n"), "{answer}");
    });
}

#[test]
fn everything_else_is_refused_with_a_problem() {
    against(state(), |address| async move {
        for (request, status) in
            [("GET /", "404"), ("GET /v1/keys", "404"), ("GET /livez/", "404"), ("POST /livez", "405")]
        {
            let answer = ask(address, request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
            let body = answer.split("\r\n\r\n").nth(1).unwrap();
            let json: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(json["status"].to_string(), status);
        }
    });
}
