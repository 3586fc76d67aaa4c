//! What a TLS handshake failed for, in words that say how to mend it.

use std::borrow::Cow;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// The kind of an error of a handshake in which a certificate was refused.
pub const CERTIFICATE_REFUSED: io::ErrorKind = io::ErrorKind::InvalidInput;
/// The kind of an error of a handshake that came to nothing otherwise.
pub const HANDSHAKE_FAILED: io::ErrorKind = io::ErrorKind::InvalidData;

/// Whom we shake hands with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Other {
    /// Somebody who calls.
    Caller,
    /// A server of the upstream.
    Upstream,
}

/// The same error in words, where `error` is of TLS: one of [`CERTIFICATE_REFUSED`] or [`HANDSHAKE_FAILED`].
pub fn in_words(error: &io::Error, other: Other) -> Option<io::Error> {
    let fault = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match fault {
        Error::InvalidCertificate(fault) => io::Error::new(CERTIFICATE_REFUSED, of_certificate(fault, other)),
        fault => io::Error::new(HANDSHAKE_FAILED, of_handshake(fault, other)),
    })
}

fn of_certificate(fault: &CertificateError, other: Other) -> Cow<'static, str> {
    let field = match other {
        Other::Caller => "tls.client_ca",
        Other::Upstream => "upstream.tls.ca",
    };
    // What the verifier has no word for in rustls comes without a type: its name is all there is.
    let is = |name: &str| matches!(fault, CertificateError::Other(_)) && format!("{fault:?}").contains(name);
    match fault {
        // An authority that was made anew has the name of the one before, and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("the certificate is signed by no authority of `{field}`: name the one that signed it there").into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate has expired: renew it ({fault})").into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate is not valid yet: is the clock right? ({fault})").into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "the certificate is for another name: set `upstream.tls.server_name` to one that it bears ({fault})"
        )
        .into(),
        _ if is("CaUsedAsEndEntity") => {
            "the certificate is an authority's own: sign another with it, and show that one".into()
        }
        _ if is("UnsupportedCertVersion") => {
            "the certificate is of X.509 version 1: issue it anew with extensions, which makes it version 3".into()
        }
        _ => format!("the certificate is refused: {fault}").into(),
    }
}

fn of_handshake(fault: &Error, other: Other) -> Cow<'static, str> {
    match (fault, other) {
        (Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol), Other::Upstream) => {
            "the upstream did not agree to the protocol in the TLS handshake (ALPN): should it be `upstream.protocol: h1`, or `h2` where it is `h1`?".into()
        }
        (Error::InvalidMessage(InvalidMessage::InvalidContentType), Other::Upstream) => {
            "what answers there does not speak TLS: should the URL be `http`?".into()
        }
        (fault, _) => fault.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{OtherError, RootCertStore};

    use super::*;

    fn told(fault: Error, other: Other) -> (io::ErrorKind, String) {
        let words = in_words(&io::Error::new(io::ErrorKind::InvalidData, fault), other).unwrap();
        (words.kind(), words.to_string())
    }

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(vec!["api.test".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// What is told of a certificate that `shown` makes, where `trusted` is the one authority.
    fn refused(trusted: &CertifiedIssuer<'static, KeyPair>, shown: &CertificateDer<'_>) -> String {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der().clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), crate::snapshot::tls::provider())
            .build()
            .unwrap();
        let name = ServerName::try_from("api.test").unwrap();
        let fault = verifier.verify_server_cert(shown, &[], &name, &[], UnixTime::now()).unwrap_err();
        let (kind, words) = told(fault, Other::Upstream);
        assert_eq!(kind, CERTIFICATE_REFUSED);
        words
    }

    #[test]
    fn a_certificate_that_is_refused_is_told_why_and_how_to_mend_it() {
        let ours = authority();
        let leaf = |name: &str, until: i32, by: &CertifiedIssuer<'static, KeyPair>| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
            params.signed_by(&KeyPair::generate().unwrap(), by).unwrap()
        };
        let cases = [
            (
                refused(&ours, leaf("api.test", 2100, &authority()).der()),
                "is signed by no authority of `upstream.tls.ca`",
            ),
            (
                refused(&ours, leaf("other.test", 2100, &ours).der()),
                "is for another name: set `upstream.tls.server_name`",
            ),
            (refused(&ours, leaf("api.test", 2021, &ours).der()), "has expired: renew it"),
            (refused(&ours, ours.der()), "is an authority's own: sign another with it"),
        ];
        for (words, expected) in cases {
            assert!(words.starts_with(&format!("the certificate {expected}")), "{words}");
        }
        let old = OtherError(Arc::new(io::Error::other("UnsupportedCertVersion")));
        let (_, words) = told(Error::InvalidCertificate(CertificateError::Other(old)), Other::Upstream);
        assert!(words.contains("X.509 version 1"), "{words}");
    }

    #[test]
    fn a_caller_is_held_against_the_authorities_of_callers_and_an_upstream_is_asked_what_it_speaks() {
        let (_, words) = told(Error::InvalidCertificate(CertificateError::UnknownIssuer), Other::Caller);
        assert!(words.contains("`tls.client_ca`"), "{words}");
        let (kind, words) = told(Error::AlertReceived(AlertDescription::NoApplicationProtocol), Other::Upstream);
        assert_eq!(kind, HANDSHAKE_FAILED);
        assert!(words.contains("upstream.protocol: h1"), "{words}");
        let (_, words) = told(Error::InvalidMessage(InvalidMessage::InvalidContentType), Other::Upstream);
        assert!(words.contains("should the URL be `http`?"), "{words}");
        assert!(in_words(&io::ErrorKind::ConnectionReset.into(), Other::Upstream).is_none());
    }
}
