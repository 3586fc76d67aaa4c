//! The admin listener: what operators and probes ask the gateway itself.
//!
//! | endpoint | answers |
//! |---|---|
//! | `GET /livez` | 200 while the process can answer at all |
//! | `GET /readyz` | 200 when requests can be served; 503 while starting, while draining, and once the key store has been away for longer than `keys.max_stale`. It says for how long the store is away |
//! | `GET /metrics` | every metric, in Prometheus' text form |
//!
//! These three are open, and hold nothing that a caller sent. `metrics.listen` serves them too, for a Prometheus or a
//! kubelet outside the pod. Everything else is 404. What a client may cost is bounded, in `admin/connections.rs`.

mod connections;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::telemetry::Metrics;

use connections::Bounds;
pub use status::{Absence, Readiness};

/// What the endpoints tell about.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// For `/readyz`.
    pub readiness: Arc<Readiness>,
}

/// Serves the endpoints until `shutdown` resolves; then lets the answers under way finish.
pub async fn serve(listener: TcpListener, state: AdminState, shutdown: impl Future<Output = ()> + Send + 'static) {
    connections::serve(listener, router(state), Bounds::default(), shutdown).await;
}

fn router(state: AdminState) -> Router {
    Router::new()
        .route("/livez", get(status::livez))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(status::metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
}

async fn not_found() -> Response {
    problem(StatusCode::NOT_FOUND, "not_found", "This listener answers GET /livez, /readyz and /metrics.")
}

async fn method_not_allowed() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This endpoint answers GET and HEAD alone.")
}

/// An answer as RFC 9457 has it. All texts are ours and need no escaping.
fn problem(status: StatusCode, code: &'static str, detail: &'static str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let status_number = status.as_u16();
    let body = format!(
        "{{\"type\":\"urn:scopegate:problem:{code}\",\"title\":\"{title}\",\"status\":{status_number},\
         \"code\":\"{code}\",\"detail\":\"{detail}\"}}\n"
    );
    let headers = [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests;
