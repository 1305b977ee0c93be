//! Where the spool lies unless the user says otherwise.

use std::path::PathBuf;

use crate::folders;

/// `spool.db` in the folder for the state of this user or service; `None` for a user without a home.
pub fn default_path() -> Option<PathBuf> {
    Some(folders::state()?.join("spool.db"))
}
