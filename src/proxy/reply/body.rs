//! The three forms of an error body.

use serde::Serialize;

use crate::policy::Trace;
use crate::snapshot::{Accept, ErrorFormat};

use super::{Reply, Setting, Source};

/// What a denial tells beyond its sentence. Empty members are left out.
#[derive(Serialize)]
struct Facts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    required: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    any_of: &'a [Vec<String>],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a str>,
}

impl<'a> Facts<'a> {
    fn of(trace: Option<&'a Trace>) -> Self {
        Self {
            route: trace.and_then(|trace| trace.route.as_deref()),
            required: trace.map_or(&[], |trace| &trace.required),
            missing: trace.map_or(&[], |trace| &trace.missing),
            any_of: trace.map_or(&[], |trace| &trace.any_of),
            parameter: trace.and_then(|trace| trace.parameter.as_deref()),
            member: trace.and_then(|trace| trace.member.as_deref()),
        }
    }

    fn is_empty(&self) -> bool {
        self.route.is_none() && self.required.is_empty() && self.parameter.is_none()
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: Urn<'a>,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    request_id: &'a str,
    #[serde(flatten)]
    facts: Facts<'a>,
}

/// `urn:scopegate:problem:` and the code.
struct Urn<'a>(&'a str);

impl Serialize for Urn<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("urn:scopegate:problem:{}", self.0))
    }
}

#[derive(Serialize)]
struct JsonApi<'a> {
    errors: [JsonApiError<'a>; 1],
}

#[derive(Serialize)]
struct JsonApiError<'a> {
    id: &'a str,
    status: StatusText,
    code: &'a str,
    title: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<JsonApiSource<'a>>,
    #[serde(skip_serializing_if = "Facts::is_empty")]
    meta: Facts<'a>,
}

/// JSON:API has the status as a string.
struct StatusText(u16);

impl Serialize for StatusText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum JsonApiSource<'a> {
    Header(&'a str),
    Parameter(&'a str),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Mailjet<'a> {
    error_identifier: &'a str,
    status_code: u16,
    error_code: &'a str,
    error_message: &'a str,
}

/// Appends the body in the configured form; returns its media type.
pub(super) fn write(reply: &Reply<'_>, setting: &Setting<'_>, out: &mut Vec<u8>) -> &'static str {
    // Request ids are checked to be visible ASCII when they are taken over, so this is never the empty string.
    let request_id = std::str::from_utf8(setting.request_id).unwrap_or_default();
    let (media_type, written) = match setting.format {
        ErrorFormat::JsonApi => {
            ("application/vnd.api+json", serde_json::to_writer(out, &json_api(reply, request_id, setting.accept)))
        }
        ErrorFormat::Mailjet => ("application/json", serde_json::to_writer(out, &mailjet(reply, request_id))),
        ErrorFormat::Problem => ("application/problem+json", serde_json::to_writer(out, &problem(reply, request_id))),
    };
    debug_assert!(written.is_ok(), "writing plain structures into memory cannot fail");
    media_type
}

fn problem<'a>(reply: &Reply<'a>, request_id: &'a str) -> Problem<'a> {
    Problem {
        r#type: Urn(reply.code),
        title: reply.title,
        status: reply.status,
        code: reply.code,
        detail: reply.detail,
        request_id,
        facts: Facts::of(reply.trace),
    }
}

/// The first place where a key is looked for.
fn place_of_key(accept: &Accept) -> JsonApiSource<'_> {
    if accept.bearer || accept.basic || !accept.schemes.is_empty() {
        return JsonApiSource::Header("Authorization");
    }
    let header = accept.headers.first().map(|name| JsonApiSource::Header(name));
    let parameter = || accept.query.first().map(|name| JsonApiSource::Parameter(name));
    header.or_else(parameter).unwrap_or(JsonApiSource::Header("Cookie"))
}

fn json_api<'a>(reply: &Reply<'a>, request_id: &'a str, accept: &'a Accept) -> JsonApi<'a> {
    JsonApi {
        errors: [JsonApiError {
            id: request_id,
            status: StatusText(reply.status),
            code: reply.code,
            title: reply.title,
            detail: reply.detail,
            source: reply.source.map(|source| match source {
                Source::Key => place_of_key(accept),
                Source::Parameter(name) => JsonApiSource::Parameter(name),
            }),
            meta: Facts::of(reply.trace),
        }],
    }
}

fn mailjet<'a>(reply: &Reply<'a>, request_id: &'a str) -> Mailjet<'a> {
    Mailjet {
        error_identifier: request_id,
        status_code: reply.status,
        error_code: reply.code,
        error_message: reply.detail,
    }
}
