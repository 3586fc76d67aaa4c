//! What the store must have of each key after what was done to it, acknowledged or not.

use serde_json::Value;

use crate::support::Outcome;

/// The one scope that keys of this bench have.
pub(crate) const SCOPE: &str = "things:read";

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
    pub(crate) fn arguments(self, id: &str) -> Vec<&str> {
        match self {
            Self::Delete => vec!["keys", "delete", id],
            Self::Disable => vec!["keys", "disable", id],
            Self::Enable => vec!["keys", "enable", id],
            Self::Retire => vec!["keys", "rotate", id, "--overlap", "24h", "--json"],
            Self::Revoke => vec!["keys", "revoke", id],
            Self::Rotate => vec!["keys", "rotate", id, "--json"],
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
    scopes: Vec<String>,
    /// What each of its values is, the newest first: `current`, `retiring` or `ended`.
    stages: Vec<String>,
}

impl Standing {
    /// That of a key that was just made.
    pub(crate) fn fresh() -> Self {
        Self { state: "active".into(), scopes: vec![SCOPE.into()], stages: vec!["current".into()] }
    }

    /// What a record of `keys list --json` says of it.
    fn read(record: &Value) -> Outcome<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let list = |name: &str| record.get(name).and_then(Value::as_array).ok_or("a record lacks a list");
        let stages = list("values")?.iter().filter_map(|value| value.get("state").and_then(text)).collect();
        let state = record.get("state").and_then(text).ok_or("a record lacks its state")?;
        Ok(Self { state, scopes: list("scopes")?.iter().filter_map(text).collect(), stages })
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
    /// No two keys have the same. What stands before a `/` is shared by those that were imported together.
    pub(crate) name: String,
    /// Unknown until it was printed or listed.
    pub(crate) id: Option<String>,
    /// Its values, the newest first. One that was made and never printed is nobody's.
    values: Vec<Option<String>>,
    /// One standing, or two where a change was not acknowledged; `None` is that there is no such key.
    may_be: Vec<Option<Standing>>,
}

impl Key {
    /// One that was made, or may have been where that was not acknowledged.
    pub(crate) fn made(name: String, value: Option<String>, is_sure: bool) -> Self {
        let there = Some(Standing::fresh());
        let may_be = if is_sure { vec![there] } else { vec![there, None] };
        Self { name, id: None, values: vec![value], may_be }
    }

    /// How it stands, where there is no doubt.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        match self.may_be.as_slice() {
            [only] => only.as_ref(),
            _ => None,
        }
    }

    /// Takes down that `act` was done and acknowledged, with the value that was printed.
    pub(crate) fn acknowledge(&mut self, act: Act, value: Option<String>) {
        self.may_be = self.may_be.iter().map(|may| may.as_ref().map(|standing| standing.after(act))).collect();
        if act.prints() {
            self.values.insert(0, value);
        }
    }

    /// Takes down that `act` was begun, and that nobody was told of its end.
    pub(crate) fn doubt(&mut self, act: Act) {
        let after: Vec<_> = self.may_be.iter().map(|may| may.as_ref().map(|standing| standing.after(act))).collect();
        self.may_be.extend(after);
    }

    /// Takes in how it stands in the list, and whether that settles a doubt: with its change made or not.
    pub(crate) fn settle(&mut self, record: Option<&Value>) -> Outcome<Option<bool>> {
        let found = record.map(Standing::read).transpose()?;
        if !self.may_be.contains(&found) {
            return Err(format!("{} is {found:?} and must be one of {:?}", self.name, self.may_be).into());
        }
        let was_made = (self.may_be.len() > 1).then(|| match &found {
            // A key that is in doubt as a whole may be there or not; any other stands as before or as after.
            Some(_) if self.may_be.contains(&None) => true,
            _ => self.may_be.first() != Some(&found) && found.is_some(),
        });
        let count = found.as_ref().map_or(0, |standing| standing.stages.len());
        while self.values.len() < count {
            self.values.insert(0, None);
        }
        let id = record.and_then(|record| record.get("id")).and_then(Value::as_str).map(str::to_owned);
        if self.id.is_some() && self.id != id {
            return Err(format!("{} has another id", self.name).into());
        }
        self.id = id;
        self.may_be = vec![found];
        Ok(was_made)
    }

    /// Each value that somebody may have, and whether it must work. Nothing, while there is a doubt.
    pub(crate) fn values(&self) -> Vec<(&str, bool)> {
        let [only] = self.may_be.as_slice() else { return Vec::new() };
        let works = |place: usize| {
            only.as_ref().is_some_and(|standing| {
                standing.state == "active" && standing.stages.get(place).is_some_and(|stage| stage != "ended")
            })
        };
        let shown = self.values.iter().enumerate();
        shown.filter_map(|(place, value)| value.as_deref().map(|value| (value, works(place)))).collect()
    }

    /// The values that must never work again, whatever comes.
    pub(crate) fn ended(&self) -> Vec<&str> {
        let [only] = self.may_be.as_slice() else { return Vec::new() };
        let stages = only.as_ref().map(|standing| &standing.stages);
        let is_over = |place: usize| stages.is_none_or(|stages| stages.get(place).is_none_or(|stage| stage == "ended"));
        let shown = self.values.iter().enumerate().filter(|(place, _)| is_over(*place));
        shown.filter_map(|(_, value)| value.as_deref()).collect()
    }
}
