//! Certificates that are about to expire: the log says so, once a day, until they are renewed.

use std::time::Duration;

use crate::config::tls::EXPIRY_NOTICE;
use crate::config::{Certificate, Config};
use crate::key::Timestamp;
use crate::telemetry::label::CertificateLabel;

/// How often the log is told.
const AGAIN: Duration = Duration::from_secs(86_400);

/// Every certificate that the gateway shows, each with its label.
pub(super) fn certificates(config: &Config) -> [(CertificateLabel, Option<&Certificate>); 2] {
    [
        (CertificateLabel::Listener, config.tls.as_ref().map(|tls| &tls.certificate)),
        (CertificateLabel::UpstreamClient, config.upstream.tls.client.as_ref()),
    ]
}

/// When the log was told last.
#[derive(Debug, Default)]
pub(super) struct Notices {
    told: Option<Timestamp>,
}

impl Notices {
    /// Tells the log of what expires soon, unless it was told within a day.
    pub(super) fn look(&mut self, config: &Config, now: Timestamp) {
        let soon = |certificate: &&Certificate| certificate.expires <= now.after(EXPIRY_NOTICE);
        let mut found =
            certificates(config).into_iter().filter_map(|(_, certificate)| certificate.filter(soon)).peekable();
        if found.peek().is_none() || self.told.is_some_and(|told| told.after(AGAIN) > now) {
            return;
        }
        self.told = Some(now);
        for certificate in found {
            let (file, expires) = (certificate.path.display(), certificate.expires);
            if expires <= now {
                tracing::error!(%file, %expires, "the certificate has expired: renew it, a new file is taken over without a restart");
            } else {
                tracing::warn!(%file, %expires, "the certificate expires soon: renew it, a new file is taken over without a restart");
            }
        }
    }
}
