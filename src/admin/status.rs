//! Probes and metrics.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{AdminState, problem};
use crate::telemetry::metrics::CONTENT_TYPE;

/// A key store that cannot be read at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// How long ago it was last read; `None` where it never was.
    pub since: Option<Duration>,
    /// No key is let in: what is known of keys is older than `keys.max_stale`.
    pub is_stale: bool,
    /// What is wrong with it, in words that go on from "the key store".
    pub why: &'static str,
}

/// How to learn whether the key store is away.
struct Store(Box<dyn Fn() -> Option<Absence> + Send + Sync>);

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

/// What must have happened before the gateway can serve, and whether it still means to. Each latch is set once; the store may
/// go and come.
#[derive(Debug, Default)]
pub struct Readiness {
    store: OnceLock<Store>,
    store_loaded: AtomicBool,
    listening: AtomicBool,
    draining: AtomicBool,
}

impl Readiness {
    /// All key records are in memory.
    pub fn set_store_loaded(&self) {
        self.store_loaded.store(true, Ordering::Release);
    }

    /// Says how to learn whether the key store is away; asked for each answer. The first call counts.
    pub fn store_from(&self, read: impl Fn() -> Option<Absence> + Send + Sync + 'static) {
        self.store.get_or_init(|| Store(Box::new(read)));
    }

    /// Every worker accepts connections.
    pub fn set_listening(&self) {
        self.listening.store(true, Ordering::Release);
    }

    /// The process was asked to end.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the gateway is ready, and what there is to say of that.
    fn tell(&self) -> (StatusCode, Cow<'static, str>) {
        let not_ready = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n").into());
        if self.draining.load(Ordering::Acquire) {
            return not_ready("draining");
        }
        if !self.store_loaded.load(Ordering::Acquire) {
            return not_ready("keys are being loaded");
        }
        if !self.listening.load(Ordering::Acquire) {
            return not_ready("not listening yet");
        }
        match self.store.get().and_then(|store| (store.0)()) {
            None => (StatusCode::OK, "ready\n".into()),
            Some(Absence { since: None, why, .. }) => not_ready(&format!(
                "the key store could not be read yet, the log says why; no key is let in until it is: it {why}"
            )),
            Some(Absence { since: Some(since), is_stale, why }) => {
                let seconds = since.as_secs();
                let why = format!("the key store has been away for {seconds} s (it {why})");
                match is_stale {
                    true => not_ready(&format!("{why}, longer than keys.max_stale, and no key is let in")),
                    false => (StatusCode::OK, format!("ready: {why}, known keys go on working\n").into()),
                }
            }
        }
    }
}

pub(super) async fn livez() -> Response {
    plain(StatusCode::OK, "live\n")
}

pub(super) async fn readyz(State(state): State<AdminState>) -> Response {
    let (status, text) = state.readiness.tell();
    plain(status, &text)
}

pub(super) async fn metrics(State(state): State<AdminState>) -> Response {
    match state.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be encoded");
            let detail = "The metrics could not be encoded; the log says why.";
            problem(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
        }
    }
}

fn plain(status: StatusCode, text: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, text.to_owned()).into_response()
}
