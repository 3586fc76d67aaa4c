//! Whether a path of a document can be a template of the policy language, and which templates are one.

use super::Reason;

/// Refuses what a template cannot say.
pub(super) fn check(template: &str) -> Result<(), Reason> {
    let refuse = |what: &str| Err(Reason::Template(what.to_owned()));
    check_start(template)?;
    if template.contains('?') {
        return refuse("it holds a ?, and a query cannot choose a route");
    }
    if template.contains([';', '\\', '%', '<', '>', '"', '^', '`', '|', '*'])
        || template.chars().any(|c| c.is_ascii_control() || !c.is_ascii() || c == ' ')
    {
        return refuse("it holds a character that no plain path has");
    }
    let mut segments = template.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return refuse("it has an empty segment");
        }
        if matches!(segment, "." | "..") {
            return refuse("it has a dot segment");
        }
        if segment.contains(['{', '}']) && parameter(segment).is_none() {
            return refuse(&format!("{segment} is only partly a parameter"));
        }
    }
    Ok(())
}

/// Refuses a path that would run into what stands before it.
pub(super) fn check_start(path: &str) -> Result<(), Reason> {
    match path.starts_with('/') {
        true => Ok(()),
        false => Err(Reason::Template(String::from("it does not start with /"))),
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

/// The shape of all requests that a path of a document could stand for: its query taken off, and a segment that is partly a parameter
/// taken as one.
pub(super) fn widest_shape(path: &str) -> String {
    let path = path.split_once(['?', '#']).map_or(path, |(path, _)| path);
    path.split('/').map(|segment| if segment.contains('{') { "{}" } else { segment }).collect::<Vec<_>>().join("/")
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
