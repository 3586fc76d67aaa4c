//! Every answer that the gateway makes itself, as the caller reads it: one picture for each format.

use super::*;
use crate::policy::{Denial, Trace};
use crate::snapshot::Limits;
use crate::telemetry::label::Code;

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
    let denials = Denial::ALL.iter().map(|denial| {
        let told = trace(*denial).map(|trace| Told::new(trace, Mask::new("sg")));
        picture(&Reply::denial(*denial, told.as_ref()), format)
    });
    let limits = Limits { body_bytes: Some(10_485_760), ..Limits::default() };
    let errors = ProxyError::ALL.iter().map(|error| picture(&Reply::error(*error, &error.detail(&limits)), format));
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
fn every_code_is_one_reasons_alone_and_has_a_label_in_the_metrics() {
    let mut codes: Vec<&str> = Denial::ALL.iter().map(|denial| denial.code()).collect();
    codes.extend(ProxyError::ALL.iter().map(|error| error.code()));
    codes.sort_unstable();
    let labels: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes, labels);
}

#[test]
fn every_status_has_its_phrase() {
    let statuses =
        Denial::ALL.iter().map(|denial| denial.status()).chain(ProxyError::ALL.iter().map(|error| error.status()));
    for status in statuses {
        // What is in no row gets the phrase of 500.
        assert_eq!(reason(status) == reason(500), status == 500, "{status}");
    }
}
