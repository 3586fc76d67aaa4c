//! An explanation for a reader: the steps in their order, then the decision.

use super::caller::Explained;
use crate::cli::{Console, Failure};

/// Granted scopes that are named before the rest is counted.
const SCOPES_SHOWN: usize = 6;

pub(super) fn print(
    explained: &Explained,
    (method, target): (&str, &str),
    console: &mut Console,
) -> Result<(), Failure> {
    lines(explained, method, target).into_iter().try_for_each(|line| console.print(line))
}

fn lines(explained: &Explained, method: &str, target: &str) -> Vec<String> {
    let trace = &explained.trace;
    let mut lines = vec![format!("{} {}", visible(method), visible(target)), String::new()];
    let mut step = |name: &str, value: String| lines.push(format!("  {name:<10}{value}"));
    if let Some(steps) = &explained.steps {
        let path: Vec<String> = steps.segments.iter().map(|segment| visible(segment)).collect();
        step("path", format!("/{}", path.join("/")));
        match &trace.route {
            Some(route) => step("route", route.clone()),
            None => step("route", "none".to_owned()),
        }
        for candidate in steps.candidates.iter().filter(|candidate| trace.route.is_none() || !candidate.chosen) {
            let why = if candidate.chosen { "chosen by the path" } else { "less specific" };
            step("", format!("{} has {} ({why})", candidate.template, candidate.methods.join(", ")));
        }
        if steps.near_miss {
            step("", "the path is one of a more specific template but for letter case, so none matches".to_owned());
        }
    } else {
        step("path", "refused before any route was looked for".to_owned());
    }
    step("caller", explained.caller.clone());
    for (place, because) in trace.because.iter().enumerate() {
        let name = if place == 0 { "required" } else { "" };
        step(name, format!("{}  (because of {})", because.scope, because.from));
    }
    if !trace.any_of.is_empty() {
        let alternatives: Vec<String> = trace.any_of.iter().map(|scopes| scopes.join(" and ")).collect();
        step("any of", alternatives.join(", or "));
    }
    if !trace.granted.is_empty() {
        step("granted", shortened(&trace.granted));
    }
    if !trace.missing.is_empty() {
        step("missing", trace.missing.join(", "));
    }
    lines.push(String::new());
    lines.push(match trace.code {
        None => format!("ALLOW  {}", trace.reason),
        Some(code) => format!("DENY {} {code}  {}", trace.status, trace.reason),
    });
    lines
}

/// A list of scopes, of which a level can have hundreds.
fn shortened(scopes: &[String]) -> String {
    let shown: Vec<&str> = scopes.iter().take(SCOPES_SHOWN).map(String::as_str).collect();
    match scopes.len().saturating_sub(SCOPES_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The text without what would act on a terminal.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_scopes_are_counted_and_few_are_named() {
        let scopes: Vec<String> = (1..=8).map(|n| format!("s{n}")).collect();
        assert_eq!(shortened(&scopes), "s1, s2, s3, s4, s5, s6 and 2 more");
        assert_eq!(shortened(scopes.get(..2).unwrap()), "s1, s2");
    }

    #[test]
    fn a_target_cannot_act_on_the_terminal() {
        assert_eq!(visible("/a\x1b[2J\u{9b}b"), "/a\u{fffd}[2J\u{fffd}b");
    }
}
