//! What a policy may not mean: methods that a template hides, and parameters in the form of other routers.

use std::collections::BTreeMap;

use crate::config::read::Reader;
use crate::policy::{Policy, RouteId, Shadow};

/// Templates that a message names before it counts the rest.
const NAMED: usize = 3;

/// Warns of each template that lacks a method of a less specific one: the path chooses the template, so that such a
/// request is denied and never handed on.
pub(super) fn warn_of_hidden_methods(reader: &mut Reader<'_>, policy: &Policy) {
    let mut hidden: BTreeMap<RouteId, Vec<Shadow>> = BTreeMap::new();
    for shadow in policy.shadows() {
        hidden.entry(shadow.chosen).or_default().push(shadow);
    }
    for (chosen, shadows) in &hidden {
        let Some(route) = policy.route(*chosen) else { continue };
        let Some(span) = reader.line_span(route.line()) else { continue };
        reader.warning(
            span,
            message(policy, route.template(), shadows),
            "the path alone chooses the template: name the methods here too if they are to pass",
        );
    }
}

fn message(policy: &Policy, template: &str, shadows: &[Shadow]) -> String {
    let mut methods: Vec<&str> = shadows.iter().flat_map(|shadow| shadow.methods.iter().copied()).collect();
    methods.sort_unstable();
    methods.dedup();
    let beaten = shadows.iter().filter_map(|shadow| policy.route(shadow.beaten));
    let named: Vec<&str> = beaten.take(NAMED).map(|route| route.template()).collect();
    let more = match shadows.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "`{template}` lacks {}, which `{}`{more} would match: such requests are denied",
        methods.join(", "),
        named.join("`, `")
    )
}

/// Warns of each wildcard whose prefix is left to a less specific template.
pub(super) fn warn_of_bare_prefixes(reader: &mut Reader<'_>, policy: &Policy) {
    for bare in policy.bare_prefixes() {
        let (Some(route), Some(taker)) = (policy.route(bare.wildcard), policy.route(bare.taker)) else { continue };
        let Some(span) = reader.line_span(route.line()) else { continue };
        let (template, path) = (route.template(), &bare.path);
        reader.warning(
            span,
            format!("`{template}` does not cover `{path}`, which goes to `{}`", taker.template()),
            &format!("write a route for `{path}` as well, if it is to be ruled as what is below it"),
        );
    }
}

/// Warns of each segment that another router would read as a parameter.
pub(super) fn warn_of_colons(reader: &mut Reader<'_>, policy: &Policy) {
    for colon in policy.colon_segments() {
        let Some(route) = policy.route(colon.route) else { continue };
        let Some(span) = reader.line_span(route.line()) else { continue };
        let segment = &colon.segment;
        let name: String = segment.chars().filter(|letter| !":$<>[]".contains(*letter)).collect();
        let escaped: String = segment
            .chars()
            .map(|letter| match u32::from(letter) {
                code if ":$<>[]".contains(letter) => format!("%{code:02X}"),
                _ => letter.to_string(),
            })
            .collect();
        reader.warning(
            span,
            format!("`{segment}` in `{}` is literal text here", route.template()),
            &format!("write `{{{name}}}` for a parameter, or `{escaped}` if these letters are meant"),
        );
    }
}
