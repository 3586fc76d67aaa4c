//! `scopegate keys create`: the one moment in which a key is seen.

use clap::{ArgGroup, Args};
use ipnet::IpNet;
use serde_json::Value;

use super::{attributes, view};
use crate::cli::source::IN_ITS_FOLDER;
use crate::cli::{ConfigArgs, Console, Exit, Failure};
use crate::config::Config;
use crate::key::digest::Hasher;
use crate::key::lifecycle::{self, Imprint, NewKey};
use crate::key::secret::Secret;
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, Timestamp, parse_network};
use crate::policy::Policy;
use crate::policy::scope::Vocabulary;
use crate::store::{OpenMode, Stamp};

/// Make a key and print it, this once
///
/// The key alone goes to standard output, everything said about it to standard error: KEY=$(scopegate keys create …)
/// works.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("grant").required(true),
    override_usage = "scopegate keys create [OPTIONS] --name <NAME> <GRANT>\n\n\
        GRANT is --scopes <SCOPES>, --read-only, --full or --no-scopes"
)]
pub(in crate::cli) struct CreateArgs {
    /// What the key is called; need not be unique
    #[arg(long)]
    name: String,
    /// Scopes of the key, separated by commas
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', group = "grant")]
    scopes: Option<Vec<String>>,
    /// Grant every scope that reads
    #[arg(long, group = "grant")]
    read_only: bool,
    /// Grant every scope
    #[arg(long, group = "grant")]
    full: bool,
    /// Grant no scope: good for routes that ask for any key
    #[arg(long, group = "grant")]
    no_scopes: bool,
    /// Account that the key belongs to
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Attribute of the key, for `bind` in the policy; may be repeated
    #[arg(long = "attr", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// Network that the key may be used from; may be repeated
    #[arg(long = "from", value_name = "CIDR")]
    networks: Vec<String>,
    /// Kind of key; this version has secret alone
    #[arg(long, default_value = "secret")]
    kind: String,
    /// When the key ends: a span from now (90d) or a date (2027-01-31)
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Something to remember about the key
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Key store, as in sqlite:scopegate.db [default: as configured]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Policy that says which scopes there are [default: as configured]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    policy: Option<String>,
    /// Print JSON, the key in it
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: CreateArgs, console: &mut Console) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let loaded = arguments.config.load_or(IN_ITS_FOLDER, &Vocabulary::new(), |overrides| {
        overrides.store = arguments.store.clone();
        overrides.policy = arguments.policy.clone();
    })?;
    let config = loaded.config;
    let json = arguments.json;
    let new = new_key(arguments, &config.policy, now)?;
    for (name, _) in &new.attributes {
        attributes::warn_of_unbound(&config.policy, name, console);
    }
    let (secret, record) = mint(new, &config, now)?;
    let location = crate::cli::source::location(&config.keys);
    let mut store = super::open(&location, OpenMode::Create, console)?;
    store.create(std::slice::from_ref(&record), Stamp { by: "cli", at: now }).map_err(Failure::failed)?;
    super::let_gateways_follow();
    // From here on the key exists: if it cannot be shown, that must be said.
    show(&secret, &record, json, console).map_err(|_| {
        Failure::failed(format_args!(
            "the key was made but could not be printed, and cannot be shown again: `scopegate keys revoke {}`, then make another",
            record.id
        ))
    })?;
    Ok(Exit::Done)
}

fn new_key(arguments: CreateArgs, policy: &Policy, now: Timestamp) -> Result<NewKey, Failure> {
    let kind = KeyKind::parse(&arguments.kind).ok_or_else(|| {
        Failure::usage(format_args!("`{}` is no kind of key: leave --kind out to make a secret key", arguments.kind))
    })?;
    let attributes: Vec<(Box<str>, Box<str>)> =
        arguments.attributes.iter().map(|text| attributes::parse(text)).collect::<Result<_, _>>()?;
    let allow_from = arguments.networks.iter().map(|text| network(text)).collect::<Result<_, _>>()?;
    let expires = arguments.expires.map(|text| Timestamp::parse(&text, now)).transpose();
    let grant = if arguments.full {
        GrantSpec::Full
    } else if arguments.read_only {
        GrantSpec::ReadOnly
    } else {
        let scopes = arguments.scopes.unwrap_or_default();
        let scopes: Vec<String> = scopes.iter().map(|scope| scope.trim().to_owned()).collect();
        check_scopes(&scopes, arguments.no_scopes, policy)?;
        GrantSpec::custom(scopes)
    };
    Ok(NewKey {
        kind,
        account: arguments.account.map(Into::into),
        expires: expires.map_err(Failure::usage)?,
        attributes,
        allow_from,
        note: arguments.note.map(Into::into),
        ..NewKey::new(arguments.name, grant)
    })
}

/// A network without bits behind its prefix: whoever writes `10.0.0.1/8` may mean one address, or 16 million.
fn network(text: &str) -> Result<IpNet, Failure> {
    let network = parse_network(text).map_err(Failure::usage)?;
    match text.parse::<IpNet>() {
        Ok(written) if written.trunc() != written => Err(Failure::usage(format_args!(
            "`--from {text}` has bits behind its prefix: write {network} for all of it, or {} for the one address",
            written.addr()
        ))),
        _ => Ok(network),
    }
}

/// All scopes that the policy does not know are named at once.
fn check_scopes(scopes: &[String], none_wanted: bool, policy: &Policy) -> Result<(), Failure> {
    if scopes.is_empty() && !none_wanted || scopes.iter().any(String::is_empty) {
        return Err(Failure::usage(
            "--scopes has an empty name: write --scopes a:read,b:write, or --no-scopes for none",
        ));
    }
    if let Some(several) = scopes.iter().find(|scope| scope.contains(char::is_whitespace)) {
        let written: Vec<&str> = several.split_whitespace().collect();
        return Err(Failure::usage(format_args!(
            "`{several}` is no scope; put commas between scopes: --scopes {}",
            written.join(",")
        )));
    }
    if scopes.iter().any(|scope| scope == "*") {
        return Err(Failure::usage(
            "`*` is no scope: write --full for every scope, or --read-only for those that read",
        ));
    }
    let unknown: Vec<String> = scopes
        .iter()
        .filter(|scope| !policy.knows(scope))
        .map(|scope| match policy.nearest(scope) {
            Some(near) => {
                format!("the policy does not know the scope `{scope}`; did you mean `{near}`?")
            }
            None => format!("the policy does not know the scope `{scope}`"),
        })
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(Failure::usage(unknown.join("\n       "))) }
}

fn mint(new: NewKey, config: &Config, now: Timestamp) -> Result<(Secret, KeyRecord), Failure> {
    let secret = Secret::mint(&config.keys.prefix).map_err(Failure::failed)?;
    let hasher = Hasher::new(config.keys.pepper.as_ref());
    let imprint = Imprint::of(&secret, &config.keys.prefix, &hasher);
    let id = KeyId::mint().map_err(Failure::failed)?;
    let record = lifecycle::create(new, id, imprint, now).map_err(Failure::usage)?;
    Ok((secret, record))
}

fn show(secret: &Secret, record: &KeyRecord, json: bool, console: &mut Console) -> Result<(), Failure> {
    console.note(format_args!("Made {} ({}): {}.", record.id, record.name, view::long_grant(record)));
    if let Some(expires) = record.expires {
        console.note(format_args!("It ends at {expires}."));
    }
    console.note("The key is shown this once; only its digest is stored.");
    if !json {
        console.print_bytes(secret.expose())?;
        return console.print_bytes(b"\n");
    }
    let mut object = view::to_json(record, record.created);
    if let Value::Object(fields) = &mut object {
        let key = String::from_utf8_lossy(secret.expose()).into_owned();
        // Right behind `id` and `name`, where a reader looks.
        fields.shift_insert(2, "key".to_owned(), Value::String(key));
    }
    console.print_json(&object)
}
