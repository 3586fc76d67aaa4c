//! The accounts that keys are of, one copy of each.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::key::account::Affiliation;
use crate::policy::Account;

/// So many accounts are kept before it is looked which of them no key has any more.
const FEW: usize = 4096;

/// Accounts that entries hold, with what was last told of each: nothing of it is looked at again for the next key that brings the
/// same.
#[derive(Debug)]
pub(super) struct Members {
    known: HashMap<ByName, Option<Arc<Affiliation>>>,
    /// How many there may be before those that nobody else holds are dropped.
    limit: usize,
}

impl Default for Members {
    fn default() -> Self {
        Self { known: HashMap::new(), limit: FEW }
    }
}

impl Members {
    /// The copy of an account that all keys have which have it with the same accounts below it.
    pub(super) fn share(&mut self, name: &str, told: Option<&Arc<Affiliation>>) -> Arc<Account> {
        let known = self.known.get_key_value(name);
        if let Some((ByName(account), last)) = known
            && last.as_ref().map(Arc::as_ptr) == told.map(Arc::as_ptr)
        {
            return Arc::clone(account);
        }
        let children = told.map(|told| Arc::clone(&told.children)).unwrap_or_default();
        let same = known.map(|(ByName(account), _)| account).filter(|account| *account.children() == children);
        let account = same.map_or_else(|| Arc::new(Account::with_children(name, children)), Arc::clone);
        self.make_room();
        // The name of the key of the table would stay the one that was there before.
        self.known.remove(name);
        self.known.insert(ByName(Arc::clone(&account)), told.map(Arc::clone));
        account
    }

    fn make_room(&mut self) {
        if self.known.len() >= self.limit {
            self.known.retain(|ByName(account), _| Arc::strong_count(account) > 1);
            self.known.shrink_to_fit();
            // Looking at all of them is worth it only when as many have come.
            self.limit = FEW.max(2 * self.known.len());
        }
    }
}

/// An account, found by its name.
#[derive(Debug)]
struct ByName(Arc<Account>);

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        self.0.name()
    }
}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Eq for ByName {}

#[cfg(test)]
mod tests {
    use super::*;

    fn affiliation(children: &[&str]) -> Arc<Affiliation> {
        let children = children.iter().map(|child| (*child).into()).collect();
        Arc::new(Affiliation { children, ..Affiliation::default() })
    }

    #[test]
    fn keys_of_an_account_have_one_copy_of_it_until_it_has_others_below_it() {
        let mut members = Members::default();
        let [told, anew, other] = [&["shop"][..], &["shop"], &["shop", "till"]].map(affiliation);
        let first = members.share("acme", Some(&told));
        for again in [&told, &anew, &anew] {
            assert!(Arc::ptr_eq(&first, &members.share("acme", Some(again))));
        }
        let changed = members.share("acme", Some(&other));
        assert_eq!(changed.children()[..], ["shop".into(), "till".into()]);
        assert!(members.share("acme", None).children().is_empty());
        assert_eq!(members.known.len(), 1);
    }

    #[test]
    fn accounts_that_no_key_has_are_dropped() {
        let mut members = Members::default();
        let held = members.share("held", None);
        for number in 0..10 * FEW {
            members.share(&number.to_string(), None);
        }
        assert!(members.known.len() <= FEW, "{}", members.known.len());
        assert!(Arc::ptr_eq(&held, &members.share("held", None)));
    }
}
