//! From files and overrides to a [`Config`]: every check once, every fault gathered.

mod ends;
pub(super) mod part;
mod rest;

use std::path::{Path, PathBuf};

use super::address;
use super::fault::{Fault, Severity};
use super::file::Files;
use super::listen::{self, Carrier};
use super::policy::{self, LoadedPolicy, Surroundings};
use super::read::{Field, Fields, Reader};
use super::section;
use super::source::{Override, Source};
use super::substitute::Substitution;
use super::text::quoted;
use super::tls::read::Place;
use super::unit::Complaint;
use super::upstream::read::Inputs;
use super::{Config, Keys, Listen, Loaded, ServerTls, Upstream, UpstreamUrl};
use ends::Ends;
use rest::Rest;

use crate::policy::scope::Vocabulary;
use crate::yaml::{self, Node, Span, Value};

/// The file that is read where none is named, if it is there.
pub const USUAL_FILE: &str = "scopegate.yaml";

/// The fields of `scopegate.yaml`.
const KNOWN: [&str; 18] = [
    "listen",
    "tls",
    "upstream",
    "policy",
    "mode",
    "hosts",
    "keys",
    "identity",
    "headers",
    "trusted_proxies",
    "cors",
    "errors",
    "admin",
    "metrics",
    "limits",
    "log",
    "drain",
    "workers",
];

/// The name of a file, as messages call it, and its text.
type NamedText = (String, String);

/// What is gathered while a configuration is compiled.
struct Compile<'s> {
    source: &'s Source,
    vocabulary: &'s Vocabulary,
    /// What relative paths of the file are relative to.
    folder: PathBuf,
    /// Faults that are not in the file itself.
    faults: Vec<Fault>,
    files: Files,
}

/// The values that override the file, where there are any.
struct Overridden {
    listen: Option<Vec<super::Address>>,
    upstream: Option<UpstreamUrl>,
    policy: Option<PathBuf>,
    store: Option<super::StoreLocation>,
    admin: Option<std::net::SocketAddr>,
}

pub(super) fn load(source: &Source, vocabulary: &Vocabulary, files: &Files) -> Result<Loaded, Vec<Fault>> {
    let (mut compile, text) = Compile::begin(source, vocabulary, files)?;
    let (mut reader, root) = compile.reader(text.as_ref());
    let loaded = compile.run(&mut reader, root.as_ref()).finish(compile, reader)?;
    Ok(Loaded { file: text.map(|(name, _)| name), ..loaded })
}

impl<'s> Compile<'s> {
    /// Finds the file, and gives its name and its text; `None` where flags and variables say everything.
    fn begin(
        source: &'s Source,
        vocabulary: &'s Vocabulary,
        files: &Files,
    ) -> Result<(Self, Option<NamedText>), Vec<Fault>> {
        let path = source.file.clone().or_else(|| {
            let usual = PathBuf::from(USUAL_FILE);
            usual.exists().then_some(usual)
        });
        let folder = path.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let compile = Self { source, vocabulary, folder, faults: Vec::new(), files: files.clone() };
        let Some(path) = path else {
            compile.see_overrides()?;
            return Ok((compile, None));
        };
        match files.read_text(&path, yaml::CONFIG_LIMIT as u64) {
            Ok(text) => Ok((compile, Some((path.display().to_string(), text)))),
            Err(why) => Err(vec![Fault::of_path(
                &path,
                format!("the configuration cannot be read: {why}"),
                "name it with `-c FILE`",
            )]),
        }
    }

    /// Begins to read the text of the file; where there is none, as if it were an empty map.
    fn reader(&self, text: Option<&NamedText>) -> (Reader<'s>, Option<Node>) {
        let Some((name, text)) = text else {
            return Reader::new(USUAL_FILE.to_owned(), "{}".to_owned(), None);
        };
        let substitution = Substitution {
            environment: &self.source.environment,
            folder: self.folder.clone(),
            files: self.files.clone(),
        };
        Reader::new(name.clone(), text.clone(), Some(substitution))
    }

    /// Sees that there are overrides enough to do without a file.
    fn see_overrides(&self) -> Result<(), Vec<Fault>> {
        let missing: Vec<&str> = [
            ("--upstream", self.source.find(Override::Upstream).is_none()),
            ("--policy", self.source.find(Override::Policy).is_none() && self.source.policy_text.is_none()),
        ]
        .into_iter()
        .filter_map(|(flag, missing)| missing.then_some(flag))
        .collect();
        if !missing.is_empty() {
            let otherwise = match self.source.otherwise {
                Some(otherwise) => otherwise.to_owned(),
                None => format!("do without and give {}", missing.join(" and ")),
            };
            return Err(vec![Fault::of_path(
                Path::new(USUAL_FILE),
                "there is no such file here, and none was named",
                &format!("name one with `-c FILE`, or {otherwise}"),
            )]);
        }
        Ok(())
    }

    /// The fields of the file; `None` where it has none, or is another file.
    fn fields<'n>(reader: &mut Reader<'_>, root: Option<&'n Node>) -> Option<Fields<'n>> {
        let root = root?;
        if let (Some(routes), None) = (root.entry("routes"), root.entry("upstream")) {
            let help = format!("give it as `--policy {}`, or name it in scopegate.yaml as `policy`", reader.name());
            reader.fault(routes.key_span, "this is a policy file, not scopegate.yaml", help);
            return None;
        }
        reader.fields(&Field { path: String::new(), node: root }, &KNOWN)
    }

    fn run(&mut self, reader: &mut Reader<'_>, root: Option<&Node>) -> Outcome {
        let overridden = self.overridden();
        let Some(fields) = Self::fields(reader, root) else {
            return Outcome::default();
        };
        let policy = overridden.policy.clone();
        let parts = self.config(reader, &fields, overridden);
        let names: Option<Vec<&str>> =
            parts.as_ref().map(|parts| parts.upstream.credentials.keys().map(|name| &**name).collect());
        let public_keys = parts.as_ref().map(|parts| parts.keys.accept.public_query.is_some());
        let surroundings = Surroundings { vocabulary: self.vocabulary, credentials: names.as_deref(), public_keys };
        let policy = self.policy(reader, &fields, (policy, surroundings));
        Outcome { parts, policy }
    }

    /// Reads what overrides the file.
    fn overridden(&mut self) -> Overridden {
        let here = Path::new("");
        Overridden {
            listen: self.replace(Override::Listen, |text| {
                text.split(',').map(|item| address::listen(item.trim(), here)).collect()
            }),
            upstream: self.replace(Override::Upstream, |text| address::upstream(text, here)),
            policy: self.overridden_policy(),
            store: self.overridden_store(),
            admin: self.replace(Override::Admin, address::socket),
        }
    }

    fn overridden_policy(&mut self) -> Option<PathBuf> {
        self.replace(Override::Policy, |text| match text {
            "" => Err(Complaint::new("names no file", "name the policy file, as in `policy.yaml`")),
            path => Ok(PathBuf::from(path)),
        })
    }

    /// The store that overrides that of the file. One with a fault does so too: nobody looks at that of the file then.
    fn overridden_store(&mut self) -> Option<super::StoreLocation> {
        let store = self.replace(Override::Store, |text| super::keys::store(text, Path::new("")));
        store.or_else(|| self.source.find(Override::Store).map(|_| Keys::at(&self.folder, None).store))
    }

    fn replace<T>(&mut self, which: Override, read: impl Fn(&str) -> Result<T, Complaint>) -> Option<T> {
        let (label, text) = self.source.find(which)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(complaint) => {
                self.faults.push(Fault::of(label, complaint.message, &complaint.help));
                None
            }
        }
    }

    /// Everything but the policy. `None` only where a fault has been noted.
    fn config(&mut self, reader: &mut Reader<'_>, fields: &Fields<'_>, overridden: Overridden) -> Option<Parts> {
        let folder = self.folder.clone();
        let tls = fields.find("tls").filter(|field| !Reader::is_none(field));
        let default = if tls.is_some() { Carrier::Tls } else { Carrier::Cleartext };
        let listen = match (overridden.listen, fields.find("listen")) {
            (Some(addresses), _) => addresses.into_iter().map(|address| Listen::at(address, default)).collect(),
            (None, Some(field)) => listen::read(reader, &field, (&folder, default)),
            (None, None) => vec![Listen::at(super::Address::Tcp(section::LISTEN), default)],
        };
        let tls = tls.map(|field| {
            listen::warn_of_unused(reader, &field, &listen);
            ServerTls::read(reader, &field, Place { folder: &folder, files: &self.files })
        });
        let upstream = self.upstream(reader, fields, overridden.upstream);
        let keys = match fields.find("keys") {
            Some(field) => Keys::read(reader, &field, (&folder, overridden.store)),
            None => Keys::at(&folder, overridden.store),
        };
        let admin = section::admin(reader, fields, overridden.admin);
        let metrics = section::metrics(reader, fields);
        let rest = Rest::read(reader, fields, &folder);
        // `tls` with a fault is not the same as no `tls`.
        let tls = match tls {
            Some(tls) => Some(tls?),
            None => None,
        };
        let upstream = upstream?;
        self.judge_ends(reader, fields, &Ends { listen: &listen, admin, metrics, upstream: &upstream });
        Some(Parts { listen, tls, upstream, keys, admin, metrics, rest })
    }

    fn upstream(
        &mut self,
        reader: &mut Reader<'_>,
        fields: &Fields<'_>,
        overridden: Option<UpstreamUrl>,
    ) -> Option<Upstream> {
        let Some(field) = fields.find("upstream") else {
            if overridden.is_none() && self.source.find(Override::Upstream).is_none() && !fields.means("upstream") {
                reader.fault(
                    Span::default(),
                    "`upstream` is missing",
                    "write `upstream: { url: http://127.0.0.1:3000 }`",
                );
            }
            return overridden.map(|url| Upstream::at(vec![url]));
        };
        let inputs = Inputs { address: overridden, place: Place { folder: &self.folder, files: &self.files } };
        Upstream::read(reader, &field, inputs)
    }

    /// The policy: built in, or of a flag, or of the file by path or inline.
    fn policy(
        &mut self,
        reader: &mut Reader<'_>,
        fields: &Fields<'_>,
        (overridden, surroundings): (Option<PathBuf>, Surroundings<'_>),
    ) -> Option<LoadedPolicy> {
        if let Some(text) = &self.source.policy_text {
            return self.keep(policy::load_text(text.clone(), surroundings));
        }
        if let Some(path) = overridden {
            let loaded = policy::load_file(&path, surroundings, &self.files);
            return self.keep(loaded);
        }
        let Some(field) = fields.find("policy") else {
            if self.source.find(Override::Policy).is_none() && !fields.means("policy") {
                reader.fault(Span::default(), "`policy` is missing", "write `policy: policy.yaml`");
            }
            return None;
        };
        if matches!(field.node.value, Value::Map(_)) {
            let (policy, tests) = policy::compile(reader, &field, surroundings)?;
            let file = reader.name().to_owned();
            return Some(LoadedPolicy { policy, tests, warnings: Vec::new(), file });
        }
        if !reader.has_value(&field, "name the policy file, as in `policy: policy.yaml`") {
            return None;
        }
        let path = reader.parse(&field, |path| match path {
            "" => Err(Complaint::new("names no file", "name the policy file, as in `policy.yaml`")),
            path => Ok(self.folder.join(path)),
        })?;
        match self.files.read_text(&path, yaml::CONFIG_LIMIT as u64) {
            Ok(text) => self.keep(policy::load_text((path.display().to_string(), text), surroundings)),
            Err(why) => {
                let message = format!("{} cannot be read: {why}", quoted(&path.display().to_string()));
                reader.complain(&field, Complaint::new(message, "a relative path is relative to this file"));
                None
            }
        }
    }

    /// Puts the faults of a policy to the others.
    fn keep(&mut self, loaded: Result<LoadedPolicy, Vec<Fault>>) -> Option<LoadedPolicy> {
        loaded.map_err(|faults| self.faults.extend(faults)).ok()
    }
}

/// What compiling gave; something is missing only where there are faults.
#[derive(Default)]
struct Outcome {
    parts: Option<Parts>,
    policy: Option<LoadedPolicy>,
}

/// A configuration without its policy.
struct Parts {
    listen: Vec<Listen>,
    tls: Option<ServerTls>,
    upstream: Upstream,
    keys: Keys,
    admin: std::net::SocketAddr,
    metrics: Option<std::net::SocketAddr>,
    rest: Rest,
}

impl Outcome {
    /// All together, or all that is wrong.
    fn finish(self, compile: Compile<'_>, reader: Reader<'_>) -> Result<Loaded, Vec<Fault>> {
        let Compile { mut faults, files, .. } = compile;
        let mut all = reader.finish();
        all.append(&mut faults);
        let (errors, mut warnings): (Vec<Fault>, Vec<Fault>) =
            all.into_iter().partition(|fault| fault.severity == Severity::Error);
        match (self.parts, self.policy) {
            (Some(parts), Some(loaded)) if errors.is_empty() => {
                warnings.extend(loaded.warnings);
                Ok(Loaded {
                    config: parts.with(loaded.policy),
                    warnings,
                    files: files.watched(),
                    tests: loaded.tests,
                    policy_file: loaded.file,
                    file: None,
                })
            }
            _ if errors.is_empty() => Err(vec![Fault::of(USUAL_FILE, "the configuration is incomplete", "")]),
            _ => Err(errors),
        }
    }
}

impl Parts {
    fn with(self, policy: crate::policy::Policy) -> Config {
        Config {
            listen: self.listen,
            tls: self.tls,
            upstream: self.upstream,
            policy,
            mode: self.rest.mode,
            hosts: self.rest.hosts,
            keys: self.keys,
            identity_headers: self.rest.identity_headers,
            underscores: self.rest.underscores,
            trusted_proxies: self.rest.trusted_proxies,
            cors: self.rest.cors,
            errors: self.rest.errors,
            admin: self.admin,
            metrics: self.metrics,
            limits: self.rest.limits,
            log: self.rest.log,
            drain: self.rest.drain,
            workers: self.rest.workers,
        }
    }
}
