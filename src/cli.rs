//! The command line: what may be said, what it exits with, and how it speaks.
//!
//! Data goes to standard output, everything said about it to standard error. Each command is a module with a `run`
//! that takes its arguments and a [`Console`] and gives an [`Exit`] or a [`Failure`].

mod accounts;
mod audit;
mod author;
mod cando;
mod check;
mod completions;
mod console;
mod demo;
mod diff;
mod explain;
mod failure;
mod healthcheck;
mod import;
mod keys;
mod scan;
mod schema;
mod serve;
mod source;
mod stored;
mod whocan;
mod width;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use console::Console;
pub use failure::Failure;
pub use source::{ConfigArgs, DemoArgs, ServeArgs};

/// What the process exits with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// 3: the request is denied, a test of the policy failed, a policy and its document differ, an audit does not hold, or not every
    /// gateway has confirmed a change that stands.
    Denied,
    /// 0: done, or the request is allowed.
    Done,
    /// 1: a store, a file or the network failed.
    Failed,
    /// 1: a scan found keys, as scanners say it.
    Found,
    /// 4: the configuration or the policy is invalid.
    Invalid,
    /// 2: a scan found no key, and could not read everything.
    Unread,
    /// 2: the command line makes no sense.
    Usage,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed | Self::Found => 1,
            Self::Unread | Self::Usage => 2,
            Self::Denied => 3,
            Self::Invalid => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Scoped API keys in front of an HTTP API
///
/// ScopeGate is a reverse proxy beside one API server. It checks the key of each request, and forwards what the policy
/// allows that key.
#[derive(Debug, Parser)]
#[command(name = "scopegate", version, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(DemoArgs),
    Serve(ServeArgs),
    Check(check::CheckArgs),
    Explain(explain::ExplainArgs),
    Whocan(whocan::WhocanArgs),
    Cando(cando::CandoArgs),
    Diff(diff::DiffArgs),
    Import(import::ImportArgs),
    Keys(keys::KeysArgs),
    Accounts(accounts::AccountsArgs),
    Audit(audit::AuditArgs),
    Scan(scan::ScanArgs),
    Healthcheck(healthcheck::HealthcheckArgs),
    Schema(schema::SchemaArgs),
    Completions(completions::CompletionsArgs),
}

/// The definition of the whole command line, for completions.
fn definition() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs what the arguments of the process say.
pub fn run() -> Exit {
    let mut console = Console::of_process();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            console.show_usage(&error);
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    match dispatch(arguments.command, &mut console) {
        Ok(exit) => exit,
        Err(failure) => {
            console.tell(&failure);
            failure.exit()
        }
    }
}

fn dispatch(command: Command, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Demo(arguments) => demo::run(&arguments, console),
        Command::Serve(arguments) => {
            arguments.config.see_file()?;
            serve::run(&arguments, console)
        }
        Command::Check(arguments) => check::run(&arguments, console),
        Command::Explain(arguments) => explain::run(&arguments, console),
        Command::Whocan(arguments) => whocan::run(&arguments, console),
        Command::Cando(arguments) => cando::run(&arguments, console),
        Command::Diff(arguments) => diff::run(&arguments, console),
        Command::Import(arguments) => import::run(arguments, console),
        Command::Accounts(arguments) => accounts::run(arguments, console),
        Command::Keys(arguments) => keys::run(arguments, console),
        Command::Audit(arguments) => audit::run(arguments, console),
        Command::Scan(arguments) => scan::run(&arguments, console),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments, console),
        Command::Schema(arguments) => schema::run(&arguments, console),
        Command::Completions(arguments) => completions::run(&arguments, console),
    }
}

#[cfg(test)]
mod tests;
