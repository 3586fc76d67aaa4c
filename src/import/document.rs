//! The document as a tree: its operations, its base path, and its schemas with references followed.

use serde_json::{Map, Value};

use super::{ImportError, LeftOut, Note, Reason, Report, text};

/// Methods that a route may have. `trace` is never forwarded, so no route can be made of it.
const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];
/// References followed in a row before a chain counts as endless.
const MAX_HOPS: usize = 32;

/// A parsed OpenAPI 3.x or Swagger 2.0 document.
#[derive(Debug)]
pub(super) struct Document {
    root: Value,
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
    pub(super) fn parse(text: &str) -> Result<Self, ImportError> {
        let root = text::read(text)?;
        let not = |what: &str| ImportError::NotOpenApi { what: what.to_owned() };
        let version = match (root.get("openapi"), root.get("swagger")) {
            (Some(version), _) if version.as_str().is_some_and(|v| v.starts_with("3.")) => Version::OpenApi3,
            (None, Some(version)) if version.as_str() == Some("2.0") => Version::Swagger2,
            (None, None) => return Err(not("it has neither `openapi` nor `swagger`")),
            _ => return Err(not("its version is another")),
        };
        if !root.get("paths").is_some_and(Value::is_object) {
            return Err(not("it has no `paths`"));
        }
        Ok(Self { root, version })
    }

    /// Title and version, for the head of the policy.
    pub(super) fn title(&self) -> String {
        let info = |name: &str| {
            self.root.get("info").and_then(|info| info.get(name)).and_then(Value::as_str).unwrap_or_default()
        };
        format!("{} {}", info("title"), info("version")).trim().replace(['\n', '\r'], " ")
    }

    /// The security requirements of operations that state none themselves.
    pub(super) fn default_security(&self) -> Option<&Value> {
        self.root.get("security")
    }

    /// What the document's security schemes say about a scope.
    pub(super) fn scope_description(&self, scope: &str) -> Option<&str> {
        let schemes = match self.version {
            Version::OpenApi3 => self.root.pointer("/components/securitySchemes"),
            Version::Swagger2 => self.root.get("securityDefinitions"),
        }?;
        schemes.as_object()?.values().find_map(|scheme| {
            let flows = scheme.get("flows").and_then(Value::as_object);
            let mut lists = flows
                .into_iter()
                .flat_map(Map::values)
                .filter_map(|flow| flow.get("scopes"))
                .chain(scheme.get("scopes"));
            lists.find_map(|scopes| scopes.get(scope)?.as_str())
        })
    }

    /// The path that stands before every path of the document, without a final slash; empty where there is none.
    pub(super) fn base(&self, report: &mut Report) -> String {
        let base = match self.version {
            Version::Swagger2 => self.root.get("basePath").and_then(Value::as_str).unwrap_or_default().to_owned(),
            Version::OpenApi3 => {
                let servers = self.root.get("servers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let mut bases = servers.iter().map(server_path);
                let first = bases.next().unwrap_or_default();
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

    /// All operations in the document's order. What is only named by a reference to another file goes into the report.
    pub(super) fn operations<'d>(&'d self, report: &mut Report) -> Vec<Operation<'d>> {
        let mut found = Vec::new();
        let paths = self.root.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten().filter(|(path, _)| !path.starts_with("x-")) {
            let mut external = |method: &str, place: &str| {
                report.operations += 1;
                report
                    .left_out
                    .push(LeftOut { route: format!("{method} {path}"), reason: Reason::External(place.to_owned()) });
            };
            let item = self.resolve(item);
            if let Some(place) = reference(item) {
                external("*", place);
                continue;
            }
            let shared_parameters =
                item.get("parameters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for method in METHODS {
                let Some(operation) = item.get(method).map(|operation| self.resolve(operation)) else {
                    continue;
                };
                let capitals = method.to_ascii_uppercase();
                match (reference(operation), operation.as_object()) {
                    (Some(place), _) => external(&capitals, place),
                    (None, Some(fields)) => {
                        let has_own_servers = fields.contains_key("servers") || item.get("servers").is_some();
                        found.push(Operation { method: capitals, path, fields, has_own_servers, shared_parameters });
                    }
                    (None, None) => {}
                }
            }
        }
        found
    }

    /// Follows references inside the document. One that leads elsewhere, or nowhere, is returned itself.
    pub(super) fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        let mut at = value;
        for _ in 0..MAX_HOPS {
            let Some(next) =
                reference(at).and_then(|place| place.strip_prefix('#')).and_then(|pointer| self.root.pointer(pointer))
            else {
                break;
            };
            at = next;
        }
        at
    }

    /// A property of a schema, in its own `properties` or in a part of its `allOf`.
    pub(super) fn property<'d>(&'d self, schema: &'d Value, name: &str) -> Option<&'d Value> {
        self.property_within(schema, name, MAX_HOPS)
    }

    fn property_within<'d>(&'d self, schema: &'d Value, name: &str, depth: usize) -> Option<&'d Value> {
        let depth = depth.checked_sub(1)?;
        let schema = self.resolve(schema);
        if let Some(found) = schema.get("properties").and_then(|properties| properties.get(name)) {
            return Some(self.resolve(found));
        }
        let parts = schema.get("allOf").and_then(Value::as_array);
        parts.into_iter().flatten().find_map(|part| self.property_within(part, name, depth))
    }

    /// The schema of an array's items, or the schema itself when it is no array.
    pub(super) fn item<'d>(&'d self, schema: &'d Value) -> &'d Value {
        let schema = self.resolve(schema);
        schema.get("items").map_or(schema, |items| self.resolve(items))
    }

    /// The schema of the body of the first 2xx response that has one.
    pub(super) fn response_schema<'d>(&'d self, operation: &Operation<'d>) -> Option<&'d Value> {
        let responses = operation.fields.get("responses")?.as_object()?;
        responses.iter().filter(|(status, _)| status.starts_with('2')).find_map(|(_, response)| {
            let response = self.resolve(response);
            let schema = match self.version {
                Version::OpenApi3 => response.get("content")?.as_object()?.values().next()?.get("schema"),
                Version::Swagger2 => response.get("schema"),
            }?;
            Some(self.resolve(schema))
        })
    }

    /// The query parameters of an operation, its own and its path's: name and schema.
    pub(super) fn query<'d>(&'d self, operation: &Operation<'d>) -> impl Iterator<Item = (&'d str, &'d Value)> {
        let own = operation.fields.get("parameters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        own.iter().chain(operation.shared_parameters).filter_map(|parameter| {
            let parameter = self.resolve(parameter);
            let is_query = parameter.get("in").and_then(Value::as_str) == Some("query");
            let name = parameter.get("name")?.as_str()?;
            is_query.then(|| (name, self.resolve(parameter.get("schema").unwrap_or(parameter))))
        })
    }
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

/// The path of a server's URL, its variables replaced by their defaults.
fn server_path(server: &Value) -> String {
    let mut url = server.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
        None => &url,
    };
    path.trim_end_matches('/').to_owned()
}
