//! The methods that a route may name, and the choice of a route by method once the path has chosen a template.

use super::build_error::{BuildError, FaultKind, Part};
use super::nearest::nearest;
use super::route::RouteId;

/// What may stand before a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET, POST, PUT, PATCH and DELETE, each unless named beside it.
    Any,
    /// DELETE.
    Delete,
    /// GET, and HEAD unless that is named.
    Get,
    /// HEAD.
    Head,
    /// OPTIONS; never part of `ANY`.
    Options,
    /// PATCH.
    Patch,
    /// POST.
    Post,
    /// PUT.
    Put,
}

impl Method {
    /// Every method, `ANY` first.
    pub const ALL: [Self; 8] =
        [Self::Any, Self::Delete, Self::Get, Self::Head, Self::Options, Self::Patch, Self::Post, Self::Put];

    /// The method as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "ANY",
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    /// The method of a request; `None` for one that no route can name. Letter case matters.
    const fn of_request(method: &[u8]) -> Option<Self> {
        match method {
            b"DELETE" => Some(Self::Delete),
            b"GET" => Some(Self::Get),
            b"HEAD" => Some(Self::Head),
            b"OPTIONS" => Some(Self::Options),
            b"PATCH" => Some(Self::Patch),
            b"POST" => Some(Self::Post),
            b"PUT" => Some(Self::Put),
            _ => None,
        }
    }

    /// The method that a policy names, or the fault of naming it so.
    pub(super) fn parse(word: &str) -> Result<Self, BuildError> {
        if let Some(method) = Self::ALL.into_iter().find(|method| method.as_str() == word) {
            return Ok(method);
        }
        if matches!(word, "TRACE" | "CONNECT") {
            let message = format!("{word} never passes, so no route can be written for it");
            return Err(BuildError::new(FaultKind::Contradiction, Part::Method, word, message).help("take it out"));
        }
        let message = format!("`{}` is not a method that a route can name", word.escape_debug());
        if word.split(',').all(|one| Self::ALL.iter().any(|method| method.as_str() == one)) {
            let help = format!("write `{}`", word.replace(',', "|"));
            return Err(BuildError::new(FaultKind::Malformed, Part::Method, word, message).help(help));
        }
        Err(BuildError::new(FaultKind::Unknown, Part::Method, word, message)
            .help("methods are GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS and ANY, in capitals")
            .suggest(nearest(word, Self::ALL.map(Self::as_str))))
    }
}

/// The routes of one template, by method. None of them lies across two lines of the cache.
#[derive(Clone, Debug, Default)]
#[repr(align(32))]
pub(super) struct MethodTable {
    slots: [Option<RouteId>; Method::ALL.len()],
}

impl MethodTable {
    /// No routes at all.
    pub(super) const EMPTY: Self = Self { slots: [None; Method::ALL.len()] };

    /// Puts a route in.
    pub(super) fn insert(&mut self, method: Method, route: RouteId) {
        if let Some(slot) = self.slots.get_mut(method as usize) {
            *slot = Some(route);
        }
    }

    /// The route that a request's method chooses: a named method beats `ANY`, HEAD follows GET unless named.
    pub(super) fn choose(&self, method: &[u8]) -> Option<RouteId> {
        let method = Method::of_request(method)?;
        let fallbacks: &[Method] = match method {
            Method::Head => &[Method::Get, Method::Any],
            Method::Options => &[],
            _ => &[Method::Any],
        };
        self.slot(method).or_else(|| fallbacks.iter().find_map(|method| self.slot(*method)))
    }

    /// The route written for exactly this method.
    pub(super) fn slot(&self, method: Method) -> Option<RouteId> {
        self.slots.get(method as usize).copied().flatten()
    }

    /// The methods that are written, with their routes.
    pub(super) fn written(&self) -> impl Iterator<Item = (Method, RouteId)> + '_ {
        Method::ALL.into_iter().filter_map(|method| Some((method, self.slot(method)?)))
    }
}
