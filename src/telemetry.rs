//! What the gateway tells about itself: [`metrics`], the [`access`] log, and [`log`] events.
//!
//! SIDE FLOOR. Redaction is by construction: nothing here takes a type that holds a secret, an access record has no
//! field for a header or a query and shows the rest from behind a mask, and labels are drawn from the policy and from fixed lists ([`label`]). Whoever logs
//! an event passes ids, counts and messages, never bytes that a caller sent as a credential.

pub mod access;
pub mod label;
mod line;
pub mod log;
pub mod metrics;
pub mod throttle;
pub mod tripwire;

pub use metrics::Metrics;
