//! `scopegate cando`: the routes that a key may call.

use clap::Args;
use serde_json::{Value, json};

use super::keys::{not_found, parse_id, view};
use super::stored::{self, StoredArgs};
use super::whocan::{is_in_force, state};
use super::{Console, Exit, Failure};
use crate::key::{KeyState, Timestamp};
use crate::policy::{Access, Reach};

/// List the routes that a key may call, and the members of ruled parameters that it may use there
///
/// For a key that is not in force, lists what it could call if it were.
#[derive(Debug, Args)]
pub(super) struct CandoArgs {
    /// Id of the key, as in key_0123456789abcdef
    id: String,
    #[command(flatten)]
    stored: StoredArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &CandoArgs, console: &mut Console) -> Result<Exit, Failure> {
    let id = parse_id(&arguments.id)?;
    let (loaded, keys) = arguments.stored.load()?;
    let names = || keys.iter().map(|key| (key.record.id.as_str(), &*key.record.name));
    let key = keys.iter().find(|key| key.record.id == id).ok_or_else(|| not_found(&id, names()))?;
    let now = Timestamp::now();
    let reach = if key.record.is_tripwire { Vec::new() } else { loaded.config.policy.reach(&key.principal) };
    if arguments.json {
        let routes: Vec<Value> = reach.iter().map(to_json).collect();
        console.print_json(&json!({
            "key": view::to_json(&key.record, now),
            "in_force": is_in_force(key, now),
            "routes": routes,
        }))?;
        return Ok(Exit::Done);
    }
    let record = &key.record;
    console.note(format_args!("{} ({}): {}, {}", record.id, record.name, view::long_grant(record), state(key, now)));
    if !is_in_force(key, now) {
        let more = match record.state {
            _ if record.is_tripwire => "the key is a tripwire, which opens nothing",
            KeyState::Revoked => "the key is revoked, which is final: these are the routes that it could call before",
            _ => "the key is not in force: these are the routes that it could call if it were",
        };
        console.warn(more);
    }
    if reach.is_empty() {
        console.note("It may call no route.");
        return Ok(Exit::Done);
    }
    let rows = reach.iter().map(|reach| {
        [reach.route.label().to_owned(), format!("{}:{}", loaded.policy_file, reach.route.line()), remarks(reach)]
    });
    console.print(stored::table(["ROUTE", "WRITTEN AT", "WITH"], rows, console.width()))?;
    Ok(Exit::Done)
}

/// What there is to say of a route: who else may call it, which members may be used, what the path is bound to.
fn remarks(reach: &Reach<'_>) -> String {
    let mut remarks: Vec<String> = match reach.route.access() {
        Access::Anyone => vec!["anyone may".to_owned()],
        Access::Key => vec!["any key may".to_owned()],
        Access::PublicKey => vec!["any public key may".to_owned()],
        Access::Deny | Access::Scopes => Vec::new(),
    };
    remarks.extend(reach.bound.iter().map(|(parameter, values)| format!("{{{parameter}}} is {}", values.join(" or "))));
    remarks.extend(reach.members.iter().map(|(parameter, members)| format!("{parameter}={}", members.join(","))));
    remarks.join("; ")
}

fn to_json(reach: &Reach<'_>) -> Value {
    let bound: Vec<Value> =
        reach.bound.iter().map(|(parameter, values)| json!({ "parameter": parameter, "values": values })).collect();
    let members: Vec<Value> = reach
        .members
        .iter()
        .map(|(parameter, members)| json!({ "parameter": parameter, "members": members }))
        .collect();
    json!({
        "route": reach.route.label(),
        "line": reach.route.line(),
        "auth": reach.route.access().as_str(),
        "bound": bound,
        "members": members,
    })
}
