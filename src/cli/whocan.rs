//! `scopegate whocan`: the keys of the store that may send a request.

use clap::Args;
use serde_json::json;

use super::keys::accounts::ACCOUNT_DISABLED;
use super::keys::view;
use super::stored::{self, StoredArgs, StoredKey};
use super::{Console, Exit, Failure};
use crate::key::{KeyState, Timestamp};
use crate::policy::{Access, Caller, Policy, Request, Route, Target};

/// List the keys that may send a request
///
/// A key that is disabled or expired is listed with its state; it may not until that changes. Revoked keys are left out.
/// Exits 3 where no key in force may.
#[derive(Debug, Args)]
pub(super) struct WhocanArgs {
    /// Method of the request
    method: String,
    /// Target of the request: its path and query, as they would be sent
    target: String,
    #[command(flatten)]
    stored: StoredArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &WhocanArgs, console: &mut Console) -> Result<Exit, Failure> {
    let (loaded, keys) = arguments.stored.load()?;
    let policy = &loaded.config.policy;
    let (method, target) = (arguments.method.as_bytes(), arguments.target.as_bytes());
    let target = match policy.judge(&Request { method, target, override_header: false }) {
        Ok(target) => target,
        Err(denial) => {
            if arguments.json {
                console.print_json(&json!({ "route": null, "code": denial.code(), "anyone": false, "keys": [] }))?;
            }
            console.note(format_args!("Nobody: {} {}. {}", denial.status(), denial.code(), denial.detail()));
            return Ok(Exit::Denied);
        }
    };
    let opens = |key: &&StoredKey| policy.decide(&Caller::Known(&key.principal), &target).is_allow();
    let is_of_use = |key: &&StoredKey| key.record.state != KeyState::Revoked && !key.record.is_tripwire;
    let able: Vec<&StoredKey> = keys.iter().filter(is_of_use).filter(opens).collect();
    let now = Timestamp::now();
    let may = able.iter().any(|key| is_in_force(key, now)) || is_open(&target);
    if arguments.json {
        let keys: Vec<_> = able.iter().map(|key| to_json(key, now)).collect();
        let route = target.route().map(|route| route.label());
        console.print_json(&json!({ "route": route, "code": null, "anyone": is_open(&target), "keys": keys }))?;
    } else {
        let asked = Asked { request: &arguments.request(), policy, file: &loaded.policy_file };
        report(&able, &asked, (&target, now), console)?;
    }
    Ok(if may { Exit::Done } else { Exit::Denied })
}

/// What was asked, and of which policy.
struct Asked<'a> {
    request: &'a str,
    policy: &'a Policy,
    file: &'a str,
}

impl WhocanArgs {
    fn request(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

impl Asked<'_> {
    /// Why no key of the store may send the request.
    fn why_none(&self, route: &Route, target: &Target<'_>) -> String {
        if route.access() == Access::Deny {
            return format!("No key: {}:{} closes {} to everybody.", self.file, route.line(), route.label());
        }
        let steps = self.policy.decide(&Caller::Anonymous, target).explain();
        let needs = steps.sufficient.map(|sufficient| {
            let ways = sufficient.scopes.iter().map(|scopes| match scopes.as_slice() {
                [] => "any key".to_owned(),
                scopes => format!("a key with {}", scopes.join(" and ")),
            });
            let attributes = sufficient.attributes.iter().map(|(name, value)| format!(" and {name}={value}"));
            format!(": it takes {}{}", ways.collect::<Vec<_>>().join(", or "), attributes.collect::<String>())
        });
        format!("No key of the store may send {}{}.", self.request, needs.unwrap_or_default())
    }
}

fn report(
    able: &[&StoredKey],
    asked: &Asked<'_>,
    (target, now): (&Target<'_>, Timestamp),
    console: &mut Console,
) -> Result<(), Failure> {
    match target.route() {
        None => console.note("No key: no route of the policy takes the request."),
        Some(route) if is_open(target) => {
            console.note(format_args!("{} is open to anyone, without a key.", route.label()))
        }
        Some(route) if able.is_empty() => console.note(asked.why_none(route, target)),
        Some(_) => {}
    }
    if able.is_empty() || is_open(target) {
        return Ok(());
    }
    let rows = able.iter().map(|key| {
        let networks: Vec<String> = key.record.allow_from.iter().map(ToString::to_string).collect();
        [
            key.record.id.to_string(),
            key.record.name.to_string(),
            view::short_grant(&key.record),
            state(key, now).to_owned(),
            if networks.is_empty() { "anywhere".to_owned() } else { networks.join(", ") },
        ]
    });
    console.print(stored::table(["ID", "NAME", "GRANT", "STATE", "FROM"], rows, console.width()))
}

/// The key as `keys list --json` has it, and whether it may send the request now, from an address that it allows.
fn to_json(key: &StoredKey, now: Timestamp) -> serde_json::Value {
    let mut object = view::to_json(&key.record, now);
    if let serde_json::Value::Object(fields) = &mut object {
        fields.insert("state".to_owned(), json!(state(key, now)));
        fields.insert("may".to_owned(), json!(is_in_force(key, now)));
    }
    object
}

fn is_open(target: &Target<'_>) -> bool {
    target.route().is_some_and(|route| route.access() == Access::Anyone)
}

/// Whether the key works now, from an address that it allows.
pub(super) fn is_in_force(key: &StoredKey, now: Timestamp) -> bool {
    state(key, now) == KeyState::Active.as_str()
}

/// The state as a caller meets it.
pub(super) fn state(key: &StoredKey, now: Timestamp) -> &'static str {
    let begun = key.record.not_before.is_none_or(|start| start <= now);
    match view::state(&key.record, now) {
        "active" if key.is_suspended => ACCOUNT_DISABLED,
        "active" if !begun => "not yet valid",
        "active" if key.record.is_tripwire => "tripwire",
        state => state,
    }
}
