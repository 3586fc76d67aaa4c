//! Words of a document as words of a policy file.

use std::fmt::Write as _;

use super::METHODS;
use crate::key::visible::is_invisible;

/// Letters of a title or of a description that are written.
pub(super) const PROSE: usize = 120;

/// At most so many letters of a text that a document gives for people to read.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// One scope bare, more as a list.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| scalar(name)).collect();
    match names.as_slice() {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// A YAML scalar that reads back as this text in block and flow style: bare where that is certain, else in double quotes.
pub(super) fn scalar(text: &str) -> String {
    let certain = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, ' ' | '/' | ':' | '-' | '_' | '.' | '+' | '$' | '~' | '(' | ')')
    };
    let are_methods = |methods: &str| methods.split('|').all(|method| METHODS.contains(&method));
    let is_label = text.split_once(' ').is_some_and(|(methods, _)| are_methods(methods));
    let plain = text.chars().all(|c| certain(c) || (is_label && matches!(c, '{' | '}' | '|')))
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain { text.to_owned() } else { quoted(text) }
}

/// In double quotes, and by its number whatever would not show.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            hidden if is_invisible(hidden) => match u32::from(hidden) {
                code @ ..0x1_0000 => drop(write!(quoted, "\\u{code:04x}")),
                code => drop(write!(quoted, "\\U{code:08x}")),
            },
            other => quoted.push(other),
        }
    }
    quoted + "\""
}
