//! The files of a folder and of all folders in it, each told once and in the order of their names.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

/// What is met on the way.
#[derive(Debug)]
pub(super) enum Step<'p> {
    /// Something to read.
    File(&'p Path),
    /// A folder, before what is in it.
    Folder(&'p Path),
    /// A symbolic link in a folder: not followed, so that nothing is read twice and no way leads round in a circle.
    Link,
    /// A pipe, a socket or a device in a folder: nothing is stored in it.
    Special,
    /// What cannot be looked into, and why.
    Unreadable(&'p Path, io::Error),
}

/// Tells `visit` what is at `path`, which is followed if it is a symbolic link, and all that is under it. Ends with the first
/// failure of `visit`.
pub(super) fn walk<E>(path: &Path, visit: &mut dyn FnMut(Step<'_>) -> Result<(), E>) -> Result<(), E> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        // Whatever was named is read, be it a pipe.
        Ok(_) => return visit(Step::File(path)),
        Err(error) => return visit(Step::Unreadable(path, error)),
    }
    // Those that are to come, the next one last.
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        visit(Step::Folder(&folder))?;
        let entries = match entries(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                visit(Step::Unreadable(&folder, error))?;
                continue;
            }
        };
        let first = folders.len();
        for entry in entries {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => visit(Step::File(&path))?,
                Ok(kind) if kind.is_symlink() => visit(Step::Link)?,
                Ok(_) => visit(Step::Special)?,
                Err(error) => visit(Step::Unreadable(&path, error))?,
            }
        }
        folders.get_mut(first..).unwrap_or_default().reverse();
    }
    Ok(())
}

fn entries(folder: &PathBuf) -> io::Result<Vec<DirEntry>> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn told(path: &Path, under: &Path) -> Vec<String> {
        let mut told = Vec::new();
        let shown = |path: &Path| path.strip_prefix(under).unwrap().display().to_string();
        let Ok(()) = walk::<Infallible>(path, &mut |step| {
            told.push(match step {
                Step::File(path) => shown(path),
                Step::Folder(path) => format!("{}/", shown(path)),
                Step::Link => "link".to_owned(),
                Step::Special => "special".to_owned(),
                Step::Unreadable(path, error) => format!("{}: {:?}", shown(path), error.kind()),
            });
            Ok(())
        });
        told
    }

    #[test]
    fn every_file_is_told_once_and_links_are_followed_where_they_are_named_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for inner in ["b/inner", "a", ".hidden"] {
            fs::create_dir_all(root.join(inner)).unwrap();
        }
        for file in ["z", "b/file", "b/inner/file", "a/file", ".hidden/file"] {
            fs::write(root.join(file), "").unwrap();
        }
        symlink(root, root.join("b/circle")).unwrap();
        symlink("z", root.join("link")).unwrap();
        let _socket = UnixListener::bind(root.join("socket")).unwrap();
        let expected = [
            "/",
            "link",
            "special",
            "z",
            ".hidden/",
            ".hidden/file",
            "a/",
            "a/file",
            "b/",
            "link",
            "b/file",
            "b/inner/",
            "b/inner/file",
        ];
        assert_eq!(told(root, root), expected);
        assert_eq!(told(&root.join("link"), root), ["link"], "a file like any other");
        assert_eq!(told(&root.join("b/circle"), root)[0], "b/circle/");
        assert_eq!(told(&root.join("none"), root), ["none: NotFound"]);
    }
}
