//! ScopeGate: a reverse-proxy sidecar that enforces scoped API keys in front of an HTTP API.

pub mod admin;
pub mod config;
pub mod http1;
pub mod import;
pub mod key;
pub mod policy;
pub mod proxy;
pub mod server;
pub mod snapshot;
pub mod store;
pub mod stub;
pub mod telemetry;
pub mod yaml;
