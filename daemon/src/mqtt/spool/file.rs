//! The spool's file and those that SQLite keeps beside it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::SpoolError;

/// Alerts and pictures are for the daemon's user alone.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// SQLite's log and its index: they belong to the file and go where it goes.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// Makes the file, empty, with its folder, unless it is there; makes it private if it is. SQLite gives
/// its own files the mode of this one.
pub(super) fn prepare(path: &Path) -> Result<(), SpoolError> {
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |source| SpoolError::File { path, source }
    };
    let folder = folder(path);
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(wrong(folder))?;
    match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path) {
        Ok(file) => file.sync_all().and_then(|()| sync(folder)).map_err(wrong(path)),
        // Not opened: closing it would take the locks away that another connection of this process has.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, Permissions::from_mode(FILE_MODE)).map_err(wrong(path))
        }
        Err(error) => Err(wrong(path)(error)),
    }
}

/// Renames a damaged file, in the place of one that was set aside before: what fails again and again
/// must not fill the disk. Gives the new name.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, SpoolError> {
    let aside = with_suffix(path, ".damaged");
    let mut renamed = fs::rename(path, &aside);
    for companion in COMPANIONS {
        // A log that stayed would be played into the fresh file.
        let moved = fs::rename(with_suffix(path, companion), with_suffix(&aside, companion));
        renamed = renamed.and(moved.or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }));
    }
    renamed
        .and_then(|()| sync(folder(path)))
        .map_err(|source| SpoolError::File { path: path.to_owned(), source })?;
    Ok(aside)
}

/// Makes what was made, renamed or removed in a folder survive a power cut.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
