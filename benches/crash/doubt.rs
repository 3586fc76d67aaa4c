//! What may be there after a change that nobody was told of.

use std::fmt::Debug;

use crate::support::Outcome;

/// How something may stand: in one way, or in two where a change was not acknowledged. `None` is that it is not there.
#[derive(Debug)]
pub(crate) struct Doubt<S> {
    may_be: Vec<Option<S>>,
}

impl<S: Clone + Debug + PartialEq> Doubt<S> {
    /// What was made, or may have been where that was not acknowledged.
    pub(crate) fn made(fresh: S, is_sure: bool) -> Self {
        Self { may_be: if is_sure { vec![Some(fresh)] } else { vec![Some(fresh), None] } }
    }

    /// How it stands, where there is no doubt and it is there.
    pub(crate) fn certain(&self) -> Option<&S> {
        match self.may_be.as_slice() {
            [only] => only.as_ref(),
            _ => None,
        }
    }

    /// Whether it may be there.
    pub(crate) fn may_be_there(&self) -> bool {
        self.may_be.iter().any(Option::is_some)
    }

    /// Whether it may stand in more than one way.
    pub(crate) fn is_open(&self) -> bool {
        self.may_be.len() > 1
    }

    /// Takes down that a change was made and acknowledged.
    pub(crate) fn acknowledge(&mut self, after: impl Fn(&S) -> S) {
        self.may_be = self.after(after);
    }

    /// Takes down that a change was begun, and that nobody was told of its end.
    pub(crate) fn begin(&mut self, after: impl Fn(&S) -> S) {
        let after = self.after(after);
        self.may_be.extend(after);
    }

    fn after(&self, after: impl Fn(&S) -> S) -> Vec<Option<S>> {
        self.may_be.iter().map(|may| may.as_ref().map(&after)).collect()
    }

    /// Takes in how it stands, and tells whether that settles a doubt: with its change made or not.
    pub(crate) fn settle(&mut self, name: &str, found: Option<S>) -> Outcome<Option<bool>> {
        if !self.may_be.contains(&found) {
            return Err(format!("{name} is {found:?} and must be one of {:?}", self.may_be).into());
        }
        let was_made = self.is_open().then(|| match &found {
            // What is in doubt as a whole may be there or not; anything else stands as before or as after.
            Some(_) if self.may_be.contains(&None) => true,
            _ => self.may_be.first() != Some(&found) && found.is_some(),
        });
        self.may_be = vec![found];
        Ok(was_made)
    }
}
