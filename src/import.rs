//! From an OpenAPI document to a policy: what each operation asks for, written as routes, with a report of what could not be told.
//!
//! Nothing is guessed in the caller's favour. An operation whose scopes are not stated becomes `auth: key` and is reported; one that is open
//! without a credential is left out unless asked for; what the policy language cannot say is left out with the reason.
//!
//! 1. `text`, `files` and `document`: the document and what it refers to as trees, its operations. `server`: its base path.
//! 2. `scoping`: where this document keeps its scopes, and those of one operation.
//! 3. `template`: whether a path can be a route. `draft`: operations as routes; those that no path tells apart are one.
//!    `closed`: what the policy would refuse or warn of, and what another route would open. `companions`: what no route asks for.
//! 4. `include`: what each member of the `include` parameter adds.
//! 5. `write`: the policy as text; `report`: what was left out and why.
//! 6. `drift`: where a policy and a document differ.
//!
//! The functions here read and write no file: the caller says how a file beside the document is read.

mod closed;
mod companions;
mod document;
mod draft;
mod drift;
mod files;
mod include;
mod report;
mod scoping;
mod server;
mod template;
mod text;
mod write;

use companions::Companions;
use document::Document;
use draft::{Access, Draft};
use drift::Expected;
use scoping::Scoping;
use write::Sheet;

use crate::policy::Policy;

pub use drift::{Change, Drift};
pub use report::{LeftOut, Note, Reason, Report};

/// What the caller of [`openapi`] may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// The document's file name: files that refer back to it mean it.
    pub source: Option<String>,
    /// The path of the document, for the comment that says how to make the policy again. None: its file name.
    pub document: Option<String>,
    /// The file that the policy is written to, for the same comment.
    pub output: Option<String>,
    /// The folder that files were allowed from, for the same comment.
    pub root: Option<String>,
    /// The extension that holds the scopes, such as `x-klaviyo-scopes`. None: the only one of the document that looks like it.
    pub scopes_from: Option<String>,
    /// The security scheme that counts where alternatives name several. None: the only one that ever lists a scope.
    pub scheme: Option<String>,
    /// One scope of a list is enough, where the document's lists mean that.
    pub any_of: bool,
    /// Names among the scopes that mean that none is needed, such as `none`.
    pub no_scope: Vec<String>,
    /// Also write the operations that the document opens to anyone, as `auth: anyone`.
    pub include_public: bool,
    /// The query parameter whose members add resources to an answer.
    pub include: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            source: None,
            document: None,
            output: None,
            root: None,
            scopes_from: None,
            scheme: None,
            any_of: false,
            no_scope: Vec::new(),
            include_public: false,
            include: String::from("include"),
        }
    }
}

/// Reads a file that a document refers to, by its path relative to the document's folder, or says why it cannot.
pub type ReadFile<'r> = &'r dyn Fn(&str) -> Result<String, String>;

/// A policy and what there is to know about how it came about.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The text of a policy file.
    pub policy: String,
    /// What was left out or doubtful.
    pub report: Report,
    expected: Expected,
}

impl Imported {
    /// Where a policy and the document differ.
    #[must_use]
    pub fn drift(&self, policy: &Policy) -> Drift {
        drift::between(&self.expected, &self.report, policy)
    }
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
    #[error("no operation of the document can be a route: {} left out", report.left_out.len())]
    NoRoutes {
        /// Why not.
        report: Box<Report>,
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

/// Makes a policy from the text of an OpenAPI 3.x or Swagger 2.0 document, and of the files that it refers to.
///
/// The same document and options give the same text, byte for byte, and the order within the document does not matter.
///
/// # Errors
/// When the text is no such document, when it is ambiguous where its scopes are, or when nothing of it can be a route.
pub fn openapi(document: &str, options: &Options, read: ReadFile<'_>) -> Result<Imported, ImportError> {
    let mut report = Report::default();
    let name = options.source.as_deref().unwrap_or_default();
    let document = Document::parse((name, document), read, &mut report)?;
    let scoping = Scoping::choose(&document, options)?;
    scoping.explain(&mut report);
    let mut drafts = draft::make(&document, &scoping, options, &mut report);
    let closed = closed::settle(&mut drafts, &mut report);
    if drafts.is_empty() {
        report.sort();
        return Err(ImportError::NoRoutes { report: Box::new(report) });
    }
    if scoping.lists_none() {
        let text = "the document lists none: every route is open to any key, and needs your scopes";
        report.notes.insert(0, Note { about: String::from("scopes"), text: text.to_owned() });
    }
    report_access(&drafts, &mut report);
    let companions = Companions::of(&drafts, &scoping);
    companions.explain(&drafts, &mut report);
    let included = include::derive(&document, &drafts, &options.include, &mut report);
    report.sort();
    let (document, drafts, included) = (&document, drafts.as_slice(), &included);
    let sheet =
        Sheet { document, drafts, closed: &closed, companions: &companions, included, report: &report, options };
    let policy = sheet.render();
    let expected = drift::expected((drafts, &closed), included, &options.include);
    Ok(Imported { policy, report, expected })
}

/// Says which routes ask for no scope, and where a name among the scopes looks as if it meant none.
fn report_access(drafts: &[Draft<'_>], report: &mut Report) {
    for draft in drafts {
        let text = match &draft.access {
            Access::Anyone => "open to anyone, as the document says",
            Access::Key => "the document asks for no scope: any key may call it (auth: key)",
            Access::Unstated => "the document states no scope: any key may call it (auth: key)",
            Access::Scopes(_) => continue,
        };
        report.note(draft.label(), text);
    }
    let asked = drafts.iter().filter_map(|draft| match &draft.access {
        Access::Scopes(alternatives) => Some(alternatives),
        Access::Anyone | Access::Key | Access::Unstated => None,
    });
    if asked.flatten().flatten().any(|scope| scope == "none") {
        report.note("scopes", "one is called none: if that means that no scope is needed, say --no-scope none");
    }
}

#[cfg(test)]
mod tests;
