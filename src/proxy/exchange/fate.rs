//! What became of a request that was sent and not answered.

use std::io;

use crate::proxy::error::Breach;
use crate::proxy::upstream::Lease;

use super::{Ends, Relay};

/// What became of a request that got no byte of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// The upstream did nothing of it, by its own word: it refused the stream (RFC 9113 8.7).
    Refused,
    /// The upstream gave its stream up for another reason; it may have carried it out.
    Reset,
    /// The upstream fell silent on the connection, which the gateway closed then; it may have carried it out.
    Silent,
    /// The upstream may have carried it out.
    Unknown,
    /// The upstream never had it: it had closed the connection before, or says that it ends below this stream.
    Unread,
}

impl Fate {
    /// What the upstream did.
    pub(crate) fn breach(self) -> Breach {
        match self {
            Self::Refused => Breach::StreamRefused,
            Self::Reset => Breach::StreamReset,
            Self::Silent => Breach::Silent,
            Self::Unknown | Self::Unread => Breach::Unanswered,
        }
    }

    /// It may be sent again, whatever its method.
    pub(super) fn is_harmless(self) -> bool {
        matches!(self, Self::Refused | Self::Unread)
    }
}

impl Relay {
    /// What became of the request on a connection that `ended` so.
    pub(super) fn fate(&self, ended: &io::Result<usize>, ends: &Ends<'_>, lease: &Lease) -> Fate {
        if let Some(fate) = lease.stream.fate() {
            return fate;
        }
        let is_reset = matches!(ended, Err(error) if error.kind() != io::ErrorKind::UnexpectedEof);
        // One of which a part could not be sent was met by another error before.
        let crossed = !is_reset && self.upload.is_sent() && lease.stream.was_closed_before();
        if crossed || !self.upload.has_begun(ends.head.len()) { Fate::Unread } else { Fate::Unknown }
    }
}
