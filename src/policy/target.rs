//! The target of a request: judged once, matched once. What was judged is what is forwarded.

use std::fmt;

use memchr::memchr;

use super::octets::shown;
use super::path::{JudgedPath, PathFault};
use super::route::Route;
use super::trie::{Found, LeafId, NearMiss};
use super::{Denial, Policy, query};

/// What a request asks for, as far as decisions need it.
#[derive(Clone, Copy)]
pub struct Request<'t> {
    /// The method, as sent. Letter case matters.
    pub method: &'t [u8],
    /// The request target, as sent: `/path?query`, or an absolute URL.
    pub target: &'t [u8],
    /// Whether `X-HTTP-Method-Override`, `X-HTTP-Method` or `X-Method-Override` came with it.
    pub override_header: bool,
}

/// Without the target: its query may hold a key.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Request").field("method", &shown(self.method)).finish_non_exhaustive()
    }
}

/// A request target without two readings, and the route that it belongs to under the policy that judged it.
pub struct Target<'t> {
    pub(super) policy: &'t Policy,
    method: &'t [u8],
    authority: Option<&'t [u8]>,
    path: &'t [u8],
    query: Option<&'t [u8]>,
    /// `None` for CONNECT and for `OPTIONS *`, which have no path.
    judged: Option<JudgedPath<'t>>,
    route: Option<&'t Route>,
    near_miss: Option<(LeafId, NearMiss)>,
    /// Whether an encoded slash stands in it that its route does not allow, where another route may.
    stray_slash: bool,
}

/// Without the query, which may hold a key.
impl fmt::Debug for Target<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Target")
            .field("method", &shown(self.method))
            .field("segments", &self.segments())
            .field("route", &self.route.map(Route::label))
            .finish_non_exhaustive()
    }
}

impl<'t> Target<'t> {
    pub(super) fn judge(policy: &'t Policy, request: &Request<'t>) -> Result<Self, Denial> {
        if request.override_header && policy.refuses_override_header() {
            return Err(Denial::MethodOverride);
        }
        let mut target = Self {
            policy,
            method: request.method,
            authority: None,
            path: request.target,
            query: None,
            judged: None,
            route: None,
            near_miss: None,
            stray_slash: false,
        };
        if request.method == b"CONNECT" || (request.method == b"OPTIONS" && request.target == b"*") {
            return Ok(target);
        }
        let parts = Parts::split(request.target).map_err(Denial::AmbiguousPath)?;
        target.authority = parts.authority;
        target.path = parts.path;
        target.query = parts.query;
        if parts.query.is_some_and(|query| query::has_override(&policy.parameters, (request.method, query))) {
            return Err(Denial::MethodOverride);
        }
        let judged = JudgedPath::judge(parts.path).map_err(Denial::AmbiguousPath)?;
        parts.query.map_or(Ok(()), check_query_bytes).map_err(Denial::AmbiguousPath)?;
        if judged.hidden_queries().any(|hidden| query::says_anything(&policy.parameters, &hidden)) {
            return Err(Denial::AmbiguousPath(PathFault::EncodedByte));
        }
        target.choose_route(&judged).map_err(Denial::AmbiguousPath)?;
        target.judged = Some(judged);
        Ok(target)
    }

    /// The path alone chooses the template, then the method the route. An encoded slash is refused unless that route
    /// allows it: at once where none does; else by the decision, so that nobody learns without a key which routes do.
    fn choose_route(&mut self, path: &JudgedPath<'t>) -> Result<(), PathFault> {
        let has_slash = path.has_encoded_slash_from(0);
        if has_slash && !self.policy.encoded_slashes {
            return Err(PathFault::EncodedSlash);
        }
        match self.policy.trie.find(path) {
            Found::Leaf(leaf) => self.route = self.policy.route_at(leaf, self.method),
            Found::NearMiss(leaf, near) => match self.alike_whatever_is_meant(path) {
                Some(route) => self.route = Some(route),
                None => self.near_miss = Some((leaf, near)),
            },
            Found::Nothing => {}
        }
        self.stray_slash = has_slash
            && !self.route.is_some_and(|route| route.allows_encoded_slash() && self.is_one_segment(path, route));
        if self.stray_slash {
            self.route = None;
        }
        Ok(())
    }

    /// The route that the path has letter by letter, where each that some server would take it for asks for the same.
    fn alike_whatever_is_meant(&self, path: &JudgedPath<'t>) -> Option<&'t Route> {
        let policy = self.policy;
        let mut first = None;
        let mut own = None;
        for (leaf, is_exact) in policy.trie.readings(path) {
            let route = policy.route_at(leaf, self.method)?;
            if !policy.are_alike(first.get_or_insert(route), route) {
                return None;
            }
            if is_exact {
                own = Some(route);
                break;
            }
        }
        let own = own?;
        if path.is_needlessly_encoded() {
            let (leaf, _) = policy.trie.find_raw(path).filter(|(_, near)| near.is_none())?;
            policy.route_at(leaf, self.method).filter(|raw| policy.are_alike(own, raw))?;
        }
        Some(own)
    }

    /// Whether no server that decodes a slash before it parts the path would find a route that asks for something else:
    /// only ones that ask for the same, or what is left for paths that no template is about.
    fn is_one_segment(&self, path: &JudgedPath<'t>, route: &Route) -> bool {
        let parted = path.with_slashes_decoded();
        let Ok(parted) = JudgedPath::judge(&parted) else { return false };
        let readings = self.policy.trie.readings(&parted);
        let meant = readings.iter().position(|(_, is_exact)| *is_exact).map_or(readings.len(), |at| at + 1);
        let is_harmless = |leaf: LeafId| {
            let alike = |other: &Route| self.policy.are_alike(route, other);
            self.policy.route_at(leaf, self.method).is_some_and(alike) || self.policy.is_catch_all(leaf)
        };
        readings.iter().take(meant).all(|(leaf, _)| is_harmless(*leaf))
    }

    /// The method, as sent.
    #[must_use]
    pub const fn method(&self) -> &'t [u8] {
        self.method
    }

    /// Host and port of an absolute-form target.
    #[must_use]
    pub const fn authority(&self) -> Option<&'t [u8]> {
        self.authority
    }

    /// The path, in the caller's bytes: what is forwarded.
    #[must_use]
    pub const fn path(&self) -> &'t [u8] {
        self.path
    }

    /// What follows the first `?`, in the caller's bytes.
    #[must_use]
    pub const fn query(&self) -> Option<&'t [u8]> {
        self.query
    }

    /// The route that path and method chose, whoever may call it.
    #[must_use]
    pub const fn route(&self) -> Option<&'t Route> {
        self.route
    }

    /// The decoded segments, fit to be shown.
    #[must_use]
    pub fn segments(&self) -> Vec<String> {
        self.judged.iter().flat_map(JudgedPath::segments).map(|segment| shown(&segment.decoded())).collect()
    }

    /// The template that some servers would take the path for, where it is more specific than any the path matches.
    pub(super) const fn near_miss(&self) -> Option<(LeafId, NearMiss)> {
        self.near_miss
    }

    /// Whether an encoded slash stands in it that its route does not allow.
    pub(super) const fn has_stray_slash(&self) -> bool {
        self.stray_slash
    }

    pub(super) const fn judged(&self) -> Option<&JudgedPath<'t>> {
        self.judged.as_ref()
    }
}

/// The parts of a request target.
struct Parts<'t> {
    authority: Option<&'t [u8]>,
    path: &'t [u8],
    query: Option<&'t [u8]>,
}

impl<'t> Parts<'t> {
    fn split(target: &'t [u8]) -> Result<Self, PathFault> {
        let (authority, rest) = match target.first() {
            Some(b'/') => (None, target),
            _ => {
                let rest = strip_scheme(target).ok_or(PathFault::BadForm)?;
                let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
                let (authority, rest) = rest.split_at_checked(end).ok_or(PathFault::BadForm)?;
                (Some(authority), rest)
            }
        };
        if authority.is_some_and(|authority| authority.is_empty() || !authority.iter().all(is_authority_byte)) {
            return Err(PathFault::BadForm);
        }
        let mark = memchr(b'?', rest);
        let (path, query) = mark.and_then(|mark| rest.split_at_checked(mark)).unwrap_or((rest, b""));
        // RFC 9112, section 3.2.1: an absolute URL without a path means `/`.
        let path = if path.is_empty() && authority.is_some() { b"/" } else { path };
        Ok(Self { authority, path, query: query.get(1..) })
    }
}

/// What follows `http://` or `https://`.
fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    [b"http://".as_slice(), b"https://"].into_iter().find_map(|scheme| {
        let (head, rest) = target.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// The bytes of a host and a port; no user, no escapes.
fn is_authority_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:[]!$&'()*+,=".contains(byte)
}

/// RFC 3986 lets neither control bytes nor `#` nor raw non-ASCII stand in a query.
fn check_query_bytes(query: &[u8]) -> Result<(), PathFault> {
    // No early end: the compiler looks at many bytes at once.
    let bad = query.iter().fold(false, |bad, byte| bad | !matches!(byte, b'!'..=b'~') | (*byte == b'#'));
    match bad {
        false => Ok(()),
        true if query.contains(&b'#') => Err(PathFault::Fragment),
        true => Err(PathFault::ForbiddenByte),
    }
}
