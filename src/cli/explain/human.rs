//! An explanation for a reader: the steps in their order, then the decision, at 80 columns.

use super::caller::Explained;
use crate::cli::console::{Ink, Paint};
use crate::cli::{Console, Failure};
use crate::key::visible::escaped;
use crate::policy::{Bound, Explanation, Sufficient, Trace};

/// Granted scopes that are named before the rest is counted.
const SCOPES_SHOWN: usize = 6;

/// Columns of a line.
const WIDTH: usize = 80;

/// Columns of the names of the steps, with what stands before and behind.
const MARGIN: usize = 12;

pub(super) fn print(
    explained: &Explained,
    (method, target): (&str, &str),
    console: &mut Console,
) -> Result<(), Failure> {
    let mut page = Page { paint: console.paint(), lines: Vec::new() };
    page.lines.push(page.paint.apply(Ink::Strong, &format!("{method} {target}")));
    page.lines.push(String::new());
    page.explanation(explained);
    page.lines.into_iter().try_for_each(|line| console.print(line))
}

/// The lines so far.
struct Page {
    paint: Paint,
    lines: Vec<String>,
}

impl Page {
    fn explanation(&mut self, explained: &Explained) {
        let trace = &explained.trace;
        match &explained.steps {
            Some(steps) => self.path(steps, &explained.file),
            None => self.step("path", "refused before any route was looked for", Ink::Plain),
        }
        self.step("caller", &explained.caller, Ink::Plain);
        explained.steps.iter().for_each(|steps| self.bindings(&steps.bound));
        self.scopes(trace);
        for held in explained.steps.iter().flat_map(|steps| &steps.implied) {
            self.step("implied", &format!("{}  by {}", held.scope, held.by), Ink::Plain);
        }
        let steps = explained.steps.as_ref().filter(|_| trace.code.is_some());
        if let Some((steps, sufficient)) = steps.and_then(|steps| Some((steps, steps.sufficient.as_ref()?))) {
            self.sufficient(steps, sufficient);
        }
        self.lines.push(String::new());
        let (decision, ink) = match trace.code {
            None => ("ALLOW".to_owned(), Ink::Good),
            Some(code) => (format!("DENY {} {code}", trace.status), Ink::Bad),
        };
        let mut lines = wrapped(&format!("{decision}  {}", trace.reason), WIDTH).into_iter();
        if let Some(first) = lines.next() {
            let rest = first.strip_prefix(decision.as_str()).unwrap_or_default();
            self.lines.push(format!("{}{rest}", self.paint.apply(ink, &decision)));
        }
        self.lines.extend(lines);
    }

    /// From the path to the route.
    fn path(&mut self, steps: &Explanation, file: &str) {
        let segments = &steps.segments;
        let end = if steps.final_slash && !segments.is_empty() { "/" } else { "" };
        self.step("path", &format!("/{}{end}", segments.join("/")), Ink::Plain);
        self.step("segments", &segments.join(" | "), Ink::Faint);
        let widest = steps.candidates.iter().map(|candidate| candidate.template.chars().count()).max().unwrap_or(0);
        for (place, candidate) in steps.candidates.iter().enumerate() {
            let why = match candidate.near_miss {
                Some(_) => "nearly the path",
                None if candidate.chosen => "chosen by the path",
                None => "less specific",
            };
            let methods = candidate.methods.join(", ");
            let name = if place == 0 { "templates" } else { "" };
            let ink = if candidate.chosen { Ink::Plain } else { Ink::Faint };
            self.step(name, &format!("{:<widest$}  {methods}  ({why})", candidate.template), ink);
        }
        if let Some(near) = steps.near_miss {
            let part = near.as_str();
            self.step(
                "",
                &format!("the path is one of a more specific template but for {part}, so none matches"),
                Ink::Bad,
            );
        }
        match (&steps.trace.route, steps.line) {
            (Some(route), Some(line)) => {
                self.step("route", route, Ink::Strong);
                self.step("", &format!("{file}:{line}"), Ink::Faint);
                if let Some(upgrade) = steps.upgrade {
                    self.step("upgrade", &format!("{}, where a request asks for it", upgrade.as_str()), Ink::Plain);
                }
                if !steps.timeouts.is_empty() {
                    self.step("timeouts", &steps.timeouts.to_string(), Ink::Plain);
                }
            }
            _ => self.step("route", "none", Ink::Bad),
        }
    }

    /// What the path must be for this key, and whether it is.
    fn bindings(&mut self, bindings: &[Bound]) {
        for (place, bound) in bindings.iter().enumerate() {
            let Bound { attribute, parameter, value, values, kept } = bound;
            let has = format!("{attribute}={}", values.join(" or "));
            let (text, ink) = match (value, kept) {
                (Some(value), true) => (format!("{{{parameter}}}={value}  held because of {has}"), Ink::Good),
                (Some(value), false) if values.is_empty() => {
                    (format!("{{{parameter}}}={value}  needs a key with {attribute}={value}"), Ink::Bad)
                }
                (Some(value), false) => (format!("{{{parameter}}}={value}  outside {has}"), Ink::Bad),
                (None, true) => (format!("{has}  not asked: the route is unbound"), Ink::Good),
                (None, false) => (format!("{has}  outside: the route has no {{{parameter}}}"), Ink::Bad),
            };
            self.step(if place == 0 { "binding" } else { "" }, &text, ink);
        }
    }

    /// What is needed and why, what is held, what is missing.
    fn scopes(&mut self, trace: &Trace) {
        let widest = trace.because.iter().map(|because| because.scope.chars().count()).max().unwrap_or(0);
        for (place, because) in trace.because.iter().enumerate() {
            let name = if place == 0 { "required" } else { "" };
            let (state, ink) =
                if trace.missing.contains(&because.scope) { ("missing", Ink::Bad) } else { ("held", Ink::Good) };
            let from = if Some(&because.from) == trace.route.as_ref() { "the route" } else { &because.from };
            self.step(name, &format!("{:<widest$}  {state:<7}  because of {from}", because.scope), ink);
        }
        if !trace.any_of.is_empty() {
            let alternatives: Vec<String> = trace.any_of.iter().map(|scopes| scopes.join(" and ")).collect();
            self.step("any of", &alternatives.join(", or "), Ink::Plain);
        }
        if !trace.granted.is_empty() {
            self.step("granted", &shortened(&trace.granted), Ink::Plain);
        }
        if !trace.missing.is_empty() {
            self.step("missing", &trace.missing.join(", "), Ink::Bad);
        }
    }

    fn sufficient(&mut self, steps: &Explanation, sufficient: &Sufficient) {
        let list = |scopes: &Vec<String>| match scopes.as_slice() {
            [] => "any key, whatever its scopes".to_owned(),
            scopes => scopes.join(" and "),
        };
        let mut ways: Vec<String> = sufficient.scopes.iter().map(list).collect();
        if !sufficient.scopes.iter().any(Vec::is_empty) {
            ways.extend(sufficient.levels.iter().map(|level| format!("the grant {level}")));
        }
        let with = sufficient.attributes.iter().map(|(name, value)| format!("with {name}={value}"));
        let strays = steps.bound.iter().filter(|bound| bound.value.is_none() && !bound.kept);
        let without = strays.map(|bound| format!("without {}", bound.attribute));
        let bound: Vec<String> = with.chain(without).collect();
        let comma = if bound.is_empty() { "" } else { ", " };
        self.step("would do", &format!("{}{comma}{}", ways.join(", or "), bound.join(" and ")), Ink::Plain);
    }

    /// One step: its name, and what there is to say, in as many lines as that takes.
    fn step(&mut self, name: &str, text: &str, ink: Ink) {
        let mut name = name;
        for line in wrapped(text, WIDTH - MARGIN) {
            let padded = self.paint.apply(Ink::Faint, &format!("{name:<10}"));
            self.lines.push(format!("  {padded}{}", self.paint.apply(ink, &line)).trim_end().to_owned());
            name = "";
        }
    }
}

/// A text in lines of at most `width` columns, parted at spaces alone. What has none is left whole: it is there to be copied.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in escaped(text).split(' ') {
        let used = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(line) if used == 0 || used + 1 + word.chars().count() <= width => {
                if used > 0 {
                    line.push(' ');
                }
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
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
    fn a_long_text_is_parted_at_spaces_and_a_long_word_is_not_parted() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a\nb \x1b", 20), ["a\\u{a}b \\u{1b}"], "nor at a line break of a stranger's");
        assert_eq!(wrapped("a word-that-is-long b", 6), ["a", "word-that-is-long", "b"]);
    }
}
