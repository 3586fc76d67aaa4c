//! Why a command failed.

use std::fmt::Display;
use std::io;

use super::Exit;
use crate::config::{self, Fault};

/// Why a command failed: what is said, and what the process exits with.
#[derive(Debug)]
pub enum Failure {
    /// The configuration or the policy is invalid.
    Faults(Vec<Fault>),
    /// Whoever read our output has gone (`| head`): nothing to say, and nothing wrong.
    Gone,
    /// Anything else.
    Told {
        /// What the process exits with.
        exit: Exit,
        /// What is wrong, where, and how to mend it.
        message: String,
    },
}

impl Failure {
    /// A store, a file or the network failed.
    pub fn failed(message: impl Display) -> Self {
        Self::Told { exit: Exit::Failed, message: message.to_string() }
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Display) -> Self {
        Self::Told { exit: Exit::Usage, message: message.to_string() }
    }

    /// The system refused; `what` names what cannot be done, and to what.
    pub fn io(what: impl Display, error: &io::Error) -> Self {
        Self::failed(format_args!("{what}: {}", config::said(error)))
    }

    /// Standard output cannot be written.
    pub(super) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Gone,
            _ => Self::io("standard output cannot be written", error),
        }
    }

    /// What the process exits with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Faults(faults) if !faults.is_empty() && faults.iter().all(|fault| fault.unreadable) => Exit::Failed,
            Self::Faults(_) => Exit::Invalid,
            Self::Gone => Exit::Done,
            Self::Told { exit, .. } => *exit,
        }
    }
}
