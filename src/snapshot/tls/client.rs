//! TLS towards the upstream.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ConfigBuilder};
use rustls_platform_verifier::Verifier;

use crate::config::{Ca, Protocol, Upstream, UpstreamAddress, UpstreamTls, UpstreamUrl};

/// The settings and the name that the certificate of one of the upstream's servers must bear; `None` where it is cleartext.
pub(in crate::snapshot) fn client(
    upstream: &Upstream,
    url: &UpstreamUrl,
) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>, String> {
    let UpstreamAddress::Tcp { host, tls: true, .. } = &url.address else {
        return Ok(None);
    };
    let name = upstream.tls.server_name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name.clone())
        .map_err(|_| format!("`{name}` is no name that a certificate could bear; set upstream.tls.server_name"))?;
    let provider = super::provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(&upstream.tls, provider)?);
    let mut config = with_certificate(builder, &upstream.tls)?;
    config.alpn_protocols = vec![match upstream.protocol {
        Protocol::H2 => b"h2".to_vec(),
        Protocol::H1 | Protocol::H2c => b"http/1.1".to_vec(),
    }];
    Ok(Some((Arc::new(config), name)))
}

fn verifier(tls: &UpstreamTls, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    match &tls.ca {
        Ca::System => {
            Verifier::new(provider).map(|verifier| Arc::new(verifier) as Arc<dyn ServerCertVerifier>).map_err(|error| {
                format!("the system's root certificates cannot be read ({error}); set upstream.tls.ca to a file")
            })
        }
        Ca::File(roots) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(super::store(roots)?, provider)
                .build()
                .map_err(|error| format!("{}: {error}", roots.path.display()))?;
            Ok(verifier)
        }
    }
}

fn with_certificate(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    tls: &UpstreamTls,
) -> Result<ClientConfig, String> {
    let Some(certificate) = &tls.client else {
        return Ok(builder.with_no_client_auth());
    };
    let (chain, key) = super::identity(certificate)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| format!("{}: {error}", certificate.path.display()))
}
