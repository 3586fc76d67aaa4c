//! `scopegate keys create`: the one moment in which a key is seen.

use clap::{ArgGroup, Args};
use ipnet::IpNet;

use super::{accounts, attributes, issued, view};
use crate::cli::{ConfigArgs, Console, Exit, Failure, author};
use crate::config::{Keys, KeysPart};
use crate::key::lifecycle::{self, NewKey};
use crate::key::secret::Secret;
use crate::key::visible::escaped;
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, SiteId, Timestamp, parse_network};
use crate::policy::Policy;
use crate::store::{KeyStore, OpenMode, Stamp};

/// Make a key and print it, this once
///
/// The key alone goes to standard output, everything said about it to standard error: KEY=$(scopegate keys create …)
/// works.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("grant"),
    override_usage = "scopegate keys create [OPTIONS] --name <NAME> <GRANT>\n       \
        scopegate keys create [OPTIONS] --kind public --account <ID>\n\n\
        GRANT is --scopes <SCOPES>, --read-only, --full, --no-scopes or --tripwire"
)]
pub(in crate::cli) struct CreateArgs {
    /// What the key is called; need not be unique [default for a public key: site id]
    #[arg(long)]
    name: Option<String>,
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
    /// Make a key to be found, which opens nothing: its use is logged as an error, and counted
    #[arg(long, group = "grant")]
    tripwire: bool,
    /// Account that the key belongs to: `scopegate accounts create` makes one
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Attribute of the key, for `bind` in the policy; may be repeated
    #[arg(long = "attr", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// Network that the key may be used from; may be repeated
    #[arg(long = "from", value_name = "CIDR")]
    networks: Vec<String>,
    /// Kind of key: secret, pair for an id and a secret that are sent as HTTP Basic, or public for the site id of an account
    #[arg(long, default_value = "secret")]
    kind: String,
    /// When the key begins: a span from now (7d) or a date (2027-01-31) [default: now]
    #[arg(long, value_name = "WHEN")]
    not_before: Option<String>,
    /// When the key ends: a span from now (90d) or a date (2027-01-31)
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Something to remember about the key
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Key store, as in sqlite:scopegate.db or postgres://… [default: as configured]
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
    let KeysPart { keys, credentials } = arguments.config.keys_part(arguments.store.clone())?;
    let json = arguments.json;
    let policy = policy(&arguments)?;
    let new = new_key(arguments, policy.as_ref(), now)?;
    for (name, _) in &new.attributes {
        policy.iter().for_each(|policy| attributes::warn_of_unbound(policy, name, console));
    }
    if new.kind == KeyKind::Pair && !keys.accept.basic {
        console.warn("the configuration accepts no pairs: add `basic` to keys.accept");
    }
    if new.kind == KeyKind::Public && keys.accept.public_query.is_none() {
        console.warn("the configuration has no place for public keys: add `public_query: NAME` to keys.accept");
    }
    let (secret, record) = mint(new, &keys, now)?;
    let location = crate::cli::source::location(&keys);
    let mut store = super::open(&location, OpenMode::Create, console)?;
    store.create(std::slice::from_ref(&record), Stamp { by: &author::name(), at: now }).map_err(accounts::refusal)?;
    if let Some((account, known)) = record.account.as_deref().zip(credentials.as_deref()) {
        warn_of_missing((account, known), &mut *store, console);
    }
    // From here on the key exists: if it cannot be shown, that must be said.
    console.note(format_args!("Made {} ({}): {}.", record.id, record.name, view::long_grant(&record)));
    view::tell_dates(&record, console);
    accounts::warn_of_suspended(&mut *store, &record, console);
    issued::print(&secret, &record, json.then_some(keys.rotate_after), console).map_err(|_| {
        Failure::failed(format_args!(
            "the key was made but could not be printed, and cannot be shown again: `scopegate keys revoke {}`, then make another",
            record.id
        ))
    })?;
    super::let_gateways_follow();
    Ok(Exit::Done)
}

/// Says that requests of a new key will be refused, since the configuration lacks the credential of its account.
fn warn_of_missing((account, known): (&str, &[Box<str>]), store: &mut dyn KeyStore, console: &mut Console) {
    // The key is made: what cannot be read now is no reason not to show it.
    let accounts = store.accounts().unwrap_or_default();
    if let Some(credential) = accounts::missing_credential(&accounts, account, known) {
        console.warn(format_args!(
            "upstream.credentials has no `{}`, which the account {account} has: until it does, requests of this key are refused",
            escaped(credential)
        ));
    }
}

/// The policy, where something is asked for that it has to know: a key is made while the policy is being mended, too.
fn policy(arguments: &CreateArgs) -> Result<Option<Policy>, Failure> {
    let has_scopes = arguments.scopes.as_ref().is_some_and(|scopes| scopes.iter().any(|scope| !scope.is_empty()));
    let is_asked = has_scopes || !arguments.attributes.is_empty() || arguments.policy.is_some();
    is_asked.then(|| arguments.config.policy_part(arguments.policy.clone())).transpose()
}

fn new_key(arguments: CreateArgs, policy: Option<&Policy>, now: Timestamp) -> Result<NewKey, Failure> {
    let kind = KeyKind::parse(&arguments.kind).ok_or_else(|| {
        Failure::usage(format_args!("`{}` is no kind of key: write secret, pair or public", arguments.kind))
    })?;
    let name = name(&arguments, kind)?;
    let attributes: Vec<(Box<str>, Box<str>)> =
        arguments.attributes.iter().map(|text| attributes::parse(text)).collect::<Result<_, _>>()?;
    let allow_from = arguments.networks.iter().map(|text| network(text)).collect::<Result<_, _>>()?;
    let moment = |text: Option<String>| text.map(|text| Timestamp::parse(&text, now)).transpose();
    let (not_before, expires) = (moment(arguments.not_before), moment(arguments.expires));
    let grant = if arguments.full {
        GrantSpec::Full
    } else if arguments.read_only {
        GrantSpec::ReadOnly
    } else {
        let scopes = arguments.scopes.unwrap_or_default();
        let scopes: Vec<String> = scopes.iter().map(|scope| scope.trim().to_owned()).collect();
        let none_wanted = arguments.no_scopes || arguments.tripwire || kind == KeyKind::Public;
        check_scopes(&scopes, none_wanted, policy)?;
        GrantSpec::custom(scopes)
    };
    Ok(NewKey {
        kind,
        account: arguments.account.map(Into::into),
        not_before: not_before.map_err(Failure::usage)?,
        expires: expires.map_err(Failure::usage)?,
        attributes,
        allow_from,
        note: arguments.note.map(Into::into),
        is_tripwire: arguments.tripwire,
        ..NewKey::new(name, grant)
    })
}

/// What the key is called. A public key needs no name and no grant; any other is asked for both.
fn name(arguments: &CreateArgs, kind: KeyKind) -> Result<String, Failure> {
    let is_granted = arguments.full
        || arguments.read_only
        || arguments.no_scopes
        || arguments.tripwire
        || arguments.scopes.is_some();
    match &arguments.name {
        _ if kind == KeyKind::Public => Ok(arguments.name.clone().unwrap_or_else(|| "site id".to_owned())),
        None => Err(Failure::usage("say what the key is called: --name <NAME>")),
        Some(_) if !is_granted => Err(Failure::usage(
            "say what the key may do: --scopes <SCOPES>, --read-only, --full, --no-scopes or --tripwire",
        )),
        Some(name) => Ok(name.clone()),
    }
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
fn check_scopes(scopes: &[String], none_wanted: bool, policy: Option<&Policy>) -> Result<(), Failure> {
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
        .filter_map(|scope| Some((scope, policy.filter(|policy| !policy.knows(scope))?)))
        .map(|(scope, policy)| match policy.nearest(scope) {
            Some(near) => {
                format!("the policy does not know the scope `{scope}`; did you mean `{near}`?")
            }
            None => format!("the policy does not know the scope `{scope}`"),
        })
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(Failure::usage(unknown.join("\n       "))) }
}

fn mint(new: NewKey, keys: &Keys, now: Timestamp) -> Result<(Secret, KeyRecord), Failure> {
    let id = KeyId::mint(new.kind).map_err(Failure::failed)?;
    let (secret, imprint) = match new.kind {
        KeyKind::Public => {
            let site = SiteId::mint().map_err(Failure::failed)?;
            (Secret::new(site.as_str()), site.imprint())
        }
        KeyKind::Pair | KeyKind::Secret => issued::mint(keys)?,
    };
    let record = lifecycle::create(new, id, imprint, now).map_err(Failure::usage)?;
    Ok((secret, record))
}
