//! From an OpenAPI document to a policy: what each operation asks for, written as routes, with a report of what could not be told.
//!
//! Nothing is guessed in the caller's favour. An operation whose scopes are not stated becomes `auth: key` and is reported; one that is open
//! without a credential is left out unless asked for; what the policy language cannot say is left out with the reason.
//!
//! 1. `text` and `document`: the document as a tree, its operations, references followed.
//! 2. `scoping`: where this document keeps its scopes, and those of one operation.
//! 3. `template`: whether a path can be a route.
//! 4. `include`: what each member of the `include` parameter adds.
//! 5. `write`: the policy as text; `report`: what was left out and why.
//!
//! The functions here read and write no file.

mod document;
mod include;
mod report;
mod scoping;
mod template;
mod text;
mod write;

use std::collections::BTreeSet;

use document::{Document, Operation};
use scoping::{Scoping, Stated};
use write::Sheet;

pub use report::{LeftOut, Note, Reason, Report};

/// What the caller of [`openapi`] may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// The document's file name, for the comment that says how to make the policy again.
    pub source: Option<String>,
    /// The extension that holds the scopes, such as `x-klaviyo-scopes`. None: the only one of the document that looks like it.
    pub scopes_from: Option<String>,
    /// The security scheme that counts where alternatives name several. None: the only one that ever lists a scope.
    pub scheme: Option<String>,
    /// Also write the operations that the document opens to anyone, as `auth: anyone`.
    pub include_public: bool,
    /// The query parameter whose members add resources to an answer.
    pub include: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { source: None, scopes_from: None, scheme: None, include_public: false, include: String::from("include") }
    }
}

/// A policy and what there is to know about how it came about.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The text of a policy file.
    pub policy: String,
    /// What was left out or doubtful.
    pub report: Report,
}

/// Why a document gives no policy at all.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// The scopes could stand in more than one extension.
    #[error("several extensions may hold the scopes ({}): choose one with --scopes-from NAME", names.join(", "))]
    ManyExtensions {
        /// Their names, sorted.
        names: Vec<String>,
    },
    /// The scopes could come from more than one security scheme.
    #[error("several security schemes list scopes ({}): choose one with --scheme NAME", names.join(", "))]
    ManySchemes {
        /// Their names, sorted.
        names: Vec<String>,
    },
    /// Every operation was left out.
    #[error("no operation of the document can be a route ({left_out} left out): the report says why")]
    NoRoutes {
        /// How many operations there were.
        left_out: usize,
    },
    /// Neither OpenAPI 3 nor Swagger 2.0.
    #[error("this is not an OpenAPI 3.x or Swagger 2.0 document: {what}")]
    NotOpenApi {
        /// What is missing or wrong.
        what: String,
    },
    /// Neither JSON nor YAML.
    #[error("the document cannot be read: {what}")]
    Syntax {
        /// The parser's words, with line and column.
        what: String,
    },
    /// The chosen extension or scheme stands nowhere in the document.
    #[error("{option} {name}: the document does not use that name anywhere")]
    UnknownName {
        /// The option that named it.
        option: &'static str,
        /// The name.
        name: String,
    },
}

/// One operation that becomes a route.
#[derive(Debug)]
struct Draft<'d> {
    operation: Operation<'d>,
    /// The full template, base path in front.
    template: String,
    access: Access,
}

impl Draft<'_> {
    fn label(&self) -> String {
        format!("{} {}", self.operation.method, self.template)
    }

    /// The scopes that the route asks for in any case.
    fn own_scopes(&self) -> &[String] {
        match &self.access {
            Access::Scopes(alternatives) => match alternatives.as_slice() {
                [only] => only,
                _ => &[],
            },
            Access::Anyone | Access::Key => &[],
        }
    }
}

/// Who may call a route, as far as the document says.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Access {
    Anyone,
    Key,
    /// Alternatives of all-of lists, each sorted, none empty.
    Scopes(Vec<Vec<String>>),
}

/// Makes a policy from the text of an OpenAPI 3.x or Swagger 2.0 document.
///
/// The same document and options give the same text, byte for byte.
///
/// # Errors
/// When the text is no such document, when it is ambiguous where its scopes are, or when nothing of it can be a route.
pub fn openapi(document: &str, options: &Options) -> Result<Imported, ImportError> {
    let document = Document::parse(document)?;
    let scoping = Scoping::choose(&document, options)?;
    let mut report = Report::default();
    scoping.explain(&mut report);
    let base = document.base(&mut report);
    let mut seen = BTreeSet::new();
    let mut drafts = Vec::new();
    for operation in document.operations(&mut report) {
        report.operations += 1;
        let template = format!("{base}{}", operation.path);
        let label = format!("{} {template}", operation.method);
        let draft =
            template::check(&template).and_then(|()| access(&operation, &scoping, options)).and_then(|access| {
                let fresh = seen.insert((operation.method.clone(), template::shape(&template)));
                if fresh { Ok(Draft { operation, template, access }) } else { Err(Reason::Duplicate) }
            });
        match draft {
            Ok(draft) => drafts.push(draft),
            Err(reason) => report.left_out.push(LeftOut { route: label, reason }),
        }
    }
    if drafts.is_empty() {
        return Err(ImportError::NoRoutes { left_out: report.operations });
    }
    drafts.sort_by(|a, b| write::order(a).cmp(&write::order(b)));
    report.routes = drafts.len();
    report_scopeless(&drafts, &mut report);
    let included = include::derive(&document, &drafts, &options.include, &mut report);
    report.left_out.sort();
    let policy = Sheet { document: &document, drafts: &drafts, included: &included, report: &report, options }.render();
    Ok(Imported { policy, report })
}

fn access(operation: &Operation<'_>, scoping: &Scoping, options: &Options) -> Result<Access, Reason> {
    if operation.has_own_servers {
        return Err(Reason::OwnServers);
    }
    match scoping.stated(operation)? {
        Stated::Nothing => Ok(Access::Key),
        Stated::Public if options.include_public => Ok(Access::Anyone),
        Stated::Public => Err(Reason::Public),
        Stated::Scopes(alternatives) => Ok(Access::Scopes(alternatives)),
    }
}

fn report_scopeless(drafts: &[Draft<'_>], report: &mut Report) {
    for draft in drafts {
        let text = match draft.access {
            Access::Anyone => "open to anyone, as the document says",
            Access::Key => "the document states no scope: any key may call it (auth: key)",
            Access::Scopes(_) => continue,
        };
        report.notes.push(Note { about: draft.label(), text: text.to_owned() });
    }
}

#[cfg(test)]
mod tests;
