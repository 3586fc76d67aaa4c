//! The document as a tree: its operations, its base path, and its schemas with references followed.

use serde_json::{Map, Value};

use super::files::Files;
use super::{ImportError, Note, ReadFile, Reason, Report, server, text};

/// Methods that a route may have.
const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];
/// Methods that documents know and that are never forwarded.
const NO_METHODS: [&str; 2] = ["query", "trace"];
/// References followed in a row before a chain counts as endless.
const MAX_HOPS: usize = 32;
/// Schemas that are looked into for one property.
const MAX_PARTS: usize = 256;

/// A parsed OpenAPI 3.x or Swagger 2.0 document, with the files that it refers to.
#[derive(Debug)]
pub(super) struct Document {
    files: Files,
    version: Version,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Version {
    OpenApi3,
    Swagger2,
}

/// One method of one path.
#[derive(Clone, Debug)]
pub(super) struct Operation<'d> {
    /// In capitals.
    pub(super) method: String,
    /// As the document has it, without the base path.
    pub(super) path: &'d str,
    pub(super) fields: &'d Map<String, Value>,
    pub(super) has_own_servers: bool,
    /// Parameters that the path item gives to all its operations.
    shared_parameters: &'d [Value],
}

impl Document {
    /// Parses the text of a document called `name`, and what it refers to.
    pub(super) fn parse(
        (name, text): (&str, &str),
        read: ReadFile<'_>,
        report: &mut Report,
    ) -> Result<Self, ImportError> {
        let root = text::read(text).map_err(|what| ImportError::Syntax { what })?;
        let not = |what: &str| ImportError::NotOpenApi { what: what.to_owned() };
        let version = match (root.get("openapi"), root.get("swagger")) {
            (Some(version), _) if version.as_str().is_some_and(|v| v.starts_with("3.")) => Version::OpenApi3,
            (None, Some(version)) if version.as_str() == Some("2.0") => Version::Swagger2,
            (None, None) => return Err(not("it has neither `openapi` nor `swagger`")),
            _ => return Err(not("its version is neither 3.x nor 2.0")),
        };
        if !root.get("paths").is_some_and(Value::is_object) {
            return Err(not("it has no `paths`"));
        }
        Ok(Self { files: Files::gather(name, root, read, report), version })
    }

    fn root(&self) -> &Value {
        self.files.root()
    }

    /// Title and version, for the head of the policy.
    pub(super) fn title(&self) -> String {
        let info = |name: &str| {
            self.root().get("info").and_then(|info| info.get(name)).and_then(Value::as_str).unwrap_or_default()
        };
        format!("{} {}", info("title"), info("version")).trim().to_owned()
    }

    /// The security requirements of operations that state none themselves.
    pub(super) fn default_security(&self) -> Option<&Value> {
        self.root().get("security")
    }

    fn schemes(&self) -> Option<&Map<String, Value>> {
        let schemes = match self.version {
            Version::OpenApi3 => self.root().pointer("/components/securitySchemes"),
            Version::Swagger2 => self.root().get("securityDefinitions"),
        };
        schemes?.as_object()
    }

    /// Whether the document defines a security scheme of this name.
    pub(super) fn defines_scheme(&self, name: &str) -> bool {
        self.schemes().is_some_and(|schemes| schemes.contains_key(name))
    }

    /// What the document's security schemes say about a scope.
    pub(super) fn scope_description(&self, scope: &str) -> Option<&str> {
        let mut schemes: Vec<_> = self.schemes()?.iter().collect();
        schemes.sort_by_key(|(name, _)| *name);
        schemes.into_iter().find_map(|(_, scheme)| {
            let scheme = self.resolve(scheme);
            let mut flows: Vec<_> = scheme.get("flows").and_then(Value::as_object).into_iter().flatten().collect();
            flows.sort_by_key(|(name, _)| *name);
            let mut lists = flows
                .into_iter()
                .map(|(_, flow)| flow)
                .filter_map(|flow| flow.get("scopes"))
                .chain(scheme.get("scopes"));
            lists.find_map(|scopes| scopes.get(scope)?.as_str())
        })
    }

    /// The path that stands before every path of the document, without a final slash; empty where there is none.
    pub(super) fn base(&self, report: &mut Report) -> String {
        let base = match self.version {
            Version::Swagger2 => {
                let written = self.root().get("basePath").and_then(Value::as_str).unwrap_or_default();
                absolute("basePath", written, report)
            }
            Version::OpenApi3 => {
                let servers = list(self.root().get("servers"));
                let mut bases = servers.iter().map(server::path);
                let first = absolute("servers", &bases.next().unwrap_or_default(), report);
                let mut bases = bases.map(|base| absolute("servers", &base, &mut Report::default()));
                if let Some(other) = bases.find(|other| *other != first) {
                    let text =
                        format!("the servers have different base paths, {first:?} and {other:?}: the first is used");
                    report.notes.push(Note { about: String::from("servers"), text });
                }
                first
            }
        };
        base.trim_end_matches('/').to_owned()
    }

    /// All operations, sorted by path. What is none goes into the report, `base` before its path.
    pub(super) fn operations<'d>(&'d self, base: &str, report: &mut Report) -> Vec<Operation<'d>> {
        let mut found = Vec::new();
        let paths = self.root().get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten().filter(|(path, _)| !path.starts_with("x-")) {
            // Operations may stand beside a reference to more of them.
            let referred = reference(item).map(|_| self.resolve(item));
            for item in [Some(item), referred].into_iter().flatten() {
                self.operations_of(path, item, &mut found);
                lost(item, self, &format!("{base}{path}"), report);
            }
            if let Some(place) = referred.and_then(reference) {
                report.lose(format!("* {base}{path}"), Reason::External(place.trim_end_matches('#').to_owned()));
            }
        }
        found.sort_by(|a, b| (a.path, &a.method).cmp(&(b.path, &b.method)));
        found
    }

    fn operations_of<'d>(&'d self, path: &'d str, item: &'d Value, found: &mut Vec<Operation<'d>>) {
        let shared_parameters = list(item.get("parameters"));
        for method in METHODS {
            let operation = item.get(method).map(|operation| self.resolve(operation));
            let is_found = operation.is_some_and(|operation| reference(operation).is_none());
            if let Some(fields) = operation.filter(|_| is_found).and_then(Value::as_object) {
                let has_own_servers = fields.contains_key("servers") || item.get("servers").is_some();
                let method = method.to_ascii_uppercase();
                found.push(Operation { method, path, fields, has_own_servers, shared_parameters });
            }
        }
    }

    /// Follows references. One that leads nowhere, or in a circle, is returned itself.
    pub(super) fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        let mut at = value;
        for _ in 0..MAX_HOPS {
            let Some(next) = reference(at).and_then(|place| self.files.at(place)) else {
                break;
            };
            at = next;
        }
        at
    }

    /// A property of a schema, in its own `properties` or in a part of its `allOf`.
    pub(super) fn property<'d>(&'d self, schema: &'d Value, name: &str) -> Option<&'d Value> {
        self.property_within(schema, name, &mut Vec::new())
    }

    /// Looks into each schema once: parts may lead back to the whole.
    fn property_within<'d>(&'d self, schema: &'d Value, name: &str, seen: &mut Vec<&'d Value>) -> Option<&'d Value> {
        let schema = self.resolve(schema);
        if seen.len() >= MAX_PARTS || seen.iter().any(|other| std::ptr::eq(*other, schema)) {
            return None;
        }
        seen.push(schema);
        if let Some(found) = schema.get("properties").and_then(|properties| properties.get(name)) {
            return Some(self.resolve(found));
        }
        list(schema.get("allOf")).iter().find_map(|part| self.property_within(part, name, seen))
    }

    /// The schema of an array's items, or the schema itself when it is no array.
    pub(super) fn item<'d>(&'d self, schema: &'d Value) -> &'d Value {
        let schema = self.resolve(schema);
        schema.get("items").map_or(schema, |items| self.resolve(items))
    }

    /// The schema of the body of the first 2xx response that has one.
    pub(super) fn response_schema<'d>(&'d self, operation: &Operation<'d>) -> Option<&'d Value> {
        let responses = operation.fields.get("responses")?.as_object()?;
        let good = responses.iter().filter(|(status, _)| status.starts_with('2'));
        let schemas = good.filter_map(|(status, response)| {
            let response = self.resolve(response);
            let schema = match self.version {
                Version::OpenApi3 => first(response.get("content")?)?.get("schema"),
                Version::Swagger2 => response.get("schema"),
            }?;
            Some((status, self.resolve(schema)))
        });
        schemas.min_by_key(|(status, _)| *status).map(|(_, schema)| schema)
    }

    /// The query parameters of an operation, its own and its path's: name and schema.
    pub(super) fn query<'d>(&'d self, operation: &Operation<'d>) -> impl Iterator<Item = (&'d str, &'d Value)> {
        self.parameters(operation).filter_map(|parameter| {
            let is_query = parameter.get("in").and_then(Value::as_str) == Some("query");
            let name = parameter.get("name")?.as_str()?;
            is_query.then(|| (name, self.resolve(parameter.get("schema").unwrap_or(parameter))))
        })
    }

    /// The places of parameters of an operation that cannot be found.
    pub(super) fn lost_parameters<'d>(&'d self, operation: &Operation<'d>) -> impl Iterator<Item = &'d str> {
        self.parameters(operation).filter_map(reference).map(|place| place.trim_end_matches('#'))
    }

    fn parameters<'d>(&'d self, operation: &Operation<'d>) -> impl Iterator<Item = &'d Value> {
        let own = list(operation.fields.get("parameters"));
        own.iter().chain(operation.shared_parameters).map(|parameter| self.resolve(parameter))
    }
}

/// Reports the operations of a path item that are none, or that cannot be found.
fn lost(item: &Value, document: &Document, path: &str, report: &mut Report) {
    for method in METHODS.iter().chain(&NO_METHODS) {
        let Some(operation) = item.get(*method).map(|operation| document.resolve(operation)) else {
            continue;
        };
        let reason = match reference(operation) {
            _ if NO_METHODS.contains(method) => Reason::Method,
            Some(place) => Reason::External(place.trim_end_matches('#').to_owned()),
            None if operation.is_object() => continue,
            None => Reason::NoOperation,
        };
        report.lose(format!("{} {path}", method.to_ascii_uppercase()), reason);
    }
}

/// The field that is first by name.
fn first(fields: &Value) -> Option<&Value> {
    fields.as_object()?.iter().min_by_key(|(name, _)| *name).map(|(_, field)| field)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The values that a schema, or the items of its array, may have.
pub(super) fn enumeration(schema: &Value) -> impl Iterator<Item = &str> {
    let values = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice);
    let only = schema.get("const").map(std::slice::from_ref);
    values.or(only).unwrap_or_default().iter().filter_map(Value::as_str)
}

fn reference(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()
}

/// A base path that begins with `/`, as one that stands before paths must.
fn absolute(about: &str, base: &str, report: &mut Report) -> String {
    if base.is_empty() || base.starts_with('/') {
        return base.to_owned();
    }
    let base = format!("/{}", base.trim_start_matches("./"));
    report.note(about, format!("the base path is relative to where the document is served: taken as {base}"));
    base
}
