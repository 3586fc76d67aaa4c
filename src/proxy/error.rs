//! What can go wrong around a request that is not the policy's to decide.

mod breach;

use std::borrow::Cow;

use crate::http1::head::Excess;
use crate::policy::refusals;
use crate::snapshot::Limits;

pub use breach::Breach;

refusals! {
    /// A request that could not be served, and why. Each has one row in the answers (see `proxy::reply`).
    ProxyError {
        /// The message framing or the Host field is not acceptable (RFC 9112); the text says what.
        BadRequest(&'static str: "What is wrong with the request.") => 400, "bad_request", "Bad request";
        /// The body is larger than `limits.body_bytes`.
        BodyTooLarge => 413, "body_too_large", "Body too large";
        /// `Expect` asks for something other than `100-continue` (RFC 9110 10.1.1).
        ExpectationFailed => 417, "expectation_failed", "Expectation failed";
        /// The head is larger than `limits.header_bytes`, or has more than `limits.headers` fields.
        HeadersTooLarge(Excess: Excess::Bytes) => 431, "headers_too_large", "Headers too large";
        /// A fault of the gateway itself.
        Internal(Inside: Inside::Failed) => 500, "internal_error", "Internal error";
        /// Host or authority is not one of `hosts`.
        MisdirectedRequest => 421, "misdirected_request", "Misdirected request";
        /// Too many connections or pending requests, or no time left for this one.
        Overloaded(Overload: Overload::Connections) => 503, "overloaded", "Overloaded";
        /// The head or the body did not arrive in time.
        RequestTimeout(Slowness: Slowness::Head) => 408, "request_timeout", "Request timeout";
        /// The request target is longer than `limits.target_bytes`.
        TargetTooLong => 414, "target_too_long", "Target too long";
        /// The upstream reset the connection or broke the protocol.
        UpstreamFailed(Breach: Breach::BrokenOff) => 502, "upstream_failed", "Upstream failed";
        /// The upstream did not answer in time.
        UpstreamTimeout(Lateness: Lateness::Silent) => 504, "upstream_timeout", "Upstream timeout";
        /// No connection to the upstream could be made.
        UpstreamUnreachable(Reach: Reach::Away) => 503, "upstream_unreachable", "Upstream unreachable";
    }
}

/// What is wrong within the gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inside {
    /// It broke off in the middle.
    Failed,
    /// The account of the key names an upstream credential that is not configured.
    NoCredential,
}

/// What there is no room for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Overload {
    /// More connections than `limits.connections`.
    Connections,
    /// More connections of one address than `limits.connections_per_address`.
    ConnectionsOfAddress,
    /// The process ends, and nothing of the request was sent within `drain.timeout`.
    Draining,
    /// More requests wait for the upstream than `upstream.max_pending`.
    Pending,
    /// The upstream refused the stream of the request (RFC 9113 8.7): it did nothing of it.
    Refused,
    /// More sockets to the upstream than there may be.
    Sockets,
}

impl Overload {
    fn detail(self) -> &'static str {
        match self {
            Self::Connections => {
                "The gateway has as many connections as it takes (`limits.connections`); try again in a second."
            }
            Self::ConnectionsOfAddress => {
                "Your address has as many connections as one may have here (`limits.connections_per_address`); close one, or try again in a second."
            }
            Self::Draining => {
                "The gateway is being stopped, and has sent nothing of the request to the API behind it; try again in a second."
            }
            Self::Pending => {
                "As many requests wait for the API behind this gateway as may (`upstream.max_pending`); try again in a second."
            }
            Self::Refused => {
                "The API behind this gateway takes no more requests now, and has done nothing of this one (REFUSED_STREAM); try again in a second."
            }
            Self::Sockets => {
                "The gateway has as many connections to the API behind it as it may have; try again in a second."
            }
        }
    }
}

/// What ran out while the upstream had the request, or a part of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lateness {
    /// `drain.timeout`, and the answer had begun.
    CutOff,
    /// `drain.timeout`: the process ends. Whether the request was carried out is not known.
    Draining,
    /// `timeouts.response`: the time that the upstream has for an answer.
    Silent,
    /// The same for more of an answer that has begun and whose length is known.
    Stalled,
    /// `limits.body_stall`: the time in which the upstream has to take some of the body.
    Untaken,
    /// `timeouts.request`: the time for the whole, whoever took it.
    Whole,
}

/// What of a request did not come in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Slowness {
    /// Nothing more of the body, in `limits.body_stall`.
    Body,
    /// All of the head, in `limits.header_timeout`.
    Head,
}

/// Why no connection to the upstream could be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// Nobody is there, or not in time.
    Away,
    /// It showed a certificate that is not to be trusted.
    CertificateRefused,
    /// TLS came to nothing for another reason.
    HandshakeFailed,
}

impl ProxyError {
    /// One sentence for the caller: what happened and what to do. Where a limit was met, which one.
    pub(crate) fn detail(self, limits: &Limits) -> Cow<'static, str> {
        let sentence = match self {
            Self::BadRequest(what) => what,
            Self::BodyTooLarge => {
                // Without a limit no body is too large.
                let most = limits.body_bytes.unwrap_or(u64::MAX);
                return format!(
                    "The request body is larger than {most} bytes (`limits.body_bytes`); send a smaller one."
                )
                .into();
            }
            Self::ExpectationFailed => "The only expectation that can be met here is 100-continue; send that or none.",
            Self::HeadersTooLarge(Excess::Bytes) => {
                let most = limits.header_bytes;
                return format!(
                    "The request head is larger than {most} bytes (`limits.header_bytes`); send a smaller one."
                )
                .into();
            }
            Self::HeadersTooLarge(Excess::Fields) => {
                let most = limits.headers;
                return format!("The request head has more than {most} fields (`limits.headers`); send fewer.").into();
            }
            Self::Internal(Inside::NoCredential) => {
                "The account of this key has no credential for the API behind this gateway; whoever runs the gateway has to configure it."
            }
            Self::Internal(Inside::Failed) => {
                "The gateway failed while it handled this request; its log says more under this request id."
            }
            Self::MisdirectedRequest => {
                "This host is not served here; send the request to a host that the gateway is configured for."
            }
            Self::Overloaded(overload) => overload.detail(),
            Self::RequestTimeout(Slowness::Body) => {
                "Nothing more of the request body came for too long (`limits.body_stall`); send it again on a new connection."
            }
            Self::RequestTimeout(Slowness::Head) => {
                "The request head did not arrive in time (`limits.header_timeout`); send it again on a new connection."
            }
            Self::TargetTooLong => {
                let most = limits.target_bytes;
                return format!(
                    "The request target is longer than {most} bytes (`limits.target_bytes`); send a shorter one."
                )
                .into();
            }
            Self::UpstreamFailed(breach) => return breach.detail(),
            Self::UpstreamTimeout(Lateness::CutOff) => {
                "The gateway was stopped before the API's answer was complete (`drain.timeout`)."
            }
            Self::UpstreamTimeout(Lateness::Draining) => {
                "The gateway is being stopped before the API behind it has answered; the request may have been carried out, so find out before it is sent again."
            }
            Self::UpstreamTimeout(Lateness::Silent) => {
                "The API behind this gateway did not answer in time (`timeouts.response`); try again later."
            }
            Self::UpstreamTimeout(Lateness::Stalled) => {
                "The API behind this gateway sent nothing more of its answer in time (`timeouts.response`)."
            }
            Self::UpstreamTimeout(Lateness::Untaken) => {
                "The API behind this gateway took nothing more of the request body for too long (`limits.body_stall`); try again later."
            }
            Self::UpstreamTimeout(Lateness::Whole) => {
                "The request and its answer took longer than both may together (`timeouts.request`); try again later."
            }
            Self::UpstreamUnreachable(Reach::Away) => {
                "The API behind this gateway cannot be reached; try again in a second."
            }
            Self::UpstreamUnreachable(Reach::CertificateRefused | Reach::HandshakeFailed) => {
                "The API behind this gateway cannot be reached by TLS; the gateway's log says why."
            }
        };
        sentence.into()
    }

    /// Whether the sentence for the caller says more than the code does, so that the log and `Proxy-Status` have it too.
    pub(crate) fn is_telling(self) -> bool {
        matches!(
            self,
            Self::BadRequest(_)
                | Self::HeadersTooLarge(_)
                | Self::Internal(Inside::NoCredential)
                | Self::Overloaded(_)
                | Self::RequestTimeout(_)
                | Self::UpstreamFailed(_)
                | Self::UpstreamTimeout(_)
        )
    }

    /// The error type of the `Proxy-Status` field (RFC 9209 2.3).
    pub(crate) fn proxy_status(self) -> &'static str {
        match self {
            Self::Internal(_) | Self::Overloaded(_) => "proxy_internal_error",
            Self::UpstreamFailed(breach) => breach.proxy_status(),
            Self::UpstreamTimeout(_) => "http_response_timeout",
            Self::UpstreamUnreachable(Reach::Away) => "destination_unavailable",
            Self::UpstreamUnreachable(Reach::CertificateRefused) => "tls_certificate_error",
            Self::UpstreamUnreachable(Reach::HandshakeFailed) => "tls_protocol_error",
            Self::RequestTimeout(_)
            | Self::BadRequest(_)
            | Self::BodyTooLarge
            | Self::ExpectationFailed
            | Self::HeadersTooLarge(_)
            | Self::MisdirectedRequest
            | Self::TargetTooLong => "http_request_error",
        }
    }
}
