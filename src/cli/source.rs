//! Which configuration a command works with, and the arguments of the commands that run a gateway.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::config::{self, Fault, Keys, KeysPart, Loaded, Overrides, Source, StoreLocation, StorePart};
use crate::database::Database;
use crate::policy::Policy;
use crate::policy::scope::Vocabulary;
use crate::store::Location;
use crate::store::file::Form;

/// What to do without a configuration, where a command has `--policy`.
const POLICY_ALONE: &str = "give the policy alone with `--policy FILE`";
/// What to do without a configuration, where a command has `--store`.
const STORE_ALONE: &str = "name the store with `--store sqlite:PATH` or `--store postgres://…` (a key file needs a configuration: it says whether there is a pepper)";
/// What to do without a configuration, where a command needs one.
const IN_ITS_FOLDER: &str = "run this in its folder";

/// The configuration that a command works with.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Configuration file [default: scopegate.yaml in the working directory]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Run the gateway
///
/// Flags are stronger than the environment (SCOPEGATE_LISTEN, SCOPEGATE_UPSTREAM and so on), which is stronger than the
/// file.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    /// Which file is read.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Addresses to listen on, separated by commas: host:port or unix:/path.sock
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// URL of the API to protect
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// Policy file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub policy: Option<String>,
    /// Key store, as in sqlite:scopegate.db
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// Address of the admin listener
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
}

impl ServeArgs {
    /// Where the configuration comes from, by these arguments and the environment of the process.
    pub fn source(&self) -> Source {
        Source {
            file: self.config.config.clone(),
            overrides: Overrides {
                listen: self.listen.clone(),
                upstream: self.upstream.clone(),
                policy: self.policy.clone(),
                store: self.store.clone(),
                admin: self.admin.clone(),
            },
            ..Source::default()
        }
    }
}

/// Show a gateway at work: an API, three keys, and requests to try
#[derive(Clone, Debug, Default, Args)]
pub struct DemoArgs {
    /// Port of the gateway [default: 8080, or a free one where that is taken]
    #[arg(long)]
    pub port: Option<u16>,
}

impl ConfigArgs {
    /// Loads the configuration.
    ///
    /// # Errors
    /// Every fault of it.
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        self.load_with(&Vocabulary::new(), |_| {})
    }

    /// Where the configuration comes from, by this argument and the environment of the process.
    pub(super) fn source(&self) -> Source {
        Source { file: self.config.clone(), otherwise: Some(POLICY_ALONE), ..Source::default() }
    }

    /// Sees that the file of `-c` can be read at all: a file that failed and a file with faults exit differently.
    ///
    /// # Errors
    /// There is no such file, or none that can be read.
    pub(super) fn see_file(&self) -> Result<(), Failure> {
        self.config.as_deref().map_or(Ok(()), see_file)
    }

    /// Loads the configuration, with what the flags of a command put over it.
    ///
    /// # Errors
    /// Every fault of it.
    pub(super) fn load_with(
        &self,
        vocabulary: &Vocabulary,
        put: impl FnOnce(&mut Overrides),
    ) -> Result<Loaded, Failure> {
        self.see_file()?;
        config::load(&self.source_with(POLICY_ALONE, put), vocabulary).map_err(Failure::Faults)
    }

    /// Where the key store is: the flag, else the variable, else the configuration.
    ///
    /// # Errors
    /// Every fault of the configuration, where that is asked.
    pub(super) fn store_location(&self, flag: Option<&str>) -> Result<Location, Failure> {
        let variable = || std::env::var("SCOPEGATE_STORE").ok().filter(|text| !text.is_empty());
        let (label, said) = match flag {
            Some(flag) => ("--store", Some(flag.to_owned())),
            None => ("SCOPEGATE_STORE", variable()),
        };
        if let Some(path) =
            said.as_deref().and_then(|text| text.strip_prefix("sqlite:")).filter(|path| !path.is_empty())
        {
            return Ok(Location::Sqlite(PathBuf::from(path)));
        }
        if let Some(text) = said.as_deref().filter(|text| text.starts_with("postgres")) {
            let database = Database::parse(text);
            let database = database.map_err(|fault| {
                Failure::usage(format_args!("{label}: the address of the database cannot be used: {fault}"))
            })?;
            return Ok(Location::Postgres(Box::new(database)));
        }
        self.see_file()?;
        let source = self.source_with(STORE_ALONE, |overrides| overrides.store = flag.map(str::to_owned));
        let part = config::load_store(&source).map_err(|mut faults| {
            if let Some(fault) = faults.last_mut().filter(|fault| !fault.unreadable) {
                const STORE: &str = "`--store sqlite:PATH` names the store, and nothing else is read";
                fault.help = Some(fault.help.take().map_or(STORE.to_owned(), |help| {
                    let mark = if help.ends_with('?') { "" } else { ";" };
                    format!("{help}{mark} {STORE}")
                }));
            }
            Failure::Faults(faults)
        })?;
        Ok(location_of(&part.store, part.is_peppered))
    }

    /// Where keys are, by the configuration. Nothing else of it is read, and no secret.
    ///
    /// # Errors
    /// Every fault of that part.
    pub(super) fn store_part(&self, store: Option<String>) -> Result<StorePart, Vec<Fault>> {
        config::load_store(&self.source_with(IN_ITS_FOLDER, |overrides| overrides.store = store))
    }

    /// How keys are made, by the configuration. Nothing else of it is read.
    ///
    /// # Errors
    /// Every fault of that part.
    pub(super) fn keys_part(&self, store: Option<String>) -> Result<KeysPart, Failure> {
        self.see_file()?;
        config::load_keys(&self.source_with(IN_ITS_FOLDER, |overrides| overrides.store = store))
            .map_err(Failure::Faults)
    }

    /// The policy, by the configuration or by the file that a flag names. Nothing else is read.
    ///
    /// # Errors
    /// Every fault of it.
    pub(super) fn policy_part(&self, policy: Option<String>) -> Result<Policy, Failure> {
        let source = self.source_with(POLICY_ALONE, |overrides| overrides.policy = policy);
        config::load_policy(&source, &Vocabulary::new()).map(|loaded| loaded.policy).map_err(Failure::Faults)
    }

    fn source_with(&self, otherwise: &'static str, put: impl FnOnce(&mut Overrides)) -> Source {
        let mut source = Source { otherwise: Some(otherwise), ..self.source() };
        put(&mut source.overrides);
        source
    }
}

/// Sees that a file that a flag names can be read at all. A pipe is left for its one reader.
///
/// # Errors
/// There is no such file, or none that can be read.
pub(super) fn see_file(path: &Path) -> Result<(), Failure> {
    let seen = fs::metadata(path).and_then(|metadata| match metadata {
        folder if folder.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        file if file.is_file() => File::open(path).map(drop),
        _ => Ok(()),
    });
    seen.map_err(|error| Failure::io(format_args!("{} cannot be read", path.display()), &error))
}

/// The store that a configuration names.
pub(super) fn location(keys: &Keys) -> Location {
    location_of(&keys.store, keys.pepper.is_some())
}

/// The store that a configuration names; its digests have the form that a pepper gives them, where there is one.
fn location_of(store: &StoreLocation, is_peppered: bool) -> Location {
    match store {
        StoreLocation::File(path) => {
            let form = if is_peppered { Form::HmacSha256 } else { Form::Sha256 };
            Location::File(path.clone(), form)
        }
        StoreLocation::Postgres(database) => Location::Postgres(database.clone()),
        StoreLocation::Sqlite(path) => Location::Sqlite(path.clone()),
    }
}
