//! TLS towards the database: rustls, with the provider and the roots that TLS towards the upstream has.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::{TlsConnector, client};
use x509_parser::oid_registry::{OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA};
use x509_parser::oid_registry::{OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512};

use super::fault::Fault;
use crate::database::{Roots, Tls};

/// Makes TLS connections; a copy of it makes the same.
#[derive(Clone)]
pub(super) struct Connector(TlsConnector);

/// What makes the TLS connections of a link; `None` where it is cleartext.
pub(super) fn connector(tls: &Tls) -> Result<Option<Connector>, Fault> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match tls {
        Tls::Off => return Ok(None),
        Tls::Unproven => Arc::new(Lenient { chain: None, provider: Arc::clone(&provider) }),
        Tls::Authority(roots) => {
            Arc::new(Lenient { chain: Some(verifier(roots, &provider)?), provider: Arc::clone(&provider) })
        }
        Tls::Full(roots) => verifier(roots, &provider)?,
    };
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| Fault::Tls(format!("TLS cannot be set up: {error}")))?;
    let config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Ok(Some(Connector(TlsConnector::from(Arc::new(config)))))
}

fn verifier(roots: &Roots, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Fault> {
    match roots {
        Roots::System => {
            let verifier = Verifier::new(Arc::clone(provider)).map_err(|error| {
                Fault::Tls(format!(
                    "the system's root certificates cannot be read ({error}); name a file by ?sslrootcert=PATH"
                ))
            })?;
            Ok(Arc::new(verifier))
        }
        Roots::File(path) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(read(path)?), Arc::clone(provider));
            Ok(verifier.build().map_err(|error| Fault::Tls(format!("{}: {error}", path.display())))?)
        }
    }
}

fn read(path: &Path) -> Result<RootCertStore, Fault> {
    let said = |error: &dyn std::fmt::Display| Fault::Tls(format!("sslrootcert {}: {error}", path.display()));
    let pem = std::fs::read(path).map_err(|error| said(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(|error| said(&error))?).map_err(|error| said(&error))?;
    }
    match roots.is_empty() {
        true => Err(said(&"it has no certificate in PEM")),
        false => Ok(roots),
    }
}

/// Asks less of a certificate than that it bears the name of the host.
#[derive(Debug)]
struct Lenient {
    /// What it must follow from, where it must follow from anything.
    chain: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end, between, name, ocsp, now) {
            // The name is looked at last: all else is as it must be.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, end, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, end, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// TLS to one host.
pub(super) struct ToHost {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// A connection with TLS.
pub(super) struct Secured(client::TlsStream<Socket>);

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Secured;
    type TlsConnect = ToHost;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<ToHost> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| io::Error::other(format!("`{host}` is no name that a certificate could bear")))?;
        Ok(ToHost { connector: self.0.clone(), name })
    }
}

impl TlsConnect<Socket> for ToHost {
    type Stream = Secured;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move { self.connector.connect(self.name, socket).await.map(Secured) })
    }
}

impl TlsStream for Secured {
    /// RFC 5929 4.1: the hash of the certificate, by the hash of its signature, but SHA-256 where that is MD5 or SHA-1.
    fn channel_binding(&self) -> ChannelBinding {
        let certificate = self.0.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let Some(certificate) = certificate else { return ChannelBinding::none() };
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return ChannelBinding::none() };
        let signature = &parsed.signature_algorithm.algorithm;
        let hash = if [OID_PKCS1_SHA384WITHRSA, OID_SIG_ECDSA_WITH_SHA384].contains(signature) {
            Sha384::digest(certificate).to_vec()
        } else if [OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA512].contains(signature) {
            Sha512::digest(certificate).to_vec()
        } else {
            Sha256::digest(certificate).to_vec()
        };
        ChannelBinding::tls_server_end_point(hash)
    }
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
