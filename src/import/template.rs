//! Whether a path of a document can be a template of the policy language, and which templates are one.

use super::Reason;
use crate::policy::check_template;

/// Refuses what a template cannot say, and what would mean there something else than in the document.
pub(super) fn check(template: &str) -> Result<(), Reason> {
    let refuse = |what: String| Err(Reason::Template(what));
    if template.contains('?') {
        return refuse("its path holds a ?, and a query cannot choose a route".to_owned());
    }
    // Two spellings of one path would be two templates here and one there.
    if template.contains('%') {
        return refuse("its path holds a percent-escape".to_owned());
    }
    if template.contains(['*', '<', '>', '"', '^', '`', '|']) || !template.is_ascii() {
        return refuse("its path holds a character that no plain path has".to_owned());
    }
    let foreign = |segment: &&str| {
        let is_bracketed = segment.starts_with('[') && segment.ends_with(']');
        is_bracketed || segment.strip_prefix(':').is_some_and(|name| !name.is_empty())
    };
    if let Some(segment) = template.split('/').find(foreign) {
        return refuse(format!("{segment} looks like a parameter, which OpenAPI writes as {{name}}"));
    }
    // The route is named beside the reason.
    let words = |message: &str| {
        message
            .replace(&format!(" in the template `{template}`"), "")
            .replace(&format!("the template `{template}`"), "its path")
    };
    check_template(template).map_err(|fault| Reason::Template(words(&fault.message)))
}

/// Refuses a path that would run into what stands before it.
pub(super) fn check_start(path: &str) -> Result<(), Reason> {
    match path.starts_with('/') {
        true => Ok(()),
        false => Err(Reason::Template(String::from("its path does not begin with /"))),
    }
}

/// The name when the segment is a parameter as a whole.
fn parameter(segment: &str) -> Option<&str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(legal)).then_some(name)
}

/// The template with parameter names taken out: templates of one shape match the same paths.
pub(super) fn shape(template: &str) -> String {
    let segments = template.split('/').map(|segment| if parameter(segment).is_some() { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// What stands in the place of a path parameter, so that no literal is met.
const PLACEHOLDER: &str = "scopegate-import-placeholder";

/// A path that a request of the operation could have: something in the place of each parameter, also of one within a segment.
pub(super) fn example(path: &str) -> String {
    let mut example = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else { break };
        example.push_str(before);
        example.push_str(PLACEHOLDER);
        rest = after;
    }
    example + rest
}

/// The last segment that is no parameter.
pub(super) fn last_literal(template: &str) -> Option<&str> {
    template.rsplit('/').find(|segment| !segment.is_empty() && parameter(segment).is_none())
}

/// True when at most the last segment is a parameter: a collection, or one member of it.
pub(super) fn is_top_level(template: &str) -> bool {
    let parents = template.rsplit_once('/').map_or("", |(parents, _)| parents);
    parents.split('/').all(|segment| parameter(segment).is_none())
}

/// What the routes are grouped by: the first literal segment after the base path that is not the common first segment.
pub(super) fn resource(template: &str, depth: usize) -> &str {
    let mut segments = template.split('/').filter(|segment| !segment.is_empty());
    segments.nth(depth).filter(|segment| parameter(segment).is_none()).unwrap_or("/")
}

/// How many literal segments all templates begin with, their last ones apart.
pub(super) fn common_depth(templates: &[&str]) -> usize {
    let literals = |template: &str| {
        template.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut all = templates.iter().map(|template| literals(template));
    let Some(mut common) = all.next() else {
        return 0;
    };
    common.pop();
    for mut other in all {
        other.pop();
        let shared = common.iter().zip(&other).take_while(|(a, b)| a == b && parameter(a).is_none()).count();
        common.truncate(shared);
    }
    common.iter().take_while(|segment| parameter(segment).is_none()).count()
}
