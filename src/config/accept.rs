//! Where a key may be presented.

use super::keys::Accept;
use super::read::{Field, Reader};
use super::text::quoted;
use super::unit::Complaint;
use crate::policy::Sought;
use crate::yaml::{Span, Value};

const FORMS: &str = "write `bearer`, `basic`, `scheme: NAME`, `header: NAME`, `query: NAME`, `cookie: NAME`, or `public_query: NAME` for public keys";

/// Headers that cannot bear a key: they are HTTP's own, or have a form of their own in `accept`.
const NOT_FOR_KEYS: [&str; 17] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];

impl Accept {
    /// What is accepted where `accept` is not given.
    pub(super) fn usual() -> Self {
        Self { bearer: true, headers: vec!["X-Api-Key".into()], ..Self::default() }
    }

    /// What a caller without a key is told: where one may stand.
    pub fn advice(&self) -> String {
        let mut places = Vec::new();
        let schemes = self.bearer.then_some("Bearer").into_iter().chain(self.schemes.iter().map(AsRef::as_ref));
        places.extend(schemes.map(|scheme| format!("as Authorization: {scheme} KEY")));
        places.extend(self.headers.iter().map(|name| format!("as {name}: KEY")));
        places.extend(self.basic.then(|| "as Authorization: Basic base64(KEY:) or base64(ID:SECRET)".to_owned()));
        places.extend(self.query.iter().map(|name| format!("in the query as {name}=KEY")));
        places.extend(self.cookies.iter().map(|name| format!("in the cookie {name}")));
        let public = self.public_query.iter();
        places.extend(public.map(|sought| format!("a public key in the query as {}=ID", sought.name())));
        let places = match places.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => return "The request has no key, and none is accepted here.".to_owned(),
        };
        format!("The request has no key; send one {places}.")
    }

    pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Self {
        let mut accept = Self::default();
        let mut seen: Vec<(String, Span)> = Vec::new();
        let items = reader.items(field);
        // What is no list has been told so.
        if items.is_empty() && matches!(field.node.value, Value::List(_)) {
            reader.complain(field, Complaint::new("names no place for a key", FORMS));
        }
        for item in items {
            let Some(place) = accept.take(reader, &item) else { continue };
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == place) {
                let complaint = Complaint::new(format!("`{place}` is given twice"), "remove one of the two");
                reader.collision(item.node.span, *first, complaint);
            }
            seen.push((place, item.node.span));
        }
        let is_taken = |sought: &&Sought| accept.query.iter().any(|name| **name == *sought.name());
        if let Some(sought) = accept.public_query.as_ref().filter(is_taken) {
            let complaint = Complaint::new(
                format!("`{}` is named as `query` and as `public_query`", sought.name()),
                "a key is taken out of the query and a public key stays there: use two names",
            );
            reader.complain(field, complaint);
        }
        accept
    }

    /// Takes one item in; gives what it is, for duplicates to be seen.
    fn take(&mut self, reader: &mut Reader<'_>, item: &Field<'_>) -> Option<String> {
        if let Value::Scalar(_) = item.node.value {
            let bearer = reader.parse(item, |text| match text {
                "bearer" => Ok(true),
                "basic" => Ok(false),
                _ => Err(Complaint::new(format!("{} is no place for a key", quoted(text)), FORMS)),
            })?;
            let (accepted, word) = if bearer { (&mut self.bearer, "bearer") } else { (&mut self.basic, "basic") };
            *accepted = true;
            return Some(word.to_owned());
        }
        let fields = reader.fields(item, &["scheme", "header", "query", "cookie", "public_query"])?;
        let [entry] = fields.entries() else {
            reader.complain(item, Complaint::new("an item names one place", FORMS));
            return None;
        };
        let field = fields.field(entry);
        let (name, list) = match &*entry.key {
            "scheme" => (reader.parse(&field, scheme)?, &mut self.schemes),
            "header" => (reader.parse(&field, header)?, &mut self.headers),
            "query" => (reader.parse(&field, query)?, &mut self.query),
            "cookie" => (reader.parse(&field, cookie)?, &mut self.cookies),
            "public_query" => return self.take_public(reader, &field),
            _ => return None,
        };
        // Cookies and query parameters are told apart by case, header names and schemes are not.
        let shown =
            if matches!(&*entry.key, "scheme" | "header") { name.to_ascii_lowercase() } else { name.to_string() };
        list.push(name);
        Some(format!("{}: {shown}", entry.key))
    }

    /// Takes in where public keys stand.
    fn take_public(&mut self, reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
        let name = reader.parse(field, query)?;
        if let Some(other) = self.public_query.as_ref().filter(|other| *other.name() != *name) {
            let complaint = Complaint::new(
                format!("public keys stand in `{}` already", other.name()),
                "keep the one parameter that the API reads",
            );
            reader.complain(field, complaint);
            return None;
        }
        let shown = format!("public_query: {name}");
        self.public_query = Some(Sought::new(&name));
        Some(shown)
    }
}

/// Whether `text` is a token of RFC 9110, section 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn scheme(text: &str) -> Result<Box<str>, Complaint> {
    match text.to_ascii_lowercase().as_str() {
        own @ ("bearer" | "basic") => {
            Err(Complaint::new(format!("{} has a form of its own", quoted(text)), format!("write `{own}` as the item")))
        }
        _ if is_token(text) => Ok(text.into()),
        _ => Err(Complaint::new(
            format!("{} is not an authentication scheme", quoted(text)),
            "write one word, as in `Klaviyo-API-Key`",
        )),
    }
}

fn header(text: &str) -> Result<Box<str>, Complaint> {
    let lower = text.to_ascii_lowercase();
    if !is_token(text) {
        return Err(Complaint::new(format!("{} is not a header name", quoted(text)), "write one as in `X-Api-Key`"));
    }
    if lower == "authorization" {
        return Err(Complaint::new(
            "`Authorization` has forms of its own",
            "write `bearer`, `basic` or `scheme: NAME`",
        ));
    }
    if NOT_FOR_KEYS.contains(&lower.as_str()) || lower.starts_with("x-scopegate-") || lower.starts_with("x-forwarded-")
    {
        return Err(Complaint::new(
            format!("{} has another use, and cannot bear a key", quoted(text)),
            "choose a header of its own, as in `X-Api-Key`",
        ));
    }
    Ok(text.into())
}

fn query(text: &str) -> Result<Box<str>, Complaint> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"#%&+;=".contains(&b)) {
        return Ok(text.into());
    }
    Err(Complaint::new(
        format!("{} is not the name of a query parameter", quoted(text)),
        "write one as in `api_key`, decoded",
    ))
}

fn cookie(text: &str) -> Result<Box<str>, Complaint> {
    if is_token(text) {
        return Ok(text.into());
    }
    Err(Complaint::new(format!("{} is not the name of a cookie", quoted(text)), "write one as in `sg_key`"))
}
