//! Where a configuration comes from: a file, and values that override it.

use std::fmt;
use std::path::PathBuf;

/// Where a configuration comes from.
#[derive(Debug, Default)]
pub struct Source {
    /// The file of `-c`; `None`: `scopegate.yaml` in the working directory, where there is one.
    pub file: Option<PathBuf>,
    /// What flags of the command line say; the strongest.
    pub overrides: Overrides,
    /// Read for `SCOPEGATE_*` and for `${env:NAME}`.
    pub environment: Environment,
    /// A policy that is built into the program, in place of any other: its name in messages, and its text.
    pub policy_text: Option<(String, String)>,
    /// What may be done where there is no file, for a message; `None`: the flags of `serve` may stand for it.
    pub otherwise: Option<&'static str>,
}

/// Values that flags give. Paths are relative to the working directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--listen`: addresses, separated by commas.
    pub listen: Option<String>,
    /// `--upstream`: a URL.
    pub upstream: Option<String>,
    /// `--policy`: a path.
    pub policy: Option<String>,
    /// `--store`: a store location.
    pub store: Option<String>,
    /// `--admin`: an address.
    pub admin: Option<String>,
}

/// The environment, as a function, so that tests need not change that of the process.
pub struct Environment(Box<Read>);

/// Answers for one variable.
type Read = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Environment {
    /// An environment that `read` answers for; `None` is a variable that is not set.
    pub fn new(read: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Box::new(read))
    }

    /// The value of `name`, where it is set and is UTF-8.
    pub fn read(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }
}

impl Default for Environment {
    /// The environment of the process.
    fn default() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }
}

impl fmt::Debug for Environment {
    // Variables may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

/// A value that can be overridden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Override {
    Admin,
    Listen,
    Policy,
    Store,
    Upstream,
}

impl Source {
    /// What overrides the file: where it was said, and the value. A flag is stronger than the environment, and an empty
    /// variable says nothing.
    pub(super) fn find(&self, which: Override) -> Option<(&'static str, String)> {
        let (flag, variable, value) = match which {
            Override::Admin => ("--admin", "SCOPEGATE_ADMIN", &self.overrides.admin),
            Override::Listen => ("--listen", "SCOPEGATE_LISTEN", &self.overrides.listen),
            Override::Policy => ("--policy", "SCOPEGATE_POLICY", &self.overrides.policy),
            Override::Store => ("--store", "SCOPEGATE_STORE", &self.overrides.store),
            Override::Upstream => ("--upstream", "SCOPEGATE_UPSTREAM", &self.overrides.upstream),
        };
        if let Some(value) = value {
            return Some((flag, value.clone()));
        }
        let value = self.environment.read(variable)?;
        (!value.is_empty()).then_some((variable, value))
    }
}
