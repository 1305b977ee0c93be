//! A value that is never shown.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A password or the like. Its `Debug` says `"***"`, it has no `Display`, and it is reached only
/// through [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// Reads a secret from a file; the line end that editors add is no part of it.
    ///
    /// # Errors
    /// The file cannot be read, is not UTF-8, is empty, or is far too long for a secret.
    pub fn from_file(path: &Path) -> io::Result<Secret> {
        let text = read_bounded(path)?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
        }
        Ok(Secret::new(text))
    }

    /// Stands for a secret that is there and that this process may not see. It is one that every rule about secrets
    /// takes.
    pub(super) fn unseen() -> Secret {
        Secret::new("a-secret-out-of-sight")
    }

    /// The secret itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"***\"")
    }
}

/// The text of a file of secrets. The wrong file, such as a device, must not fill the memory.
///
/// # Errors
/// The file cannot be read, is not UTF-8, or is longer than any secret.
pub(super) fn read_bounded(path: &Path) -> io::Result<String> {
    const MAX_BYTES: u64 = 64 << 10;
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 64 KiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_file_without_an_end_is_an_error() {
        assert!(Secret::from_file("/dev/zero".as_ref()).is_err());
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let shown = format!("{:?}", Secret::new("hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_line_end_of_a_secret_file_is_no_part_of_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "pass word \r\n").unwrap();
        assert_eq!(Secret::from_file(&path).unwrap().reveal(), "pass word ");
    }

    #[test]
    fn an_empty_secret_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "\n").unwrap();
        assert!(Secret::from_file(&path).is_err());
    }
}
