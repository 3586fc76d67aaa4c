//! `scopegate import openapi`: a policy from the document of an API, or where the two differ.

mod beside;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Console, Exit, Failure, source};
use crate::config;
use crate::import::{self, ImportError, Imported, Options};
use crate::policy::scope::Vocabulary;
use beside::Beside;

/// Make a policy from the document of an API
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    format: ImportFormat,
}

#[derive(Debug, Subcommand)]
enum ImportFormat {
    Openapi(OpenapiArgs),
}

/// Make a policy from an OpenAPI 3.x or Swagger 2.0 document, JSON or YAML
///
/// The policy goes to standard output, or to the file of -o. What was left out, and why, goes to standard error.
///
/// With --check nothing is written: the routes of a policy are compared with the document, and the exit is 3 where they differ. Compared
/// are who may call each route, what each member of the include parameter asks for, and what scopes imply.
#[derive(Debug, Args)]
struct OpenapiArgs {
    /// The document, or - for standard input
    #[arg(value_name = "SPEC")]
    document: PathBuf,
    /// File to write the policy to, or - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the file of -o
    #[arg(long, requires = "output")]
    force: bool,
    /// Compare this policy with the document: list routes that are added, removed or changed, and exit 3 if there are any
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    check: Option<PathBuf>,
    /// Folder that files may be read from where the document refers to them [default: the document's own]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Extension that holds the scopes, as in x-klaviyo-scopes [default: the only one that looks like it]
    #[arg(long, value_name = "NAME", conflicts_with = "scheme")]
    scopes_from: Option<String>,
    /// Security scheme that counts where alternatives name several [default: the only one that lists scopes]
    #[arg(long, value_name = "NAME")]
    scheme: Option<String>,
    /// Take one scope of a list as enough, where the document means that
    #[arg(long)]
    any_of: bool,
    /// Name among the scopes that means that none is needed: such a route is open to any key
    #[arg(long, value_name = "NAME")]
    no_scope: Vec<String>,
    /// Also import the operations that the document opens to anyone, as `auth: anyone`
    #[arg(long)]
    include_public: bool,
    /// Query parameter whose members add resources to an answer
    #[arg(long, value_name = "NAME", default_value = "include")]
    include: String,
    /// Print JSON: the policy, unless -o takes it, and the report
    #[arg(long)]
    json: bool,
}

/// What a document does not say, so that no policy can differ from it there.
const NOT_COMPARED: &str =
    "Not compared: letter case, levels, bindings, credentials, upgrades, other query parameters.";

pub(super) fn run(arguments: ImportArgs, console: &mut Console) -> Result<Exit, Failure> {
    let ImportFormat::Openapi(arguments) = arguments.format;
    let document = read(&arguments.document, console)?;
    let output = arguments.output.as_deref().filter(|path| *path != Path::new("-"));
    let source = arguments.document.file_name().map(|name| name.to_string_lossy().into_owned());
    let options = Options {
        source: source.filter(|name| name != "-"),
        document: Some(arguments.document.display().to_string()),
        output: output.map(|path| path.display().to_string()),
        root: arguments.root.as_ref().map(|root| root.display().to_string()),
        scopes_from: arguments.scopes_from,
        scheme: arguments.scheme,
        any_of: arguments.any_of,
        no_scope: arguments.no_scope,
        include_public: arguments.include_public,
        include: arguments.include,
    };
    let beside = Beside::of(&arguments.document, arguments.root.as_deref());
    let imported = import::openapi(&document, &options, &|path| beside.read(path));
    if let Err(ImportError::NoRoutes { report }) = &imported {
        if arguments.json {
            console.print_json(&json!({ "policy": null, "report": report.to_json() }))?;
        } else {
            console.note(format_args!("{}\n", report.render().trim_end()));
        }
    }
    let imported = imported.map_err(|error| failure(&arguments.document, &error))?;
    if let Some(policy) = &arguments.check {
        return check(&imported, policy, arguments.json, console);
    }
    if let Some(path) = output {
        write(path, &imported.policy, arguments.force)?;
    }
    report(&imported, output, arguments.json, console)?;
    Ok(Exit::Done)
}

fn read(path: &Path, console: &mut Console) -> Result<String, Failure> {
    let bytes = if path == Path::new("-") {
        console.read_to_end()?
    } else {
        fs::read(path).map_err(|error| Failure::io(format_args!("{} cannot be read", path.display()), &error))?
    };
    String::from_utf8(bytes)
        .map_err(|_| Failure::failed(format_args!("{} is not UTF-8: save it as UTF-8 and try again", path.display())))
}

/// What an option could mend is bad usage; otherwise the document is at fault.
fn failure(document: &Path, error: &ImportError) -> Failure {
    let exit = match error {
        ImportError::ManyExtensions { .. } | ImportError::ManySchemes { .. } | ImportError::UnknownName { .. } => {
            Exit::Usage
        }
        ImportError::NoRoutes { .. } | ImportError::NotOpenApi { .. } | ImportError::Syntax { .. } => Exit::Failed,
    };
    Failure::Told { exit, message: format!("{}: {error}", document.display()) }
}

/// Says where the policy at `path` and the document differ.
fn check(imported: &Imported, path: &Path, json: bool, console: &mut Console) -> Result<Exit, Failure> {
    source::see_file(path)?;
    let loaded = config::policy::load(path, &Vocabulary::new()).map_err(Failure::Faults)?;
    let drift = imported.drift(&loaded.policy);
    let exit = if drift.is_empty() { Exit::Done } else { Exit::Denied };
    if json {
        console.print_json(&json!({ "drift": drift.to_json(), "report": imported.report.to_json() }))?;
    } else if drift.is_empty() {
        console.note(format_args!("{} agrees with the document.", path.display()));
    } else {
        console.print(drift.render())?;
        let count = drift.added.len() + drift.removed.len() + drift.changed.len();
        let differences = if count == 1 { "difference" } else { "differences" };
        console.note(format_args!("{count} {differences} between {} and the document.", path.display()));
    }
    if !json {
        let (left_out, all) = (imported.report.left_out.len(), imported.report.operations);
        if left_out > 0 {
            console.note(format_args!("Not compared: what an import leaves out, {left_out} of {all} operations."));
        }
        console.note(NOT_COMPARED);
    }
    Ok(exit)
}

/// Writes the policy. A file that is there is left alone unless `force` says otherwise.
fn write(path: &Path, policy: &str, force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(policy.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::failed(format_args!(
            "{} is there already: name another file, or overwrite it with --force",
            path.display()
        )),
        ErrorKind::NotFound => Failure::failed(format_args!(
            "{} cannot be written: there is no such folder; make it first",
            path.display()
        )),
        _ => Failure::io(format_args!("{} cannot be written", path.display()), &error),
    })
}

fn report(imported: &Imported, output: Option<&Path>, json: bool, console: &mut Console) -> Result<(), Failure> {
    if json {
        let policy = output.is_none().then_some(&imported.policy);
        return console.print_json(&json!({ "policy": policy, "report": imported.report.to_json() }));
    }
    console.note(imported.report.render().trim_end());
    match output {
        Some(path) => console.note(format_args!("\nWrote {0}. Next: scopegate check --policy {0}", path.display())),
        None => console.print_bytes(imported.policy.as_bytes())?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_kept_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        write(&path, "first", false).unwrap();
        let Err(Failure::Told { exit, message }) = write(&path, "second", false) else { panic!("overwritten") };
        assert_eq!(exit, Exit::Failed);
        assert!(message.contains("--force"), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        write(&path, "third", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "third");
    }
}
