//! The policy file: from its YAML to a [`Policy`], every fault at its place.
//!
//! The reader here knows the shape of the file; what a scope, a template or a rule may be is the policy builder's to say.
//! Its errors name the word at fault, and `place` finds where that word stands.

mod declare;
mod hidden;
mod place;
mod route;
mod smells;
pub mod test;
mod unused;

use std::path::Path;

use super::fault::{Fault, Severity};
use super::file::Files;
use super::read::{Field, Fields, Reader};
use super::unit::Complaint;
use crate::policy::scope::Vocabulary;
use crate::policy::{MethodOverride, Options, Part, PathCase, Policy};
use crate::yaml::{self, Node, Span, Value};
pub use test::PolicyTest;

/// The fields of a policy file.
const KNOWN: [&str; 9] =
    ["version", "base", "paths", "method_override", "bind", "scopes", "parameters", "routes", "tests"];

/// The JSON Schema of a policy file, for editors. A test holds it to what the readers here know.
pub const SCHEMA: &str = include_str!("policy/schema.json");

/// A policy and what its file says beside it.
#[derive(Debug)]
pub struct LoadedPolicy {
    /// The policy.
    pub policy: Policy,
    /// Its own tests; they have not been run.
    pub tests: Vec<PolicyTest>,
    /// What is not wrong, but worth a look.
    pub warnings: Vec<Fault>,
    /// The name of the file.
    pub file: String,
}

/// What a policy is compiled with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'s> {
    pub(super) vocabulary: &'s Vocabulary,
    /// The names of the upstream credentials that there are; `None` where that is not known.
    pub(super) credentials: Option<&'s [&'s str]>,
    /// Whether public keys stand anywhere; `None` where that is not known.
    pub(super) public_keys: Option<bool>,
}

/// Reads and compiles the policy file at `path` alone. Names of upstream credentials are not checked.
///
/// # Errors
/// All faults at once, each with its place.
pub fn load(path: &Path, vocabulary: &Vocabulary) -> Result<LoadedPolicy, Vec<Fault>> {
    let surroundings = Surroundings { vocabulary, credentials: None, public_keys: None };
    load_file(path, surroundings, &Files::default())
}

pub(super) fn load_file(
    path: &Path,
    surroundings: Surroundings<'_>,
    files: &Files,
) -> Result<LoadedPolicy, Vec<Fault>> {
    match files.read_text(path, yaml::CONFIG_LIMIT as u64) {
        Ok(text) => load_text((path.display().to_string(), text), surroundings),
        Err(why) => Err(vec![Fault::of_path(
            path,
            format!("the policy cannot be read: {why}"),
            "check the path; a relative one is relative to the working directory",
        )]),
    }
}

/// Compiles the policy in a text of its own, given with its name.
pub(super) fn load_text(
    (name, text): (String, String),
    surroundings: Surroundings<'_>,
) -> Result<LoadedPolicy, Vec<Fault>> {
    let (mut reader, root) = Reader::new(name.clone(), text, None);
    let compiled = root.and_then(|root| {
        let field = Field { path: String::new(), node: &root };
        compile(&mut reader, &field, surroundings)
    });
    let faults = reader.finish();
    let (errors, warnings): (Vec<Fault>, Vec<Fault>) =
        faults.into_iter().partition(|fault| fault.severity == Severity::Error);
    match compiled {
        Some((policy, tests)) if errors.is_empty() => Ok(LoadedPolicy { policy, tests, warnings, file: name }),
        _ => Err(errors),
    }
}

/// Compiles the policy that `field` is. `None` where a fault has been noted, though faults are noted beside a policy too.
pub(super) fn compile(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    surroundings: Surroundings<'_>,
) -> Option<(Policy, Vec<PolicyTest>)> {
    let names = |name: &str| field.node.entry(name);
    if field.path.is_empty()
        && names("routes").is_none()
        && let Some(upstream) = names("upstream")
    {
        let help = "give it with `-c FILE`; the policy is the file that its field `policy` names";
        reader.fault(upstream.key_span, "this is a configuration, not a policy file", help);
        return None;
    }
    let fields = reader.fields(field, &KNOWN)?;
    version(reader, field, &fields);
    let options = options(reader, &fields);
    let mut builder = Policy::builder(options, surroundings.vocabulary);
    declare::scopes(reader, &fields, &mut builder);
    declare::parameters(reader, &fields, &mut builder);
    declare::bindings(reader, &fields, &mut builder);
    match fields.find("routes") {
        Some(routes) => route::routes(reader, &routes, &mut builder, surroundings),
        None if fields.means("routes") => {}
        None => missing(reader, field, "routes", "write `routes:` and under it `GET /path: scope`, one a line"),
    }
    let policy = match builder.finish() {
        Ok(policy) => Some(policy),
        Err(errors) => {
            // The route that has a bound parameter may be one that is at fault itself.
            let is_certain = !reader.has_errors();
            for error in errors.into_iter().filter(|error| is_certain || error.part != Part::Binding) {
                place::note(reader, field.node, error);
            }
            None
        }
    };
    // A policy with faults may lack scopes for that reason alone, so that its tests are not held against it.
    let sound = policy.as_ref().filter(|_| !reader.has_errors());
    let tests = match fields.find("tests") {
        Some(tests) => test::read::read(reader, &tests, (sound, surroundings.vocabulary)),
        None => Vec::new(),
    };
    let policy = policy?;
    hidden::warn_of_hidden_methods(reader, &policy);
    hidden::warn_of_bare_prefixes(reader, &policy);
    hidden::warn_of_colons(reader, &policy);
    unused::warn(reader, &fields, &policy);
    smells::warn(reader, &fields, &policy);
    smells::warn_of_tests(reader, &policy, &tests);
    Some((policy, tests))
}

/// Notes that the policy lacks `name`.
fn missing(reader: &mut Reader<'_>, policy: &Field<'_>, name: &str, help: &str) {
    let start = policy.node.span.start;
    let prefix = if policy.path.is_empty() { String::new() } else { format!("{}.", policy.path) };
    reader.fault(Span { start, end: start }, format!("`{prefix}{name}` is missing"), help);
}

fn version(reader: &mut Reader<'_>, policy: &Field<'_>, fields: &Fields<'_>) {
    let Some(version) = fields.find("version") else {
        if !fields.means("version") {
            missing(reader, policy, "version", "write `version: 1`");
        }
        return;
    };
    if !reader.has_value(&version, "write `version: 1`") {
        return;
    }
    let _: Option<()> = reader.parse(&version, |text| match text {
        "1" => Ok(()),
        _ => Err(Complaint::new(
            format!("{} is no version that this program knows", super::text::quoted(text)),
            "write `version: 1`",
        )),
    });
}

fn options(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Options {
    const CASES: [(&str, PathCase); 2] = [("sensitive", PathCase::Sensitive), ("insensitive", PathCase::Insensitive)];
    const OVERRIDES: [(&str, MethodOverride); 2] = [("refuse", MethodOverride::Refuse), ("drop", MethodOverride::Drop)];
    let mut options = Options::default();
    if let Some(base) = fields.find("base").and_then(|field| reader.string(&field)) {
        options.base = base.value;
    }
    if let Some(paths) = fields.find("paths")
        && let Some(inner) = reader.fields(&paths, &["case"])
        && let Some(case) = inner.find("case").and_then(|field| reader.choice(&field, &CASES))
    {
        options.case = case;
    }
    if let Some(rule) = fields.find("method_override").and_then(|field| reader.choice(&field, &OVERRIDES)) {
        options.method_override = rule;
    }
    options
}

/// The strings of a list, or of one scalar, each with its field. An empty list is a fault.
fn words<'n>(reader: &mut Reader<'_>, field: &Field<'n>, what: &str) -> Option<Vec<String>> {
    if let Value::List(items) = &field.node.value {
        if items.is_empty() {
            let message = "is an empty list, which would ask for nothing";
            reader.complain(field, Complaint::new(message, format!("write {what}")));
            return None;
        }
        let items: Vec<Field<'n>> = items.iter().map(|node| Field { path: field.path.clone(), node }).collect();
        return items.iter().map(|item| reader.string(item).map(|word| word.value)).collect();
    }
    reader.string(field).map(|word| vec![word.value])
}

/// Whether a node is `null`, or nothing at all.
fn is_blank(node: &Node) -> bool {
    node.scalar().is_some_and(yaml::Scalar::is_null)
}
