//! Which trailers of a caller's go on to an upstream that speaks HTTP/2, too.
//!
//! A trailer never authorises and never frames: what would as a field does not pass as a trailer. The kinds of names are
//! told apart by the body that the trailers end ([`crate::http1::body`]); here go the names that the configuration knows.

use std::rc::Rc;

use http::HeaderMap;

use crate::config::UpstreamCredential;
use crate::http1::head::{Field, Kind};
use crate::http1::write;
use crate::proxy::credential::{is_whole_field, resembles};
use crate::proxy::worker::View;
use crate::snapshot::{Config, Underscores};

/// The rules of the generation that was in force when the request began.
pub(super) struct Filter(pub(super) Rc<View>);

impl Filter {
    /// Appends those that go on, as field lines.
    pub(super) fn write(&self, trailers: &HeaderMap, out: &mut Vec<u8>) {
        let config = &self.0.snapshot.config;
        for (name, value) in trailers {
            let name = name.as_str().as_bytes();
            let field = Field { name, value: value.as_bytes(), kind: Kind::of(name) };
            let dropped = field.kind == Kind::Underscore && config.underscores == Underscores::Drop;
            if !dropped && !is_whole_field(&config.keys.accept, &field) && !is_credential(config, name) {
                write::field(out, name, value.as_bytes());
            }
        }
    }
}

/// True for a name that an upstream credential has, or that some servers read as one.
fn is_credential(config: &Config, name: &[u8]) -> bool {
    let upstream = &config.upstream;
    upstream.credential.iter().chain(upstream.credentials.values()).any(|credential| match credential {
        UpstreamCredential::Header { name: known, .. } => resembles(name, known.as_bytes()),
        UpstreamCredential::Query { .. } => false,
    })
}
