//! A certificate authority for one test, and TLS on either side of a connection: an upstream's, or a caller's.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection,
    SideData, StreamOwned, WantsVerifier,
};

use super::wire::Socket;

/// Signs certificates that nobody trusts but whoever is given `pem`.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters without names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "A test's own authority");
        let key = KeyPair::generate().expect("a key pair");
        Authority { issuer: CertifiedIssuer::self_signed(params, key).expect("a self-signed certificate") }
    }

    /// The certificate to put into `upstream.tls.ca`.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for `name` and its key, as PEM, good from 2020 until the end of the given year.
    pub fn issue(&self, name: &str, until: i32) -> (String, String) {
        let key = KeyPair::generate().expect("a key pair");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// What a caller needs that trusts this authority, and perhaps shows a certificate.
    pub fn caller(&self, shown: Option<&(String, String)>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        let Some((certificate, key)) = shown else { return builder.with_no_client_auth() };
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        builder.with_client_auth_cert(chain, key).expect("a certificate with its key")
    }

    /// What a server called `name` needs.
    pub fn server(&self, name: &str) -> Arc<ServerConfig> {
        Arc::new(server().with_no_client_auth().with_cert_resolver(Arc::new(self.named(name))))
    }

    /// What a server called `name` needs that serves nobody but whom this authority has signed a certificate for, and the names
    /// that it was asked for.
    pub fn exacting_server(&self, name: &str) -> (Arc<ServerConfig>, Arc<Named>) {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let (verifier, named) = (verifier.expect("a verifier"), Arc::new(self.named(name)));
        let resolver = Arc::<Named>::clone(&named);
        (Arc::new(server().with_client_cert_verifier(verifier).with_cert_resolver(resolver)), named)
    }

    fn named(&self, name: &str) -> Named {
        let key = KeyPair::generate().expect("a key pair");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a PKCS #8 key");
        let key = any_supported_type(&key).expect("a key that signs");
        let shown = Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key));
        Named { shown, asked: Mutex::default() }
    }
}

fn server() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
}

/// Shows the same certificate to everybody, and keeps the names that it was asked for (SNI, RFC 6066).
#[derive(Debug)]
pub struct Named {
    shown: Arc<CertifiedKey>,
    asked: Mutex<Vec<Option<String>>>,
}

impl Named {
    /// The name that each caller asked for, in their order; `None` where one named nobody.
    pub fn asked(&self) -> Vec<Option<String>> {
        self.asked.lock().expect("the names").clone()
    }
}

impl ResolvesServerCert for Named {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.asked.lock().expect("the names").push(hello.server_name().map(str::to_owned));
        Some(Arc::clone(&self.shown))
    }
}

/// TLS over a socket; the handshake happens with the first byte that is read or written.
pub struct TlsSocket<S>(StreamOwned<S, TcpStream>);

impl TlsSocket<ServerConnection> {
    pub fn accept(config: &Arc<ServerConfig>, stream: TcpStream) -> TlsSocket<ServerConnection> {
        let session = ServerConnection::new(Arc::clone(config)).expect("a TLS session");
        TlsSocket(StreamOwned::new(session, stream))
    }
}

impl TlsSocket<ClientConnection> {
    /// A caller that wants a certificate for `name`.
    pub fn connect(config: &Arc<ClientConfig>, name: &str, stream: TcpStream) -> TlsSocket<ClientConnection> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let session = ClientConnection::new(Arc::clone(config), name).expect("a TLS session");
        TlsSocket(StreamOwned::new(session, stream))
    }

    /// Goes through the handshake alone; the session afterwards.
    pub fn shake_hands(&mut self) -> io::Result<&ClientConnection> {
        while self.0.conn.is_handshaking() {
            self.0.conn.complete_io(&mut self.0.sock)?;
        }
        Ok(&self.0.conn)
    }
}

impl<S, D> Read for TlsSocket<S>
where
    S: DerefMut + Deref<Target = ConnectionCommon<D>>,
    D: SideData,
{
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl<S, D> Write for TlsSocket<S>
where
    S: DerefMut + Deref<Target = ConnectionCommon<D>>,
    D: SideData,
{
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S, D> Socket for TlsSocket<S>
where
    S: DerefMut + Deref<Target = ConnectionCommon<D>> + Send,
    D: SideData,
{
    fn read_within(&self, limit: Option<Duration>) {
        self.0.sock.set_read_timeout(limit).expect("a read timeout can be set");
    }

    fn half_close(&mut self) {
        self.0.conn.send_close_notify();
        let _ = self.0.flush();
        let _ = self.0.sock.shutdown(Shutdown::Write);
    }

    fn reset(&mut self) {
        self.0.sock.reset();
    }
}
