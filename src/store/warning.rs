//! What may be unsafe about a store that can be used all the same.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::file::FileFault;

/// The superuser can change any file, whoever owns it.
const ROOT: u32 = 0;
/// The bit of a mode that lets everybody write. A group is left alone: Kubernetes gives the volumes of a pod to one.
const EVERYBODY_WRITES: u32 = 0o002;

/// What may be unsafe about a store. Whoever can change it can give themselves a key, or end those of others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant means")]
pub enum StoreWarning {
    #[error(
        "the key store {} belongs to another user (id {owner}), who can change every key: chown it to the user of the gateway",
        path.display()
    )]
    Foreign { path: PathBuf, owner: u32 },
    #[error("{}:{fault}", path.display())]
    Hidden { path: PathBuf, fault: FileFault },
    #[error("the key store {0} can be written by others (mode {mode:04o}): chmod 600 {0}", path.display())]
    Writable { path: PathBuf, mode: u32 },
}

/// Whose file a store must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Of any user who meant to write it.
    Anyone,
    /// Of the user that this process runs as, or of the superuser.
    Us,
}

/// What is unsafe about the file at `path`. A file that is gone is for others to tell.
pub(super) fn of_file(path: &Path, owner: Owner) -> Vec<StoreWarning> {
    let Ok(found) = path.metadata() else {
        return Vec::new();
    };
    let us = if owner == Owner::Us { our_user() } else { None };
    judge(path, (found.uid(), found.mode() & 0o7777), us)
}

fn judge(path: &Path, (owner, mode): (u32, u32), us: Option<u32>) -> Vec<StoreWarning> {
    let foreign = us.is_some_and(|us| owner != us && owner != ROOT);
    let foreign = foreign.then(|| StoreWarning::Foreign { path: path.into(), owner });
    let writable = mode & EVERYBODY_WRITES != 0;
    let writable = writable.then(|| StoreWarning::Writable { path: path.into(), mode });
    foreign.into_iter().chain(writable).collect()
}

/// The user that this process runs as, where the system says so in a file: there is no safe call for it in std.
fn our_user() -> Option<u32> {
    Path::new("/proc/self").metadata().ok().map(|found| found.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_others_can_change_is_warned_of() {
        let said = |owner: u32, mode: u32, us: Option<u32>| -> Vec<String> {
            judge(Path::new("k.db"), (owner, mode), us).iter().map(ToString::to_string).collect()
        };
        for (owner, mode, us) in
            [(7, 0o600, Some(7)), (7, 0o640, Some(7)), (0, 0o664, Some(7)), (9, 0o600, None), (0, 0o600, Some(0))]
        {
            assert_eq!(said(owner, mode, us), [""; 0], "{owner} {mode:o} {us:?}");
        }
        let writable = "the key store k.db can be written by others (mode 0666): chmod 600 k.db";
        assert_eq!(said(7, 0o666, Some(7)), [writable]);
        assert_eq!(said(0, 0o602, None).len(), 1);
        let foreign = said(9, 0o666, Some(7));
        assert!(foreign[0].starts_with("the key store k.db belongs to another user (id 9)") && foreign[1] == writable);
        assert_eq!(said(9, 0o600, Some(0)).len(), 1, "also where root takes it over");
    }
}
