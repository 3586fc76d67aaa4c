//! What is wrong with a certificate, its chain or its key, in words that say how to mend it.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;

use crate::config::unit::Complaint;
use crate::key::Timestamp;

/// The certificates of a PEM file, in their order; one at least.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Complaint> {
    let help = "name a file that begins with `-----BEGIN CERTIFICATE-----`";
    if let Some(complaint) = not_pem(pem, "openssl x509 -inform der -in FILE -out cert.pem") {
        return Err(complaint);
    }
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| Complaint::new(format!("holds broken PEM ({error})"), help))?;
    match all.is_empty() {
        true if holds_label(pem, "PRIVATE KEY-----") => Err(Complaint::new(
            "holds a private key and no certificate",
            "are the two files given the wrong way round?",
        )),
        true => Err(Complaint::new("holds no PEM of a certificate", help)),
        false => Ok(all),
    }
}

/// The private key of a PEM file.
pub(super) fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Complaint> {
    let help = "name a file that begins with `-----BEGIN PRIVATE KEY-----`";
    if let Some(complaint) = not_pem(pem, "openssl pkey -inform der -in FILE -out key.pem") {
        return Err(complaint);
    }
    if holds_label(pem, "ENCRYPTED PRIVATE KEY-----") || holds_label(pem, "Proc-Type: 4,ENCRYPTED") {
        return Err(Complaint::new(
            "holds a key with a passphrase, and nobody is there to type it",
            "write the key without one (`openssl pkey -in FILE -out key.pem`) and let the gateway alone read it",
        ));
    }
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(rustls::pki_types::pem::Error::NoItemsFound) if holds_label(pem, "CERTIFICATE-----") => Err(
            Complaint::new("holds a certificate and no private key", "are the two files given the wrong way round?"),
        ),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => Err(Complaint::new("holds no PEM of a private key", help)),
        // The error may quote bytes of the file.
        Err(_) => Err(Complaint::new("holds broken PEM", help)),
    }
}

/// True where every certificate can be trusted as an authority.
pub(super) fn roots(pem: &[u8]) -> Result<(), Complaint> {
    let mut store = RootCertStore::empty();
    for (place, certificate) in certificates(pem)?.into_iter().enumerate() {
        store.add(certificate).map_err(|error| {
            let message = format!("certificate {} cannot be used as an authority ({error})", place + 1);
            Complaint::new(message, "name the certificates of authorities, as X.509 of version 3")
        })?;
    }
    Ok(())
}

/// Whether the chain is one, whether the key is that of its leaf, and whether all of it is in force at `now`; gives the
/// moment at which the first of it expires. The complaint is about the certificate, or about the key.
pub(super) fn pair(
    chain: &[CertificateDer<'static>],
    key: PrivateKeyDer<'static>,
    now: Timestamp,
) -> Result<Timestamp, Misfit> {
    let parsed = chain.iter().map(parse).collect::<Result<Vec<_>, _>>().map_err(Misfit::Chain)?;
    belongs(chain, key)?;
    in_order(&parsed).map_err(Misfit::Chain)?;
    in_force(&parsed, now).map_err(Misfit::Chain)
}

/// Which of the two files a complaint is about.
pub(super) enum Misfit {
    Chain(Complaint),
    Key(Complaint),
}

fn parse<'d>(der: &'d CertificateDer<'static>) -> Result<X509Certificate<'d>, Complaint> {
    match parse_x509_certificate(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(_) => Err(Complaint::new("holds something that is no X.509 certificate", "ask whoever issued it for PEM")),
    }
}

/// Whether the key is that of the first certificate.
fn belongs(chain: &[CertificateDer<'static>], key: PrivateKeyDer<'static>) -> Result<(), Misfit> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let signer = provider.key_provider.load_private_key(key).map_err(|_| {
        Misfit::Key(Complaint::new(
            "holds a key that TLS cannot be spoken with",
            "use ECDSA (P-256, P-384, P-521), Ed25519, or RSA of 2048 to 8192 bits",
        ))
    })?;
    let is_of = |place: usize| {
        let alone = chain.get(place).map(|certificate| vec![certificate.clone()]).unwrap_or_default();
        !matches!(
            CertifiedKey::new(alone, Arc::clone(&signer)).keys_match(),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch))
        )
    };
    if is_of(0) {
        return Ok(());
    }
    Err(match (1..chain.len()).find(|place| is_of(*place)) {
        Some(place) => Misfit::Chain(Complaint::new(
            format!("has the certificate of the key as number {} of the chain", place + 1),
            "put it first, and behind it each certificate that signed the one before",
        )),
        None => Misfit::Key(Complaint::new(
            "is not the key of the certificate",
            "name the key that the certificate was asked for with, or have a new one issued",
        )),
    })
}

/// Whether each certificate is signed in the name of the one behind it.
fn in_order(chain: &[X509Certificate<'_>]) -> Result<(), Complaint> {
    for (place, pair) in chain.windows(2).enumerate() {
        let [certificate, issuer] = pair else { continue };
        if certificate.issuer().as_raw() != issuer.subject().as_raw() {
            return Err(Complaint::new(
                format!("has certificate {} behind number {}, which it did not sign", place + 2, place + 1),
                "put the leaf first, and behind it each certificate that signed the one before",
            ));
        }
    }
    Ok(())
}

fn in_force(chain: &[X509Certificate<'_>], now: Timestamp) -> Result<Timestamp, Complaint> {
    let of_seconds = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
    let mut first = Timestamp::MAX;
    for (place, certificate) in chain.iter().enumerate() {
        let number = if chain.len() == 1 { String::new() } else { format!(" (number {})", place + 1) };
        let (begins, ends) = (certificate.validity().not_before, certificate.validity().not_after);
        let (begins, ends) = (of_seconds(begins.timestamp()), of_seconds(ends.timestamp()));
        if ends <= now {
            return Err(Complaint::new(format!("holds a certificate{number} that expired on {ends}"), "renew it"));
        }
        if begins > now {
            let help = "wait until then, or see whether the clock of this machine is right";
            return Err(Complaint::new(format!("holds a certificate{number} that is not good before {begins}"), help));
        }
        first = first.min(ends);
    }
    Ok(first)
}

/// True where a line of the file ends in, or is, `label`.
fn holds_label(pem: &[u8], label: &str) -> bool {
    pem.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_end().ends_with(label.as_bytes()))
}

/// What to say of a file that is DER, as Windows and Java tools write it.
fn not_pem(bytes: &[u8], command: &str) -> Option<Complaint> {
    // A DER sequence with a length of two bytes.
    bytes
        .starts_with(&[0x30, 0x82])
        .then(|| Complaint::new("is DER, not PEM", format!("turn it into PEM: `{command}`")))
}
