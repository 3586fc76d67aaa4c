//! Reads the `tests` of a policy file.

use std::sync::Arc;

use super::{Expected, PolicyTest};
use crate::config::policy::words;
use crate::config::read::{Field, Fields, Reader};
use crate::config::text::quoted;
use crate::config::unit::Complaint;
use crate::policy::nearest;
use crate::policy::{Account, Denial, Grant, Kind, Policy, Principal, Rights, Vocabulary};
use crate::yaml::Value;

/// The policy, where it is sound, and where its scopes have their numbers.
type Known<'k> = (Option<&'k Policy>, &'k Vocabulary);

/// Reads `tests`.
pub(in crate::config::policy) fn read(reader: &mut Reader<'_>, field: &Field<'_>, known: Known<'_>) -> Vec<PolicyTest> {
    let items = reader.items(field);
    items.iter().filter_map(|item| test(reader, item, known)).collect()
}

fn test(reader: &mut Reader<'_>, item: &Field<'_>, known: Known<'_>) -> Option<PolicyTest> {
    const KNOWN: [&str; 11] = [
        "request",
        "scopes",
        "grant",
        "key",
        "account",
        "attributes",
        "expect",
        "code",
        "missing",
        "parameter",
        "member",
    ];
    let fields = reader.fields(item, &KNOWN)?;
    let request = match fields.find("request") {
        Some(request) => reader.parse(&request, method_and_target).map(|parts| (parts, request.node.span)),
        None if fields.means("request") => None,
        None => {
            reader.complain(item, Complaint::new("a test has no `request`", "write `request: GET /path`"));
            None
        }
    };
    let principal = principal(reader, item, (&fields, known));
    let expected = expected(reader, item, &fields);
    let ((method, target), span) = request?;
    Some(PolicyTest { method, target, principal: principal?, expected: expected?, place: reader.prepare(span), span })
}

fn method_and_target(text: &str) -> Result<(String, String), Complaint> {
    match text.split_once(' ') {
        Some((method, target)) if !method.is_empty() && !target.is_empty() && !target.contains(' ') => {
            Ok((method.to_owned(), target.to_owned()))
        }
        _ => Err(Complaint::new(
            format!("{} is not a method and a target", quoted(text)),
            "write them with one space between, as in `GET /api/profiles/1?include=lists`",
        )),
    }
}

/// Who makes the request; `Some(None)` is nobody.
fn principal(
    reader: &mut Reader<'_>,
    item: &Field<'_>,
    (fields, known): (&Fields<'_>, Known<'_>),
) -> Option<Option<Principal>> {
    let grant = match (fields.find("scopes"), fields.find("grant"), fields.find("key")) {
        (Some(scopes), None, None) => held(reader, &scopes, known)?,
        (None, Some(grant), None) => reader
            .choice(&grant, &[("full", true), ("read-only", false)])
            .map(|full| if full { Grant::Full } else { Grant::ReadOnly })?,
        (None, None, Some(key)) => return reader.choice(&key, &[("none", ())]).map(|()| None),
        (None, None, None) if ["scopes", "grant", "key"].iter().any(|name| fields.means(name)) => return None,
        _ => {
            let help = "write one of `scopes: […]`, `grant: full`, `grant: read-only` and `key: none`";
            reader.complain(item, Complaint::new("a test must say who makes the request, in one way", help));
            return None;
        }
    };
    let account = fields.find("account").map(|account| reader.string(&account));
    let attributes = fields.find("attributes").map(|attributes| attribute_values(reader, &attributes));
    let account = account.map_or(Some(None), |account| account.map(Some))?;
    let account = account.map(|account| Arc::new(Account::new(account.value)));
    // No upstream is told of the key of a test.
    let rights = Rights::new(Kind::Secret, (grant, ""), attributes.unwrap_or_default().into());
    Some(Some(Principal::new(account, rights.into())))
}

/// The scopes of a test's key; none at all is a key that holds nothing.
fn held(reader: &mut Reader<'_>, field: &Field<'_>, (policy, vocabulary): Known<'_>) -> Option<Grant> {
    let names = match &field.node.value {
        Value::List(items) if items.is_empty() => Vec::new(),
        _ => words(reader, field, "the scopes that the key holds")?,
    };
    if let Some(policy) = policy {
        known_scopes(reader, field, policy, &names)?;
    }
    Some(Grant::Custom(vocabulary.intern_all(names.iter().map(String::as_str))))
}

/// Notes each of `names` that the policy does not know.
fn known_scopes(reader: &mut Reader<'_>, field: &Field<'_>, policy: &Policy, names: &[String]) -> Option<()> {
    let mut all = Some(());
    for name in names.iter().filter(|name| !policy.knows(name)) {
        let help = match reader.nearest(name, policy.scopes().map(|(known, _)| known)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name a scope of this policy".to_owned(),
        };
        let complaint = Complaint::new(format!("the policy does not know the scope {}", quoted(name)), help);
        reader.complain(field, complaint);
        all = None;
    }
    all
}

/// `attributes`: a value or a list of values by name.
fn attribute_values(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<(Box<str>, Box<str>)> {
    let Some(fields) = reader.map(field) else { return Vec::new() };
    let mut values = Vec::new();
    for entry in fields.entries() {
        let read = words(reader, &fields.field(entry), "a value, or a list of values");
        values.extend(read.into_iter().flatten().map(|value| (entry.key.clone(), value.into_boxed_str())));
    }
    values
}

fn expected(reader: &mut Reader<'_>, item: &Field<'_>, fields: &Fields<'_>) -> Option<Expected> {
    let Some(expect) = fields.find("expect") else {
        reader.complain(item, Complaint::new("a test has no `expect`", "write `expect: allow` or `expect: deny`"));
        return None;
    };
    let allow = reader.choice(&expect, &[("allow", true), ("deny", false)])?;
    let details = ["code", "missing", "parameter", "member"];
    if let Some(detail) = details.iter().find_map(|name| fields.find(name)).filter(|_| allow) {
        let complaint =
            Complaint::new("says why a request is denied, and this one is expected to be allowed", "remove it");
        reader.complain(&detail, complaint);
        return None;
    }
    let mut text = |name: &str| fields.find(name).and_then(|field| reader.string(&field)).map(|text| text.value);
    let (code, parameter, member) = (text("code"), text("parameter"), text("member"));
    let missing = match fields.find("missing") {
        Some(field) => {
            let mut names = words(reader, &field, "the scopes that are missing")?;
            names.sort();
            Some(names)
        }
        None => None,
    };
    let codes = codes();
    if let Some(code) = code.as_deref().filter(|code| !codes.contains(code)) {
        let help = match nearest(code, codes.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("a policy can deny with {}", crate::config::read::list_of(&codes)),
        };
        let field = fields.find("code")?;
        reader.complain(&field, Complaint::new(format!("{} is no code", quoted(code)), help));
        return None;
    }
    Some(Expected { allow, code, missing, parameter, member })
}

/// The codes with which a policy can deny the request of a test.
fn codes() -> Vec<&'static str> {
    Denial::ALL.iter().filter(|denial| denial.is_of_policy()).map(|denial| denial.code()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_offers_the_codes_that_a_test_may_expect() {
        let schema: serde_json::Value = serde_json::from_str(include_str!("../schema.json")).unwrap();
        let offered = schema.pointer("/$defs/test/properties/code/enum").unwrap();
        assert_eq!(*offered, serde_json::json!(codes()));
    }
}
