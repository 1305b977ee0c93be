//! Where the spool lies unless the user says otherwise.

use std::ffi::OsString;
use std::path::PathBuf;

/// `spool.db` in a folder of this user's alone: `$STATE_DIRECTORY` (which systemd sets),
/// `$XDG_STATE_HOME/belvedere` or `~/.local/state/belvedere`; `None` for a user without a home.
pub fn default_path() -> Option<PathBuf> {
    path_in(|name| std::env::var_os(name))
}

fn path_in(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("STATE_DIRECTORY").or_else(|| {
        let states = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        Some(states?.join("belvedere"))
    });
    Some(folder?.join("spool.db"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_folder_comes_before_the_users() {
        let all = |name: &str| Some(OsString::from(format!("/{name}")));
        assert_eq!(path_in(all), Some("/STATE_DIRECTORY/spool.db".into()));
        let without_service = |name: &str| all(name).filter(|_| name != "STATE_DIRECTORY");
        assert_eq!(path_in(without_service), Some("/XDG_STATE_HOME/belvedere/spool.db".into()));
        let home = |name: &str| all(name).filter(|_| name == "HOME");
        assert_eq!(path_in(home), Some("/HOME/.local/state/belvedere/spool.db".into()));
        assert_eq!(path_in(|_| None), None);
    }
}
