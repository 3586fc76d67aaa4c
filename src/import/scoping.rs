//! Where a document keeps the scopes of its operations: in an extension, or in `security`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::document::{Document, Operation};
use super::{ImportError, Note, Options, Reason, Report};

/// The one place that scopes are read from, for the whole document.
#[derive(Debug)]
pub(super) struct Scoping {
    source: Source,
    default_security: Option<Value>,
    was_chosen: bool,
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
    Nothing,
    Public,
    /// Alternatives of all-of lists, each sorted, none empty.
    Scopes(Vec<Vec<String>>),
}

impl Scoping {
    /// Finds the place: the option, else the only extension, else the only scheme that lists scopes.
    pub(super) fn choose(document: &Document, options: &Options) -> Result<Self, ImportError> {
        let operations = document.operations(&mut Report::default());
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
        let was_chosen = options.scopes_from.is_some() || options.scheme.is_some();
        let source = match (&options.scopes_from, &options.scheme) {
            (Some(name), _) if operations.iter().any(|operation| operation.fields.contains_key(name)) => {
                Source::Extension(name.clone())
            }
            (Some(name), _) => {
                return Err(ImportError::UnknownName { option: "--scopes-from", name: name.clone() });
            }
            (None, Some(name)) if schemes.contains_key(name.as_str()) => Source::Scheme(name.clone()),
            (None, Some(name)) => {
                return Err(ImportError::UnknownName { option: "--scheme", name: name.clone() });
            }
            (None, None) => detect(extensions, &schemes)?,
        };
        Ok(Self { source, default_security: default_security.cloned(), was_chosen })
    }

    /// Says in the report what was detected.
    pub(super) fn explain(&self, report: &mut Report) {
        let text = match &self.source {
            Source::Extension(name) => format!("read from the extension {name}"),
            Source::None => {
                String::from("the document lists none: every route is open to any key, and needs your scopes")
            }
            Source::Scheme(name) => format!("read from the security scheme {name}"),
        };
        if !self.was_chosen {
            report.notes.push(Note { about: String::from("scopes"), text });
        }
    }

    /// What the document states about one operation.
    pub(super) fn stated(&self, operation: &Operation<'_>) -> Result<Stated, Reason> {
        let security = operation.fields.get("security").or(self.default_security.as_ref());
        if is_public(security) {
            return Ok(Stated::Public);
        }
        match &self.source {
            Source::Extension(name) => {
                let scopes = operation.fields.get(name).map_or(Ok(Vec::new()), names)?;
                Ok(if scopes.is_empty() { Stated::Nothing } else { Stated::Scopes(vec![scopes]) })
            }
            Source::None => Ok(Stated::Nothing),
            Source::Scheme(scheme) => by_scheme(security, scheme),
        }
    }
}

fn detect(extensions: BTreeSet<String>, schemes: &BTreeMap<&str, bool>) -> Result<Source, ImportError> {
    let with_scopes: Vec<&str> = schemes.iter().filter(|(_, lists)| **lists).map(|(name, _)| *name).collect();
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

/// Alternatives that name the scheme are an OR of their lists; one that lists nothing opens the route to any key.
fn by_scheme(security: Option<&Value>, scheme: &str) -> Result<Stated, Reason> {
    let mut lists: Vec<Vec<String>> = Vec::new();
    let mut others = BTreeSet::new();
    for alternative in requirements(security) {
        match alternative.iter().find(|(name, _)| *name == scheme) {
            Some((_, scopes)) => {
                let list = names(scopes)?;
                if list.is_empty() {
                    return Ok(Stated::Nothing);
                }
                if !lists.contains(&list) {
                    lists.push(list);
                }
            }
            None => others.extend(alternative.into_iter().map(|(name, _)| name.to_owned())),
        }
    }
    if lists.is_empty() && !others.is_empty() {
        return Err(Reason::OtherScheme(others.into_iter().collect::<Vec<_>>().join(", ")));
    }
    Ok(if lists.is_empty() { Stated::Nothing } else { Stated::Scopes(lists) })
}

/// Scope names from a string, a list of strings or null: sorted, each once.
fn names(value: &Value) -> Result<Vec<String>, Reason> {
    let mut names = BTreeSet::new();
    match value {
        Value::Null => {}
        Value::String(text) => names.extend(text.split_ascii_whitespace().map(str::to_owned)),
        Value::Array(items) => {
            for item in items {
                let Some(name) = item.as_str() else {
                    return Err(Reason::Scopes(String::from("the list holds something that is not a string")));
                };
                names.insert(name.to_owned());
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(Reason::Scopes(String::from("neither a string nor a list")));
        }
    }
    if let Some(bad) = names.iter().find(|name| !is_scope(name)) {
        return Err(Reason::Scopes(format!("{bad:?} is not a scope name")));
    }
    Ok(names.into_iter().collect())
}

/// A scope-token of RFC 6749 without comma and `*`.
fn is_scope(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b',' | b'*'))
}
