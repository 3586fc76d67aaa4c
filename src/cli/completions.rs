//! `scopegate completions SHELL`.

use clap_complete::Shell;

use super::{Console, Exit, Failure, definition};

/// Print a completion script for a shell
///
/// For bash: scopegate completions bash > /etc/bash_completion.d/scopegate
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell that is to complete
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut definition(), "scopegate", &mut script);
    console.print_bytes(&script)?;
    Ok(Exit::Done)
}
