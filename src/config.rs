//! The configuration: read once, checked once, compiled to a value that no request can find fault with.
//!
//! FLOOR 1. [`load`] reads `scopegate.yaml` and the policy it names into spanned trees ([`crate::yaml`]), walks them with
//! typed readers that note every [`Fault`] with its place, and gives either a [`Loaded`] or all the faults, never half of
//! both. Flags are stronger than the environment, which is stronger than the file.

mod accept;
mod address;
mod compile;
pub mod cors;
mod credential;
pub mod fault;
mod file;
pub mod keys;
pub mod limits;
pub mod listen;
pub mod policy;
mod read;
mod section;
pub mod source;
mod substitute;
#[cfg(test)]
mod tests;
mod text;
pub mod tls;
mod trusted;
mod unit;
pub mod upstream;

use std::net::SocketAddr;
use std::path::Path;

use crate::policy::Policy;
use crate::policy::scope::Vocabulary;
pub use compile::USUAL_FILE;
pub use compile::part::{KeysPart, StorePart, load_keys, load_policy, load_store};
pub use cors::{Cors, Origins};
pub use fault::Fault;
pub use file::{Watched, said};
pub use keys::{Accept, Keys, RotateAfter, StoreLocation};
pub use limits::{Drain, Limits, Log, LogFormat, LogLevel, LogOutput};
pub use listen::{Address, Listen};
pub use policy::test::{PolicyTest, run_tests};
pub use source::{Environment, Overrides, Source};
pub use tls::{Certificate, MinVersion, Roots, ServerTls};
pub use trusted::TrustedProxies;
pub use upstream::{
    Ca, Health, HostRule, Protocol, Retries, Timeouts, Upstream, UpstreamAddress, UpstreamCredential, UpstreamTls,
    UpstreamUrl,
};

/// The JSON Schema of `scopegate.yaml`, for editors. A test holds it to what the readers here know.
pub const SCHEMA: &str = include_str!("config/compile/schema.json");

/// How often files that change while they are read are read.
const ATTEMPTS: usize = 5;

/// What reading a configuration gave.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is not wrong, but worth a look.
    pub warnings: Vec<Fault>,
    /// Every file that was read, or that was looked for: what to watch.
    pub files: Watched,
    /// The policy's own tests; they have not been run.
    pub tests: Vec<PolicyTest>,
    /// The name of the file that the policy is in.
    pub policy_file: String,
    /// The name of the configuration's own file; `None` where flags and variables say everything.
    pub file: Option<String>,
}

/// Reads and compiles the configuration of `source`. Nothing on disk is changed.
///
/// # Errors
/// All faults of all files at once, each with its place.
pub fn load(source: &Source, vocabulary: &Vocabulary) -> Result<Loaded, Vec<Fault>> {
    read(source, vocabulary).0
}

/// As [`load`], and what was read for it, which is known also where it has faults.
///
/// What is read is one version of all files: where one of them changes meanwhile, they are read again.
pub fn read(source: &Source, vocabulary: &Vocabulary) -> (Result<Loaded, Vec<Fault>>, Watched) {
    for _ in 1..ATTEMPTS {
        let (outcome, files) = read_once(source, vocabulary);
        if files.is_one_version() {
            return (outcome, files.watched());
        }
    }
    let (outcome, files) = read_once(source, vocabulary);
    let outcome = if files.is_one_version() { outcome } else { Err(vec![unsteady(source)]) };
    (outcome, files.watched())
}

fn read_once(source: &Source, vocabulary: &Vocabulary) -> (Result<Loaded, Vec<Fault>>, file::Files) {
    let files = file::Files::default();
    (compile::load(source, vocabulary, &files), files)
}

fn unsteady(source: &Source) -> Fault {
    let path = source.file.as_deref().unwrap_or(Path::new(USUAL_FILE));
    let said =
        format!("the configuration, or a file that it names, changed while it was read, {ATTEMPTS} times in a row");
    Fault::of_path(path, said, "write files whole, and put them in place by a rename")
}

/// Everything a gateway runs by; immutable.
#[derive(Debug)]
pub struct Config {
    /// Where callers connect; never empty.
    pub listen: Vec<Listen>,
    /// TLS towards callers; `None`: every listener is cleartext.
    pub tls: Option<ServerTls>,
    /// The protected API.
    pub upstream: Upstream,
    /// Who may do what.
    pub policy: Policy,
    /// Whether denials of authenticated keys are carried out.
    pub mode: Mode,
    /// The only authorities served, lower-cased; empty: all.
    pub hosts: Vec<Box<str>>,
    /// Where keys are and how they are presented.
    pub keys: Keys,
    /// Whether `X-ScopeGate-*` goes upstream.
    pub identity_headers: bool,
    /// What happens to header names with `_`.
    pub underscores: Underscores,
    /// Whose `X-Forwarded-*` and `Forwarded` are believed.
    pub trusted_proxies: TrustedProxies,
    /// Which pages of other origins may call; `None`: nothing is said about it.
    pub cors: Option<Cors>,
    /// The form of the answers that the gateway makes itself.
    pub errors: ErrorFormat,
    /// The admin listener.
    pub admin: SocketAddr,
    /// A listener for metrics and probes alone.
    pub metrics: Option<SocketAddr>,
    /// What a caller may use.
    pub limits: Limits,
    /// What is logged, and where.
    pub log: Log,
    /// The end of the process.
    pub drain: Drain,
    /// How many workers; `None`: as many as the CPU limit gives.
    pub workers: Option<usize>,
}

/// Whether denials of authenticated keys are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Enforce,
    /// They are recorded, and the request is forwarded.
    Shadow,
}

/// What happens to header names with `_`, which some servers read as `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Underscores {
    /// They go upstream.
    Allow,
    /// They do not.
    Drop,
}

/// The form of the answers that the gateway makes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorFormat {
    /// JSON:API error objects.
    JsonApi,
    /// Mailjet's error object.
    Mailjet,
    /// RFC 9457.
    Problem,
}
