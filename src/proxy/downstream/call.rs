//! What is known of a request before its head is read.

use crate::proxy::error::ProxyError;
use crate::proxy::grpc;

/// Whether a request whose head was not read is a call of gRPC, to be refused as one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Call {
    Grpc,
    /// It is none, or nothing is known of it.
    Other,
}

impl Call {
    /// The same, as far as `bytes` tell that came of a head which is refused for `error`. What is malformed is believed
    /// nothing: it stays a 400.
    pub(crate) fn refused_for(self, error: ProxyError, bytes: &[u8]) -> Self {
        let told = !matches!(error, ProxyError::BadRequest(_)) && grpc::begins_call(bytes);
        if told { Self::Grpc } else { self }
    }
}
