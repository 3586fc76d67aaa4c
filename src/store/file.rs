//! Keys in a YAML file: written by people or a pipeline, read-only here, followed by its content.
//!
//! A file has no log of changes, so each new content is a revision of its own that tells every key there is. A content
//! with a fault is refused as a whole, and what was in force stays. A change is taken up once the file has looked the
//! same twice, so that one that is just being written is left to be finished.

mod accounts;
mod read;
mod value;

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::accounts::Accounts;
use self::read::Content;
#[cfg(fuzzing)]
#[doc(hidden)]
pub use self::read::fuzzing;
pub use self::read::{FileFault, Form};
use super::audit::{Entry, Standing};
use super::uses::{KeyUse, ValueUse};
use super::warning::{self, Owner};
use super::{AccountOutcome, Change, Extent, KeyStore, Loaded, Outcome, Revision, Stamp, StoreError};
use super::{Provenance, StoreWarning};
use crate::key::account::{AccountRecord, AccountTransition, Affiliation, NewAccount};
use crate::key::digest::{Digest, Hasher};
use crate::key::lifecycle::{Fresh, Transition};
use crate::key::{KeyId, KeyRecord, Timestamp};
use crate::yaml;

/// The JSON Schema of a key file, for editors. A test holds it to what the reader knows.
pub const SCHEMA: &str = include_str!("file/schema.json");

/// A file that was not touched for so many milliseconds looks otherwise once it is.
const SETTLED: i64 = 3000;

/// How much of a file is looked at together.
const PIECE: usize = 64 << 10;

/// A file of keys.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    form: Form,
    /// What the file looked like when it was last asked.
    look: Option<Look>,
    /// Whether that look was reported as a change.
    is_reported: bool,
    /// The content that was loaded last, and its revision.
    content: Option<Known>,
    revision: Revision,
    /// A look of the file with what was wrong then: it may be large, and is asked for again and again until it is mended.
    broken: Option<(Look, Vec<FileFault>)>,
}

/// What tells a content that was loaded from the next one.
#[derive(Debug)]
enum Known {
    /// Itself, until there is time for its digest: whoever loads it is waited for.
    Bytes(Vec<u8>),
    Digest(Digest),
}

impl Known {
    fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Hasher::new(None).digest(bytes),
            Self::Digest(digest) => *digest,
        }
    }

    fn is(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Bytes(known) => known == bytes,
            Self::Digest(digest) => *digest == Hasher::new(None).digest(bytes),
        }
    }
}

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl KeyFile {
    /// Names a file whose digests have a given form.
    ///
    /// # Errors
    /// There is no such file, or it cannot be looked at.
    pub fn open(path: &Path, form: Form) -> Result<Self, StoreError> {
        let mut file = Self {
            path: path.into(),
            form,
            look: None,
            is_reported: false,
            content: None,
            revision: Revision::START,
            broken: None,
        };
        file.look = Some(file.look()?);
        Ok(file)
    }

    /// Sees whether it can be read.
    ///
    /// # Errors
    /// There is no such file, or this user may not read it.
    pub fn probe(path: &Path, form: Form) -> Result<(), StoreError> {
        Self::open(path, form)?.read().map(drop)
    }

    fn look(&self) -> Result<Look, StoreError> {
        // Follows symlinks: a ConfigMap is changed by pointing one elsewhere.
        let found = self.path.metadata().map_err(|error| self.fault(&error))?;
        Ok(Look {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    fn read(&self) -> Result<Vec<u8>, StoreError> {
        let file = File::open(&self.path).map_err(|error| self.fault(&error))?;
        // In one piece from the beginning: each growth would leave a piece behind.
        let size = file.metadata().map_err(|error| self.fault(&error))?.len().min(yaml::KEYS_LIMIT as u64);
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        let most = yaml::KEYS_LIMIT as u64 + 1;
        file.take(most).read_to_end(&mut bytes).map_err(|error| self.fault(&error))?;
        Ok(bytes)
    }

    /// Whether all of it is printable ASCII, as far as it is read: nothing is hidden then. It is not kept in memory for that.
    fn is_plain(&self) -> std::io::Result<bool> {
        let mut file = File::open(&self.path)?.take(yaml::KEYS_LIMIT as u64);
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(true),
                length if piece.get(..length).is_some_and(yaml::is_shown) => {}
                _ => return Ok(false),
            }
        }
    }

    /// What a content says, all of it good.
    fn parse<'b>(&self, bytes: &'b [u8], written: Timestamp) -> Result<Content<'b>, StoreError> {
        read::content(bytes, self.form, written)
            .map_err(|faults| StoreError::Faults { path: self.path.clone(), faults })
    }

    /// What `take` has of the content as it is now.
    fn current<T>(&self, take: impl FnOnce(Content<'_>) -> T) -> Result<T, StoreError> {
        let written = self.look()?.written();
        self.parse(&self.read()?, written).map(take)
    }

    fn fault(&self, error: &std::io::Error) -> StoreError {
        let reason = match error.kind() {
            ErrorKind::NotFound => "there is no such file; write `keys: []` into it where there are no keys".into(),
            ErrorKind::PermissionDenied => "this user may not read it".into(),
            _ => error.to_string(),
        };
        StoreError::Io { path: self.path.clone(), doing: "read", reason }
    }

    fn refuse<T>(&self) -> Result<T, StoreError> {
        Err(StoreError::ReadOnly { path: self.path.clone() })
    }
}

impl Look {
    /// Whether what is written from now on shows: times of files are coarse.
    fn is_settled(&self, now: Timestamp) -> bool {
        let changed = Timestamp::from_millis(self.changed.0.saturating_mul(1000));
        now.as_millis().saturating_sub(changed.as_millis()) > SETTLED
    }

    /// When the content was written.
    fn written(&self) -> Timestamp {
        let (seconds, nanos) = self.modified;
        Timestamp::from_millis(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
    }
}

impl KeyStore for KeyFile {
    fn place(&self) -> String {
        format!("file:{}", self.path.display())
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        // People write it, and the gateway may well run as another user.
        let mut warnings = warning::of_file(&self.path, Owner::Anyone);
        let is_plain = self.is_plain().unwrap_or(false);
        let content = if is_plain { None } else { self.read().ok() };
        let remarks = content.map(read::remarks).unwrap_or_default().into_iter();
        warnings.extend(remarks.map(|fault| StoreWarning::Hidden { path: self.path.clone(), fault }));
        warnings
    }

    fn refresh(&mut self) -> Result<bool, StoreError> {
        if let Some(known @ Known::Bytes(_)) = &mut self.content {
            *known = Known::Digest(known.digest());
        }
        let look = Some(self.look()?);
        if self.look != look {
            self.look = look;
            self.is_reported = false;
            return Ok(false);
        }
        Ok(!std::mem::replace(&mut self.is_reported, true))
    }

    fn load(&mut self, since: Revision, tell: &mut dyn FnMut(Change)) -> Result<Loaded, StoreError> {
        let look = self.look()?;
        if let Some((_, faults)) = self.broken.as_ref().filter(|(broken, _)| *broken == look) {
            return Err(StoreError::Faults { path: self.path.clone(), faults: faults.clone() });
        }
        let written = look.written();
        let bytes = self.read()?;
        if self.revision == since && self.content.as_ref().is_some_and(|known| known.is(&bytes)) {
            return Ok(Loaded { revision: since, extent: Extent::Changes });
        }
        let parsed = self.parse(&bytes, written);
        if let Err(StoreError::Faults { faults, .. }) = &parsed {
            self.broken = look.is_settled(Timestamp::now()).then(|| (look, faults.clone()));
        }
        let mut content = parsed?;
        let revision = Revision(self.revision.max(since).0 + 1);
        let accounts = content.accounts.take();
        let affiliations = accounts.as_ref().map(Accounts::affiliations);
        for record in content.into_records() {
            let account = affiliations.as_ref().zip(record.account.as_deref()).and_then(|(affiliations, account)| {
                let none = || Some(Arc::new(Affiliation::of_none()));
                affiliations.get(account).cloned().unwrap_or_else(none)
            });
            tell(Change { revision, record, account });
        }
        (self.content, self.revision) = (Some(Known::Bytes(bytes)), revision);
        Ok(Loaded { revision, extent: Extent::Everything })
    }

    /// Digests the content each time it is asked for, until [`KeyStore::refresh`] has.
    fn bookmark(&self) -> Option<Vec<u8>> {
        let digest = self.content.as_ref()?.digest();
        Some([&digest.as_bytes()[..], &self.revision.0.to_le_bytes()].concat())
    }

    fn resume(&mut self, bookmark: &[u8]) -> Result<Option<Revision>, StoreError> {
        let read = || {
            let (content, revision) = bookmark.split_first_chunk()?;
            Some((Digest::from_bytes(*content), Revision(u64::from_le_bytes(revision.try_into().ok()?))))
        };
        let Some((content, revision)) = read() else { return Ok(None) };
        (self.content, self.revision) = (Some(Known::Digest(content)), revision);
        Ok(Some(revision))
    }

    fn add(&mut self, _: &[KeyRecord], _: Provenance, _: Stamp<'_>) -> Result<Revision, StoreError> {
        self.refuse()
    }

    fn change(&mut self, _: &KeyId, _: &Transition, _: Stamp<'_>) -> Result<Outcome, StoreError> {
        self.refuse()
    }

    fn clone_key(&mut self, _: &KeyId, _: Fresh, _: Stamp<'_>) -> Result<Outcome, StoreError> {
        self.refuse()
    }

    fn find(&mut self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.current(|content| content.into_records().find(|record| record.id == *id))
    }

    fn list(&mut self) -> Result<Vec<KeyRecord>, StoreError> {
        self.current(|content| content.into_records().collect())
    }

    fn accounts(&mut self) -> Result<Vec<AccountRecord>, StoreError> {
        self.current(|content| content.accounts.map(Accounts::into_list).unwrap_or_default())
    }

    fn create_account(&mut self, _: NewAccount, _: Stamp<'_>) -> Result<AccountRecord, StoreError> {
        self.refuse()
    }

    fn change_account(&mut self, _: &str, _: AccountTransition, _: Stamp<'_>) -> Result<AccountOutcome, StoreError> {
        self.refuse()
    }

    fn audit(&mut self, _: u64, _: &mut dyn FnMut(Entry)) -> Result<Standing, StoreError> {
        Err(StoreError::NoAudit { path: self.path.clone() })
    }

    fn verify(&mut self, _: &mut dyn FnMut(Entry)) -> Result<Standing, StoreError> {
        Err(StoreError::NoAudit { path: self.path.clone() })
    }

    fn records_use(&self) -> bool {
        false
    }

    fn add_uses(&mut self, _: &[ValueUse]) -> Result<(), StoreError> {
        self.refuse()
    }

    fn use_of(&mut self, _: &KeyId) -> Result<KeyUse, StoreError> {
        Ok(KeyUse::default())
    }

    fn set_patience(&mut self, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }
}

/// All that is wrong with a file, a line each.
pub(super) fn describe(path: &Path, faults: &[FileFault]) -> String {
    let lines: Vec<_> = faults.iter().map(|fault| format!("{}:{fault}", path.display())).collect();
    lines.join("\n")
}

#[cfg(test)]
pub(super) mod tests;
