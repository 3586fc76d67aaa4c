//! TLS towards callers.

use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::tickets::LateTickets;
use crate::config::{MinVersion, Roots, ServerTls};

/// The protocols that are offered (ALPN, RFC 7301), the best first. Whoever names none of them is refused.
const OFFERED: [&[u8]; 3] = [b"h2", b"http/1.1", b"http/1.0"];

/// The settings for one generation of the certificate.
pub(in crate::snapshot) fn server(tls: &ServerTls) -> Result<Arc<ServerConfig>, String> {
    let versions: &[&SupportedProtocolVersion] = match tls.min_version {
        MinVersion::Tls12 => &[&TLS13, &TLS12],
        MinVersion::Tls13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(super::provider())
        .with_protocol_versions(versions)
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let builder = match &tls.client_ca {
        Some(roots) => builder.with_client_cert_verifier(verifier(roots)?),
        None => builder.with_no_client_auth(),
    };
    let (chain, key) = super::identity(&tls.certificate)?;
    let mut config =
        builder.with_single_cert(chain, key).map_err(|error| format!("{}: {error}", tls.certificate.path.display()))?;
    config.alpn_protocols = OFFERED.iter().map(|name| name.to_vec()).collect();
    // Workers share no table of sessions: what resumes one is in the caller's ticket.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    match &tls.client_ca {
        // A session that is resumed shows no certificate anew, whatever has become of it since.
        Some(_) => config.send_tls13_tickets = 0,
        None => config.ticketer = Arc::new(LateTickets::default()),
    }
    Ok(Arc::new(config))
}

fn verifier(roots: &Roots) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, String> {
    WebPkiClientVerifier::builder_with_provider(super::store(roots)?, super::provider())
        .build()
        .map_err(|error| format!("{}: {error}", roots.path.display()))
}
