//! The words of a policy that stand for themselves: its base, its methods.

use super::super::build_error::{BuildError, FaultKind, Part};
use super::super::method::Method;
use super::super::template::Template;
use super::RouteSpec;

pub(super) fn duplicate(part: Part, subject: &str, message: String) -> BuildError {
    BuildError::new(FaultKind::Duplicate, part, subject, message).help("take one of them out")
}

pub(super) fn parse_base(base: &str) -> Result<Template, BuildError> {
    let fault = |message: String, help: String| {
        Err(BuildError::new(FaultKind::Malformed, Part::Base, base, message).help(help))
    };
    if base.is_empty() {
        return Ok(Template { pieces: Vec::new(), final_slash: false });
    }
    if base.ends_with('/') {
        let help = match base.trim_end_matches('/') {
            "" => "leave `base` out".to_owned(),
            shorter => format!("write `{shorter}`"),
        };
        return fault(format!("the base `{base}` ends in `/`"), help);
    }
    let template = Template::parse(base).map_err(|error| BuildError { part: Part::Base, ..error })?;
    match template.wildcard() {
        None => Ok(template),
        Some(_) => fault(format!("the base `{base}` has a wildcard"), "end templates with it, not the base".to_owned()),
    }
}

pub(super) fn parse_methods(spec: &RouteSpec) -> Result<Vec<Method>, BuildError> {
    let mut methods = Vec::new();
    for word in &spec.methods {
        let method = Method::parse(word)?;
        if methods.contains(&method) {
            return Err(duplicate(Part::Method, word, format!("the method {word} is written twice")));
        }
        methods.push(method);
    }
    if methods.is_empty() {
        let message = format!("the route `{}` has no method", spec.template);
        return Err(BuildError::new(FaultKind::Empty, Part::Method, "", message)
            .help(format!("write one or more before the path, such as `GET {}`", spec.template)));
    }
    Ok(methods)
}
