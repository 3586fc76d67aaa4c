//! What may be unsafe about a store that can be used all the same.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::file::FileFault;
use crate::key::visible::escaped;

/// The superuser can change any file, whoever owns it.
const ROOT: u32 = 0;
/// The bit of a mode that lets everybody write. A group is left alone: Kubernetes gives the volumes of a pod to one.
const EVERYBODY_WRITES: u32 = 0o002;

/// What may be unsafe about a store. Whoever can change it can give themselves a key, or end those of others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant means")]
pub enum StoreWarning {
    #[error(
        "the key store {place} is not on this machine and is talked to in cleartext: whoever is on the way reads it and can put other keys into it; write sslmode=verify-full"
    )]
    Cleartext { place: String },
    #[error(
        "the key store {} belongs to {owner}, who can change every key: chown it to the user of the gateway",
        path.display()
    )]
    Foreign { path: PathBuf, owner: User },
    #[error("{}:{fault}", path.display())]
    Hidden { path: PathBuf, fault: FileFault },
    #[error(
        "the key store {0} belongs to root, and its folder to {user}: a gateway that runs as that user cannot open it; \
        chown {id} {0}*, and make keys as that user",
        path.display(), id = .user.id
    )]
    OutOfReach { path: PathBuf, user: User },
    #[error("the copy of the keys {0} can be read by others (mode {mode:04o}): chmod 600 {0}", path.display())]
    Readable { path: PathBuf, mode: u32 },
    #[error(
        "the key store {place} is not on this machine and whoever answers for it is believed: somebody on the way can put other keys into it; write sslmode=verify-full"
    )]
    Unproven { place: String },
    #[error("the key store {0} can be written by others (mode {mode:04o}): chmod 600 {0}", path.display())]
    Writable { path: PathBuf, mode: u32 },
}

/// A user of the system, called by name where `/etc/passwd` has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    id: u32,
}

impl User {
    /// The user that this process runs as.
    pub fn current() -> Option<Self> {
        our_user().map(|id| Self { id })
    }

    /// Whether it is the superuser.
    pub const fn is_root(self) -> bool {
        self.id == ROOT
    }

    /// Who it is outside of the user namespace that this process is in (user_namespaces(7)).
    pub fn outside(self) -> Outside {
        match std::fs::read_to_string("/proc/self/uid_map") {
            Ok(map) => outside(self.id, &map),
            // Where there are no such namespaces there is no outside.
            Err(_) if !cfg!(target_os = "linux") => Outside::Same,
            Err(_) => Outside::Unknown,
        }
    }

    /// Its name where `/etc/passwd` has one, else its number, as in `uid 1000`.
    pub fn name(self) -> String {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        name_of(self.id, &users).map_or_else(|| format!("uid {}", self.id), escaped)
    }
}

impl fmt::Display for User {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        match name_of(self.id, &users) {
            Some(name) => write!(out, "{} (id {})", escaped(name), self.id),
            None => write!(out, "the user with id {}", self.id),
        }
    }
}

/// Who a user is outside of the user namespace that a process is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// The one with this id, whatever it is called inside.
    Other(u32),
    /// The process is in no namespace of its own.
    Same,
    /// That cannot be known.
    Unknown,
}

/// Each line of a map has the first id inside, the first one outside, and how many there are.
fn outside(id: u32, map: &str) -> Outside {
    let mut ranges = map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    if map.split_whitespace().eq(["0", "0", "4294967295"]) {
        return Outside::Same;
    }
    let found = ranges.find_map(|(inside, outside, count)| {
        let offset = id.checked_sub(inside).filter(|offset| *offset < count)?;
        outside.checked_add(offset)
    });
    found.map_or(Outside::Unknown, Outside::Other)
}

fn name_of(id: u32, users: &str) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    })
}

/// Whose file a store must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Of any user who meant to write it.
    Anyone,
    /// Of the user that this process runs as, or of the superuser; where the superuser asks, of the user whose folder it is
    /// in: a service keeps its store in a folder of its own.
    Us,
}

/// What is unsafe about the file at `path`. A file that is gone is for others to tell.
pub(super) fn of_file(path: &Path, owner: Owner) -> Vec<StoreWarning> {
    let Ok(found) = path.metadata() else {
        return Vec::new();
    };
    let us = if owner == Owner::Us { our_user() } else { None };
    judge(path, (found.uid(), found.mode() & 0o7777), us.zip(owner_of(folder_of(path))))
}

/// Why nobody ought to believe what a file says that the gateway has written for itself: somebody else may have.
pub(super) fn why_not_believed(found: &Metadata) -> Option<String> {
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    if mode & EVERYBODY_WRITES != 0 {
        return Some(format!("it can be written by others (mode {mode:04o})"));
    }
    let is_foreign = owner != ROOT && our_user().is_some_and(|us| us != owner);
    is_foreign.then(|| format!("it belongs to {}", User { id: owner }))
}

/// Why nobody can write there.
pub(super) const MOUNTED_READ_ONLY: &str = "it is mounted read-only: mount it writable, or put the store elsewhere";

/// Why this user may not use the file at `path`, or make it there.
pub(super) fn why_denied(path: &Path) -> String {
    // Not opened: closing a file of SQLite's gives up every lock that this process has on it.
    if access(path, Access::WRITE_OK) == Err(Errno::ROFS) {
        return MOUNTED_READ_ONLY.to_owned();
    }
    let (what, owner) = match owner_of(path) {
        Some(owner) => ("it", Some(owner)),
        None => ("its folder", owner_of(folder_of(path))),
    };
    match owner.zip(our_user()) {
        Some((owner, us)) if owner != us => {
            let [owner, us] = [owner, us].map(|id| User { id });
            format!(
                "{what} belongs to {owner}, and this is {us}; chown it to the user of the gateway, or run this as {owner}"
            )
        }
        _ => "the file and its folder must be readable and writable for this user".to_owned(),
    }
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `ours` are the user who asks and the owner of the folder.
fn judge(path: &Path, (owner, mode): (u32, u32), ours: Option<(u32, u32)>) -> Vec<StoreWarning> {
    let stranger = ours.filter(|(us, folder)| owner != ROOT && owner != *us && !(*us == ROOT && owner == *folder));
    let foreign = stranger.map(|_| StoreWarning::Foreign { path: path.into(), owner: User { id: owner } });
    let unreachable = ours.filter(|(us, folder)| *us == ROOT && owner == ROOT && *folder != ROOT);
    let unreachable =
        unreachable.map(|(_, folder)| StoreWarning::OutOfReach { path: path.into(), user: User { id: folder } });
    let writable = mode & EVERYBODY_WRITES != 0;
    let writable = writable.then(|| StoreWarning::Writable { path: path.into(), mode });
    foreign.into_iter().chain(unreachable).chain(writable).collect()
}

fn owner_of(path: &Path) -> Option<u32> {
    path.metadata().ok().map(|found| found.uid())
}

/// The user that this process runs as, where the system says so in a file: there is no safe call for it in std.
fn our_user() -> Option<u32> {
    owner_of(Path::new("/proc/self"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(owner: u32, mode: u32, ours: Option<(u32, u32)>) -> Vec<String> {
        judge(Path::new("k.db"), (owner, mode), ours).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_user_of_a_namespace_is_known_by_its_id_outside() {
        let whole = "         0          0 4294967295\n";
        for (id, map, expected) in [
            (0, whole, Outside::Same),
            (1000, whole, Outside::Same),
            (0, "         0       1000          1\n", Outside::Other(1000)),
            (0, "0 1000 1\n1 100000 65536\n", Outside::Other(1000)),
            (5, "0 1000 1\n1 100000 65536\n", Outside::Other(100_004)),
            (70_000, "0 1000 1\n1 100000 65536\n", Outside::Unknown),
            (0, "", Outside::Unknown),
            (7, "0 4294967290 100", Outside::Unknown),
        ] {
            assert_eq!(outside(id, map), expected, "{id} by {map:?}");
        }
    }

    /// An id that no system gives out.
    const NOBODYS: u32 = 4_294_967_001;

    #[test]
    fn a_store_that_others_can_change_is_warned_of() {
        for (owner, mode, ours) in [
            (7, 0o600, Some((7, 7))),
            (7, 0o640, Some((7, 0))),
            (0, 0o664, Some((7, 7))),
            (9, 0o600, None),
            (0, 0o600, Some((0, 0))),
        ] {
            assert_eq!(said(owner, mode, ours), [""; 0], "{owner} {mode:o} {ours:?}");
        }
        let writable = "the key store k.db can be written by others (mode 0666): chmod 600 k.db";
        assert_eq!(said(7, 0o666, Some((7, 7))), [writable]);
        assert_eq!(said(0, 0o602, None).len(), 1);
        let foreign = said(NOBODYS, 0o666, Some((7, 7)));
        let expected = format!("the key store k.db belongs to the user with id {NOBODYS}, who can change every key");
        assert!(foreign[0].starts_with(&expected) && foreign[1] == writable, "{foreign:?}");
    }

    #[test]
    fn root_takes_a_store_for_that_of_the_user_whose_folder_it_is_in() {
        assert_eq!(said(7, 0o600, Some((0, 7))), [""; 0], "as systemd makes it");
        assert_eq!(said(7, 0o600, Some((0, 0))).len(), 1, "in a folder of root's");
        assert_eq!(said(7, 0o600, Some((0, 9))).len(), 1, "in a folder of somebody else's");
        let made = said(0, 0o600, Some((0, NOBODYS)));
        assert_eq!(
            made,
            [format!(
                "the key store k.db belongs to root, and its folder to the user with id {NOBODYS}: a gateway that runs as \
                that user cannot open it; chown {NOBODYS} k.db*, and make keys as that user"
            )]
        );
    }

    #[test]
    fn a_user_is_called_by_name_where_there_is_one() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nscopegate:x:998:998::/:/bin/false\n";
        assert_eq!([0, 998, 7].map(|id| name_of(id, users)), [Some("root"), Some("scopegate"), None]);
    }

    #[test]
    fn who_may_not_use_a_store_is_told_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let own = why_denied(&folder.path().join("k.db"));
        assert_eq!(own, "the file and its folder must be readable and writable for this user");
        // `/proc/1` is root's, and this user may be root: then there is nothing that is denied.
        let roots = why_denied(Path::new("/proc/1/status"));
        assert!(our_user() == Some(ROOT) || roots.starts_with("it belongs to root (id 0), and this is "), "{roots}");
    }
}
