//! Every reason for which the policy refuses a request, with the code and the status that callers may rely on.

use super::path::PathFault;
use super::principal::Invalid;

/// Declares the reasons for which requests are refused: an enum, the list of all of them, and what stands in every answer.
/// A reason that says more than its name has an example of that for the list.
macro_rules! refusals {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$about:meta])* $variant:ident $(($more:ty: $example:expr))? => $status:literal, $code:literal, $title:literal;)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$about])* $variant $(($more))?),+
        }

        impl $name {
            /// Each of them once, in alphabetical order.
            pub const ALL: &'static [Self] = &[$(Self::$variant $(($example))?),+];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant { .. } => $code),+ }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant { .. } => $status),+ }
            }

            /// A few words that are the same for every occurrence (RFC 9457, section 3.1.3).
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant { .. } => $title),+ }
            }
        }
    };
}

pub(crate) use refusals;

refusals! {
    /// Why a request is refused: one variant for each row of the contract that the policy decides. 400: no key and no
    /// policy could make the request acceptable; 403: one could.
    Denial {
        /// The key may not be used from this address.
        AddressNotAllowed => 403, "address_not_allowed", "Address not allowed";
        /// Different keys in more than one place, or a key header given twice.
        AmbiguousKey => 400, "ambiguous_key", "Ambiguous key";
        /// The target has two readings.
        AmbiguousPath(PathFault: PathFault::DotSegment) => 400, "ambiguous_path", "Ambiguous path";
        /// Only some parsers would read a parameter as a ruled one.
        AmbiguousQuery => 400, "ambiguous_query", "Ambiguous query";
        /// The key's time is over.
        ExpiredKey => 401, "expired_key", "Expired key";
        /// The key lacks scopes.
        InsufficientScope => 403, "insufficient_scope", "Insufficient scope";
        /// The credential is no usable key.
        InvalidKey(Invalid: Invalid::Unknown) => 401, "invalid_key", "Invalid key";
        /// A secret key on a route for public keys, or the reverse.
        KeyKindNotAllowed => 403, "key_kind_not_allowed", "Key kind not allowed";
        /// The key store cannot be asked, and the key is not in memory.
        KeyStoreUnavailable => 503, "key_store_unavailable", "Key store unavailable";
        /// The request asks to be taken for one of another method.
        MethodOverride => 400, "method_override", "Method override";
        /// The route needs a key and none came.
        MissingKey => 401, "missing_key", "Missing key";
        /// The key is bound to other values of a path parameter.
        OutsideBinding => 403, "outside_binding", "Outside binding";
        /// A ruled parameter has a member that the route does not list.
        QueryNotAllowed => 403, "query_not_allowed", "Query not allowed";
        /// No route, not with this method, or one that is closed.
        RouteNotAllowed => 403, "route_not_allowed", "Route not allowed";
    }
}

impl Denial {
    /// Whether a policy comes to it by itself, of a caller without a key or with one that is in force. The others are about
    /// the key, and the front that looks keys up tells the policy of them.
    #[must_use]
    pub const fn is_of_policy(self) -> bool {
        !matches!(
            self,
            Self::AddressNotAllowed
                | Self::AmbiguousKey
                | Self::ExpiredKey
                | Self::InvalidKey(_)
                | Self::KeyStoreUnavailable
        )
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
                "The request asks to be taken for one of another method; send it with that method, and leave out override headers and parameters such as _method."
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
