//! What can go wrong with a spool.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the spool cannot be opened, read or written; with the file, `:memory:` where there is none.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file or its folder cannot be made or made private.
    #[error("spool {}: {source}", path.display())]
    File {
        /// The file or the folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("spool {}: another process uses it; is Belvedere running already?", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer Belvedere wrote it.
    #[error(
        "spool {}: it is of version {found}, and this Belvedere knows versions up to {known}; \
         use the newer one, or move the file away",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest known version.
        known: i64,
    },
    /// It is a database of something else.
    #[error("spool {}: this is a database, but not Belvedere's spool", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is no database, or a broken one.
    #[error("spool {}: the file is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that was seen.
        reason: String,
    },
    /// There is no room on the disk.
    #[error("spool {}: the disk is full", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses the thread that writes.
    #[error("spool: no thread for it: {0}")]
    Thread(#[source] io::Error),
    /// The database fails in another way.
    #[error("spool {}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl SpoolError {
    pub(super) fn new(path: PathBuf, source: rusqlite::Error) -> SpoolError {
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SpoolError::InUse { path },
            Some(ErrorCode::DiskFull) => SpoolError::DiskFull { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                SpoolError::Damaged { path, reason: source.to_string() }
            }
            _ => SpoolError::Database { path, source },
        }
    }

    /// Whether the disk fails or is full: time or the user may mend that while the daemon runs.
    pub(super) fn is_of_the_disk(&self) -> bool {
        match self {
            SpoolError::DiskFull { .. } => true,
            SpoolError::Database { source, .. } => {
                source.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
            }
            SpoolError::File { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
                    || source.raw_os_error() == Some(EIO)
            }
            _ => false,
        }
    }
}

/// The system's number for a disk that fails.
const EIO: i32 = 5;
