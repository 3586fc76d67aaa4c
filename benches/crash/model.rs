//! What the store must have of each key after what was done to it, acknowledged or not.

use serde_json::Value;

use super::doubt::Doubt;
use crate::support::Outcome;

/// The one scope that keys of this bench have.
pub(crate) const SCOPE: &str = "things:read";

/// What sort of a key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Pair,
    Secret,
    /// It opens nothing, and is known all the same.
    Tripwire,
}

impl Sort {
    /// How the command line is told of it.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Pair => &["--kind", "pair", "--scopes", SCOPE],
            Self::Secret => &["--scopes", SCOPE],
            Self::Tripwire => &["--tripwire"],
        }
    }

    /// The status that a request with it gets while it works. A tripwire opens nothing: it gets what an ended key gets.
    fn status(self) -> u16 {
        match self {
            Self::Pair | Self::Secret => 200,
            Self::Tripwire => 401,
        }
    }
}

/// A change of a key that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Delete,
    Disable,
    Enable,
    Retire,
    Revoke,
    Rotate,
}

impl Act {
    /// How the command line is told of it.
    pub(crate) fn arguments(self, sort: Sort, id: &str) -> Vec<&str> {
        let rotate = if sort == Sort::Pair { "reset-secret" } else { "rotate" };
        match self {
            Self::Delete => vec!["keys", "delete", id],
            Self::Disable => vec!["keys", "disable", id],
            Self::Enable => vec!["keys", "enable", id],
            Self::Retire => vec!["keys", rotate, id, "--overlap", "24h", "--json"],
            Self::Revoke => vec!["keys", "revoke", id],
            Self::Rotate => vec!["keys", rotate, id, "--json"],
        }
    }

    /// Whether a new value is printed.
    pub(crate) fn prints(self) -> bool {
        matches!(self, Self::Retire | Self::Rotate)
    }
}

/// How a key stands in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: String,
    kind: String,
    is_tripwire: bool,
    account: Option<String>,
    scopes: Vec<String>,
    /// What each of its values is, the newest first: `current`, `retiring` or `ended`.
    stages: Vec<String>,
}

impl Standing {
    /// That of a key that was just made.
    fn fresh(sort: Sort, account: Option<&str>) -> Self {
        let is_tripwire = sort == Sort::Tripwire;
        Self {
            state: "active".into(),
            kind: if sort == Sort::Pair { "pair".into() } else { "secret".into() },
            is_tripwire,
            account: account.map(str::to_owned),
            scopes: if is_tripwire { Vec::new() } else { vec![SCOPE.into()] },
            stages: vec!["current".into()],
        }
    }

    /// What a record of `keys list --json` says of it.
    fn read(record: &Value) -> Outcome<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let list = |name: &str| record.get(name).and_then(Value::as_array).ok_or("a record lacks a list");
        let stages = list("values")?.iter().filter_map(|value| value.get("state").and_then(text)).collect();
        // What an account makes of a key is no change of the key.
        let own = |state: String| if state == "account disabled" { "active".to_owned() } else { state };
        Ok(Self {
            state: record.get("state").and_then(text).map(own).ok_or("a record lacks its state")?,
            kind: record.get("kind").and_then(text).ok_or("a record lacks its kind")?,
            is_tripwire: record.get("tripwire").and_then(Value::as_bool).ok_or("a record does not say what it is")?,
            account: record.get("account").and_then(text),
            scopes: list("scopes")?.iter().filter_map(text).collect(),
            stages,
        })
    }

    /// That after a change.
    fn after(&self, act: Act) -> Self {
        let mut next = self.clone();
        let ends = |stage: &mut String| *stage = "ended".into();
        match act {
            Act::Disable => next.state = "disabled".into(),
            Act::Enable => next.state = "active".into(),
            Act::Revoke => {
                next.state = "revoked".into();
                next.stages.iter_mut().for_each(ends);
            }
            Act::Delete => {
                next.state = "deleted".into();
                next.scopes.clear();
                next.account = None;
                next.stages.iter_mut().for_each(ends);
            }
            Act::Rotate => {
                next.stages.iter_mut().for_each(ends);
                next.stages.insert(0, "current".into());
            }
            Act::Retire => {
                let current = next.stages.iter_mut().filter(|stage| *stage == "current");
                current.for_each(|stage| *stage = "retiring".into());
                next.stages.insert(0, "current".into());
            }
        }
        next
    }
}

/// A key, and how it may stand.
#[derive(Debug)]
pub(crate) struct Key {
    /// Shared by a key and its clones alone.
    pub(crate) name: String,
    pub(crate) sort: Sort,
    /// The account that it was made for.
    pub(crate) account: Option<String>,
    /// The import that it was made by.
    pub(crate) batch: Option<String>,
    /// Unknown until it was printed or listed.
    pub(crate) id: Option<String>,
    /// Its values, the newest first; those of a pair with its id. One that was made and never printed is nobody's.
    values: Vec<Option<String>>,
    doubt: Doubt<Standing>,
}

impl Key {
    /// One that was made, or may have been where that was not acknowledged.
    pub(crate) fn made(name: String, sort: Sort, account: Option<String>, made: (Option<String>, bool)) -> Self {
        let (value, is_sure) = made;
        let doubt = Doubt::made(Standing::fresh(sort, account.as_deref()), is_sure);
        Self { name, sort, account, batch: None, id: None, values: vec![value], doubt }
    }

    /// How it stands, where there is no doubt.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.doubt.certain()
    }

    /// Whether a record that has its name, and no id that is known, may be its.
    pub(crate) fn may_be_any(&self) -> bool {
        self.id.is_none() && self.doubt.may_be_there()
    }

    /// Takes down that `act` was done and acknowledged, with the value that was printed.
    pub(crate) fn acknowledge(&mut self, act: Act, value: Option<String>) {
        self.doubt.acknowledge(|standing| standing.after(act));
        if act.prints() {
            self.values.insert(0, value);
        }
    }

    /// Takes down that `act` was begun, and that nobody was told of its end.
    pub(crate) fn doubt(&mut self, act: Act) {
        self.doubt.begin(|standing| standing.after(act));
    }

    /// Takes in how it stands in the list, and whether that settles a doubt: with its change made or not.
    pub(crate) fn settle(&mut self, record: Option<&Value>) -> Outcome<Option<bool>> {
        let found = record.map(Standing::read).transpose()?;
        let count = found.as_ref().map_or(0, |standing| standing.stages.len());
        let was_made = self.doubt.settle(&self.name, found)?;
        while self.values.len() < count {
            self.values.insert(0, None);
        }
        self.id = record.and_then(|record| record.get("id")).and_then(Value::as_str).map(str::to_owned);
        Ok(was_made)
    }

    /// Each value that somebody may have, and the status that it must get. Nothing, while there is a doubt. `may_work` says
    /// whether keys of an account may.
    pub(crate) fn values(&self, may_work: &dyn Fn(&str) -> bool) -> Vec<(&str, u16)> {
        if self.doubt.is_open() {
            return Vec::new();
        }
        let standing = self.doubt.certain();
        let is_free = self.account.as_deref().is_none_or(may_work);
        let works = |place: usize| {
            standing.is_some_and(|standing| {
                standing.state == "active" && standing.stages.get(place).is_some_and(|stage| stage != "ended")
            })
        };
        let status = |place: usize| if is_free && works(place) { self.sort.status() } else { 401 };
        let shown = self.values.iter().enumerate();
        shown.filter_map(|(place, value)| value.as_deref().map(|value| (value, status(place)))).collect()
    }

    /// The values that must never work again, whatever comes.
    pub(crate) fn ended(&self) -> Vec<&str> {
        if self.doubt.is_open() {
            return Vec::new();
        }
        let stages = self.doubt.certain().map(|standing| &standing.stages);
        let is_over = |place: usize| stages.is_none_or(|stages| stages.get(place).is_none_or(|stage| stage == "ended"));
        let shown = self.values.iter().enumerate().filter(|(place, _)| is_over(*place));
        shown.filter_map(|(_, value)| value.as_deref()).collect()
    }
}
