//! The files beside a document, which it refers to.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::said;

/// Where files may be read from.
#[derive(Debug)]
pub(super) struct Beside {
    /// The document's own folder, which paths are relative to.
    folder: PathBuf,
    /// Nothing outside this one is read, links followed.
    root: PathBuf,
}

impl Beside {
    /// Around the document at `document`, or around `root` where that was said.
    pub(super) fn of(document: &Path, root: Option<&Path>) -> Self {
        let folder = document.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self { folder: folder.to_owned(), root: root.unwrap_or(folder).to_owned() }
    }

    /// The text of a file.
    ///
    /// # Errors
    /// In words: it stands outside, is no file, or cannot be read.
    pub(super) fn read(&self, path: &str) -> Result<String, String> {
        let place = |path: &Path| path.canonicalize().map_err(|error| format!("it cannot be read: {}", said(&error)));
        let (root, file) = (place(&self.root)?, place(&self.folder.join(path))?);
        if !file.starts_with(&root) {
            return Err(format!("it is outside {}, so it was not read: --root DIR allows it", self.root.display()));
        }
        if !file.is_file() {
            return Err(String::from("it is not a file"));
        }
        let bytes = fs::read(&file).map_err(|error| format!("it cannot be read: {}", said(&error)))?;
        String::from_utf8(bytes).map_err(|_| String::from("it is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_outside_the_folder_unless_the_root_says_so() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("api");
        fs::create_dir_all(folder.join("parts")).unwrap();
        fs::write(folder.join("parts/a.yaml"), "inside").unwrap();
        fs::write(top.path().join("b.yaml"), "outside").unwrap();
        std::os::unix::fs::symlink(top.path().join("b.yaml"), folder.join("link.yaml")).unwrap();
        let document = folder.join("openapi.yaml");

        let beside = Beside::of(&document, None);
        assert_eq!(beside.read("parts/a.yaml").unwrap(), "inside");
        for path in ["../b.yaml", "link.yaml", top.path().join("b.yaml").to_str().unwrap()] {
            assert!(beside.read(path).unwrap_err().contains("--root DIR"), "{path}");
        }
        assert!(beside.read("parts").unwrap_err().contains("not a file"));
        assert!(beside.read("gone.yaml").unwrap_err().contains("cannot be read"));
        assert_eq!(Beside::of(&document, Some(top.path())).read("../b.yaml").unwrap(), "outside");
    }
}
