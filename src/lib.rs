//! ScopeGate: a reverse-proxy sidecar that enforces scoped API keys in front of an HTTP API.
//!
//! # The life of a request
//!
//! 1. **Accept**: a worker of [`server`] takes a connection, reads its PROXY header and ends its TLS where the listener has
//!    them; `proxy::downstream` reads a head, by [`http1`], and `proxy::client` finds out whose address it is. A stream of
//!    HTTP/2 comes to it as a connection of HTTP/1.1, by `proxy::h2`.
//! 2. **Judge**: [`policy::Policy::judge`] makes one [`policy::Target`], or the answer is 400. What is matched is what is
//!    forwarded.
//! 3. **Take the credential**: `proxy::credential` finds none, one, or several that contradict each other.
//! 4. **Authenticate**: [`store::index::Index`] finds the entry of the key's digest; the entry tells the
//!    [`policy::Caller`]. No status is chosen yet.
//! 5. **Decide**: [`policy::Policy::decide`] makes the [`policy::Decision`]. The only place where 401 and 403 part.
//! 6. **Record**: `proxy::ticket` takes down who, what and why for [`telemetry`], and the worker's [`store::uses::Tally`] counts
//!    the use of the key.
//! 7. **Forward**: `proxy::forward` writes the upstream's head, `proxy::exchange` relays both bodies; behind a 101 it is
//!    `proxy::tunnel`. What may last ends with its key, by `proxy::holder`.
//! 8. **Reply**: the upstream's answer is streamed back, or `proxy::reply` writes one of ours.
//!
//! Steps 2 to 5 are one synchronous function, `proxy::handle`: nothing awaits between a head and its decision.
//!
//! # Floors
//!
//! Modules use those of their own floor and below; `tests/it/architecture.rs` holds them to it.
//!
//! | floor | modules | what they may do |
//! |---|---|---|
//! | 0 | [`policy`], [`key`], [`http1`], [`yaml`], [`database`] | compute: no IO, no runtime; `key` reads the one clock |
//! | 1 | [`config`], [`store`], [`import`], [`stub`] | read and keep |
//! | side | [`telemetry`] | record decisions; it can name no secret |
//! | 2 | [`snapshot`] | hold one generation of everything in force, and swap it |
//! | 3 | [`proxy`], [`admin`] | serve callers, serve operators; they do not know each other |
//! | 4 | [`server`] | bind, wire, drain |
//! | 5 | [`cli`] | what a user types |
//!
//! # Three things that hold everywhere
//!
//! - A worker is one thread with its own runtime, listener, connections to the upstream, buffers and counters. What is shared
//!   and written (counts of sockets and of connections, the standing of each server) is written when one opens, fails or
//!   closes, not for each request.
//! - A scope's number never changes its meaning within a process: [`policy::Vocabulary`] only grows, across reloads too.
//! - A key or a credential is a [`key::secret::Secret`] or a [`key::digest::Digest`], neither of which can be printed.

pub mod admin;
pub mod cli;
pub mod config;
pub mod database;
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
