//! A certificate authority for one test, and TLS on the upstream's side of a connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

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

    /// What a server called `name` needs.
    pub fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key pair");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a PKCS #8 key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3");
        Arc::new(
            config
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)
                .expect("a server configuration"),
        )
    }
}

/// TLS over a socket; the handshake happens with the first read.
pub struct TlsSocket(StreamOwned<ServerConnection, TcpStream>);

impl TlsSocket {
    pub fn accept(config: &Arc<ServerConfig>, stream: TcpStream) -> TlsSocket {
        let session = ServerConnection::new(Arc::clone(config)).expect("a TLS session");
        TlsSocket(StreamOwned::new(session, stream))
    }
}

impl Read for TlsSocket {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for TlsSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Socket for TlsSocket {
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
