//! The fixed lists that metric labels and log fields are drawn from. Nothing a caller sends becomes a label.

use crate::policy::Denial;

/// Declares a closed list of label values: an enum, its texts, and the list of all of them.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(u8)]
        pub enum $name {
            $(
                #[doc = concat!("`", $text, "`")]
                $variant
            ),+
        }

        impl $name {
            /// Every value, in order of declaration: the position of a value is `value as usize`.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

labels! {
    /// The certificates that the gateway shows.
    CertificateLabel {
        Listener = "listener",
        UpstreamClient = "upstream_client",
    }
}

labels! {
    /// Why a connection of HTTP/2 was cut for what its caller did: frames of no use, heads without end or streams at fault;
    /// no answer to a PING; a breach of its rules; streams that were given up.
    Cut {
        Flood = "flood",
        NoPong = "no_pong",
        Protocol = "protocol",
        Resets = "resets",
    }
}

labels! {
    /// What keeps the key store from being read. `behind`, `unfinished` and `unreachable` may pass by themselves.
    StoreFault {
        AnotherPast = "another_past",
        Behind = "behind",
        Denied = "denied",
        Faulty = "faulty",
        Missing = "missing",
        Refused = "refused",
        Unfinished = "unfinished",
        UnknownHost = "unknown_host",
        Unproven = "unproven",
        Unreachable = "unreachable",
    }
}

labels! {
    /// Why a connection of a caller was turned away before a request was read from it.
    Refusal {
        Connections = "connections",
        Handshake = "handshake",
        PerAddress = "per_address",
        ProxyHeader = "proxy_header",
        Timeout = "timeout",
    }
}

labels! {
    /// The codes of every answer that the gateway makes itself.
    Code {
        AddressNotAllowed = "address_not_allowed",
        AmbiguousKey = "ambiguous_key",
        AmbiguousPath = "ambiguous_path",
        AmbiguousQuery = "ambiguous_query",
        BadRequest = "bad_request",
        BodyTooLarge = "body_too_large",
        ExpectationFailed = "expectation_failed",
        ExpiredKey = "expired_key",
        HeadersTooLarge = "headers_too_large",
        InsufficientScope = "insufficient_scope",
        InternalError = "internal_error",
        InvalidKey = "invalid_key",
        KeyKindNotAllowed = "key_kind_not_allowed",
        KeyStoreUnavailable = "key_store_unavailable",
        MethodOverride = "method_override",
        MisdirectedRequest = "misdirected_request",
        MissingKey = "missing_key",
        OutsideBinding = "outside_binding",
        Overloaded = "overloaded",
        QueryNotAllowed = "query_not_allowed",
        RequestTimeout = "request_timeout",
        RouteNotAllowed = "route_not_allowed",
        TargetTooLong = "target_too_long",
        UpstreamFailed = "upstream_failed",
        UpstreamTimeout = "upstream_timeout",
        UpstreamUnreachable = "upstream_unreachable",
    }
}

labels! {
    /// What was decided about a request. `deny` covers every refusal, a message that was no valid request included;
    /// `shadow` is a request that `mode: shadow` let through although the policy denies it.
    DecisionLabel {
        Allow = "allow",
        Deny = "deny",
        Shadow = "shadow",
    }
}

labels! {
    /// How a look-up of a presented key in the index ended.
    Lookup {
        Hit = "hit",
        Miss = "miss",
    }
}

labels! {
    /// The methods that are told apart; every other one is `other`.
    MethodLabel {
        Connect = "CONNECT",
        Delete = "DELETE",
        Get = "GET",
        Head = "HEAD",
        Options = "OPTIONS",
        Other = "other",
        Patch = "PATCH",
        Post = "POST",
        Put = "PUT",
        Trace = "TRACE",
    }
}

labels! {
    /// Why a stream of HTTP/2 got an error of HTTP/2, or a bare 431: its head is far above the limits; it is malformed; it is one
    /// more than there may be, or too late; it breaks another rule.
    StreamRefusal {
        HeadTooLarge = "head_too_large",
        Malformed = "malformed",
        Other = "other",
        Refused = "refused",
    }
}

labels! {
    /// How a reload ended.
    Reload {
        Applied = "applied",
        Failed = "failed",
        Unchanged = "unchanged",
    }
}

labels! {
    /// Which side of the gateway a connection is on.
    Side {
        Downstream = "downstream",
        Upstream = "upstream",
    }
}

impl Code {
    /// The code of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }
}

/// By the reason and not by its text: every refusal is counted.
impl From<Denial> for Code {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::AddressNotAllowed => Self::AddressNotAllowed,
            Denial::AmbiguousKey => Self::AmbiguousKey,
            Denial::AmbiguousPath(_) => Self::AmbiguousPath,
            Denial::AmbiguousQuery => Self::AmbiguousQuery,
            Denial::ExpiredKey => Self::ExpiredKey,
            Denial::InsufficientScope => Self::InsufficientScope,
            Denial::InvalidKey(_) => Self::InvalidKey,
            Denial::KeyKindNotAllowed => Self::KeyKindNotAllowed,
            Denial::KeyStoreUnavailable => Self::KeyStoreUnavailable,
            Denial::MethodOverride => Self::MethodOverride,
            Denial::MissingKey => Self::MissingKey,
            Denial::OutsideBinding => Self::OutsideBinding,
            Denial::QueryNotAllowed => Self::QueryNotAllowed,
            Denial::RouteNotAllowed => Self::RouteNotAllowed,
        }
    }
}

impl MethodLabel {
    /// The label of a method as it stands in a request line.
    pub fn of(method: &[u8]) -> Self {
        match method {
            b"CONNECT" => Self::Connect,
            b"DELETE" => Self::Delete,
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }
}

/// A status as a label value: itself where it is registered or well known, otherwise its class (400 for `4xx`),
/// otherwise 0. Bounds what an upstream can add to the metrics.
pub(crate) const fn fold_status(status: u16) -> Status {
    match status {
        100..=103 | 200..=208 | 226 | 300..=308 => Status::Exact(status),
        400..=426 | 428 | 429 | 431 | 451 | 499 => Status::Exact(status),
        500..=511 | 520..=527 | 530 => Status::Exact(status),
        100..=599 => Status::Class(status / 100),
        _ => Status::Other,
    }
}

/// See [`fold_status`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Status {
    /// The leading digit of an unregistered status.
    Class(u16),
    /// A registered or well-known status.
    Exact(u16),
    /// No HTTP status at all.
    Other,
}

impl Status {
    /// The status as a number below 1,000; [`Status::from_number`] undoes it.
    pub(crate) const fn to_number(self) -> u16 {
        match self {
            Self::Class(class) => class,
            Self::Exact(status) => status,
            Self::Other => 0,
        }
    }

    /// The status that [`Status::to_number`] made this number of.
    pub(crate) const fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Other,
            1..=9 => Self::Class(number),
            _ => Self::Exact(number),
        }
    }

    /// The label value.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Class(class) => format!("{class}xx"),
            Self::Exact(status) => status.to_string(),
            Self::Other => "other".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_a_caller_invents_is_other() {
        assert_eq!(MethodLabel::of(b"GET").as_str(), "GET");
        assert_eq!(MethodLabel::of(b"get"), MethodLabel::Other);
        assert_eq!(MethodLabel::of(b"BREW"), MethodLabel::Other);
    }

    #[test]
    fn every_code_is_found_by_its_name() {
        for code in Code::ALL {
            assert_eq!(Code::named(code.as_str()), Some(*code));
        }
        assert_eq!(Code::named("no_such_code"), None);
        for denial in Denial::ALL {
            assert_eq!(Code::named(denial.code()), Some(Code::from(*denial)));
        }
    }

    #[test]
    fn a_status_outside_the_registered_ones_is_its_class() {
        for (status, label) in [(200, "200"), (404, "404"), (477, "4xx"), (599, "5xx"), (999, "other"), (7, "other")] {
            assert_eq!(fold_status(status).label(), label);
            assert_eq!(Status::from_number(fold_status(status).to_number()), fold_status(status));
        }
    }
}
