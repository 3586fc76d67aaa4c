//! `scopegate schema`: JSON Schemas of the files that people write, for editors.

use clap::{Args, ValueEnum};

use super::{Console, Exit, Failure};
use crate::{config, store};

/// Print the JSON Schema of a file, for editors
///
/// An editor that speaks YAML completes and checks a file with it: scopegate schema policy > policy.schema.json, then
/// `# yaml-language-server: $schema=policy.schema.json` as the first line of the file. What a schema cannot say,
/// scopegate check does.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Which file
    #[arg(value_enum)]
    file: Described,
}

/// The files that have a schema.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Described {
    /// scopegate.yaml
    Config,
    /// The key file of keys.store
    Keys,
    /// The policy file
    Policy,
}

pub(super) fn run(arguments: &SchemaArgs, console: &mut Console) -> Result<Exit, Failure> {
    let schema = match arguments.file {
        Described::Config => config::SCHEMA,
        Described::Keys => store::file::SCHEMA,
        Described::Policy => config::policy::SCHEMA,
    };
    console.print_bytes(schema.as_bytes())?;
    Ok(Exit::Done)
}
