//! Certificates and keys, towards callers and towards the upstream: read as PEM, judged whole before they are used.

mod judge;
pub(super) mod read;

use std::path::PathBuf;

use crate::key::Timestamp;
use crate::key::secret::Secret;

/// How long before its end a certificate is warned of.
pub const EXPIRY_NOTICE: std::time::Duration = std::time::Duration::from_secs(14 * 86_400);

/// TLS towards callers.
#[derive(Debug, PartialEq)]
pub struct ServerTls {
    /// What the gateway shows of itself.
    pub certificate: Certificate,
    /// Who signs the certificates that callers must show; `None`: they show none.
    pub client_ca: Option<Roots>,
    /// The oldest version that is spoken.
    pub min_version: MinVersion,
}

/// The oldest version of TLS that is spoken with callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// A certificate with its key. They belong together, and were in force when they were read.
#[derive(Debug)]
pub struct Certificate {
    /// Where the chain was read from.
    pub path: PathBuf,
    /// The chain as PEM, leaf first.
    pub chain_pem: Vec<u8>,
    /// The private key as PEM.
    pub key_pem: Secret,
    /// When the first of the chain expires.
    pub expires: Timestamp,
}

impl PartialEq for Certificate {
    /// True where both were read from the same bytes.
    fn eq(&self, other: &Self) -> bool {
        self.chain_pem == other.chain_pem && self.key_pem.matches(other.key_pem.expose())
    }
}

/// Certificates of authorities, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Where they were read from.
    pub path: PathBuf,
    /// One or more certificates.
    pub pem: Vec<u8>,
}
