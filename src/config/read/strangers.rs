//! Fields that are not known where they stand, and where they may belong.

use super::{Reader, list_of};
use crate::yaml::{Entry, Span};

/// Where `scopegate.yaml` has the fields that are often looked for elsewhere. What is found here is what was meant, however near
/// the name is to another.
const ELSEWHERE: [(&str, &[&str]); 8] = [
    ("cors", &["max_age", "origins"]),
    ("drain", &["delay"]),
    ("keys", &["accept", "max_stale", "pepper", "prefix", "record_use", "rotate_after", "snapshot", "store"]),
    (
        "limits",
        &[
            "body_bytes",
            "body_stall",
            "connection_age",
            "connections",
            "connections_per_address",
            "h2_resets",
            "h2_streams",
            "header_bytes",
            "header_timeout",
            "requests_per_connection",
            "target_bytes",
            "write_stall",
        ],
    ),
    ("log", &["access", "format", "level", "output"]),
    ("tls", &["cert", "client_ca", "min_version"]),
    (
        "upstream",
        &["credential", "credentials", "health", "max_pending", "protocol", "retries", "timeouts", "url", "urls"],
    ),
    ("upstream.health", &["eject_after", "interval"]),
];

/// The fields of a policy that stand at its top alone.
const AT_THE_TOP: [&str; 5] = ["base", "bind", "method_override", "parameters", "paths"];

impl Reader<'_> {
    /// What to do about an unknown field.
    pub(super) fn place_of_stranger(&self, entry: &Entry, (near, known): (Option<&str>, &[&str])) -> String {
        let elsewhere = ELSEWHERE.iter().find(|(_, fields)| fields.contains(&&*entry.key));
        if let Some((section, _)) = elsewhere.filter(|_| self.substitution.is_some()) {
            return format!("it belongs into `{section}`: `{section}.{}`", entry.key);
        }
        if self.substitution.is_none() && AT_THE_TOP.contains(&&*entry.key) {
            return format!("`{}` stands at the top of the policy, beside `routes`", entry.key);
        }
        // A value with a comma, cut in two: what follows the comma is a key that says nothing.
        let is_rest = entry.value.scalar().is_some_and(|scalar| scalar.plain && scalar.text.is_empty());
        match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if is_rest && !self.is_on_its_own(entry.key_span) => {
                "a value with `,` needs quotes within `{ … }`, as in `\"GET /x?include=a,b\"`".to_owned()
            }
            None => format!("known here: {}", list_of(known)),
        }
    }

    /// Whether nothing stands before `span` on its line.
    fn is_on_its_own(&self, span: Span) -> bool {
        self.text.line_span(self.text.line(span)).is_some_and(|line| line.start == span.start)
    }
}
