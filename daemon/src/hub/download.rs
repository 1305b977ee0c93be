//! One file of a model: fetched, gone on with, checked.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::client::HubClient;
use super::listing::ListedFile;
use super::{HubError, ModelName, PullEvent};

/// Of a model at a commit.
pub(super) struct Download<'a> {
    pub(super) client: &'a HubClient,
    pub(super) model: &'a ModelName,
    pub(super) commit: &'a str,
}

impl Download<'_> {
    /// Brings `file` to `path`, going on with what is there. What is there afterwards is the hub's, or there is an
    /// error.
    pub(super) fn fetch(
        &self,
        file: &ListedFile,
        path: &Path,
        tell: &mut dyn FnMut(PullEvent<'_>),
    ) -> Result<(), HubError> {
        if wrongness(file, path)?.is_none() {
            tell(PullEvent::File {
                name: &file.name,
                bytes: file.bytes(),
                already: file.bytes().unwrap_or(0),
            });
            return Ok(());
        }
        self.fetch_all(file, path, tell)?;
        let Some(_) = wrongness(file, path)? else { return Ok(()) };
        // A server that knows no ranges, or a file that was cut where it had been wrong already: from the start.
        fs::remove_file(path).map_err(HubError::file(path))?;
        self.fetch_all(file, path, tell)?;
        match wrongness(file, path)? {
            None => Ok(()),
            Some(wrong) => {
                // What is known to be wrong is not gone on with.
                fs::remove_file(path).map_err(HubError::file(path))?;
                Err(wrong)
            }
        }
    }

    /// Tries until the server has said everything, or too often nothing. Only then it is at `path`.
    fn fetch_all(
        &self,
        file: &ListedFile,
        path: &Path,
        tell: &mut dyn FnMut(PullEvent<'_>),
    ) -> Result<(), HubError> {
        let part = part_of(path);
        self.client.patiently(tell, HubError::is_passing, |tell| {
            let before = length(&part);
            let done = self.fetch_some(file, &part, tell);
            (length(&part) > before, done)
        })?;
        fs::rename(&part, path).map_err(HubError::file(path))
    }

    fn fetch_some(
        &self,
        file: &ListedFile,
        part: &Path,
        tell: &mut dyn FnMut(PullEvent<'_>),
    ) -> Result<(), HubError> {
        // A part that is as long as the file should be, or longer, was wrong: it begins again. So does a file whose length
        // nobody tells: whether what is there is the beginning of it could not be found out.
        let from = Some(length(part)).filter(|there| file.bytes().is_some_and(|bytes| *there < bytes));
        let mut opened = self.client.open(self.model, self.commit, &file.name, from.unwrap_or(0))?;
        let mut out = open_part(part, opened.from).map_err(HubError::file(part))?;
        tell(PullEvent::File { name: &file.name, bytes: file.bytes(), already: opened.from });
        let mut there = opened.from;
        while let Some(piece) = opened.next()? {
            out.write_all(&piece).map_err(HubError::file(part))?;
            there += piece.len() as u64;
            tell(PullEvent::Bytes(piece.len() as u64));
            if file.bytes().is_some_and(|bytes| there > bytes) {
                // An answer without an end must not fill the disk.
                break;
            }
        }
        out.sync_all().map_err(HubError::file(part))?;
        match file.bytes() {
            Some(bytes) if there < bytes => Err(HubError::Unreachable {
                url: opened.url,
                reason: format!("the connection ended after {there} of {bytes} bytes"),
            }),
            _ => Ok(()),
        }
    }
}

/// Where what has come of the file at `path` lies until all of it has.
pub(super) fn part_of(path: &Path) -> PathBuf {
    path.with_added_extension("part")
}

/// The file to go on with after its first `from` bytes.
fn open_part(path: &Path, from: u64) -> std::io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    file.set_len(from)?;
    Ok(file)
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

/// What is wrong with the file at `path`; `None` where it is the hub's. A file that is not there is wrong, and one of
/// which the hub tells neither length nor sum is right.
pub(super) fn wrongness(file: &ListedFile, path: &Path) -> Result<Option<HubError>, HubError> {
    let found = match fs::metadata(path) {
        Ok(found) => Some(found.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(HubError::file(path)(error)),
    };
    let wrong = |what, expected: String, found: String| {
        Ok(Some(HubError::Wrong { file: file.name.clone(), what, expected, found }))
    };
    match (found, file.bytes()) {
        (Some(found), Some(bytes)) if found != bytes => {
            return wrong("length", bytes.to_string(), found.to_string());
        }
        (None, bytes) => return wrong("length", format!("{bytes:?}"), "nothing".to_owned()),
        _ => {}
    }
    let Some(checksum) = file.checksum() else { return Ok(None) };
    let sum = checksum.of_file(path).map_err(HubError::file(path))?;
    match sum == checksum.as_str() {
        true => Ok(None),
        false => wrong("checksum", checksum.as_str().to_owned(), sum),
    }
}
