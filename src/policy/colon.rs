//! Segments that other routers read as parameters: `:id`, `<id>`, `$id`, `[id]`. Here they are literal text, which `check` notes.

use super::Policy;
use super::route::RouteId;

/// A segment of a template that is literal text, though it looks like another router's parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColonSegment {
    /// The first route of the line that it stands on.
    pub route: RouteId,
    /// The segment, as written: `:id`. One that is meant is written `%3Aid`, and not told.
    pub segment: String,
}

impl Policy {
    /// Every segment of a template, and of the base once, that begins with a colon or a dollar sign and a letter, or stands in
    /// angles or brackets.
    #[must_use]
    pub fn colon_segments(&self) -> Vec<ColonSegment> {
        let mut found: Vec<ColonSegment> = Vec::new();
        let mut before = None;
        for (at, route) in self.routes().iter().enumerate() {
            let written = (route.line(), route.template());
            if before.replace(written) == Some(written) {
                continue;
            }
            let own = route.template().get(self.options.base.len()..).unwrap_or_default();
            let text = if at == 0 { route.template() } else { own };
            let segments = text.split('/').filter(|segment| looks_like_parameter(segment));
            found.extend(segments.map(|segment| ColonSegment { route: route.id(), segment: segment.to_owned() }));
        }
        found
    }
}

fn looks_like_parameter(segment: &str) -> bool {
    let within = |open: char, close: char| segment.strip_prefix(open)?.strip_suffix(close);
    let name = segment.strip_prefix([':', '$']).or_else(|| within('<', '>')).or_else(|| within('[', ']'));
    let name = name.unwrap_or_default();
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}
