//! What may be a secret stays out of every excerpt.

use super::Reader;
use crate::config::text;
use crate::yaml::{Entry, Node, Value};

/// The fields that hold secrets, or maps with secrets.
const SECRETS: [&str; 7] = ["basic", "credential", "credentials", "password", "pepper", "username", "value"];

impl Reader<'_> {
    /// Keeps the scalars of `node` out of every excerpt.
    pub(in crate::config) fn mask(&mut self, node: &Node) {
        match &node.value {
            Value::Scalar(_) => self.text.mask(node.span),
            Value::List(items) => items.iter().for_each(|item| self.mask(item)),
            Value::Map(entries) => entries.iter().for_each(|entry| self.mask(&entry.value)),
        }
    }

    /// Keeps the value of an unknown field out of every excerpt, where it may be a secret: the field is one with a
    /// secret, misspelt, or its section has such and it is like none of its fields.
    pub(super) fn mask_stranger(&mut self, entry: &Entry, near: Option<&str>, known: &[&str]) {
        if self.substitution.is_none() {
            // A policy file, which holds no secrets.
            return;
        }
        let holds = |name: &&str| SECRETS.contains(name);
        match near {
            Some(near) if holds(&near) => self.mask(&entry.value),
            None if known.iter().any(holds) && !is_plain_figure(&entry.value) => self.mask(&entry.value),
            _ => self.mask_field(&entry.key, &entry.value),
        }
    }

    /// Keeps what looks like a secret by its name, or like a URL with a password, out of every excerpt.
    pub(in crate::config) fn mask_field(&mut self, name: &str, node: &Node) {
        if text::is_suspect(name) {
            return self.mask(node);
        }
        match &node.value {
            Value::Scalar(scalar) if scalar.text.contains('@') => self.mask(node),
            Value::Scalar(_) => {}
            Value::List(items) => items.iter().for_each(|item| self.mask_field(name, item)),
            Value::Map(entries) => entries.iter().for_each(|entry| self.mask_field(&entry.key, &entry.value)),
        }
    }
}

/// True for a short number, perhaps with a unit, and for `true` and `false`: too little to be a secret.
fn is_plain_figure(node: &Node) -> bool {
    let Some(text) = node.scalar().map(|scalar| &*scalar.text) else { return false };
    let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let digits = text.len() - unit.len();
    let is_number = (1..=4).contains(&digits) && unit.len() <= 3 && unit.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_number || matches!(text, "true" | "false")
}
