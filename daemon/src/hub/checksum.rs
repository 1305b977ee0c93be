//! What the hub says of a file's contents, and what the file says.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// The sum that the hub tells of a file, in lower case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checksum {
    /// Of large files: SHA-256 of the contents.
    Sha256(String),
    /// Of small files: what git names them by, SHA-1 of `blob LENGTH`, a NUL and the contents.
    GitBlob(String),
}

impl Checksum {
    /// The sum as it is written.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Checksum::Sha256(sum) | Checksum::GitBlob(sum) => sum,
        }
    }

    /// The same sum of the file at `path`.
    pub(super) fn of_file(&self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut context = match self {
            Checksum::Sha256(_) => Context::new(&SHA256),
            Checksum::GitBlob(_) => {
                let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                context.update(format!("blob {}\0", file.metadata()?.len()).as_bytes());
                context
            }
        };
        let mut piece = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut piece)?;
            let Some(piece) = piece.get(..read).filter(|piece| !piece.is_empty()) else {
                break;
            };
            context.update(piece);
        }
        let mut sum = String::new();
        for byte in context.finish().as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(sum, "{byte:02x}");
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    #[test]
    fn sums_are_those_of_sha256sum_and_of_git_hash_object() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "hello\n").unwrap();
        assert_eq!(
            Checksum::Sha256(String::new()).of_file(&path).unwrap(),
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
        );
        let git = Checksum::GitBlob(String::new());
        assert_eq!(git.of_file(&path).unwrap(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
