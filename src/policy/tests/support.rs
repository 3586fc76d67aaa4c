//! Policies and requests in few words.

use std::sync::Arc;

use super::super::*;

/// A policy that is written like the file: `GET /profiles` and `profiles:read`.
pub(super) struct Draft {
    pub(super) vocabulary: Vocabulary,
    pub(super) builder: Builder,
    line: u32,
}

impl Draft {
    pub(super) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(super) fn with(options: Options) -> Self {
        Self::sharing(options, &Vocabulary::new())
    }

    /// A policy whose scopes are those of other policies too.
    pub(super) fn sharing(options: Options, vocabulary: &Vocabulary) -> Self {
        Self { builder: Policy::builder(options, vocabulary), vocabulary: vocabulary.clone(), line: 0 }
    }

    pub(super) fn scope(mut self, name: &str, implies: &[&str]) -> Self {
        let info = ScopeInfo { implies: owned(implies), ..ScopeInfo::default() };
        self.builder.declare_scope(name, info).unwrap();
        self
    }

    /// A scope that is declared `access: read`.
    pub(super) fn reading_scope(mut self, name: &str) -> Self {
        let info = ScopeInfo { access_read: true, ..ScopeInfo::default() };
        self.builder.declare_scope(name, info).unwrap();
        self
    }

    pub(super) fn parameter(mut self, name: &str, (list, dotted): (List, bool)) -> Self {
        self.builder.declare_parameter(name, ParameterSpec { list, dotted, members: Vec::new() }).unwrap();
        self
    }

    pub(super) fn bind(mut self, attribute: &str, parameter: &str) -> Self {
        self.builder.bind(attribute, parameter).unwrap();
        self
    }

    /// A route that asks for all of `scopes`; none stands for `auth: key`.
    pub(super) fn route(self, route: &str, scopes: &[&str]) -> Self {
        let access = match scopes {
            [] => AccessSpec::Key,
            _ => AccessSpec::Scopes { all_of: owned(scopes), any_of: Vec::new() },
        };
        self.spec(RouteSpec { access, ..written(route) })
    }

    pub(super) fn open(self, route: &str, access: AccessSpec) -> Self {
        self.spec(RouteSpec { access, ..written(route) })
    }

    pub(super) fn spec(mut self, spec: RouteSpec) -> Self {
        self.try_spec(spec).unwrap();
        self
    }

    /// Each route has the line after the one before.
    pub(super) fn try_spec(&mut self, spec: RouteSpec) -> Result<Vec<RouteId>, Vec<BuildError>> {
        self.line += 1;
        self.builder.route(RouteSpec { line: self.line, ..spec })
    }

    pub(super) fn finish(self) -> Gate {
        Gate { policy: self.builder.finish().unwrap(), vocabulary: self.vocabulary }
    }
}

/// A policy to ask.
pub(super) struct Gate {
    pub(super) policy: Policy,
    pub(super) vocabulary: Vocabulary,
}

impl Gate {
    /// The code of the answer to `request` (`GET /path?query`) from a secret key with `scopes`; `allow` where it passes.
    pub(super) fn ask(&self, request: &str, scopes: &[&str]) -> &'static str {
        let key = self.key(scopes);
        self.ask_as(request, &Caller::Known(&key))
    }

    pub(super) fn ask_full(&self, request: &str) -> &'static str {
        let key = key_with(Grant::Full);
        self.ask_as(request, &Caller::Known(&key))
    }

    pub(super) fn ask_as(&self, request: &str, caller: &Caller<'_>) -> &'static str {
        match self.policy.judge(&parsed(request)) {
            Err(denial) => denial.code(),
            Ok(target) => self.policy.decide(caller, &target).denial().map_or("allow", Denial::code),
        }
    }

    pub(super) fn explain(&self, request: &str, scopes: &[&str]) -> Explanation {
        let key = self.key(scopes);
        let target = self.policy.judge(&parsed(request)).unwrap();
        self.policy.decide(&Caller::Known(&key), &target).explain()
    }

    /// The label of the route that a request belongs to.
    pub(super) fn label(&self, request: &str) -> Option<String> {
        let target = self.policy.judge(&parsed(request)).unwrap();
        target.route().map(|route| route.label().to_owned())
    }

    /// The label of the route of a path, if the path is sound and has one.
    pub(super) fn label_of(&self, method: &str, path: &str) -> Option<String> {
        let request = Request { method: method.as_bytes(), target: path.as_bytes(), override_header: false };
        self.policy.judge(&request).ok()?.route().map(|route| route.label().to_owned())
    }

    pub(super) fn key(&self, scopes: &[&str]) -> Principal {
        key_with(Grant::Custom(self.vocabulary.intern_all(scopes.iter().copied())))
    }
}

pub(super) fn key_with(grant: Grant) -> Principal {
    key_bound_to(grant, None, &[])
}

pub(super) fn key_bound_to(grant: Grant, account: Option<&str>, attributes: &[(&str, &str)]) -> Principal {
    let attributes = attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let rights = Rights::new(Kind::Secret, (grant, ""), attributes);
    Principal::new(account.map(|name| Arc::new(Account::new(name))), Arc::new(rights))
}

impl Principal {
    /// The same of another kind.
    pub(super) fn of_kind(&self, kind: Kind) -> Self {
        let rights = Rights::new(kind, (self.grant().clone(), ""), self.rights().attributes().into());
        Self::new(self.account().map(|name| Arc::new(Account::new(name))), Arc::new(rights))
    }

    /// The same of another account.
    pub(super) fn of_account(&self, account: &str) -> Self {
        Self::new(Some(Arc::new(Account::new(account))), Arc::new(self.rights().clone()))
    }
}

/// `GET /path` as a request without an override header.
pub(super) fn parsed(request: &str) -> Request<'_> {
    let (method, target) = request.split_once(' ').unwrap();
    Request { method: method.as_bytes(), target: target.as_bytes(), override_header: false }
}

/// `POST|PATCH /path` as a route for any secret key.
pub(super) fn written(route: &str) -> RouteSpec {
    let (methods, template) = route.split_once(' ').unwrap();
    RouteSpec::new(methods.split('|').map(str::to_owned).collect(), template, AccessSpec::Key)
}

pub(super) fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
