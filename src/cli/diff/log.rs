//! The requests of an access log, decided under two policies.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::console::read_line;
use crate::cli::stored::StoredKey;
use crate::cli::{Console, Failure};
use crate::key::visible::escaped;
use crate::policy::{Caller, Policy, Principal, Request};

/// Codes of requests that were refused before a policy was asked, or for reasons that no policy changes.
const NOT_THE_POLICYS: [&str; 14] = [
    "address_not_allowed",
    "ambiguous_query",
    "bad_request",
    "body_too_large",
    "expectation_failed",
    "headers_too_large",
    "internal_error",
    "key_store_unavailable",
    "method_override",
    "misdirected_request",
    "overloaded",
    "query_not_allowed",
    "request_timeout",
    "target_too_long",
];

/// A line of an access log, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    message: Option<String>,
    method: String,
    path: String,
    decision: String,
    code: Option<String>,
    key_id: Option<String>,
}

/// Requests that are alike: method, path, id of the key, and the code of each outcome.
type Alike = (String, String, Option<String>, Option<&'static str>, Option<&'static str>);

/// What came of a log.
#[derive(Debug, Default)]
pub(super) struct Replay {
    decided: u64,
    /// Requests whose outcome changes, and how many there are of each.
    changed: BTreeMap<Alike, u64>,
    /// The policy was not asked, or what it was asked is not in the log.
    left_out: u64,
    /// The log names a key that the store does not know.
    unknown_keys: u64,
    /// The old policy, asked about path and key alone, decides otherwise than the log has it.
    otherwise: u64,
    /// Lines that are no requests.
    other_lines: u64,
}

/// Decides each request of the log at `path` under both policies.
pub(super) fn replay(path: &Path, policies: (&Policy, &Policy), keys: &[StoredKey]) -> Result<Replay, Failure> {
    let failed = |error: std::io::Error| Failure::io(format_args!("{} cannot be read", path.display()), &error);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let keys: HashMap<&str, &Principal> = keys.iter().map(|key| (key.record.id.as_str(), &key.principal)).collect();
    let mut replay = Replay::default();
    while let Some(line) = read_line(&mut file).map_err(failed)? {
        match serde_json::from_slice::<Line>(&line) {
            Ok(line) if line.message.as_deref().is_none_or(|message| message == "request") => {
                replay.take(line, policies, &keys);
            }
            _ => replay.other_lines += 1,
        }
    }
    Ok(replay)
}

impl Replay {
    fn take(&mut self, line: Line, (old, new): (&Policy, &Policy), keys: &HashMap<&str, &Principal>) {
        let refused = line.decision != "allow";
        if refused && line.code.as_deref().is_some_and(|code| NOT_THE_POLICYS.contains(&code)) {
            self.left_out += 1;
            return;
        }
        let good = !matches!(line.code.as_deref(), Some("expired_key" | "invalid_key" | "ambiguous_key"));
        let caller = match line.key_id.as_deref().filter(|_| good) {
            // A key that was not in force opens what no key opens.
            None => Caller::Anonymous,
            Some(id) => match keys.get(id) {
                Some(principal) => Caller::Known(principal),
                None => {
                    self.unknown_keys += 1;
                    return;
                }
            },
        };
        let (before, after) = (outcome(old, &caller, &line), outcome(new, &caller, &line));
        if before.is_some() != refused {
            self.otherwise += 1;
            return;
        }
        self.decided += 1;
        if before.is_some() != after.is_some() {
            *self.changed.entry((line.method, line.path, line.key_id, before, after)).or_default() += 1;
        }
    }

    /// The requests whose outcome changes: those that pass under the new policy, or those that passed under the old.
    fn those(&self, pass: Passes) -> impl Iterator<Item = (&Alike, u64)> {
        let is_one = move |alike: &Alike| alike.4.is_none() == (pass == Passes::New);
        self.changed.iter().filter(move |(alike, _)| is_one(alike)).map(|(alike, count)| (alike, *count))
    }

    /// Prints it, those that are denied from now on first.
    pub(super) fn print(&self, console: &mut Console) -> Result<(), Failure> {
        console.print("")?;
        for (title, pass) in
            [("Allowed before, denied now:", Passes::Old), ("Denied before, allowed now:", Passes::New)]
        {
            if self.those(pass).next().is_some() {
                console.print(title)?;
            }
            for ((method, path, key, before, after), count) in self.those(pass) {
                let key = key.as_deref().unwrap_or("without a key");
                let code = before.or(*after).unwrap_or_default();
                // Callers choose what a log holds.
                console.print(escaped(&format!("  {count:>6}  {method} {path}  {key}  {code}")))?;
            }
        }
        let count = |pass: Passes| self.those(pass).map(|(_, count)| count).sum::<u64>();
        console.print(format_args!(
            "{} {} decided: {} newly denied, {} newly allowed",
            self.decided,
            plural(self.decided, "request"),
            count(Passes::Old),
            count(Passes::New)
        ))?;
        for (count, what) in [
            (self.unknown_keys, "not judged: the key is not in the store"),
            (self.left_out, "not judged: refused for what the log does not hold, or before a policy was asked"),
            (self.otherwise, "not judged: the logged outcome is not the one OLD gives (probably its query)"),
        ] {
            if count > 0 {
                console.note(format_args!("{count} {} {what}", plural(count, "request")));
            }
        }
        if self.other_lines > 0 {
            let those = if self.other_lines == 1 { "is no request" } else { "are no requests" };
            console.note(format_args!("{} {} {those}", self.other_lines, plural(self.other_lines, "line")));
        }
        console.note("The log has no queries: members of ruled parameters do not count.");
        Ok(())
    }

    pub(super) fn to_json(&self) -> Value {
        let list = |pass: Passes| -> Vec<Value> {
            let those = self.those(pass).map(|((method, path, key, before, after), count)| {
                json!({ "method": method, "path": path, "key_id": key, "count": count, "code": before.or(*after) })
            });
            those.collect()
        };
        json!({
            "decided": self.decided,
            "allow_to_deny": list(Passes::Old),
            "deny_to_allow": list(Passes::New),
            "unknown_keys": self.unknown_keys,
            "left_out": self.left_out,
            "decided_otherwise": self.otherwise,
            "other_lines": self.other_lines,
        })
    }
}

/// Under which policy a request passes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passes {
    New,
    Old,
}

fn plural(count: u64, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// The code of the denial; `None` where the request passes.
fn outcome(policy: &Policy, caller: &Caller<'_>, line: &Line) -> Option<&'static str> {
    let request = Request { method: line.method.as_bytes(), target: line.path.as_bytes(), override_header: false };
    let denial = match policy.judge(&request) {
        Ok(target) => policy.decide(caller, &target).denial(),
        Err(denial) => Some(denial),
    };
    denial.map(crate::policy::Denial::code)
}
