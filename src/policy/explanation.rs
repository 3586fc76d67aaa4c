//! A decision with the steps that led to it, for `explain`.

use super::decision::Decision;
use super::trace::Trace;

/// A decision, its reasons and its steps, told to whoever runs the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The reasons. Unlike in an answer, the route is named whoever asked.
    pub trace: Trace,
    /// The decoded segments of the path, as they were compared.
    pub segments: Vec<String>,
    /// Every template whose shape the path has, the most specific first.
    pub candidates: Vec<Candidate>,
    /// Whether the path is one of a more specific template but for letter case, so that no template matches it.
    pub near_miss: bool,
}

/// A template that a path could belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The template, base included, as the first route on it writes it.
    pub template: String,
    /// The methods that it has.
    pub methods: Vec<&'static str>,
    /// Whether the path chose it.
    pub chosen: bool,
}

impl Explanation {
    pub(super) fn of(decision: &Decision<'_>) -> Self {
        Self {
            trace: Trace::full(decision),
            segments: decision.target.segments(),
            candidates: decision.policy.candidates(decision.target),
            near_miss: decision.target.is_near_miss(),
        }
    }
}
