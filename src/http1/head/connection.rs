//! The options of `Connection` fields (RFC 9110, 7.6.1).

use super::kind::Kind;
use super::{Field, HeadFault, Version};

/// The most options that the `Connection` fields of one head may have together. Each other field is compared with all of them.
const MOST_OPTIONS: usize = 32;
/// The most bytes of the `Connection` fields of one head together: white space and empty members are read as often, too.
const MOST_BYTES: usize = 1024;

/// The options of all `Connection` fields of one head together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `close` is among them.
    pub close: bool,
    /// `keep-alive` is among them.
    pub keep_alive: bool,
    /// Anything else is among them: [`named_by_connection`] needs to be asked.
    pub names_fields: bool,
    /// `upgrade` is among them.
    pub upgrade: bool,
    options: usize,
    bytes: usize,
}

impl Connection {
    /// Adds the options of one field value. `reserved` names a kind that may not be an option here.
    pub(super) fn add(&mut self, value: &[u8], reserved: fn(Kind) -> bool) -> Result<(), HeadFault> {
        self.bytes += value.len();
        if self.bytes > MOST_BYTES {
            return Err(HeadFault::BadRequest("The Connection fields are too long; name fewer options."));
        }
        for option in options(value) {
            self.options += 1;
            if self.options > MOST_OPTIONS {
                return Err(HeadFault::BadRequest("The Connection fields have too many options; name fewer."));
            }
            if !option.iter().all(|byte| is_token_byte(*byte)) {
                return Err(HeadFault::BadRequest(
                    "The Connection field is not a list of tokens; write names, with commas between them.",
                ));
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if reserved(Kind::of(option)) {
                return Err(HeadFault::BadRequest(
                    "The Connection field names framing, Host or a credential; leave them out of it.",
                ));
            } else {
                self.names_fields = true;
            }
        }
        Ok(())
    }

    /// Whether the sender means to keep the connection (RFC 9112, 9.3).
    pub(super) fn persists(self, version: Version) -> bool {
        match version {
            Version::Http10 => self.keep_alive && !self.close,
            Version::Http11 => !self.close,
        }
    }
}

/// Whether a `Connection` field among `fields` names `name`, which then ends at this hop. Framing fields and `Host` are never
/// named away: they are read and written by the gateway itself.
pub fn named_by_connection(fields: &[Field<'_>], name: &[u8]) -> bool {
    let named = |field: &Field<'_>| options(field.value).any(|option| option.eq_ignore_ascii_case(name));
    fields.iter().any(|field| field.kind == Kind::Connection && named(field))
        && !matches!(Kind::of(name), Kind::ContentLength | Kind::Host | Kind::TransferEncoding)
}

/// The members of a comma-separated list, trimmed; empty ones are skipped (RFC 9110, 5.6.1.2).
fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|option| !option.is_empty())
}

/// RFC 9110, 5.6.2.
pub(in crate::http1) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}
