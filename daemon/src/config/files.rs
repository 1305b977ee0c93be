//! The files that a configuration is read from, each as it was before it was read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Problems, Settings};

/// A configuration that was read.
#[derive(Debug)]
pub struct Reading {
    /// What it says, or everything that is wrong with it.
    pub settings: Result<Settings, Problems>,
    /// All files that were looked at, and the folder `conf.d`, as they were before: whoever finds one of them otherwise
    /// later has a reason to read again.
    pub files: BTreeMap<PathBuf, Option<FileStamp>>,
}

/// What tells a file from what it was: another file in its place, or another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    device: u64,
    /// Editors put a new file in the old one's place.
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    /// Differs even where a program puts the time of modification back.
    changed: (i64, i64),
}

impl FileStamp {
    /// Of what `path` leads to now; `None` where that is nothing, or nothing that may be looked at.
    pub fn of(path: &Path) -> Option<FileStamp> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(FileStamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Notes files while they are read.
#[derive(Debug, Clone, Default)]
pub(super) struct NotedFiles(Rc<RefCell<BTreeMap<PathBuf, Option<FileStamp>>>>);

impl NotedFiles {
    /// To be called before the file is opened, so that no change is missed.
    pub(super) fn note(&self, path: &Path) {
        self.0.borrow_mut().entry(path.to_owned()).or_insert_with(|| FileStamp::of(path));
    }

    pub(super) fn into_stamps(self) -> BTreeMap<PathBuf, Option<FileStamp>> {
        self.0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::FileStamp;

    #[test]
    fn a_file_that_is_replaced_by_one_of_the_same_size_and_time_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("a"), folder.path().join("new"));
        std::fs::write(&path, "one").unwrap();
        std::fs::write(&new, "two").unwrap();
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::File::options().append(true).open(&new).unwrap().set_modified(time).unwrap();
        let before = FileStamp::of(&path);
        assert_eq!(FileStamp::of(&path), before);
        std::fs::rename(&new, &path).unwrap();
        assert_ne!(FileStamp::of(&path), before);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(FileStamp::of(&path), None);
    }
}
