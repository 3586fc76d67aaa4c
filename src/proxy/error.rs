//! What can go wrong around a request that is not the policy's to decide.

/// A request that could not be served, and why. Each has one row in the answers (see `proxy::reply`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyError {
    /// The message framing or the Host field is not acceptable (RFC 9112); the text says what.
    BadRequest(&'static str),
    /// The body is larger than `limits.body_bytes`.
    BodyTooLarge,
    /// `Expect` asks for something other than `100-continue` (RFC 9110 10.1.1).
    ExpectationFailed,
    /// The head is larger than `limits.header_bytes`, or has more than `limits.headers` fields.
    HeadersTooLarge,
    /// A fault of the gateway itself.
    Internal,
    /// Host or authority is not one of `hosts`.
    MisdirectedRequest,
    /// Too many connections or pending requests.
    Overloaded,
    /// The head or the body did not arrive in time.
    RequestTimeout,
    /// The request target is longer than `limits.target_bytes`.
    TargetTooLong,
    /// The upstream reset the connection or broke the protocol; the text says how.
    UpstreamFailed(&'static str),
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// No connection to the upstream could be made.
    UpstreamUnreachable,
}

impl ProxyError {
    /// The stable code of the contract.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::BodyTooLarge => "body_too_large",
            Self::ExpectationFailed => "expectation_failed",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Internal => "internal_error",
            Self::MisdirectedRequest => "misdirected_request",
            Self::Overloaded => "overloaded",
            Self::RequestTimeout => "request_timeout",
            Self::TargetTooLong => "target_too_long",
            Self::UpstreamFailed(_) => "upstream_failed",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamUnreachable => "upstream_unreachable",
        }
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::BodyTooLarge => 413,
            Self::ExpectationFailed => 417,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
            Self::MisdirectedRequest => 421,
            Self::Overloaded | Self::UpstreamUnreachable => 503,
            Self::RequestTimeout => 408,
            Self::TargetTooLong => 414,
            Self::UpstreamFailed(_) => 502,
            Self::UpstreamTimeout => 504,
        }
    }

    /// The same title for every occurrence.
    pub fn title(self) -> &'static str {
        match self {
            Self::BadRequest(_) => "Bad request",
            Self::BodyTooLarge => "Body too large",
            Self::ExpectationFailed => "Expectation failed",
            Self::HeadersTooLarge => "Headers too large",
            Self::Internal => "Internal error",
            Self::MisdirectedRequest => "Misdirected request",
            Self::Overloaded => "Overloaded",
            Self::RequestTimeout => "Request timeout",
            Self::TargetTooLong => "Target too long",
            Self::UpstreamFailed(_) => "Upstream failed",
            Self::UpstreamTimeout => "Upstream timeout",
            Self::UpstreamUnreachable => "Upstream unreachable",
        }
    }

    /// One sentence for the caller: what happened and what to do.
    pub fn detail(self) -> &'static str {
        match self {
            Self::BadRequest(what) | Self::UpstreamFailed(what) => what,
            Self::BodyTooLarge => "The request body is larger than this gateway accepts; send a smaller one.",
            Self::ExpectationFailed => "The only expectation that can be met here is 100-continue; send that or none.",
            Self::HeadersTooLarge => {
                "The request head is larger, or has more fields, than this gateway accepts; send a smaller one."
            }
            Self::Internal => {
                "The gateway failed while it handled this request; its log says more under this request id."
            }
            Self::MisdirectedRequest => {
                "This host is not served here; send the request to a host that the gateway is configured for."
            }
            Self::Overloaded => {
                "The gateway has as many connections or waiting requests as it takes; try again in a second."
            }
            Self::RequestTimeout => "The request did not arrive in time; send it again on a new connection.",
            Self::TargetTooLong => "The request target is longer than this gateway accepts; send a shorter one.",
            Self::UpstreamTimeout => "The API behind this gateway did not answer in time; try again later.",
            Self::UpstreamUnreachable => "The API behind this gateway cannot be reached; try again in a second.",
        }
    }

    /// The error type of the `Proxy-Status` field (RFC 9209 2.3).
    pub(crate) fn proxy_status(self) -> &'static str {
        match self {
            Self::Internal | Self::Overloaded => "proxy_internal_error",
            Self::UpstreamFailed(_) => "http_protocol_error",
            Self::UpstreamTimeout => "http_response_timeout",
            Self::UpstreamUnreachable => "destination_unavailable",
            Self::RequestTimeout
            | Self::BadRequest(_)
            | Self::BodyTooLarge
            | Self::ExpectationFailed
            | Self::HeadersTooLarge
            | Self::MisdirectedRequest
            | Self::TargetTooLong => "http_request_error",
        }
    }
}
