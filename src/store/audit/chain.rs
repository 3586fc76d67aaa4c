//! Whether entries follow from each other.

use std::fmt;

use serde_json::Value;

use crate::key::Timestamp;

use super::{Head, Link, Standing, Unlogged, canonical};

/// Entries that were looked at one after the other, each as a line of an export.
#[derive(Debug)]
pub struct Chain {
    /// A head that was kept elsewhere.
    kept: Option<Head>,
    /// Whether the first entry is that of the log.
    is_whole: bool,
    first: Option<u64>,
    last: Option<Head>,
    length: u64,
    /// When the last entry was made, as far as it says.
    at: Option<Timestamp>,
    /// The numbers of the entries that are older than the one before them.
    steps_back: Vec<u64>,
}

/// No store gives out a greater number.
const MOST: u64 = i64::MAX.cast_unsigned();

/// The first entry that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Its number.
    pub number: u64,
    /// What is wrong with it; reads on after its number.
    pub what: String,
}

impl fmt::Display for Break {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "entry {} {}", self.number, self.what)
    }
}

impl Chain {
    /// A log from its first entry on, which has to have the entry that is kept elsewhere.
    pub fn whole(kept: Option<Head>) -> Self {
        Self { kept, is_whole: true, first: None, last: None, length: 0, at: None, steps_back: Vec::new() }
    }

    /// As [`whole`](Self::whole), from any entry on.
    pub fn part(kept: Option<Head>) -> Self {
        Self { is_whole: false, ..Self::whole(kept) }
    }

    /// Looks at the next entry.
    ///
    /// # Errors
    /// It does not follow.
    pub fn follow(&mut self, line: &Value) -> Result<(), Break> {
        let text = |name: &str| line.get(name).and_then(Value::as_str);
        let expected = self.last.as_ref().map_or(1, |last| last.number + 1);
        let fail = |number: u64, what: String| Err(Break { number, what });
        let Some(number) = line.get("number").and_then(Value::as_u64).filter(|number| *number < MOST) else {
            return fail(expected, "is no entry: it has no number".to_owned());
        };
        let is_any = self.last.is_none() && !self.is_whole;
        if number != expected && !is_any {
            return match number > expected {
                true => fail(expected, format!("is missing: entry {number} stands in its place")),
                false => fail(expected, format!("has the number {number}, which was there already")),
            };
        }
        let previous = text("previous").unwrap_or_default();
        let before = self.last.as_ref().map_or_else(|| Link::START.to_string().into(), |last| last.hash.clone());
        if (!is_any || number == 1) && previous != &*before {
            return fail(number, "does not follow from the entry before it".to_owned());
        }
        let hash = text("hash").unwrap_or_default();
        let mut content = line.clone();
        content.as_object_mut().map(|content| content.remove("hash"));
        if Link::of(&canonical(&content)).to_string() != hash {
            return fail(number, "was changed: its hash does not follow from what it says".to_owned());
        }
        self.compare(number, (previous, hash))?;
        self.first.get_or_insert(number);
        self.last = Some(Head { number, hash: hash.into() });
        self.length += 1;
        let at = text("at").and_then(|at| Timestamp::parse_moment(at).ok());
        if at.zip(self.at).is_some_and(|(at, before)| at < before) {
            self.steps_back.push(number);
        }
        self.at = at;
        Ok(())
    }

    /// Compares an entry, and where it is the first one the entry before it, with the head that is kept.
    fn compare(&self, number: u64, (previous, hash): (&str, &str)) -> Result<(), Break> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let found = match kept.number {
            kept if kept == number => hash,
            kept if kept.checked_add(1) == Some(number) && self.last.is_none() => previous,
            _ => return Ok(()),
        };
        match found == &*kept.hash {
            true => Ok(()),
            false => Err(Break {
                number: kept.number,
                what: "is another one than the head that you gave: it, or one before it, was written anew".to_owned(),
            }),
        }
    }

    /// Looks at what is behind the last entry: nothing may have been there.
    ///
    /// # Errors
    /// Entries were cut off, the head that is kept stands before them all, or the store has what no entry tells of.
    pub fn finish(&self, standing: Option<&Standing>) -> Result<(), Break> {
        let next = self.last.as_ref().map_or(1, |last| last.number + 1);
        let cut =
            |whence: String| Err(Break { number: next, what: format!("is missing: {whence}, so the end was cut off") });
        match (&self.kept, self.first) {
            (Some(kept), _) if kept.number >= next => {
                return cut(format!("the head that you gave is entry {}", kept.number));
            }
            (Some(kept), Some(first)) if kept.number.saturating_add(1) < first => {
                let what = format!("is not there to compare: the first one is entry {first}");
                return Err(Break { number: kept.number, what });
            }
            _ => {}
        }
        match standing {
            Some(standing) if standing.given >= next => {
                cut(format!("the store has written {} entries", standing.given))
            }
            Some(Standing { unlogged, .. }) if !unlogged.is_empty() => {
                let what = format!("is missing: {} changed past the log", in_words(unlogged));
                Err(Break { number: next, what })
            }
            _ => Ok(()),
        }
    }

    /// How many entries were looked at and hold.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The number of the first of them.
    pub const fn first(&self) -> Option<u64> {
        self.first
    }

    /// The numbers of the entries that are older than the one before them: a clock went back, or was not to be trusted.
    pub fn steps_back(&self) -> &[u64] {
        &self.steps_back
    }

    /// The last of them.
    pub const fn head(&self) -> Option<&Head> {
        self.last.as_ref()
    }
}

/// All that is not as the log says, by name; of very many the first ones.
fn in_words(unlogged: &[Unlogged]) -> String {
    const MOST: usize = 50;
    let mut names: Vec<String> = unlogged.iter().take(MOST).map(ToString::to_string).collect();
    if unlogged.len() > MOST {
        names.push(format!("{} more", unlogged.len() - MOST));
    }
    let last = names.pop().unwrap_or_default();
    match names.is_empty() {
        true => format!("{last} was"),
        false => format!("{} and {last} were", names.join(", ")),
    }
}
