//! Every answer that the gateway makes itself, as the caller reads it: one picture for each format.

use super::*;
use crate::policy::{Denial, Invalid, PathFault};

/// Every denial, once.
const DENIALS: [Denial; 14] = [
    Denial::AddressNotAllowed,
    Denial::AmbiguousKey,
    Denial::AmbiguousPath(PathFault::DotSegment),
    Denial::AmbiguousQuery,
    Denial::ExpiredKey,
    Denial::InsufficientScope,
    Denial::InvalidKey(Invalid::Unknown),
    Denial::KeyKindNotAllowed,
    Denial::KeyStoreUnavailable,
    Denial::MethodOverride,
    Denial::MissingKey,
    Denial::OutsideBinding,
    Denial::QueryNotAllowed,
    Denial::RouteNotAllowed,
];

/// Every error, once.
const ERRORS: [ProxyError; 12] = [
    ProxyError::BadRequest("What is wrong with the request."),
    ProxyError::BodyTooLarge,
    ProxyError::ExpectationFailed,
    ProxyError::HeadersTooLarge,
    ProxyError::Internal,
    ProxyError::MisdirectedRequest,
    ProxyError::Overloaded,
    ProxyError::RequestTimeout,
    ProxyError::TargetTooLong,
    ProxyError::UpstreamFailed("What is wrong with the answer."),
    ProxyError::UpstreamTimeout,
    ProxyError::UpstreamUnreachable,
];

/// What the decision saw, where the caller may know it.
fn trace(denial: Denial) -> Option<Trace> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let trace = Trace {
        decision: "deny",
        status: denial.status(),
        code: Some(denial.code()),
        reason: denial.detail().to_owned(),
        route: Some("GET /api/profiles/{id}".to_owned()),
        required: Vec::new(),
        granted: Vec::new(),
        missing: Vec::new(),
        because: Vec::new(),
        any_of: Vec::new(),
        parameter: None,
        member: None,
    };
    match denial {
        Denial::InsufficientScope => Some(Trace {
            required: words(&["lists:read", "profiles:read"]),
            missing: words(&["lists:read"]),
            any_of: vec![words(&["admin"]), words(&["lists:read", "profiles:read"])],
            ..trace
        }),
        Denial::AmbiguousQuery => Some(Trace { parameter: Some("include".to_owned()), ..trace }),
        Denial::QueryNotAllowed => {
            Some(Trace { parameter: Some("include".to_owned()), member: Some("tags".to_owned()), ..trace })
        }
        Denial::KeyKindNotAllowed | Denial::OutsideBinding => Some(trace),
        _ => None,
    }
}

/// The answer as it goes out, without the fields that every answer has alike and with its body in lines.
fn picture(reply: &Reply<'_>, format: ErrorFormat) -> String {
    let accept = Accept { bearer: true, basic: true, schemes: vec!["Klaviyo-API-Key".into()], ..Accept::default() };
    let setting = Setting {
        accept: &accept,
        format,
        request_id: b"[request id]",
        date: *b"Thu, 01 Jan 1970 00:00:00 GMT",
        origin: b"",
        head: false,
        connection: Connection::Persistent,
        grpc: false,
    };
    let mut out = Vec::new();
    let length = reply.write(&setting, &mut out);
    let text = String::from_utf8(out).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), length);
    assert!(head.contains("\r\ncache-control: no-store\r\n") && head.contains("\r\nx-request-id: [request id]\r\n"));
    let alike = ["content-length: ", "date: ", "cache-control: ", "x-request-id: "];
    let told: Vec<&str> = head.lines().filter(|line| !alike.iter().any(|name| line.starts_with(name))).collect();
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    format!("{}\n{}", told.join("\n"), serde_json::to_string_pretty(&json).unwrap())
}

/// Every answer in one format.
fn gallery(format: ErrorFormat) -> String {
    let denials = DENIALS.iter().map(|denial| {
        let told = trace(*denial).map(|trace| Told::new(trace, Mask::new("sg")));
        picture(&Reply::denial(*denial, told.as_ref()), format)
    });
    let errors = ERRORS.iter().map(|error| picture(&Reply::error(*error), format));
    denials.chain(errors).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn every_answer_as_a_problem() {
    insta::assert_snapshot!(gallery(ErrorFormat::Problem));
}

#[test]
fn every_answer_as_json_api() {
    insta::assert_snapshot!(gallery(ErrorFormat::JsonApi));
}

#[test]
fn every_answer_in_mailjets_form() {
    insta::assert_snapshot!(gallery(ErrorFormat::Mailjet));
}

#[test]
fn no_denial_and_no_error_is_missing_here() {
    // Whoever adds a variant is led here by the compiler, and adds it to the lists above.
    for denial in DENIALS {
        match denial {
            Denial::AddressNotAllowed
            | Denial::AmbiguousKey
            | Denial::AmbiguousPath(_)
            | Denial::AmbiguousQuery
            | Denial::ExpiredKey
            | Denial::InsufficientScope
            | Denial::InvalidKey(_)
            | Denial::KeyKindNotAllowed
            | Denial::KeyStoreUnavailable
            | Denial::MethodOverride
            | Denial::MissingKey
            | Denial::OutsideBinding
            | Denial::QueryNotAllowed
            | Denial::RouteNotAllowed => {}
        }
    }
    for error in ERRORS {
        match error {
            ProxyError::BadRequest(_)
            | ProxyError::BodyTooLarge
            | ProxyError::ExpectationFailed
            | ProxyError::HeadersTooLarge
            | ProxyError::Internal
            | ProxyError::MisdirectedRequest
            | ProxyError::Overloaded
            | ProxyError::RequestTimeout
            | ProxyError::TargetTooLong
            | ProxyError::UpstreamFailed(_)
            | ProxyError::UpstreamTimeout
            | ProxyError::UpstreamUnreachable => {}
        }
    }
    let codes: std::collections::BTreeSet<&str> =
        DENIALS.iter().map(|denial| denial.code()).chain(ERRORS.iter().map(|error| error.code())).collect();
    assert_eq!(codes.len(), DENIALS.len() + ERRORS.len(), "each has a code of its own");
}
