//! Which pages of other origins may call (the CORS protocol of the Fetch standard).

use std::time::Duration;

use super::read::{Field, Reader};
use super::section::value;
use super::text::quoted;
use super::unit::{self, Complaint};

/// The `cors` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Whose pages may call.
    pub origins: Origins,
    /// The request fields that they may set, as one line.
    pub headers: Box<str>,
    /// How long a browser may remember the answer to a preflight.
    pub max_age: Duration,
}

/// Whose pages may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Everybody's.
    Any,
    /// These origins', as a browser writes them.
    These(Vec<Box<str>>),
}

impl Origins {
    /// True for an origin that may call. Browsers write origins in one way, so bytes are compared.
    pub fn allow(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::These(origins) => origins.iter().any(|known| known.as_bytes() == origin),
        }
    }
}

impl Cors {
    /// True where an answer differs with the origin that asks, which a cache must know of.
    pub fn varies(&self) -> bool {
        self.origins != Origins::Any
    }

    pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self> {
        const MAX_AGE: Duration = Duration::from_secs(600);
        const USUAL: &str = "Authorization, Content-Type";
        let fields = reader.fields(field, &["origins", "headers", "max_age"])?;
        let Some(origins) = fields.find("origins") else {
            if fields.means("origins") {
                return None;
            }
            reader.complain(field, Complaint::new("has no `origins`", "write `origins: [\"https://app.example\"]`"));
            return None;
        };
        let items = reader.items(&origins);
        if items.is_empty() {
            let complaint = Complaint::new("is empty", "name at least one origin, or leave `cors` out");
            reader.complain(&origins, complaint);
        }
        let origins: Vec<Box<str>> = items.iter().filter_map(|item| reader.parse(item, origin)).collect();
        let headers = fields.find("headers").map(|field| reader.items(&field)).map(|items| {
            let names: Vec<String> = items.iter().filter_map(|item| reader.parse(item, name)).collect();
            names.join(", ").into()
        });
        Some(Self {
            origins: if origins.iter().any(|one| &**one == "*") { Origins::Any } else { Origins::These(origins) },
            headers: headers.unwrap_or_else(|| USUAL.into()),
            max_age: value(reader, &fields, ("max_age", MAX_AGE), unit::duration),
        })
    }
}

/// `https://app.example`, `http://localhost:5173`, or `*`.
fn origin(text: &str) -> Result<Box<str>, Complaint> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let sane = |host: &str| {
        !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte))
    };
    if text == "*" || host.is_some_and(sane) {
        return Ok(text.into());
    }
    Err(Complaint::new(
        format!("{} is not an origin", quoted(text)),
        "write it as a browser does, in lower case and without a path: `https://app.example`, or `*` for all",
    ))
}

/// The name of a request field.
fn name(text: &str) -> Result<String, Complaint> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text != "*" && text.bytes().all(token) {
        return Ok(text.to_owned());
    }
    Err(Complaint::new(format!("{} is not a field name", quoted(text)), "write it as in `Content-Type`"))
}
