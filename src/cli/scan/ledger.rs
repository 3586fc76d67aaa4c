//! What the store knows of keys, by their digests.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::ScanArgs;
use crate::cli::source;
use crate::cli::{Console, Failure};
use crate::config::{Keys, USUAL_FILE};
use crate::key::digest::{Digest, Hasher};
use crate::key::{KeyId, KeyKind, KeyRecord, KeyState, KeyValue, Timestamp};
use crate::store::{self, Location, OpenMode, Revision};

/// The prefix of keys where nobody says another one.
const USUAL_PREFIX: &str = "sg";

/// What is known of keys.
#[derive(Debug)]
pub(super) struct Ledger {
    prefixes: BTreeSet<Box<str>>,
    /// How the store makes digests.
    pub(super) hasher: Hasher,
    /// `None` where no store was asked.
    known: Option<HashMap<Digest, Known>>,
    /// What a command needs to work on the same store, if more than its id.
    named: String,
    /// Whether commands can change the keys of the store.
    is_writable: bool,
}

/// What is known of a value of a key.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: KeyId,
    pub(super) name: Box<str>,
    pub(super) standing: Standing,
    /// When the value ends, where that is said.
    pub(super) until: Option<Timestamp>,
    kind: KeyKind,
}

/// Whether a value works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Deleted,
    Disabled,
    /// The key has been given another value.
    Ended,
    Expired,
    Live,
    /// The key has been given another value, and this one works beside it for a while.
    Retiring,
    Revoked,
    /// It opens nothing, and its use is an alarm.
    Tripwire,
}

impl Standing {
    /// Of one value of a key.
    fn of(record: &KeyRecord, value: &KeyValue, now: Timestamp) -> Self {
        match record.state {
            KeyState::Deleted => Self::Deleted,
            KeyState::Revoked => Self::Revoked,
            _ if value.is_over(now) => Self::Ended,
            _ if record.is_expired(now) => Self::Expired,
            _ if record.is_tripwire => Self::Tripwire,
            KeyState::Disabled => Self::Disabled,
            KeyState::Active if value.until.is_some() => Self::Retiring,
            KeyState::Active => Self::Live,
        }
    }

    /// Whether a caller who has it is let in, now or from its first day on.
    pub(super) const fn works(self) -> bool {
        matches!(self, Self::Live | Self::Retiring)
    }

    /// The word for it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Disabled => "disabled",
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::Live => "live",
            Self::Retiring => "retiring",
            Self::Revoked => "revoked",
            Self::Tripwire => "tripwire",
        }
    }
}

impl Ledger {
    /// Asks the configuration what keys look like, and the store what it knows of them; neither where there is none.
    pub(super) fn open(arguments: &ScanArgs, console: &mut Console) -> Result<Self, Failure> {
        let mut ledger = Self {
            prefixes: arguments.prefixes.iter().map(|prefix| prefix.as_str().into()).collect(),
            hasher: Hasher::new(None),
            known: None,
            named: named(arguments),
            is_writable: true,
        };
        let is_named = arguments.config.config.is_some() || arguments.store.is_some();
        if is_named || ledger.prefixes.is_empty() {
            if arguments.config.config.is_some() || Path::new(USUAL_FILE).exists() {
                let part = arguments.config.keys_part(arguments.store.clone())?;
                ledger.configure(arguments, &part.keys, console)?;
            } else if arguments.store.is_some() || std::env::var_os("SCOPEGATE_STORE").is_some() {
                let location = arguments.config.store_location(arguments.store.as_deref())?;
                ledger.read(&location, arguments)?;
            }
        }
        if ledger.prefixes.is_empty() {
            ledger.prefixes.insert(USUAL_PREFIX.into());
        }
        Ok(ledger)
    }

    fn configure(&mut self, arguments: &ScanArgs, keys: &Keys, console: &mut Console) -> Result<(), Failure> {
        self.hasher = Hasher::new(keys.pepper.as_ref());
        if arguments.prefixes.is_empty() {
            self.prefixes.insert(keys.prefix.clone());
        }
        match source::location(keys) {
            // In a pipeline the configuration may stand in the repository, and the store on the machine that it is for.
            Location::Sqlite(path) if arguments.store.is_none() && !path.exists() => {
                console.warn(format_args!(
                    "there is no key store at {}, so nobody can say which keys work",
                    path.display()
                ));
                Ok(())
            }
            location => self.read(&location, arguments),
        }
    }

    fn read(&mut self, location: &Location, arguments: &ScanArgs) -> Result<(), Failure> {
        self.is_writable = !matches!(location, Location::File(..));
        let mut store = store::open(location, OpenMode::Existing).map_err(Failure::failed)?;
        let (mut known, now) = (HashMap::new(), Timestamp::now());
        let told = store.load(Revision::START, &mut |change| {
            let (record, account) = (change.record, change.account);
            let is_suspended = account.is_some_and(|account| account.is_suspended);
            for value in record.values() {
                if arguments.prefixes.is_empty() && !value.prefix.is_empty() && !self.prefixes.contains(&value.prefix) {
                    self.prefixes.insert(value.prefix.clone());
                }
                let mut entry = Known::of(&record, value, now);
                if is_suspended && entry.standing.works() {
                    entry.standing = Standing::Disabled;
                }
                known.insert(value.digest, entry);
            }
        });
        told.map_err(Failure::failed)?;
        self.known = Some(known);
        Ok(())
    }

    /// What keys begin with; at least one.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.prefixes.iter().map(|prefix| &**prefix)
    }

    /// What is known of a value. `None` where no store was asked, `Some(None)` where the store does not know it.
    pub(super) fn find(&self, digest: &Digest) -> Option<Option<&Known>> {
        self.known.as_ref().map(|known| known.get(digest))
    }

    /// The command that makes a value useless to whoever found it; `None` where it is useless, or where no command can.
    pub(super) fn command(&self, known: &Known) -> Option<String> {
        let verb = match (known.standing, known.kind) {
            (Standing::Live, KeyKind::Pair) => "reset-secret",
            (Standing::Live, KeyKind::Secret) => "rotate",
            // The value that took its place may be with its callers already: that one is not to end.
            (Standing::Retiring, _) => "end-overlap",
            // A public key has no other value; one that is disabled may be enabled again.
            (Standing::Live, KeyKind::Public) | (Standing::Disabled, _) => "revoke",
            // It is where somebody laid it.
            (Standing::Tripwire, _) => return None,
            (Standing::Deleted | Standing::Ended | Standing::Expired | Standing::Revoked, _) => return None,
        };
        self.is_writable.then(|| format!("scopegate keys {verb} {}{}", known.id, self.named))
    }
}

impl Known {
    fn of(record: &KeyRecord, value: &KeyValue, now: Timestamp) -> Self {
        Self {
            id: record.id.clone(),
            name: record.name.clone(),
            standing: Standing::of(record, value, now),
            until: record.end_of(value),
            kind: record.kind,
        }
    }
}

/// The flags that named the configuration and the store, as a shell takes them.
fn named(arguments: &ScanArgs) -> String {
    let config = arguments.config.config.as_ref().map(|path| format!(" -c {}", quoted(&path.display().to_string())));
    let store = arguments.store.as_ref().map(|store| format!(" --store {}", quoted(store)));
    [config, store].into_iter().flatten().collect()
}

fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:=@+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_read_something_else() {
        let cases =
            [("sqlite:a/b.db", "sqlite:a/b.db"), ("a b", "'a b'"), ("", "''"), ("it's", r"'it'\''s'"), ("$x", "'$x'")];
        for (word, expected) in cases {
            assert_eq!(quoted(word), expected);
        }
    }
}
