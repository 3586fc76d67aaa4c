//! The values of a key's fields.

use ipnet::IpNet;

use crate::key::digest::Digest;
use crate::key::leak::holds_key;
use crate::key::{GrantSpec, KeyId, KeyKind, SiteId, Timestamp, parse_network};
use crate::yaml::{self, Node, Value};

/// What reading a value gives. A fault says nothing of the field's name and place: the reader of the key knows them.
pub(super) type Read<T> = Result<T, Wrong>;

/// What is wrong with a value, and how to mend it.
pub(super) struct Wrong(pub(super) String, pub(super) String);

fn wrong<T>(message: impl Into<String>, help: impl Into<String>) -> Read<T> {
    Err(Wrong(message.into(), help.into()))
}

/// Text as written. Null is never a value.
pub(super) fn string(node: &Node) -> Read<Box<str>> {
    match node.scalar() {
        Some(scalar) if !scalar.is_null() => Ok(scalar.text.clone()),
        _ => wrong(format!("is {}, not a text", node.kind()), "give a text, or leave the field out"),
    }
}

pub(super) fn boolean(node: &Node) -> Read<bool> {
    let found = node.scalar().and_then(yaml::Scalar::as_bool);
    found.map_or_else(|| wrong("is neither true nor false", "write true or false"), Ok)
}

pub(super) fn id(node: &Node) -> Read<KeyId> {
    let text = string(node)?;
    if holds_key(&text) {
        return wrong("is a key", "give its digest, and any other id; if others could read the file, revoke the key");
    }
    let found = KeyId::parse(&text);
    found.map_or_else(|| wrong("cannot be an id", "use 1 to 64 ASCII letters, digits, `_`, `-` or `.`"), Ok)
}

pub(super) fn kind(node: &Node) -> Read<KeyKind> {
    match KeyKind::parse(&string(node)?) {
        Some(kind) => Ok(kind),
        None => wrong("is none of secret, pair, public", "leave it out for a secret key"),
    }
}

pub(super) fn site(node: &Node) -> Read<SiteId> {
    // It may be another sort of key that was pasted by mistake, so it is not repeated.
    let found = SiteId::parse(string(node)?.as_bytes());
    found.map_or_else(
        || wrong("is no public key", "a public key is 6 to 12 letters and digits; any other is given by its digest"),
        Ok,
    )
}

pub(super) fn digest(node: &Node) -> Read<Digest> {
    // What stands here may be a key that was pasted by mistake, so it is not repeated.
    let found = Digest::from_hex(&string(node)?);
    let help = "give the digest of the key, as `printf %s KEY | sha256sum` prints it; never the key itself";
    found.map_or_else(|| wrong("is not 64 hexadecimal digits", help), Ok)
}

pub(super) fn level(node: &Node) -> Read<GrantSpec> {
    match &*string(node)? {
        "full" => Ok(GrantSpec::Full),
        "read-only" => Ok(GrantSpec::ReadOnly),
        other => wrong(format!("is {other:?}"), "write full or read-only, or give `scopes` instead"),
    }
}

pub(super) fn moment(node: &Node) -> Read<Timestamp> {
    let help = "write 2027-01-31 or 2027-01-31T12:00:00Z; a span such as 90d would begin anew with every load";
    Timestamp::parse_moment(&string(node)?).or_else(|_| wrong("is neither a day nor a time", help))
}

fn list(node: &Node) -> Read<&[Node]> {
    match &node.value {
        Value::List(items) => Ok(items),
        Value::Map(_) | Value::Scalar(_) => wrong(format!("is {}, not a list", node.kind()), "write it as [a, b]"),
    }
}

/// A list that is written empty is a key that opens nothing: it was said, not left out.
pub(super) fn scopes(node: &Node) -> Read<GrantSpec> {
    let names: Result<Vec<_>, _> = list(node)?.iter().map(string).collect();
    names.map(GrantSpec::custom)
}

pub(super) fn networks(node: &Node) -> Read<Vec<IpNet>> {
    let items = list(node)?;
    if items.is_empty() {
        return wrong("is an empty list", "name a network, or leave the field out to allow any");
    }
    let read = |item| parse_network(&string(item)?).or_else(|error| wrong("cannot be read", error.to_string()));
    items.iter().map(read).collect()
}

/// `{name: value}`, or `{name: [value, value]}`.
pub(super) fn attributes(node: &Node) -> Read<Vec<(Box<str>, Box<str>)>> {
    let Value::Map(entries) = &node.value else {
        return wrong(format!("is {}, not a map", node.kind()), "write it as {owner: acme}");
    };
    let mut attributes = Vec::new();
    for entry in entries {
        match &entry.value.value {
            Value::List(items) => {
                for item in items {
                    attributes.push((entry.key.clone(), string(item)?));
                }
            }
            Value::Map(_) | Value::Scalar(_) => attributes.push((entry.key.clone(), string(&entry.value)?)),
        }
    }
    Ok(attributes)
}
