use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Denial, Refusal, reason};
use super::scenarios::{policies, requests};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_an_answer_says_is_what_the_trace_has(mut policy in policies(), asked in vec(requests(), 4)) {
        let gate = policy.build();
        for asked in asked {
            let asked = asked.along(&policy);
            asked.decided(&gate, |decision| {
                let told = decision.denial().filter(|denial| !denial.precedes_route());
                let expected = told.map(|_| Refusal::from(decision.trace()));
                prop_assert_eq!(decision.refusal(), expected, "{:?}", asked);
                if let Some(denial) = decision.denial().filter(|denial| denial.precedes_route()) {
                    // What is left out, the denial says alone.
                    let trace = Refusal::from(decision.trace());
                    prop_assert_eq!(&trace.reason, denial.detail());
                    prop_assert!(trace.route.is_none() && trace.required.is_empty() && trace.missing.is_empty());
                    prop_assert!(trace.any_of.is_empty() && trace.parameter.is_none() && trace.member.is_none());
                }
                Ok(())
            }).unwrap_or(Ok(()))?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_where_all_scopes_are_missing_is_the_same_whoever_asks(
        mut policy in policies(),
        asked in vec(requests(), 4),
    ) {
        let gate = policy.build();
        for asked in asked {
            let asked = asked.along(&policy);
            asked.decided(&gate, |decision| {
                let refusal = decision.refusal();
                let is_one = decision.denial() == Some(Denial::InsufficientScope)
                    && decision.query.is_none()
                    && refusal.as_ref().is_some_and(|told| told.any_of.is_empty() && told.missing == told.required);
                prop_assert_eq!(decision.lacks_all().is_some(), is_one, "{:?}", asked);
                if let Some(route) = decision.lacks_all() {
                    let scopes = gate.policy.names(&route.requirement().all_of);
                    let expected = Refusal {
                        reason: reason::of_lacking(&scopes, route.label()),
                        route: Some(route.label().into()),
                        required: scopes.iter().map(Into::into).collect(),
                        missing: scopes.iter().map(Into::into).collect(),
                        any_of: Vec::new(),
                        parameter: None,
                        member: None,
                    };
                    prop_assert_eq!(refusal, Some(expected), "{:?}", asked);
                }
                Ok(())
            }).unwrap_or(Ok(()))?;
        }
    }
}
