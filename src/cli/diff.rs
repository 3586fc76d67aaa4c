//! `scopegate diff`: what a new policy loosens and tightens, and which requests of a log would end otherwise.

mod human;
mod log;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use self::human::Word;
use self::log::Replay;
use super::stored::{self, StoredArgs};
use super::{Console, Exit, Failure, source};
use crate::config;
use crate::config::policy::LoadedPolicy;
use crate::policy::scope::Vocabulary;
use crate::policy::{OptionDifference, RouteDifference};

/// Compare two policies: routes added, removed, loosened, tightened
///
/// Routes are compared by what they mean: scopes with what implies them, levels, alternatives, ruled parameters, bindings,
/// the upstream credential, upgrades, and which route takes a path. An access log has neither queries nor headers, so that members of ruled parameters do not
/// count in --log.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// Policy file as it was
    old: PathBuf,
    /// Policy file as it is to be
    new: PathBuf,
    /// Access log whose requests are decided under both policies
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Exit with 3 where something was loosened
    #[arg(long)]
    fail_on_loosened: bool,
    #[command(flatten)]
    stored: StoredArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Two policies and how they differ.
struct Difference {
    files: [String; 2],
    routes: Vec<RouteDifference>,
    options: Vec<OptionDifference>,
}

pub(super) fn run(arguments: &DiffArgs, console: &mut Console) -> Result<Exit, Failure> {
    let vocabulary = Vocabulary::new();
    let old = load(&arguments.old, &vocabulary)?;
    let new = load(&arguments.new, &vocabulary)?;
    let replay = match &arguments.log {
        None => None,
        Some(path) => {
            let keys = keys(&arguments.stored, vocabulary, console);
            Some(log::replay(path, (&old.policy, &new.policy), &keys)?)
        }
    };
    let difference = Difference {
        routes: old.policy.differences(&new.policy),
        options: old.policy.option_differences(&new.policy),
        files: [old.file, new.file],
    };
    if arguments.json {
        console.print_json(&difference.to_json(replay.as_ref()))?;
    } else {
        difference.print(console)?;
        replay.map_or(Ok(()), |replay| replay.print(console))?;
    }
    Ok(if arguments.fail_on_loosened && difference.is_loosened() { Exit::Denied } else { Exit::Done })
}

fn load(path: &Path, vocabulary: &Vocabulary) -> Result<LoadedPolicy, Failure> {
    source::see_file(path)?;
    config::policy::load(path, vocabulary).map_err(Failure::Faults)
}

/// The keys that the ids of a log name. Without a store that can be read, none is known.
fn keys(arguments: &StoredArgs, vocabulary: Vocabulary, console: &mut Console) -> Vec<stored::StoredKey> {
    let location = arguments.config.store_location(arguments.store.as_deref());
    match location.and_then(|location| stored::read(&location, vocabulary)) {
        Ok(keys) => keys,
        Err(_) => {
            console
                .warn("no key store could be read, so that requests with a key cannot be decided: give --store or -c");
            Vec::new()
        }
    }
}

impl Difference {
    fn is_loosened(&self) -> bool {
        let routes = self.routes.iter().map(|route| route.shift);
        routes.chain(self.options.iter().map(|option| option.shift)).any(|shift| shift.loosened)
    }

    fn to_json(&self, replay: Option<&Replay>) -> Value {
        let place =
            |side: &Option<(String, u32)>| side.as_ref().map(|(route, line)| json!({ "route": route, "line": line }));
        let routes = self.routes.iter().map(|route| {
            json!({
                "change": Word::of(route.presence, route.shift).as_str(),
                "route": route.route,
                "loosened": route.shift.loosened,
                "tightened": route.shift.tightened,
                "what": route.what,
                "before": place(&route.before),
                "after": place(&route.after),
            })
        });
        let routes: Vec<Value> = routes.collect();
        let option = |one: &OptionDifference| json!({ "option": one.option, "loosened": one.shift.loosened, "tightened": one.shift.tightened, "what": one.what });
        let options: Vec<Value> = self.options.iter().map(option).collect();
        json!({
            "loosened": self.is_loosened(),
            "routes": routes,
            "options": options,
            "log": replay.map(Replay::to_json),
        })
    }
}
