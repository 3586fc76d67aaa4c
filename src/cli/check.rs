//! `scopegate check`: every fault of configuration and policy at once, the policy's own tests, and what is open.

mod keys;
mod thorough;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use self::keys::StoredKeys;
use self::thorough::Thorough;
use super::console::Ink;
use super::{ConfigArgs, Console, Exit, Failure, source};
use crate::config::fault::{Fault, Severity};
use crate::config::policy::PolicyTest;
use crate::config::policy::test::run_tests;
use crate::config::{self, Keys};
use crate::policy::scope::Vocabulary;
use crate::policy::{Access, Policy, Route};

/// Validate configuration and policy, and run the policy's own tests
///
/// Shows every fault at once. Exits 4 where there is one, and 3 where a test of the policy fails, or where --mutate takes
/// out something that no test misses.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Policy file, checked alone in place of a configuration; with --keys, in place of the configured one
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A file without its flag, told how to be given
    #[arg(hide = true)]
    stray: Option<PathBuf>,
    /// Also look for stored keys that have expired or have scopes that the policy does not know
    #[arg(long)]
    keys: bool,
    /// List the routes and scopes that no test of the policy exercises
    #[arg(long)]
    coverage: bool,
    /// Take out each required scope and each alternative in turn, and list those whose absence no test of the policy notices
    #[arg(long)]
    mutate: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found sound, and what there is to say about it.
struct Checked {
    /// The file of the configuration, where one was looked at.
    config_file: Option<String>,
    policy: Policy,
    policy_file: String,
    tests: Vec<PolicyTest>,
    warnings: Vec<Fault>,
    keys: Option<Keys>,
    /// The names of the upstream credentials.
    credentials: Vec<Box<str>>,
    /// What `--keys` found.
    stored: Option<StoredKeys>,
}

pub(super) fn run(arguments: &CheckArgs, console: &mut Console) -> Result<Exit, Failure> {
    see_arguments(arguments)?;
    let mut checked = match load(arguments) {
        Ok(checked) => checked,
        Err(faults) if arguments.json => {
            let (faults, warnings): (Vec<_>, Vec<_>) =
                faults.into_iter().partition(|fault| fault.severity == Severity::Error);
            console.print_json(&json!({ "faults": faults, "warnings": warnings, "summary": null }))?;
            return Ok(Exit::Invalid);
        }
        Err(faults) => return Err(Failure::Faults(faults)),
    };
    checked.warnings.extend(checked.keys.as_ref().into_iter().flat_map(keys::obstacles));
    if let Some(keys) = checked.keys.as_ref().filter(|_| arguments.keys) {
        let mut stored = keys::look(keys, &checked.policy, &checked.credentials)?;
        checked.warnings.append(&mut stored.warnings);
        checked.stored = Some(stored);
    }
    let failures = run_tests(&checked.policy, &checked.tests);
    let mut thorough = Thorough::default();
    if arguments.coverage {
        thorough.measure(&checked.policy, &checked.tests);
    }
    if arguments.mutate && failures.is_empty() {
        thorough.mutate(&mut checked.policy, &checked.tests);
    } else if arguments.mutate {
        console.note("Nothing was taken out of the policy: a test that fails already would notice anything.");
    }
    if arguments.json {
        let mut object = json!({
            "faults": [],
            "warnings": checked.warnings,
            "failed_tests": failures,
            "summary": summary(&checked, failures.len()),
        });
        thorough.add_to(&mut object, &checked.policy);
        console.print_json(&object)?;
    } else {
        thorough.print((&checked.policy, &checked.policy_file), console)?;
        report(&checked, &failures, console)?;
        print_verdict((&checked, failures.is_empty(), thorough.has_survivors()), console)?;
    }
    Ok(if failures.is_empty() && !thorough.has_survivors() { Exit::Done } else { Exit::Denied })
}

/// Refuses arguments that mean something else, and files that are not there.
fn see_arguments(arguments: &CheckArgs) -> Result<(), Failure> {
    if let Some(file) = &arguments.stray {
        let file = file.display();
        let message = format!("did you mean `--policy {file}`? A configuration is given as `-c {file}`");
        return Err(Failure::usage(message));
    }
    if arguments.policy.is_some() && !arguments.keys && arguments.config.source().file.is_some() {
        let message = "`--policy` checks a policy alone: leave `-c` out, or add `--keys` to look at the keys of that configuration";
        return Err(Failure::usage(message));
    }
    arguments.config.see_file()?;
    arguments.policy.as_deref().map_or(Ok(()), source::see_file)
}

/// The last line: of the files, whether the policy passes its tests, and whether it could lose something without failing one.
fn print_verdict((checked, passes, loses): (&Checked, bool, bool), console: &mut Console) -> Result<(), Failure> {
    let file = &checked.policy_file;
    let (ink, verdict) = match (passes, loses) {
        (false, _) => (Ink::Bad, format!("{file} fails its own tests.")),
        (true, true) => (Ink::Bad, format!("{file} could lose what is listed above, and no test of it would fail.")),
        (true, false) => match checked.config_file.as_ref().filter(|config| *config != file) {
            Some(config) => (Ink::Good, format!("{config} and {file} are in order.")),
            None => (Ink::Good, format!("{file} is in order.")),
        },
    };
    let verdict = console.paint().apply(ink, &verdict);
    console.print(format_args!("\n{verdict}"))
}

fn load(arguments: &CheckArgs) -> Result<Checked, Vec<Fault>> {
    let vocabulary = Vocabulary::new();
    if let Some(path) = arguments.policy.as_ref().filter(|_| !arguments.keys) {
        let loaded = config::policy::load(path, &vocabulary)?;
        return Ok(Checked {
            config_file: None,
            policy: loaded.policy,
            policy_file: loaded.file,
            tests: loaded.tests,
            warnings: loaded.warnings,
            keys: None,
            credentials: Vec::new(),
            stored: None,
        });
    }
    let mut source = arguments.config.source();
    source.overrides.policy = arguments.policy.as_ref().map(|path| path.to_string_lossy().into_owned());
    let loaded = config::load(&source, &vocabulary)?;
    Ok(Checked {
        config_file: loaded.file,
        policy: loaded.config.policy,
        policy_file: loaded.policy_file,
        tests: loaded.tests,
        warnings: loaded.warnings,
        keys: Some(loaded.config.keys),
        credentials: loaded.config.upstream.credentials.into_keys().collect(),
        stored: None,
    })
}

/// The routes that a caller without scopes can reach, by what it needs.
fn open_routes(policy: &Policy) -> [(&'static str, &'static str, Vec<&Route>); 3] {
    let with = |access: Access| policy.routes().iter().filter(|route| route.access() == access).collect();
    [
        ("anyone", "Open to anyone, without a key:", with(Access::Anyone)),
        ("public_key", "Open to any public key:", with(Access::PublicKey)),
        ("any_key", "Open to any secret key, whatever its scopes:", with(Access::Key)),
    ]
}

/// Each attribute that is bound, with how many routes a key that has it may call at most.
fn bound_keys(policy: &Policy) -> Vec<(&str, usize)> {
    policy.bound_attributes().map(|attribute| (attribute, policy.routes_for_bound(attribute))).collect()
}

fn summary(checked: &Checked, failed: usize) -> Value {
    let mut open = serde_json::Map::new();
    for (name, _, routes) in open_routes(&checked.policy) {
        let routes: Vec<Value> =
            routes.iter().map(|route| json!({ "route": route.label(), "line": route.line() })).collect();
        open.insert(name.to_owned(), Value::Array(routes));
    }
    json!({
        "config": checked.config_file,
        "policy": checked.policy_file,
        "routes": checked.policy.routes().len(),
        "scopes": checked.policy.scopes().count(),
        "tests": checked.tests.len(),
        "failed_tests": failed,
        "warnings": checked.warnings.len(),
        "keys": checked.stored.as_ref().map(|stored| json!({ "stored": stored.count, "expired": stored.expired })),
        "open": open,
        "bound": bound_keys(&checked.policy)
            .iter()
            .map(|(attribute, routes)| json!({ "attribute": attribute, "routes": routes }))
            .collect::<Vec<_>>(),
    })
}

fn report(checked: &Checked, failures: &[Fault], console: &mut Console) -> Result<(), Failure> {
    console.show_faults(&checked.warnings);
    console.show_faults(failures);
    for (_, title, routes) in open_routes(&checked.policy) {
        if routes.is_empty() {
            continue;
        }
        console.print(title)?;
        for route in routes {
            console.print(format_args!("  {}:{}  {}", checked.policy_file, route.line(), route.label()))?;
        }
        console.print("")?;
    }
    let bound = bound_keys(&checked.policy);
    for (attribute, routes) in &bound {
        let all = counted(checked.policy.routes().len(), "route");
        console.print(format_args!(
            "Keys bound by {attribute} may call {routes} of {all}\n  open others to them with unbound: [{attribute}]"
        ))?;
    }
    if !bound.is_empty() {
        console.print("")?;
    }
    let tests = match (checked.tests.len(), failures.len()) {
        (0, _) => "none".to_owned(),
        (all, 0) => format!("{all} passed"),
        (all, failed) => format!("{failed} of {all} failed"),
    };
    let warnings = checked.warnings.len();
    let mut rows: Vec<(&str, String)> = checked.config_file.iter().map(|file| ("config", file.clone())).collect();
    rows.extend([
        ("policy", checked.policy_file.clone()),
        ("routes", checked.policy.routes().len().to_string()),
        ("scopes", checked.policy.scopes().count().to_string()),
        ("tests", tests),
        ("warnings", if warnings == 0 { "none".to_owned() } else { warnings.to_string() }),
    ]);
    let keys = |stored: &StoredKeys| match (stored.expired, &stored.no_store) {
        (_, Some(path)) => ("keys", format!("none yet (no store at {path})")),
        (0, None) => ("keys", stored.count.to_string()),
        (expired, None) => ("keys", format!("{}, {expired} expired", stored.count)),
    };
    rows.extend(checked.stored.as_ref().map(keys));
    rows.iter().try_for_each(|(name, value)| console.print(format_args!("{name:<10}{value}")))
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
