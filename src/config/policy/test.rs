//! The tests in a policy file: requests with the decision that is expected of them.

pub mod coverage;
pub mod mutate;
pub(super) mod read;

use crate::config::fault::Fault;
use crate::config::text::{printable, quoted};
use crate::policy::{Caller, Denial, Policy, Principal, Request, RouteId, Trace};

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
}

/// What a test expects. What is `None` is not looked at.
#[derive(Debug, Default)]
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

    /// The line of the test in its file.
    pub fn line(&self) -> u32 {
        self.place.line
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
        let help = format!("the decision was: {}", actual.reason);
        Err(Fault { message: printable(&message), help: Some(printable(&help)), ..self.place.clone() })
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
                reason: format!("{} {}", denial.status(), denial.code()),
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
