//! Symlinks, each followed to the same place throughout one load.
//!
//! Kubernetes changes a folder by pointing `..data` in it elsewhere, others by a link to the release in force. Whoever
//! follows such a link for each file may find one version with the first and another with the second.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As many links as Linux follows on the way to one file.
const MOST: usize = 40;

/// The symlinks that a load met, and where each led.
#[derive(Debug, Default)]
pub(super) struct Links(HashMap<PathBuf, Option<PathBuf>>);

impl Links {
    /// The path without a symlink that `path` stands for, by every link as it was when it was met first. Whether there is
    /// such a file is for whoever opens it to see. `None` for links that lead in a circle.
    pub(super) fn resolve(&mut self, path: &Path) -> Option<PathBuf> {
        let mut ahead: VecDeque<OsString> = parts(path).collect();
        let (mut real, mut links) = (PathBuf::new(), 0);
        while let Some(part) = ahead.pop_front() {
            if part == ".." && real.file_name().is_some() {
                real.pop();
                continue;
            }
            // What is absolute takes the place of what was there.
            let step = real.join(part);
            let Some(target) = self.target(&step) else {
                real = step;
                continue;
            };
            links += 1;
            if links > MOST {
                return None;
            }
            for part in parts(target).rev() {
                ahead.push_front(part);
            }
        }
        Some(real)
    }

    /// Where a link leads; `None` for what is no link.
    fn target(&mut self, path: &Path) -> Option<&Path> {
        let known = self.0.entry(path.to_owned()).or_insert_with(|| fs::read_link(path).ok());
        known.as_deref()
    }
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter(|part| *part != Component::CurDir).map(|part| part.as_os_str().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_is_resolved_as_the_system_does() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/file"), "x").unwrap();
        for (target, link) in [
            ("a/b", "relative"),
            ("../a/./b/file", "a/deeper"),
            (at("a").to_str().unwrap(), "absolute"),
            ("relative/../b", "up"),
        ] {
            symlink(target, at(link)).unwrap();
        }
        for path in ["a/b/file", "relative/file", "a/deeper", "absolute/b/../deeper", "up/file", "./a/b/../../up/file"]
        {
            assert_eq!(Links::default().resolve(&at(path)).unwrap(), at(path).canonicalize().unwrap(), "{path}");
        }
        symlink("loop", at("loop")).unwrap();
        assert_eq!(Links::default().resolve(&at("loop")), None);
        assert_eq!(Links::default().resolve(Path::new("../x/./y")).unwrap(), Path::new("../x/y"));
        assert_eq!(Links::default().resolve(&at("none/file")).unwrap(), at("none/file").as_path());
    }

    #[test]
    fn a_link_leads_where_it_led_first() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("one", at("current")).unwrap();
        let mut links = Links::default();
        let first = links.resolve(&at("current/a")).unwrap();
        fs::remove_file(at("current")).unwrap();
        symlink("two", at("current")).unwrap();
        assert_eq!(first.with_file_name("b"), links.resolve(&at("current/b")).unwrap());
        assert!(Links::default().resolve(&at("current/b")).unwrap().ends_with("two/b"));
    }
}
