//! Routes: a method and a path template, who may call it, and what else the policy says about it.

use std::num::NonZeroU32;

use super::method::Method;
use super::parameter::RouteRule;
use super::scope::ScopeSet;
use super::timeouts::RouteTimeouts;

/// A route of one policy: its place in [`super::Policy::routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(NonZeroU32);

impl RouteId {
    /// The route at `index`. It counts from one inside, so that having none takes no room.
    pub(super) fn at(index: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index))
    }

    /// The index in [`super::Policy::routes`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// One route, compiled. A policy entry with several methods is as many routes.
///
/// What every decision looks at comes first, and is one line of the cache: with thousands of routes, the next is seldom in the
/// nearest one.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Route {
    pub(super) requirement: Requirement,
    pub(super) id: RouteId,
    pub(super) access: Access,
    pub(super) encoded_slash: bool,
    pub(super) method: Method,
    pub(super) upgrade: Option<Upgrade>,
    pub(super) line: u32,
    pub(super) label: Box<str>,
    pub(super) template: Box<str>,
    pub(super) rules: Box<[RouteRule]>,
    /// Segment index and name of each path parameter, as this route names them.
    pub(super) parameters: Box<[(usize, Box<str>)]>,
    pub(super) unbound: Box<[Box<str>]>,
    pub(super) credential: Option<Box<str>>,
    pub(super) timeouts: RouteTimeouts,
}

const _: () = assert!(std::mem::offset_of!(Route, label) == 64);

impl Route {
    /// Its place in the policy.
    #[must_use]
    pub const fn id(&self) -> RouteId {
        self.id
    }

    /// Method and template, base included: `GET /api/profiles/{id}`. It is the name of the route in answers, logs and metrics.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The method that it was written for; a request's may differ (`ANY`, and HEAD after GET).
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The path template, base included.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The line of the policy file that it stands on.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// Who may call it.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }

    /// The scopes that it asks for; nothing unless [`Access::Scopes`].
    #[must_use]
    pub const fn requirement(&self) -> &Requirement {
        &self.requirement
    }

    /// The name of the upstream credential to swap in, where the route names one.
    #[must_use]
    pub fn credential(&self) -> Option<&str> {
        self.credential.as_deref()
    }

    /// The protocol that a request may switch to.
    #[must_use]
    pub const fn upgrade(&self) -> Option<Upgrade> {
        self.upgrade
    }

    /// How long the upstream may take, where that is not what the configuration says.
    #[must_use]
    pub const fn timeouts(&self) -> &RouteTimeouts {
        &self.timeouts
    }

    /// Whether `%2F` may stand in its path parameters.
    #[must_use]
    pub const fn allows_encoded_slash(&self) -> bool {
        self.encoded_slash
    }

    /// The rule of the ruled parameter with this index, where the route has one.
    pub(super) fn rule(&self, parameter: usize) -> Option<&RouteRule> {
        self.rules.iter().find(|rule| rule.parameter == parameter)
    }
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `auth: anyone`: no key is looked at.
    Anyone,
    /// `auth: deny`: nobody, not even a key with the grant `full`.
    Deny,
    /// `auth: key`: any secret key in force.
    Key,
    /// `auth: public-key`: any public key in force.
    PublicKey,
    /// Secret keys that hold the scopes of its [`Requirement`].
    Scopes,
}

impl Access {
    /// As a policy writes it; `None` for scopes.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Anyone => Some("anyone"),
            Self::Deny => Some("deny"),
            Self::Key => Some("key"),
            Self::PublicKey => Some("public-key"),
            Self::Scopes => None,
        }
    }
}

/// The scopes that a route asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requirement {
    /// Each of these must be held.
    pub all_of: ScopeSet,
    /// One of these must be held whole, in the order written; without any, nothing more is asked.
    pub any_of: Box<[ScopeSet]>,
}

/// A protocol that a route lets a connection switch to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// `upgrade: websocket`.
    WebSocket,
}

impl Upgrade {
    /// As a policy writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
        }
    }
}
