//! The caller's key: found in the places where keys are accepted, and left out of what goes upstream by exact bytes.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::http1::head::{Field, Kind};
use crate::key::SiteId;
use crate::key::secret::LONGEST;
use crate::policy::{FoundInQuery, Sought};
use crate::snapshot::Accept;

/// What the accepted places of a request hold. It has no `Debug`: it may hold a key.
pub(crate) enum Presented<'b> {
    /// Different keys, or a key header that was given twice.
    Ambiguous,
    /// Something that cannot be a key: empty, too long, or not visible ASCII.
    Malformed,
    /// Nothing.
    None,
    /// One key, in one place or in several.
    One(Credential<'b>),
    /// A public key, in the query, and no other.
    Public(Vec<u8>),
}

/// What stands in a place where keys are accepted: a secret, or the id of a pair with one.
#[derive(PartialEq)]
pub(crate) struct Credential<'b> {
    /// `SECRET`, or `ID:SECRET`.
    text: Cow<'b, [u8]>,
    /// Where the secret begins.
    secret: usize,
}

impl<'b> Credential<'b> {
    fn alone(secret: impl Into<Cow<'b, [u8]>>) -> Self {
        Self { text: secret.into(), secret: 0 }
    }

    /// What a digest is made of.
    pub(crate) fn secret(&self) -> &[u8] {
        self.text.get(self.secret..).unwrap_or_default()
    }

    /// The id that came with the secret.
    pub(crate) fn id(&self) -> Option<&[u8]> {
        self.text.get(..self.secret.checked_sub(1)?)
    }

    /// Whether it can be a key at all.
    fn is_usable(&self) -> bool {
        // Without an early end, so that it is vectorised.
        let is_visible = |text: &[u8]| text.iter().fold(true, |visible, byte| visible & byte.is_ascii_graphic());
        (1..=LONGEST).contains(&self.secret().len()) && is_visible(&self.text)
    }
}

impl<'b> Presented<'b> {
    /// What a query says where nothing else says who calls.
    fn of_public(sought: &Sought, query: &[u8]) -> Self {
        match sought.find(query) {
            FoundInQuery::Ambiguous => Self::Ambiguous,
            FoundInQuery::Nothing => Self::None,
            FoundInQuery::Value(value) if SiteId::is_one(&value) => Self::Public(value),
            FoundInQuery::Value(_) => Self::Malformed,
        }
    }

    fn add(&mut self, found: Credential<'b>) {
        *self = match (&*self, found.is_usable()) {
            (Self::None, true) => Self::One(found),
            (Self::None, false) => Self::Malformed,
            (Self::One(known), true) if *known == found => return,
            _ => Self::Ambiguous,
        };
    }
}

/// Finds the key that a request presents.
pub(crate) fn take<'b>(accept: &Accept, fields: &[Field<'b>], query: Option<&'b [u8]>) -> Presented<'b> {
    let mut presented = Presented::None;
    let mut authorizations = 0;
    for field in fields {
        match field.kind {
            Kind::Authorization => {
                authorizations += 1;
                if let Some(text) = key_of_authorization(accept, field.value) {
                    presented.add(text);
                }
            }
            Kind::Cookie if !accept.cookies.is_empty() => {
                for piece in field.value.split(|byte| *byte == b';') {
                    if let Some(value) = key_of_cookie(accept, piece) {
                        presented.add(Credential::alone(value));
                    }
                }
            }
            _ => {}
        }
        if is_key_header(accept, field.name) {
            presented.add(Credential::alone(field.value));
        }
    }
    if authorizations > 1 && (accept.bearer || accept.basic || !accept.schemes.is_empty()) {
        return Presented::Ambiguous;
    }
    for name in &accept.headers {
        if fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes())).count() > 1 {
            return Presented::Ambiguous;
        }
    }
    if !accept.query.is_empty() {
        for piece in query.unwrap_or_default().split(|byte| *byte == b'&') {
            if let Some(value) = key_of_parameter(accept, piece) {
                presented.add(Credential::alone(value));
            }
        }
    }
    match (&presented, &accept.public_query, query) {
        // Whoever has a key that is no public one speaks for itself, on whatever route: elsewhere the parameter may well be
        // another thing, and where public keys are asked for the other kind opens nothing.
        (Presented::None, Some(sought), Some(query)) => Presented::of_public(sought, query),
        _ => presented,
    }
}

/// True for names that are one to a server which, like CGI, makes one sign of all punctuation.
pub(crate) fn resembles(given: &[u8], name: &[u8]) -> bool {
    let folded = |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    given.len() == name.len() && given.iter().map(folded).eq(name.iter().map(folded))
}

/// True for a field whose whole value is a key.
fn is_key_header(accept: &Accept, name: &[u8]) -> bool {
    accept.headers.iter().any(|accepted| name.eq_ignore_ascii_case(accepted.as_bytes()))
}

/// True for a field that goes no further because its whole value is the key, or a credential around it.
///
/// A name that some servers read as that of a key header goes no further either.
pub(crate) fn is_whole_field(accept: &Accept, field: &Field<'_>) -> bool {
    accept.headers.iter().any(|accepted| resembles(field.name, accepted.as_bytes()))
        || (field.kind == Kind::Authorization && key_of_authorization(accept, field.value).is_some())
}

/// The key in an `Authorization` value of an accepted scheme; `None` for any other scheme.
fn key_of_authorization<'b>(accept: &Accept, value: &'b [u8]) -> Option<Credential<'b>> {
    let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end)?;
    let credential = rest.trim_ascii_start();
    // Nearly everybody writes it so.
    let bearer = accept.bearer && (scheme == b"Bearer" || scheme.eq_ignore_ascii_case(b"bearer"));
    if bearer || accept.schemes.iter().any(|accepted| scheme.eq_ignore_ascii_case(accepted.as_bytes())) {
        return Some(Credential::alone(credential));
    }
    (accept.basic && scheme.eq_ignore_ascii_case(b"basic")).then(|| key_of_basic(credential))
}

/// `ID:SECRET` or `KEY:` out of base64 (RFC 7617); an empty secret, which no key has, where it has another form. An id has
/// no colon.
fn key_of_basic(credential: &[u8]) -> Credential<'static> {
    if credential.len() > 2 * LONGEST {
        return Credential::alone(Vec::new());
    }
    let mut text = STANDARD.decode(credential).unwrap_or_default();
    match text.iter().position(|byte| *byte == b':') {
        Some(colon) if colon + 1 == text.len() => {
            text.truncate(colon);
            Credential::alone(text)
        }
        Some(colon) if colon > 0 => Credential { text: text.into(), secret: colon + 1 },
        _ => Credential::alone(Vec::new()),
    }
}

/// The value of a cookie that is a key. `piece` is what stands between two semicolons.
fn key_of_cookie<'b>(accept: &Accept, piece: &'b [u8]) -> Option<&'b [u8]> {
    let piece = piece.trim_ascii();
    let equals = piece.iter().position(|byte| *byte == b'=')?;
    let (name, value) = piece.split_at_checked(equals)?;
    accept.cookies.iter().any(|accepted| accepted.as_bytes() == name).then(|| value.get(1..).unwrap_or_default())
}

/// The value of a query parameter that is a key. `piece` is what stands between two ampersands.
fn key_of_parameter<'b>(accept: &Accept, piece: &'b [u8]) -> Option<Cow<'b, [u8]>> {
    let equals = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
    let (name, value) = piece.split_at_checked(equals)?;
    let name = decode(name);
    let accepted = accept.query.iter().any(|accepted| accepted.as_bytes() == &*name);
    accepted.then(|| decode(value.get(1..).unwrap_or_default()))
}

/// True when a parameter's name, decoded once, is `name`, or some server takes it for that: in another case, behind blanks, before a
/// NUL or a bracket, or with a sign that PHP makes `_` of.
pub(crate) fn is_taken_for(given: &[u8], name: &[u8]) -> bool {
    let given = decode(given);
    let given = given.trim_ascii_start();
    let given = given.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii_end();
    let before_bracket = given.split(|byte| *byte == b'[').next().unwrap_or_default().trim_ascii_end();
    let fold = |byte: u8| if matches!(byte, b' ' | b'.' | b'[' | b'-') { b'_' } else { byte.to_ascii_lowercase() };
    let is_alike = |text: &[u8]| text.iter().map(|byte| fold(*byte)).eq(name.iter().map(|byte| fold(*byte)));
    is_alike(given) || is_alike(before_bracket)
}

/// Percent-decodes once, `+` as a space; what is no valid escape stays as it is.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', ..) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    Cow::Owned(decoded)
}

/// Appends `target` without the parameters that are keys: each goes with one adjoining `&`, an emptied query with its `?`.
pub(crate) fn write_target(accept: &Accept, target: &[u8], out: &mut Vec<u8>) {
    let mark = if accept.query.is_empty() { None } else { target.iter().position(|byte| *byte == b'?') };
    let Some((path, query)) = mark.and_then(|mark| target.split_at_checked(mark)) else {
        out.extend_from_slice(target);
        return;
    };
    out.extend_from_slice(path);
    let pieces = query.get(1..).unwrap_or_default().split(|byte| *byte == b'&');
    let mut joint = b'?';
    for piece in pieces.filter(|piece| key_of_parameter(accept, piece).is_none()) {
        out.push(joint);
        out.extend_from_slice(piece);
        joint = b'&';
    }
}

/// Appends a `Cookie` field without the cookies that are keys, or nothing when none is left.
pub(crate) fn write_cookie(accept: &Accept, field: &Field<'_>, out: &mut Vec<u8>) {
    let before = out.len();
    out.extend_from_slice(field.name);
    out.extend_from_slice(b": ");
    let start = out.len();
    let mut removed = false;
    for piece in field.value.split(|byte| *byte == b';') {
        if key_of_cookie(accept, piece).is_some() {
            removed = true;
        } else if out.len() == start {
            out.extend_from_slice(if removed { piece.trim_ascii_start() } else { piece });
        } else {
            out.push(b';');
            out.extend_from_slice(piece);
        }
    }
    if removed && out.len() == start {
        out.truncate(before);
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
