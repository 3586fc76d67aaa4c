//! TLS on both sides: rustls, with aws-lc-rs as the only provider.

mod client;
pub mod fault;
mod server;
mod tickets;

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Certificate, Roots};

pub(super) use client::client;
pub(super) use server::server;
pub use tickets::warm_up;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A chain and its key as rustls takes them.
fn identity(certificate: &Certificate) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let said = |error: rustls::pki_types::pem::Error| format!("{}: {error}", certificate.path.display());
    let chain = CertificateDer::pem_slice_iter(&certificate.chain_pem).collect::<Result<_, _>>().map_err(said)?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.expose()).map_err(said)?;
    Ok((chain, key))
}

/// The authorities of a file.
fn store(roots: &Roots) -> Result<Arc<RootCertStore>, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&roots.pem) {
        let certificate = certificate.map_err(|error| format!("{}: {error}", roots.path.display()))?;
        store.add(certificate).map_err(|error| format!("{}: {error}", roots.path.display()))?;
    }
    Ok(Arc::new(store))
}
