//! What a TLS handshake failed for, in words that say how to mend it.

use std::borrow::Cow;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::config::Protocol;

/// The kind of an error of a handshake in which a certificate was refused.
pub const CERTIFICATE_REFUSED: io::ErrorKind = io::ErrorKind::InvalidInput;
/// The kind of an error of a handshake that came to nothing otherwise.
pub const HANDSHAKE_FAILED: io::ErrorKind = io::ErrorKind::InvalidData;

/// What is told of an upstream that was asked for HTTP/2 and did not agree to it.
pub const NO_H2: &str =
    "the upstream did not agree to HTTP/2 in the TLS handshake (ALPN): should it be `upstream.protocol: h1`?";

/// Whom we shake hands with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Other {
    /// Somebody who calls.
    Caller,
    /// A server of the upstream, which is to speak this.
    Upstream(Protocol),
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
        Other::Upstream(_) => "upstream.tls.ca",
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
    let words = match (fault, other) {
        (Error::AlertReceived(alert), other) => of_alert(*alert, other),
        (Error::InvalidMessage(InvalidMessage::InvalidContentType), Other::Upstream(_)) => {
            Some("what answers there does not speak TLS: should the URL be `http`?")
        }
        (Error::NoApplicationProtocol, Other::Caller) => {
            Some("the caller offers neither HTTP/2 nor HTTP/1.1 (ALPN): no other protocol is spoken here")
        }
        (Error::NoApplicationProtocol, Other::Upstream(asked)) => Some(not_agreed(asked)),
        (Error::NoCertificatesPresented, Other::Caller) => {
            Some("the caller shows no certificate, and `tls.client_ca` asks for one")
        }
        (Error::PeerIncompatible(fault), other) => of_mismatch(fault, other),
        _ => None,
    };
    words.map_or_else(|| fault.to_string().into(), Cow::Borrowed)
}

/// What an alert means that the other side ended the handshake with (RFC 8446 6.2).
fn of_alert(alert: AlertDescription, other: Other) -> Option<&'static str> {
    use AlertDescription as Alert;
    Some(match (alert, other) {
        (Alert::NoApplicationProtocol, Other::Upstream(asked)) => not_agreed(asked),
        (Alert::CertificateRequired, Other::Upstream(_)) => {
            "the upstream asks for a certificate of the gateway: give it one in `upstream.tls.client_cert`"
        }
        (Alert::UnrecognisedName, Other::Upstream(_)) => {
            "the upstream serves nothing by that name: set `upstream.tls.server_name` to one that it knows"
        }
        (Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown, Other::Caller) => {
            "the caller does not accept the certificate of `tls.cert`: does it trust who signed it, and is the chain complete?"
        }
        (Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown, Other::Upstream(_)) => {
            "the upstream does not accept the certificate of `upstream.tls.client_cert`, or wants one"
        }
        (Alert::CertificateExpired, Other::Caller) => "the caller finds the certificate of `tls.cert` expired",
        (Alert::ProtocolVersion, Other::Caller) => "the caller speaks no version of TLS that `tls.min_version` allows",
        (Alert::ProtocolVersion, Other::Upstream(_)) => "the upstream speaks neither TLS 1.2 nor 1.3",
        _ => return None,
    })
}

/// What two sides have not in common.
fn of_mismatch(fault: &PeerIncompatible, other: Other) -> Option<&'static str> {
    use PeerIncompatible as Fault;
    Some(match (fault, other) {
        // This one comes where TLS 1.2 is switched off, and alone then.
        (Fault::SupportedVersionsExtensionRequired, Other::Caller) => {
            "the caller offers nothing newer than TLS 1.2, and `tls.min_version` is `1.3`"
        }
        (Fault::Tls12NotOfferedOrEnabled, Other::Caller) => {
            "the caller offers no version of TLS that `tls.min_version` allows"
        }
        // Callers of TLS 1.1 name no signature algorithms, which is looked at first.
        (Fault::SignatureAlgorithmsExtensionRequired | Fault::Tls12NotOffered, Other::Caller) => {
            "the caller offers nothing newer than TLS 1.1, and at least 1.2 is spoken here"
        }
        (Fault::ExtendedMasterSecretExtensionRequired, Other::Caller) => {
            "the caller's TLS 1.2 is without extended master secrets (RFC 7627), which are asked for here"
        }
        (Fault::NoCipherSuitesInCommon, Other::Caller) => {
            "the caller offers no cipher suite that is spoken here: those of TLS 1.3, or ECDHE with AES-GCM or ChaCha20"
        }
        (Fault::NoKxGroupsInCommon | Fault::KeyShareExtensionRequired, Other::Caller) => {
            "the caller offers no key exchange that is spoken here: ECDHE over X25519, P-256 or P-384, or X25519MLKEM768"
        }
        (Fault::NoSignatureSchemesInCommon, Other::Caller) => {
            "the caller takes no signature that the key of `tls.key` can make: is it RSA for a caller of ECDSA, or the reverse?"
        }
        (Fault::ServerDoesNotSupportTls12Or13, Other::Upstream(_)) => "the upstream speaks neither TLS 1.2 nor 1.3",
        _ => return None,
    })
}

/// What is told of an upstream that does not agree to the protocol that it is asked for.
const fn not_agreed(asked: Protocol) -> &'static str {
    match asked {
        Protocol::H1 | Protocol::H2c => {
            "the upstream did not agree to HTTP/1.1 in the TLS handshake (ALPN): should it be `upstream.protocol: h2`?"
        }
        Protocol::H2 => NO_H2,
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
        let (kind, words) = told(fault, Other::Upstream(Protocol::H1));
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
        let (_, words) = told(Error::InvalidCertificate(CertificateError::Other(old)), Other::Upstream(Protocol::H1));
        assert!(words.contains("X.509 version 1"), "{words}");
    }

    #[test]
    fn a_caller_is_held_against_the_authorities_of_callers_and_an_upstream_is_asked_what_it_speaks() {
        let upstream = Other::Upstream(Protocol::H1);
        let (_, words) = told(Error::InvalidCertificate(CertificateError::UnknownIssuer), Other::Caller);
        assert!(words.contains("`tls.client_ca`"), "{words}");
        let alert = || Error::AlertReceived(AlertDescription::NoApplicationProtocol);
        let (kind, words) = told(alert(), upstream);
        assert_eq!(kind, HANDSHAKE_FAILED);
        assert!(words.contains("should it be `upstream.protocol: h2`?"), "{words}");
        let (_, words) = told(alert(), Other::Upstream(Protocol::H2));
        assert!(words.contains("should it be `upstream.protocol: h1`?"), "{words}");
        for (alert, other, expected) in [
            (AlertDescription::CertificateRequired, upstream, "`upstream.tls.client_cert`"),
            (AlertDescription::UnknownCA, upstream, "does not accept the certificate of `upstream.tls.client_cert`"),
            (AlertDescription::UnknownCA, Other::Caller, "does not accept the certificate of `tls.cert`"),
            (AlertDescription::UnrecognisedName, upstream, "`upstream.tls.server_name`"),
            (AlertDescription::ProtocolVersion, upstream, "neither TLS 1.2 nor 1.3"),
            (AlertDescription::InternalError, Other::Caller, "InternalError"),
        ] {
            let (_, words) = told(Error::AlertReceived(alert), other);
            assert!(words.contains(expected), "{words}");
        }
        let (_, words) = told(Error::InvalidMessage(InvalidMessage::InvalidContentType), upstream);
        assert!(words.contains("should the URL be `http`?"), "{words}");
        assert!(in_words(&io::ErrorKind::ConnectionReset.into(), upstream).is_none());
    }
}
