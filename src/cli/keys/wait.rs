//! `--wait`: a change is done when every gateway has said that it holds it.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::{KeyArgs, let_gateways_follow};
use crate::cli::{Console, Exit, Failure};
use crate::key::timestamp::parse_span;
use crate::key::visible::escaped;
use crate::store::{Gateway, KeyStore, Revision, StoreError};

/// How often the list of gateways is read at first, and at least.
const LOOK: Duration = Duration::from_millis(5);
const LAST_LOOK: Duration = Duration::from_millis(100);
/// A gateway says every five seconds that it is there; one that has not for so long is not waited for.
const SILENCE: Duration = Duration::from_secs(16);
/// For so much longer than it goes on with what it knows a gateway that is silent is named: its last look at the store may have
/// come after its last word.
const SLACK: Duration = Duration::from_secs(60);

/// A key that is to end, and whether to wait for it.
#[derive(Debug, Args)]
pub(super) struct EndArgs {
    #[command(flatten)]
    pub(super) wait: WaitArgs,
    #[command(flatten)]
    pub(super) key: KeyArgs,
}

/// Whether to wait for the gateways.
#[derive(Debug, Args)]
pub(in crate::cli) struct WaitArgs {
    /// Wait until every running gateway has confirmed that it holds the change, at most this long [default: 5s]
    ///
    /// Says how many have and how long the slowest took; one that has not is named, and the command exits with 3, as it does
    /// where nobody has. The time counts from when the change is made. Gateways that share a SQLite file or a key file
    /// follow it all the same, but cannot confirm.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "5s")]
    wait: Option<String>,
}

impl WaitArgs {
    /// How long to wait; no time where that is not asked.
    ///
    /// # Errors
    /// It is no length of time.
    pub(in crate::cli) fn patience(&self) -> Result<Patience, Failure> {
        let limit = self.wait.as_deref().map(|text| parse_span(text).map_err(Failure::usage)).transpose()?;
        Ok(Patience { begun: Instant::now(), limit })
    }
}

/// How long the gateways are waited for, if at all.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Patience {
    begun: Instant,
    limit: Option<Duration>,
}

impl Patience {
    /// For what nobody waits for.
    pub(in crate::cli) fn none() -> Self {
        Self { begun: Instant::now(), limit: None }
    }

    /// The same, with what it counts from: the change has just been made, however long it had to wait for other writers.
    pub(in crate::cli) fn begun_now(self) -> Self {
        Self { begun: Instant::now(), ..self }
    }

    /// Whether the gateways are waited for by name.
    pub(in crate::cli) const fn is_asked(&self) -> bool {
        self.limit.is_some()
    }
}

/// Lets gateways take a change in, and where that is asked, waits for each of them and says how that went. `json` is printed
/// with what came of it.
///
/// INVARIANT: for a reader, what was changed was told before: whoever stops the command while it waits knows of it.
pub(in crate::cli) fn settle(
    store: &mut dyn KeyStore,
    (revision, patience): (Option<Revision>, Patience),
    json: Option<Value>,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let Patience { begun, limit } = patience;
    let Some(limit) = limit else {
        json.map_or(Ok(()), |json| console.print_json(&json))?;
        if revision.is_some() {
            let_gateways_follow();
        }
        return Ok(Exit::Done);
    };
    let waited = until_confirmed(store, revision, (begun, limit));
    if let Some(mut json) = json {
        if let (Value::Object(fields), Ok(Some(verdict))) = (&mut json, &waited) {
            fields.insert("gateways".to_owned(), verdict.to_json());
        }
        console.print_json(&json)?;
    }
    match waited {
        Ok(Some(verdict)) => {
            verdict.tell(console);
            Ok(verdict.exit())
        }
        Ok(None) => {
            console.note("Gateways of this store cannot confirm that they know; those of one in PostgreSQL can.");
            if revision.is_some() {
                let_gateways_follow();
            }
            Ok(Exit::Done)
        }
        Err(error) => Err(Failure::failed(format_args!(
            "{error}: which gateways know of the change could not be asked; the change itself stands"
        ))),
    }
}

/// What became of the wait.
#[derive(Debug)]
struct Verdict {
    /// How long each gateway took that has confirmed.
    confirmed: Vec<Duration>,
    /// Those that have not.
    missing: Vec<Gateway>,
    revision: Revision,
    limit: Duration,
}

/// Waits for every gateway to hold a change that was made at `begun`, or everything there is now; `None` where no gateway of
/// this store can say so.
///
/// # Errors
/// The store is away.
fn until_confirmed(
    store: &mut dyn KeyStore,
    revision: Option<Revision>,
    (begun, limit): (Instant, Duration),
) -> Result<Option<Verdict>, StoreError> {
    let mut took: HashMap<Box<str>, Duration> = HashMap::new();
    let mut wanted = revision;
    loop {
        let fleet = match store.gateways() {
            // Somebody holds the list, or the line is made anew: the time that was given is not over.
            Err(error) if error.is_passing() && begun.elapsed() < limit => {
                thread::sleep(pause(begun.elapsed()));
                continue;
            }
            fleet => fleet?,
        };
        let Some(fleet) = fleet else { return Ok(None) };
        let revision = *wanted.get_or_insert(fleet.revision);
        let elapsed = begun.elapsed();
        let (there, missing): (Vec<Gateway>, Vec<Gateway>) =
            fleet.gateways.into_iter().partition(|gateway| gateway.holds(revision, fleet.revision));
        // One that is silent by now may be gone, and confirms nothing that was asked today.
        for gateway in there.into_iter().filter(|gateway| gateway.silent_for < SILENCE) {
            took.entry(gateway.id).or_insert(elapsed);
        }
        // One that ended meanwhile took its row away, and serves nobody.
        let missing: Vec<Gateway> = missing.into_iter().filter(may_serve).collect();
        for gateway in &missing {
            took.remove(&gateway.id);
        }
        // One that refuses the store waits for somebody to decide.
        let is_awaited = missing.iter().any(|gateway| gateway.silent_for < SILENCE && gateway.refuses.is_none());
        if !is_awaited || elapsed >= limit {
            return Ok(Some(Verdict { confirmed: took.into_values().collect(), missing, revision, limit }));
        }
        thread::sleep(pause(elapsed));
    }
}

/// How long it is until the next look: longer the longer it took, and never much beside that.
fn pause(elapsed: Duration) -> Duration {
    (elapsed / 16).clamp(LOOK, LAST_LOOK)
}

/// How much longer a gateway serves that does not follow.
fn rest_of(gateway: &Gateway) -> String {
    match gateway.goes_on_for {
        Some(Duration::ZERO) if gateway.refuses.is_some() => "lets no key in any more (keys.max_stale)".to_owned(),
        Some(time) => {
            let rest = (time + SLACK).saturating_sub(gateway.silent_for).as_secs();
            format!("goes on with what it knows for {rest} s more at most (keys.max_stale)")
        }
        None => "goes on with what it knows for as long as it runs (keys.max_stale)".to_owned(),
    }
}

/// Whether a gateway may still let requests through: one that was not heard of for longer than it goes on by itself does not.
fn may_serve(gateway: &Gateway) -> bool {
    gateway.goes_on_for.is_none_or(|time| gateway.silent_for < time.saturating_add(SLACK))
}

impl Verdict {
    /// Says it.
    fn tell(&self, console: &mut Console) {
        let slowest = self.confirmed.iter().max().copied().unwrap_or_default().as_millis();
        match (self.confirmed.len(), self.missing.len()) {
            (0, 0) => console.warn(
                "no gateway has confirmed, as none that may run has a row in the store: either there is none, or those that run follow a replica, may not write their row (their log says so), or have not come back to this store since it was emptied or restored; these may go on as if nothing had changed",
            ),
            (0, _) => {}
            (1, _) => console.note(format_args!("1 gateway has confirmed, after {slowest} ms.")),
            (count, _) => {
                console.note(format_args!("{count} gateways have confirmed, the slowest after {slowest} ms."));
            }
        }
        for gateway in &self.missing {
            // Whoever may write the row may write anything into it.
            let name = format_args!("gateway {} ({})", escaped(&gateway.name), escaped(&gateway.id));
            console.warn(format_args!("{name} {}", self.lacks(gateway)));
        }
    }

    /// Why one has not confirmed, and what that means.
    fn lacks(&self, gateway: &Gateway) -> String {
        let Gateway { revision, silent_for, .. } = gateway;
        let (silence, rest) = (silent_for.as_secs(), rest_of(gateway));
        if let Some(why) = &gateway.refuses {
            let remedy = match &**why {
                Gateway::ANOTHER_PAST => "restart it to go on with this store",
                // A restart would end in the same, and without a copy of the keys in no key at all.
                _ => "its log says what is to be mended",
            };
            return format!(
                "has not confirmed: it refuses the store as it is now ({}), was last heard of {silence} s ago and {rest}; {remedy}",
                escaped(why)
            );
        }
        if *silent_for < SILENCE {
            let (wanted, limit) = (self.revision, self.limit.as_millis());
            return format!(
                "has not confirmed within {limit} ms: it has come to change {revision} of {wanted}, and was last heard of {silence} s ago"
            );
        }
        format!(
            "has not confirmed, and was last heard of {silence} s ago: where it still runs, it is cut off from the store and {rest}"
        )
    }

    /// The same for a program.
    fn to_json(&self) -> Value {
        let missing = |gateway: &Gateway| {
            let silent = u64::try_from(gateway.silent_for.as_millis()).unwrap_or(u64::MAX);
            let Gateway { id, name, revision, refuses, .. } = gateway;
            json!({ "id": id, "name": name, "revision": revision.0, "silent_ms": silent, "refuses": refuses })
        };
        let slowest = self.confirmed.iter().max().map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let missing: Vec<Value> = self.missing.iter().map(missing).collect();
        json!({ "confirmed": self.confirmed.len(), "slowest_ms": slowest, "missing": missing })
    }

    /// What the process exits with. That nobody says anything proves nothing.
    fn exit(&self) -> Exit {
        if self.missing.is_empty() && !self.confirmed.is_empty() { Exit::Done } else { Exit::Denied }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_advised_where_it_helps() {
        let lacks = |why: &str| {
            let gateway = Gateway {
                id: "5f0c".into(),
                name: "web".into(),
                revision: Revision(1),
                silent_for: Duration::ZERO,
                goes_on_for: None,
                refuses: Some(why.into()),
            };
            let (confirmed, missing, limit) = (Vec::new(), Vec::new(), Duration::ZERO);
            Verdict { confirmed, missing, revision: Revision(2), limit }.lacks(&gateway)
        };
        assert!(lacks("another past").ends_with("; restart it to go on with this store"));
        for why in ["damaged", "a newer schema", "no right to read it", "an error of the server"] {
            let said = lacks(why);
            assert!(said.ends_with("; its log says what is to be mended") && !said.contains("restart"), "{said}");
        }
    }

    #[test]
    fn whoever_waits_for_long_looks_seldom_and_is_told_hardly_later() {
        let millis = |elapsed| pause(Duration::from_millis(elapsed)).as_millis();
        assert_eq!([0, 30, 80, 160, 1600, 60_000].map(millis), [5, 5, 5, 10, 100, 100]);
    }
}
