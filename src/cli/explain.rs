//! `scopegate explain`: why a request would be allowed or denied, from the policy alone, with no gateway running.

mod batch;
mod caller;
mod human;

use std::path::PathBuf;

use clap::Args;

use serde_json::{Value, json};

use self::caller::{Callers, Claim, Explained, Supposed};
use super::keys::attributes;
use super::{ConfigArgs, Console, Exit, Failure, source};
use crate::config::policy::LoadedPolicy;
use crate::config::{self, Config, Keys, Overrides};
use crate::key::GrantSpec;
use crate::key::secret::Secret;
use crate::policy::scope::Vocabulary;
use crate::policy::{Explanation, NearMiss, Policy, Request, Upgrade};

/// Say why a request would be allowed or denied
///
/// Exits 0 where it would be allowed and 3 where it would be denied. Without a key or scopes the caller has no key.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Method of the request
    #[arg(required_unless_present = "batch")]
    method: Option<String>,
    /// Target of the request: its path and query, as they would be sent
    target: Option<String>,
    /// Explain for this key; - reads it from standard input, where the process list does not show it
    #[arg(long, group = "caller")]
    key: Option<String>,
    /// Explain for the key with this id
    #[arg(long, value_name = "ID", group = "caller")]
    key_id: Option<String>,
    /// Explain for a key with these scopes, separated by commas
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', group = "caller")]
    scopes: Option<Vec<String>>,
    /// Explain for a key with the grant read-only
    #[arg(long, group = "caller")]
    read_only: bool,
    /// Explain for a key with the grant full
    #[arg(long, group = "caller")]
    full: bool,
    /// Explain for a key without any scope
    #[arg(long, group = "caller")]
    no_scopes: bool,
    /// Account of a key with these scopes or that grant
    #[arg(long, value_name = "ID", conflicts_with_all = ["key", "key_id", "batch"])]
    account: Option<String>,
    /// Attribute of a key with these scopes or that grant, for `bind` in the policy; may be repeated
    #[arg(long = "attr", value_name = "NAME=VALUE", conflicts_with_all = ["key", "key_id", "batch"])]
    attributes: Vec<String>,
    /// Address that the request comes from, for keys that are bound to networks
    #[arg(long, value_name = "ADDRESS")]
    from: Option<std::net::IpAddr>,
    /// Explain every request of a file of JSON lines, or of standard input with -
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "target", "caller"])]
    batch: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Policy file, in place of the one that is configured; no configuration is needed then, unless for keys
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Key store, as in sqlite:scopegate.db or postgres://… [default: as configured]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &ExplainArgs, console: &mut Console) -> Result<Exit, Failure> {
    let vocabulary = Vocabulary::new();
    let grounds = Grounds::load(arguments, &vocabulary)?;
    let mut callers = Callers::new(&grounds, vocabulary, arguments.from);
    if let Some(path) = &arguments.batch {
        return batch::run(path, &mut callers, console);
    }
    let (method, target) = match (&arguments.method, &arguments.target) {
        (Some(method), Some(target)) => (method, target),
        (Some(both), None) if both.contains(' ') => {
            let message = format!("method and target are two arguments: scopegate explain {both}");
            return Err(Failure::usage(message));
        }
        _ => return Err(Failure::usage("explain needs METHOD and TARGET, or --batch FILE")),
    };
    let claim = claim(arguments, console)?;
    for scope in claim.scopes().filter(|scope| !grounds.policy.knows(scope)) {
        let near = grounds.policy.nearest(scope).map(|near| format!("; did you mean `{near}`?"));
        console.warn(format_args!("the policy does not know the scope `{scope}`{}", near.unwrap_or_default()));
    }
    for name in claim.attributes() {
        attributes::warn_of_unbound(&grounds.policy, name, console);
    }
    let request = Request { method: method.as_bytes(), target: target.as_bytes(), override_header: false };
    let explained = callers.explain(&request, &claim)?;
    if arguments.json {
        console.print_json(&to_json(&explained))?;
    } else {
        human::print(&explained, (method, target), console)?;
    }
    Ok(if explained.trace.code.is_none() { Exit::Done } else { Exit::Denied })
}

/// What decisions are made from.
#[derive(Debug)]
struct Grounds {
    policy: Policy,
    policy_file: String,
    /// How keys are made and where they are, where a configuration says it.
    keys: Option<Keys>,
}

impl Grounds {
    fn load(arguments: &ExplainArgs, vocabulary: &Vocabulary) -> Result<Self, Failure> {
        let keys = |overrides: &mut Overrides| overrides.store = arguments.store.clone();
        let Some(path) = &arguments.policy else {
            let loaded = arguments.config.load_with(vocabulary, keys)?;
            let Config { policy, keys, .. } = loaded.config;
            return Ok(Self { policy, policy_file: loaded.policy_file, keys: Some(keys) });
        };
        source::see_file(path)?;
        // The policy stands alone: a configuration is asked for its keys, where some are needed and it can be read.
        let LoadedPolicy { policy, file, .. } = config::policy::load(path, vocabulary).map_err(Failure::Faults)?;
        let needs_keys = arguments.key.is_some() || arguments.key_id.is_some() || arguments.batch.is_some();
        let loaded = needs_keys.then(|| arguments.config.load_with(&Vocabulary::new(), keys).ok()).flatten();
        Ok(Self { policy, policy_file: file, keys: loaded.map(|loaded| loaded.config.keys) })
    }

    /// How keys are made, and where they are.
    fn keys(&self) -> Result<&Keys, Failure> {
        self.keys.as_ref().ok_or_else(|| {
            Failure::usage(
                "a key is looked up in the store of a configuration, and none could be read: give -c FILE; `scopegate check -c FILE` shows what is wrong with it",
            )
        })
    }
}

/// Who is said to call.
fn claim(arguments: &ExplainArgs, console: &mut Console) -> Result<Claim, Failure> {
    let grant = match (&arguments.scopes, arguments.read_only, arguments.full) {
        (Some(scopes), ..) => {
            Some(GrantSpec::custom(scopes.iter().map(String::as_str).filter(|scope| !scope.is_empty())))
        }
        (None, true, _) => Some(GrantSpec::ReadOnly),
        (None, false, true) => Some(GrantSpec::Full),
        (None, false, false) if arguments.no_scopes => Some(GrantSpec::nothing()),
        (None, false, false) => None,
    };
    if let Some(grant) = grant {
        let attributes = arguments.attributes.iter().map(|text| attributes::parse(text)).collect::<Result<_, _>>()?;
        return Ok(Claim::Supposed(Supposed { grant, account: arguments.account.clone(), attributes }));
    }
    if arguments.account.is_some() || !arguments.attributes.is_empty() {
        return Err(Failure::usage(
            "--account and --attr say more of a key: give --scopes, --read-only, --full or --no-scopes beside them",
        ));
    }
    if let Some(id) = &arguments.key_id {
        return Ok(Claim::Id(super::keys::parse_id(id)?));
    }
    match arguments.key.as_deref() {
        None => Ok(Claim::Anonymous),
        Some("-") => Ok(Claim::Key(Secret::new(console.read_line()?.unwrap_or_default()))),
        Some(key) => Ok(Claim::Key(Secret::new(key))),
    }
}

/// The reasons as the contract has them, and the steps behind them.
fn to_json(explained: &Explained) -> Value {
    let trace = &explained.trace;
    let held = |scope: &String| !trace.missing.contains(scope);
    let because = trace.because.iter();
    let because: Vec<Value> = because
        .map(|because| json!({ "scope": because.scope, "from": because.from, "held": held(&because.scope) }))
        .collect();
    let mut object = json!({
        "decision": trace.decision,
        "status": trace.status,
        "code": trace.code,
        "reason": trace.reason,
        "route": trace.route,
        "required": trace.required,
        "granted": trace.granted,
        "missing": trace.missing,
        "because": because,
    });
    if let Value::Object(fields) = &mut object {
        if !trace.any_of.is_empty() {
            fields.insert("any_of".to_owned(), json!(trace.any_of));
        }
        for (name, value) in [("parameter", &trace.parameter), ("member", &trace.member)] {
            fields.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
        }
        fields.insert("caller".to_owned(), json!(explained.caller));
        if let Some(steps) = &explained.steps {
            add_steps(fields, steps, &explained.file);
        }
    }
    object
}

/// The steps from the target to the route, and what would do.
fn add_steps(fields: &mut serde_json::Map<String, Value>, steps: &Explanation, file: &str) {
    let templates: Vec<Value> = steps
        .candidates
        .iter()
        .map(|candidate| {
            json!({
                "template": candidate.template,
                "methods": candidate.methods,
                "line": candidate.line,
                "chosen": candidate.chosen,
                "near_miss": candidate.near_miss.map(NearMiss::as_str),
            })
        })
        .collect();
    let implied = steps.implied.iter().map(|held| json!({ "scope": held.scope, "by": held.by }));
    let implied: Vec<Value> = implied.collect();
    let sufficient = steps.sufficient.as_ref();
    let sufficient = sufficient.map(|grants| {
        let attributes: serde_json::Map<String, Value> =
            grants.attributes.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({ "scopes": grants.scopes, "levels": grants.levels, "attributes": attributes })
    });
    let bindings = steps.bound.iter().map(|bound| {
        json!({
            "attribute": bound.attribute,
            "parameter": bound.parameter,
            "value": bound.value,
            "key": bound.values,
            "kept": bound.kept,
        })
    });
    let bindings: Vec<Value> = bindings.collect();
    for (name, value) in [
        ("file", json!(file)),
        ("line", json!(steps.line)),
        ("upgrade", json!(steps.upgrade.map(Upgrade::as_str))),
        ("segments", json!(steps.segments)),
        ("final_slash", json!(steps.final_slash)),
        ("templates", Value::Array(templates)),
        ("near_miss", json!(steps.near_miss.map(NearMiss::as_str))),
        ("bindings", json!(bindings)),
        ("implied", json!(implied)),
        ("sufficient", json!(sufficient)),
    ] {
        fields.insert(name.to_owned(), value);
    }
}
