//! Values that many keys have in common, one copy of each.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// So many values are kept before it is looked which of them nobody has any more.
const FEW: usize = 4096;

/// A set of values that others hold.
#[derive(Debug)]
pub(super) struct Shared<T> {
    values: HashSet<Arc<T>>,
    /// How many values there may be before those that nobody else holds are dropped.
    limit: usize,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { values: HashSet::default(), limit: FEW }
    }
}

impl<T: Eq + Hash> Shared<T> {
    /// The copy of a value that all have who have it.
    pub(super) fn share(&mut self, value: T) -> Arc<T> {
        if let Some(known) = self.values.get(&value) {
            return Arc::clone(known);
        }
        if self.values.len() >= self.limit {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.values.shrink_to_fit();
            // Looking at all of them is worth it only when as many have come.
            self.limit = FEW.max(2 * self.values.len());
        }
        let value = Arc::new(value);
        self.values.insert(Arc::clone(&value));
        value
    }

    /// How many values it has.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one() {
        let mut shared = Shared::default();
        let [one, other] = ["acme", "acme"].map(|name| shared.share(name.to_owned()));
        assert!(Arc::ptr_eq(&one, &other));
        assert!(!Arc::ptr_eq(&one, &shared.share("other".to_owned())));
        assert_eq!(shared.len(), 2);
    }

    #[test]
    fn values_that_nobody_has_are_dropped_and_the_others_stay_shared() {
        let mut shared = Shared::default();
        let held: Vec<_> = (0..FEW / 2).map(|number| shared.share(number)).collect();
        for number in 0..10 * FEW {
            shared.share(number);
        }
        assert!(shared.len() <= FEW, "{}", shared.len());
        for (number, held) in held.iter().enumerate() {
            assert!(Arc::ptr_eq(held, &shared.share(number)));
        }
    }
}
