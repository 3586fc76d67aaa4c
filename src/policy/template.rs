//! Path templates: `/profiles/{id}`, `/files/{*rest}`, `/carts/`.

use super::build_error::{BuildError, FaultKind, Part};
use super::octets::{decoded, escape, has_escape};

/// How deep a template may be; the search for a template is as deep as the deepest.
const MOST_SEGMENTS: usize = 128;

/// Refuses what is no template.
///
/// # Errors
/// What is wrong with it, and how to mend it.
pub fn check_template(text: &str) -> Result<(), BuildError> {
    Template::parse(text).map(drop)
}

/// A template taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) pieces: Vec<Piece>,
    /// Whether it ends in `/`. With and without it are two paths.
    pub(super) final_slash: bool,
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// These bytes, after percent-decoding.
    Literal(Box<[u8]>),
    /// `{name}`: exactly one segment that is not empty.
    Parameter(Box<str>),
    /// `{*name}`, at the end: one or more segments, with or without a final slash.
    Wildcard(Box<str>),
}

impl Template {
    /// Takes `text` apart.
    pub(super) fn parse(text: &str) -> Result<Self, BuildError> {
        let Some(inner) = text.strip_prefix('/') else {
            return Err(malformed(text, format!("the template `{text}` does not begin with `/`"))
                .help(format!("write `/{text}`")));
        };
        if inner.is_empty() {
            return Ok(Self { pieces: Vec::new(), final_slash: true });
        }
        let (body, final_slash) = match inner.strip_suffix('/') {
            Some(body) => (body, true),
            None => (inner, false),
        };
        let pieces: Result<Vec<Piece>, BuildError> = body.split('/').map(|piece| parse_piece(text, piece)).collect();
        let template = Self { pieces: pieces?, final_slash };
        if template.pieces.len() > MOST_SEGMENTS {
            let message = format!("the template has more than {MOST_SEGMENTS} segments");
            return Err(malformed(text, message).help("end it with `{*name}` after the segments that matter"));
        }
        template.check_wildcard(text)?;
        template.check_names(text)?;
        Ok(template)
    }

    /// Name and index of each `{name}`.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (usize, &str)> {
        self.pieces.iter().enumerate().filter_map(|(at, piece)| match piece {
            Piece::Parameter(name) => Some((at, &**name)),
            Piece::Literal(_) | Piece::Wildcard(_) => None,
        })
    }

    /// The name of the wildcard.
    pub(super) fn wildcard(&self) -> Option<&str> {
        match self.pieces.last() {
            Some(Piece::Wildcard(name)) => Some(name),
            _ => None,
        }
    }

    fn check_wildcard(&self, text: &str) -> Result<(), BuildError> {
        let at = self.pieces.iter().position(|piece| matches!(piece, Piece::Wildcard(_)));
        if at.is_some_and(|at| at + 1 < self.pieces.len()) || (at.is_some() && self.final_slash) {
            let message = format!("the wildcard of `{text}` does not stand at the end");
            return Err(malformed(text, message)
                .help("a wildcard takes all that follows, a final slash too: end the template with it"));
        }
        Ok(())
    }

    /// No two parameters have one name.
    pub(super) fn check_names(&self, text: &str) -> Result<(), BuildError> {
        let names: Vec<&str> = self.parameters().map(|(_, name)| name).chain(self.wildcard()).collect();
        let twice = names.iter().enumerate().find(|(at, name)| names.iter().take(*at).any(|other| other == *name));
        twice.map_or(Ok(()), |(_, name)| {
            let message = format!("the template `{text}` has two parameters named `{name}`");
            Err(BuildError::new(FaultKind::Duplicate, Part::Template, text, message).help("give each its own name"))
        })
    }
}

fn malformed(text: &str, message: String) -> BuildError {
    BuildError::new(FaultKind::Malformed, Part::Template, text, message)
}

fn parse_piece(text: &str, piece: &str) -> Result<Piece, BuildError> {
    if piece.is_empty() {
        return Err(malformed(text, format!("the template `{text}` has an empty segment"))
            .help("paths with `//` are refused, so no request could match: take one slash out"));
    }
    let Some(inner) = piece.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return parse_literal(text, piece).map(Piece::Literal);
    };
    let (name, wildcard) = match inner.strip_prefix('*') {
        Some(name) => (name, true),
        None => (inner, false),
    };
    if inner.contains(['{', '}']) {
        return Err(reserved(text, piece));
    }
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        return Err(malformed(text, format!("`{piece}` in the template `{text}` is not a parameter"))
            .help("write `{name}` or `{*name}`, the name of letters, digits, `_`, `-` and `.`"));
    }
    Ok(if wildcard { Piece::Wildcard(name.into()) } else { Piece::Parameter(name.into()) })
}

fn reserved(text: &str, piece: &str) -> BuildError {
    let message =
        format!("`{piece}` in the template `{text}` mixes a parameter with literal text, a form that is reserved");
    BuildError::new(FaultKind::Reserved, Part::Template, text, message)
        .help("let the parameter be the whole segment, such as `{id}`: it matches any text")
}

fn parse_literal(text: &str, piece: &str) -> Result<Box<[u8]>, BuildError> {
    if piece.contains(['{', '}']) {
        return Err(reserved(text, piece));
    }
    if piece.contains('*') {
        let error = malformed(text, format!("`{piece}` in the template `{text}` has a `*`, which is no wildcard"));
        let before = text.strip_suffix(piece).filter(|_| piece.bytes().all(|byte| byte == b'*'));
        return Err(error.help(match before {
            Some(before) => {
                format!("write `{before}{{*rest}}` for all that follow, or `{before}{{name}}` for one segment")
            }
            None => "write `{name}` for one segment or `{*name}` at the end for all that follow".to_owned(),
        }));
    }
    if let Some(what) = unmatchable(piece) {
        return Err(malformed(text, format!("`{piece}` in the template `{text}` {what}")).help(
            "no request with such a path is let through: write the segment as it is after decoding, or take it out",
        ));
    }
    Ok(decoded(piece.as_bytes()).collect())
}

/// Why no request that is judged sound could ever have this segment.
fn unmatchable(piece: &str) -> Option<&'static str> {
    if piece.bytes().any(|byte| byte <= b' ' || byte == 0x7F) {
        return Some("has a space or a control character (write a space as `%20`)");
    }
    if piece.contains(['?', '#', ';', '\\']) {
        return Some("has one of `?`, `#`, `;` and `\\`, which paths do not have");
    }
    let mut rest = piece.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let Some((value, after)) = escape(after) else {
                return Some("has a `%` that two hex digits do not follow (write the sign itself as `%25`)");
            };
            if matches!(value, b'/' | b'\\' | b';' | 0..b' ' | 0x7F) {
                return Some("has an encoded `/`, `\\`, `;` or control character");
            }
            rest = after;
        }
    }
    let bytes: Vec<u8> = decoded(piece.as_bytes()).collect();
    if bytes.iter().all(|byte| matches!(byte, b'.' | b' ')) {
        return Some("is a dot segment, or nothing but dots and spaces");
    }
    if std::str::from_utf8(&bytes).is_err() {
        return Some("is not UTF-8 after decoding");
    }
    has_escape(bytes.into_iter()).then_some("is encoded twice")
}
