//! Every reason for which the policy refuses a request, with the code and the status that callers may rely on.

use super::path::PathFault;
use super::principal::Invalid;

/// Why a request is refused: one variant for each row of the contract that the policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The key may not be used from this address.
    AddressNotAllowed,
    /// Different keys in more than one place, or a key header given twice.
    AmbiguousKey,
    /// The target has two readings.
    AmbiguousPath(PathFault),
    /// Only some parsers would read a parameter as a ruled one.
    AmbiguousQuery,
    /// The key's time is over.
    ExpiredKey,
    /// The key lacks scopes.
    InsufficientScope,
    /// The credential is no usable key.
    InvalidKey(Invalid),
    /// A secret key on a route for public keys, or the reverse.
    KeyKindNotAllowed,
    /// The key store cannot be asked, and the key is not in memory.
    KeyStoreUnavailable,
    /// The request asks to be taken for one of another method.
    MethodOverride,
    /// The route needs a key and none came.
    MissingKey,
    /// The key is bound to other values of a path parameter.
    OutsideBinding,
    /// A ruled parameter has a member that the route does not list.
    QueryNotAllowed,
    /// No route, not with this method, or one that is closed.
    RouteNotAllowed,
}

impl Denial {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AddressNotAllowed => "address_not_allowed",
            Self::AmbiguousKey => "ambiguous_key",
            Self::AmbiguousPath(_) => "ambiguous_path",
            Self::AmbiguousQuery => "ambiguous_query",
            Self::ExpiredKey => "expired_key",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidKey(_) => "invalid_key",
            Self::KeyKindNotAllowed => "key_kind_not_allowed",
            Self::KeyStoreUnavailable => "key_store_unavailable",
            Self::MethodOverride => "method_override",
            Self::MissingKey => "missing_key",
            Self::OutsideBinding => "outside_binding",
            Self::QueryNotAllowed => "query_not_allowed",
            Self::RouteNotAllowed => "route_not_allowed",
        }
    }

    /// The HTTP status. 400: no key and no policy could make the request acceptable; 403: one could.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::AmbiguousKey | Self::AmbiguousPath(_) | Self::AmbiguousQuery | Self::MethodOverride => 400,
            Self::ExpiredKey | Self::InvalidKey(_) | Self::MissingKey => 401,
            Self::AddressNotAllowed
            | Self::InsufficientScope
            | Self::KeyKindNotAllowed
            | Self::OutsideBinding
            | Self::QueryNotAllowed
            | Self::RouteNotAllowed => 403,
            Self::KeyStoreUnavailable => 503,
        }
    }

    /// A few words that are the same for every occurrence (RFC 9457, section 3.1.3).
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::AddressNotAllowed => "Address not allowed",
            Self::AmbiguousKey => "Ambiguous key",
            Self::AmbiguousPath(_) => "Ambiguous path",
            Self::AmbiguousQuery => "Ambiguous query",
            Self::ExpiredKey => "Expired key",
            Self::InsufficientScope => "Insufficient scope",
            Self::InvalidKey(_) => "Invalid key",
            Self::KeyKindNotAllowed => "Key kind not allowed",
            Self::KeyStoreUnavailable => "Key store unavailable",
            Self::MethodOverride => "Method override",
            Self::MissingKey => "Missing key",
            Self::OutsideBinding => "Outside binding",
            Self::QueryNotAllowed => "Query not allowed",
            Self::RouteNotAllowed => "Route not allowed",
        }
    }

    /// Whether it was decided before the key was known to be good. Such answers say nothing of routes: without a valid
    /// key, every target that is not open to anyone answers the same.
    #[must_use]
    pub const fn precedes_route(self) -> bool {
        matches!(
            self,
            Self::AddressNotAllowed
                | Self::AmbiguousKey
                | Self::AmbiguousPath(_)
                | Self::ExpiredKey
                | Self::InvalidKey(_)
                | Self::KeyStoreUnavailable
                | Self::MethodOverride
                | Self::MissingKey
        )
    }

    /// What to do, in one sentence, as far as the denial alone can say it. A [`super::decision::Decision`] says more.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::AddressNotAllowed => {
                "The key may not be used from this address; send the request from one that it allows."
            }
            Self::AmbiguousKey => "The request carries more than one key, or a key header twice; send one key, once.",
            Self::AmbiguousPath(fault) => fault.detail(),
            Self::AmbiguousQuery => {
                "A query parameter has a second reading; write its name as documented and encode it once."
            }
            Self::ExpiredKey => "The key has expired; use one that is in force.",
            Self::InsufficientScope => "The key lacks scopes that the request needs; use a key that holds them.",
            Self::InvalidKey(_) => "The key is not valid; check that it is whole and that it is still in force.",
            Self::KeyKindNotAllowed => "The route does not take keys of this kind; use one of the other kind.",
            Self::KeyStoreUnavailable => "The key cannot be looked up at the moment; try again shortly.",
            Self::MethodOverride => {
                "The request asks to be taken for one of another method; send it with that method, and leave out override headers and _method."
            }
            Self::MissingKey => "The request has no key; send one.",
            Self::OutsideBinding => {
                "The key is bound to other values than the path has; use a key that is bound to these."
            }
            Self::QueryNotAllowed => "A query parameter has a member that the route does not allow; leave it out.",
            Self::RouteNotAllowed => "The policy has no open route for this method and path; check both.",
        }
    }
}
