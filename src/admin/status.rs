//! Probes and metrics.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{AdminState, problem};
use crate::telemetry::metrics::CONTENT_TYPE;

/// What must have happened before the gateway can serve, and whether it still means to. Each latch is set once.
#[derive(Debug, Default)]
pub struct Readiness {
    store_loaded: AtomicBool,
    listening: AtomicBool,
    draining: AtomicBool,
}

impl Readiness {
    /// All key records are in memory.
    pub fn set_store_loaded(&self) {
        self.store_loaded.store(true, Ordering::Release);
    }

    /// Every worker accepts connections.
    pub fn set_listening(&self) {
        self.listening.store(true, Ordering::Release);
    }

    /// The process was asked to end.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Why the gateway is not ready.
    fn reason(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Acquire) {
            Some("draining")
        } else if !self.store_loaded.load(Ordering::Acquire) {
            Some("keys are being loaded")
        } else if !self.listening.load(Ordering::Acquire) {
            Some("not listening yet")
        } else {
            None
        }
    }
}

pub(super) async fn livez() -> Response {
    plain(StatusCode::OK, "live\n")
}

pub(super) async fn readyz(State(state): State<AdminState>) -> Response {
    match state.readiness.reason() {
        None => plain(StatusCode::OK, "ready\n"),
        Some(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {reason}\n")),
    }
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
