//! The credentials that the gateway shows the upstream.

use std::collections::BTreeMap;

use super::accept::is_token;
use super::read::{Field, Fields, Reader};
use super::text::quoted;
use super::unit::Complaint;
use super::upstream::UpstreamCredential;
use crate::key::secret::Secret;

const FORMS: &str = "write `header: NAME` or `query: NAME`, with `value`, or `basic: { username: …, password: … }`";

/// Header fields that are the gateway's to write, so that no credential can stand in them.
const NOT_FOR_CREDENTIALS: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];

/// `credentials`: credentials by name.
pub(super) fn named(reader: &mut Reader<'_>, field: &Field<'_>) -> BTreeMap<Box<str>, UpstreamCredential> {
    let Some(fields) = reader.map(field) else {
        // Whoever writes secrets here by mistake should not see them again in a message.
        reader.mask(field.node);
        return BTreeMap::new();
    };
    let mut credentials = BTreeMap::new();
    for entry in fields.entries() {
        if let Some(credential) = credential(reader, &fields.field(entry)) {
            credentials.insert(entry.key.clone(), credential);
        }
    }
    credentials
}

/// One credential.
pub(super) fn credential(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<UpstreamCredential> {
    let fields = match &field.node.value {
        crate::yaml::Value::Map(_) => reader.fields(field, &["header", "query", "basic", "value"])?,
        _ => {
            // Whoever writes the secret here by mistake should not see it again in a message.
            reader.mask(field.node);
            reader.complain(field, Complaint::new("must be a map", FORMS));
            return None;
        }
    };
    match (fields.find("header"), fields.find("query"), fields.find("basic")) {
        (Some(name), None, None) => {
            let value = value(reader, field, &fields, header_value);
            let name = reader.parse(&name, header_name);
            Some(UpstreamCredential::Header { name: name?, value: value? })
        }
        (None, Some(name), None) => {
            let value = value(reader, field, &fields, |text| Ok(encode(text)));
            let name = reader.parse(&name, query_name);
            Some(UpstreamCredential::Query { name: name?, value: value? })
        }
        (None, None, Some(basic)) => {
            if let Some(value) = fields.find("value") {
                reader.mask(value.node);
                reader.complain(&value, Complaint::new("`basic` has no `value`", FORMS));
            }
            let value = basic_value(reader, &basic)?;
            Some(UpstreamCredential::Header { name: "Authorization".into(), value })
        }
        _ => {
            reader.mask(field.node);
            reader.complain(field, Complaint::new("must say one of `header`, `query` and `basic`", FORMS));
            None
        }
    }
}

/// The secret in `value`, as `form` writes it.
fn value(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    fields: &Fields<'_>,
    form: impl Fn(&str) -> Result<Secret, &'static str>,
) -> Option<Secret> {
    let Some(value) = fields.find("value") else {
        reader.complain(field, Complaint::new("has no `value`", FORMS));
        return None;
    };
    let secret = reader.secret(&value)?;
    // What YAML gave is text, so its bytes are UTF-8.
    match form(std::str::from_utf8(secret.expose()).unwrap_or("")) {
        Ok(secret) => Some(secret),
        Err(why) => {
            reader.complain(&value, Complaint::new(why, ""));
            None
        }
    }
}

fn header_value(text: &str) -> Result<Secret, &'static str> {
    if text.trim() != text {
        return Err("begins or ends with a space");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err("has a character that a header value cannot have (visible ASCII and spaces alone)");
    }
    Ok(Secret::new(text.as_bytes()))
}

fn header_name(text: &str) -> Result<Box<str>, Complaint> {
    let lower = text.to_ascii_lowercase();
    if !is_token(text) {
        return Err(Complaint::new(
            format!("{} is not a header name", quoted(text)),
            "write one as in `Authorization`",
        ));
    }
    if NOT_FOR_CREDENTIALS.contains(&lower.as_str())
        || lower.starts_with("x-scopegate-")
        || lower.starts_with("x-forwarded-")
    {
        return Err(Complaint::new(
            format!("{} is the gateway's own, and cannot bear a credential", quoted(text)),
            "choose the header that the upstream reads its credential from",
        ));
    }
    Ok(text.into())
}

fn query_name(text: &str) -> Result<Box<str>, Complaint> {
    if text.is_empty() {
        return Err(Complaint::new("is empty", "write the name of a query parameter, as in `api_key`"));
    }
    let encoded = encode(text).expose().to_vec();
    Ok(String::from_utf8(encoded).unwrap_or_default().into_boxed_str())
}

/// `text` percent-encoded: all but the unreserved characters of RFC 3986, section 2.3.
fn encode(text: &str) -> Secret {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
            continue;
        }
        out.push(b'%');
        out.extend([byte >> 4, byte & 15].iter().filter_map(|digit| HEX.get(usize::from(*digit))));
    }
    Secret::new(out)
}

/// `Basic …` of a user name and a password (RFC 7617).
fn basic_value(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Secret> {
    let Some(fields) = reader.fields(field, &["username", "password"]) else {
        reader.mask(field.node);
        return None;
    };
    let mut part = |name: &str| match fields.find(name) {
        Some(part) => {
            reader.mask(part.node);
            reader.string(&part)
        }
        None => {
            reader.complain(field, Complaint::new(format!("has no `{name}`"), FORMS));
            None
        }
    };
    let (username, password) = (part("username"), part("password"));
    let (username, password) = (username?.value, password?.value);
    if username.contains(':') || username.contains(char::is_control) || password.contains(char::is_control) {
        let why = "a user name cannot have `:`, and neither can have control characters (RFC 7617)";
        reader.complain(field, Complaint::new(why, ""));
        return None;
    }
    let pair = Secret::new(format!("{username}:{password}").into_bytes());
    let mut value = Vec::with_capacity(8 + pair.expose().len() * 4 / 3);
    value.extend_from_slice(b"Basic ");
    base64(pair.expose(), &mut value);
    Some(Secret::new(value))
}

/// Appends `bytes` in base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digits = [18, 12, 6, 0].map(|shift| group >> shift & 63);
        let kept = digits.iter().take(chunk.len() + 1);
        out.extend(kept.filter_map(|digit| ALPHABET.get(*digit as usize)));
        out.extend(std::iter::repeat_n(b'=', 3 - chunk.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            let mut out = Vec::new();
            base64(plain.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), coded);
        }
    }

    #[test]
    fn a_query_value_is_encoded_for_the_wire() {
        assert_eq!(encode("a b&c=d/é~").expose(), b"a%20b%26c%3Dd%2F%C3%A9~");
    }

    #[test]
    fn a_header_value_cannot_end_the_line() {
        assert!(header_value("Bearer x\r\nHost: evil").is_err());
        assert!(header_value("Bearer x ").is_err());
        assert!(header_value("Bearer x").is_ok());
    }
}
