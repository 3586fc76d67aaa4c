//! Where a document keeps the scopes of its operations: in an extension, or in `security`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::document::{Document, Operation};
use super::{ImportError, Options, Reason, Report};
use crate::policy::scope::is_scope_name;

/// The one place that scopes are read from, for the whole document.
#[derive(Debug)]
pub(super) struct Scoping {
    source: Source,
    default_security: Option<Value>,
    was_chosen: bool,
    /// Every security scheme that operations name.
    schemes: BTreeSet<String>,
    /// One scope of a list is enough.
    any_of: bool,
    /// Names that mean that no scope is needed.
    free: BTreeSet<String>,
}

#[derive(Debug)]
enum Source {
    Extension(String),
    /// Nothing in the document lists a scope.
    None,
    Scheme(String),
}

/// What a document states about who may call an operation.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Stated {
    /// A pseudo-scope says that any key will do.
    Free,
    Nothing,
    Public,
    /// Alternatives of all-of lists, none empty.
    Scopes(Vec<BTreeSet<String>>),
}

impl Scoping {
    /// Finds the place: the option, else the only extension, else the only scheme that lists scopes.
    pub(super) fn choose(document: &Document, options: &Options) -> Result<Self, ImportError> {
        let operations = document.operations("", &mut Report::default());
        let default_security = document.default_security();
        let mut extensions = BTreeSet::new();
        // Scheme name to whether it ever lists a scope.
        let mut schemes: BTreeMap<&str, bool> = BTreeMap::new();
        for operation in &operations {
            extensions.extend(operation.fields.keys().filter(|name| holds_scopes(name)).cloned());
            let security = operation.fields.get("security").or(default_security);
            for (name, scopes) in requirements(security).flatten() {
                *schemes.entry(name).or_default() |= scopes.as_array().is_some_and(|scopes| !scopes.is_empty());
            }
        }
        let unknown = |option, name: &str| Err(ImportError::UnknownName { option, name: name.to_owned() });
        let source = match (&options.scopes_from, &options.scheme) {
            (Some(name), _) if operations.iter().any(|operation| operation.fields.contains_key(name)) => {
                Source::Extension(name.clone())
            }
            (Some(name), _) => return unknown("--scopes-from", name),
            (None, Some(name)) if schemes.contains_key(name.as_str()) => Source::Scheme(name.clone()),
            (None, Some(name)) => return unknown("--scheme", name),
            (None, None) => detect(extensions, (&schemes, document))?,
        };
        let scoping = Self {
            source,
            default_security: default_security.cloned(),
            was_chosen: options.scopes_from.is_some() || options.scheme.is_some(),
            schemes: schemes.into_keys().map(str::to_owned).collect(),
            any_of: options.any_of,
            free: options.no_scope.iter().cloned().collect(),
        };
        let used: BTreeSet<String> = operations.iter().flat_map(|operation| scoping.listed(operation)).collect();
        match scoping.free.iter().find(|name| !used.contains(*name)) {
            Some(name) => unknown("--no-scope", name),
            None => Ok(scoping),
        }
    }

    /// Whether no operation of the document lists a scope.
    pub(super) const fn lists_none(&self) -> bool {
        matches!(self.source, Source::None)
    }

    /// Says in the report what was detected, and what does not count.
    pub(super) fn explain(&self, report: &mut Report) {
        let text = match &self.source {
            Source::Extension(name) => format!("read from the extension {name}"),
            Source::None => return,
            Source::Scheme(name) => format!("read from the security scheme {name}"),
        };
        if !self.was_chosen {
            report.note("scopes", text);
        }
        let Source::Scheme(chosen) = &self.source else { return };
        let others: Vec<&str> = self.schemes.iter().filter(|name| *name != chosen).map(String::as_str).collect();
        if !others.is_empty() {
            let text = format!("what the document allows by another scheme ({}) opens nothing here", others.join(", "));
            report.note("scopes", text);
        }
    }

    /// What the document states about one operation.
    pub(super) fn stated(&self, operation: &Operation<'_>) -> Result<Stated, Reason> {
        let security = operation.fields.get("security").or(self.default_security.as_ref());
        if is_public(security) {
            return Ok(Stated::Public);
        }
        match &self.source {
            Source::Extension(name) => match operation.fields.get(name) {
                Some(list) => self.read(list).map_err(|what| Reason::Scopes(format!("{name} {what}"))),
                None => Ok(Stated::Nothing),
            },
            Source::None => Ok(Stated::Nothing),
            Source::Scheme(scheme) => self.by_scheme(security, scheme),
        }
    }

    /// Alternatives that name the scheme are an OR of their lists; one that lists nothing opens the route to any key.
    fn by_scheme(&self, security: Option<&Value>, scheme: &str) -> Result<Stated, Reason> {
        let mut lists: Vec<BTreeSet<String>> = Vec::new();
        let mut others = BTreeSet::new();
        for alternative in requirements(security) {
            let Some((_, scopes)) = alternative.iter().find(|(name, _)| *name == scheme) else {
                others.extend(alternative.into_iter().map(|(name, _)| name.to_owned()));
                continue;
            };
            match self.read(scopes).map_err(|what| Reason::Scopes(format!("{scheme} {what}")))? {
                Stated::Scopes(more) => lists.extend(more),
                open => return Ok(open),
            }
        }
        if lists.is_empty() && !others.is_empty() {
            return Err(Reason::OtherScheme(others.into_iter().collect::<Vec<_>>().join(", ")));
        }
        Ok(if lists.is_empty() { Stated::Nothing } else { Stated::Scopes(lists) })
    }

    /// What the alternatives that count ask for at once with the scheme: other schemes, each with the scopes that it lists.
    pub(super) fn beside(&self, operation: &Operation<'_>) -> Vec<(String, BTreeSet<String>)> {
        let Source::Scheme(scheme) = &self.source else { return Vec::new() };
        let security = operation.fields.get("security").or(self.default_security.as_ref());
        let counting = requirements(security).filter(|alternative| alternative.iter().any(|(name, _)| name == scheme));
        let others = counting.flatten().filter(|(name, _)| name != scheme);
        others.map(|(name, scopes)| (name.to_owned(), names(scopes).unwrap_or_default())).collect()
    }

    /// What one list asks for. An error says what is wrong with it.
    fn read(&self, list: &Value) -> Result<Stated, String> {
        let names = names(list)?;
        if names.is_empty() {
            return Ok(Stated::Nothing);
        }
        let scopes: BTreeSet<String> = names.difference(&self.free).cloned().collect();
        let is_free = scopes.is_empty() || (self.any_of && scopes.len() < names.len());
        Ok(match (is_free, self.any_of) {
            (true, _) => Stated::Free,
            (false, true) => Stated::Scopes(scopes.into_iter().map(|scope| BTreeSet::from([scope])).collect()),
            (false, false) => Stated::Scopes(vec![scopes]),
        })
    }

    /// Every name that an operation lists, where that can be read.
    fn listed(&self, operation: &Operation<'_>) -> BTreeSet<String> {
        let security = operation.fields.get("security").or(self.default_security.as_ref());
        let lists: Vec<&Value> = match &self.source {
            Source::Extension(name) => operation.fields.get(name).into_iter().collect(),
            Source::None => Vec::new(),
            Source::Scheme(scheme) => {
                let all = requirements(security).flatten();
                all.filter(|(name, _)| name == scheme).map(|(_, scopes)| scopes).collect()
            }
        };
        lists.into_iter().filter_map(|list| names(list).ok()).flatten().collect()
    }
}

fn detect(
    extensions: BTreeSet<String>,
    (schemes, document): (&BTreeMap<&str, bool>, &Document),
) -> Result<Source, ImportError> {
    let with_scopes = || schemes.iter().filter(|(_, lists)| **lists).map(|(name, _)| *name);
    let defined: Vec<&str> = with_scopes().filter(|name| document.defines_scheme(name)).collect();
    let with_scopes = if defined.is_empty() { with_scopes().collect() } else { defined };
    let mut extensions: Vec<String> = extensions.into_iter().collect();
    match (extensions.len(), with_scopes.as_slice()) {
        (1, _) => Ok(extensions.pop().map_or(Source::None, Source::Extension)),
        (2.., _) => Err(ImportError::ManyExtensions { names: extensions }),
        (_, []) => Ok(Source::None),
        (_, [only]) => Ok(Source::Scheme((*only).to_owned())),
        (_, several) => {
            Err(ImportError::ManySchemes { names: several.iter().map(|name| (*name).to_owned()).collect() })
        }
    }
}

/// `x-klaviyo-scopes`, `x-pd-requires-scope` and their like.
fn holds_scopes(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("x-") && (name.ends_with("scopes") || name.ends_with("scope"))
}

/// The alternatives of a `security` field, each a list of scheme and scopes.
fn requirements(security: Option<&Value>) -> impl Iterator<Item = Vec<(&str, &Value)>> {
    let alternatives = security.and_then(Value::as_array);
    alternatives
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .map(|schemes| schemes.iter().map(|(name, scopes)| (name.as_str(), scopes)).collect())
}

/// `security: []`, or an alternative that names no scheme. A document without any `security` says nothing.
fn is_public(security: Option<&Value>) -> bool {
    let Some(alternatives) = security.and_then(Value::as_array) else {
        return false;
    };
    alternatives.is_empty()
        || alternatives.iter().any(|alternative| alternative.as_object().is_some_and(serde_json::Map::is_empty))
}

/// Scope names from a string, a list of strings or null. An error says what it holds instead.
fn names(value: &Value) -> Result<BTreeSet<String>, String> {
    let mut names = BTreeSet::new();
    match value {
        Value::Null => {}
        Value::String(text) => names.extend(text.split_ascii_whitespace().map(str::to_owned)),
        Value::Array(items) => {
            for item in items {
                let name = item.as_str().ok_or_else(|| format!("lists {}, not the name of a scope", kind(item)))?;
                names.insert(name.to_owned());
            }
        }
        other => return Err(format!("holds {}, not a list of scope names", kind(other))),
    }
    match names.iter().find(|name| !is_scope_name(name)) {
        Some(bad) => Err(format!("lists {bad:?}, which cannot be a scope")),
        None => Ok(names),
    }
}

/// What a value is, in words. Of an object the fields are named, since its scopes may be in one of them.
fn kind(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
            names.sort_unstable();
            format!("an object ({})", names.join(", "))
        }
        Value::Array(_) => String::from("a list"),
        Value::Null => String::from("null"),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
