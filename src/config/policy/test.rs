//! The tests in a policy file: requests with the decision that is expected of them.

pub mod coverage;
pub mod mutate;
pub(super) mod read;

use crate::config::fault::Fault;
use crate::config::text::quoted;
use crate::key::visible::escaped;
use crate::policy::{Caller, Denial, Policy, Principal, Request, RouteId, Trace};
use crate::yaml::Span;

/// One test: a request, who makes it, and what is expected.
#[derive(Debug)]
pub struct PolicyTest {
    method: String,
    target: String,
    /// `None`: nobody, without a key.
    principal: Option<Principal>,
    expected: Expected,
    /// The place of the test; a failure says its piece there.
    place: Fault,
    /// The same as bytes of the file.
    span: Span,
}

/// What a test expects. What is `None` is not looked at.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    allow: bool,
    code: Option<String>,
    missing: Option<Vec<String>>,
    parameter: Option<String>,
    member: Option<String>,
}

/// What came of a test's request, as far as tests look at it.
#[derive(Debug, Default)]
struct Actual {
    allow: bool,
    code: Option<String>,
    missing: Vec<String>,
    parameter: Option<String>,
    member: Option<String>,
    reason: String,
}

/// Runs `tests` against the policy that they were read with; gives the failures, each at the line of its test.
pub fn run_tests(policy: &Policy, tests: &[PolicyTest]) -> Vec<Fault> {
    tests.iter().filter_map(|test| test.run(policy).err()).collect()
}

impl PolicyTest {
    /// The request as it is written: method, space, target.
    pub fn request(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// Runs the test.
    ///
    /// # Errors
    /// What was expected and what came instead, at the place of the test.
    pub fn run(&self, policy: &Policy) -> Result<(), Fault> {
        let actual = self.decide(policy);
        let differences = self.expected.differences(&actual);
        if differences.is_empty() {
            return Ok(());
        }
        let request = quoted(&self.request());
        let message = format!("the test {request} failed: {}", differences.join("; "));
        let meant = self.with_base(policy).filter(|_| actual.code.as_deref() == Some(Denial::RouteNotAllowed.code()));
        let help = match meant {
            Some(meant) => format!("did you mean `{meant}`? (the base is `{}`)", policy.base()),
            None => format!("the decision was: {}", actual.reason),
        };
        Err(Fault { message: escaped(&message), help: Some(escaped(&help)), ..self.place.clone() })
    }

    /// Where the request of the test stands.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// Whether `other` is this test once more.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        let same_request = self.method == other.method && self.target == other.target;
        same_request && self.principal == other.principal && self.expected == other.expected
    }

    /// Whether a denial is expected that needs no rule at all, since no route has the path, and the test does not say so.
    pub(super) fn misses_every_route(&self, policy: &Policy) -> bool {
        if self.expected.allow || self.expected.code.is_some() {
            return false;
        }
        let Ok(target) = policy.judge(&self.as_sent()) else { return false };
        let steps = policy.decide(&self.caller(), &target).explain();
        let is_unrouted = steps.trace.code == Some(Denial::RouteNotAllowed.code());
        is_unrouted && steps.candidates.is_empty() && steps.near_miss.is_none()
    }

    /// The request with the base before its target, where a route then has its path.
    pub(super) fn with_base(&self, policy: &Policy) -> Option<String> {
        let target = format!("{}{}", policy.base(), self.target);
        let request = Request { method: self.method.as_bytes(), target: target.as_bytes(), override_header: false };
        let found = !policy.base().is_empty() && policy.judge(&request).ok()?.route().is_some();
        found.then(|| format!("{} {target}", self.method))
    }

    /// The names of the attributes of the caller, each once.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        let attributes = self.principal.as_ref().map_or(&[][..], |principal| principal.rights().attributes());
        let names = attributes.iter().enumerate();
        names
            .filter_map(|(at, (name, _))| attributes.iter().take(at).all(|(other, _)| other != name).then_some(&**name))
    }

    /// The route that the request belongs to, and the scopes that decided about it.
    fn exercised(&self, policy: &Policy) -> (Option<RouteId>, Vec<String>) {
        let Ok(target) = policy.judge(&self.as_sent()) else { return (None, Vec::new()) };
        let decision = policy.decide(&self.caller(), &target);
        let weighed = matches!(decision.denial(), None | Some(Denial::InsufficientScope));
        let scopes = if weighed { decision.explain().trace.required } else { Vec::new() };
        (decision.route().map(crate::policy::Route::id), scopes)
    }

    fn as_sent(&self) -> Request<'_> {
        Request { method: self.method.as_bytes(), target: self.target.as_bytes(), override_header: false }
    }

    fn caller(&self) -> Caller<'_> {
        self.principal.as_ref().map_or(Caller::Anonymous, Caller::Known)
    }

    fn decide(&self, policy: &Policy) -> Actual {
        let caller = self.caller();
        match policy.judge(&self.as_sent()) {
            Ok(target) => Actual::from(policy.decide(&caller, &target).explain().trace),
            Err(denial) => Actual {
                code: Some(denial.code().to_owned()),
                reason: format!("{} {}. {}", denial.status(), denial.code(), denial.detail()),
                ..Actual::default()
            },
        }
    }
}

impl From<Trace> for Actual {
    fn from(trace: Trace) -> Self {
        Self {
            allow: trace.code.is_none(),
            code: trace.code.map(str::to_owned),
            missing: trace.missing,
            parameter: trace.parameter,
            member: trace.member,
            reason: trace.reason,
        }
    }
}

impl Expected {
    /// In words, what is not as it was expected.
    fn differences(&self, actual: &Actual) -> Vec<String> {
        let word = |allow: bool| if allow { "allow" } else { "deny" };
        if self.allow != actual.allow {
            return vec![format!("expected `{}`, got `{}`", word(self.allow), word(actual.allow))];
        }
        let mut differences = Vec::new();
        let singles = [
            ("code", &self.code, &actual.code),
            ("parameter", &self.parameter, &actual.parameter),
            ("member", &self.member, &actual.member),
        ];
        for (name, expected, actual) in singles {
            if expected.is_some() && expected != actual {
                let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
                differences.push(format!("expected `{name}: {}`, got `{}`", shown(expected), shown(actual)));
            }
        }
        if let Some(missing) = self.missing.as_ref().filter(|missing| **missing != actual.missing) {
            let (expected, got) = (missing.join(", "), actual.missing.join(", "));
            differences.push(format!("expected `missing: [{expected}]`, got `[{got}]`"));
        }
        differences
    }
}
