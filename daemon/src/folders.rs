//! The folders of this service, or of this user where it is no service.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What can be made again: `$CACHE_DIRECTORY` (which systemd sets), `$XDG_CACHE_HOME/belvedere` or
/// `~/.cache/belvedere`; `None` for a user without a home. It may not be there yet.
pub fn cache() -> Option<PathBuf> {
    CACHE.found(|name| std::env::var_os(name))
}

/// What must outlive the process: `$STATE_DIRECTORY`, `$XDG_STATE_HOME/belvedere` or
/// `~/.local/state/belvedere`; `None` for a user without a home. It may not be there yet.
pub fn state() -> Option<PathBuf> {
    STATE.found(|name| std::env::var_os(name))
}

/// What systemd makes for the service.
const SERVICE_CACHE: &str = "/var/cache/belvedere";

/// The service's cache, where there is one and [`cache`] is another: the service does not find what is made there.
pub fn service_cache() -> Option<PathBuf> {
    other_than_ours(Path::new(SERVICE_CACHE), cache().as_deref())
}

fn other_than_ours(service: &Path, ours: Option<&Path>) -> Option<PathBuf> {
    (service.is_dir() && ours != Some(service)).then(|| service.to_owned())
}

/// Where engines are kept that were built for this machine's GPU.
pub fn engines() -> Option<PathBuf> {
    cache().map(|folder| folder.join("engines"))
}

const CACHE: Folder = Folder { service: "CACHE_DIRECTORY", user: "XDG_CACHE_HOME", home: ".cache" };
const STATE: Folder = Folder { service: "STATE_DIRECTORY", user: "XDG_STATE_HOME", home: ".local/state" };

/// Where one kind of folder is looked for.
struct Folder {
    /// The variable that systemd sets for a service.
    service: &'static str,
    /// The variable of the user's session.
    user: &'static str,
    /// Where it is in the user's home without that variable.
    home: &'static str,
}

impl Folder {
    fn found(&self, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute(self.service).or_else(|| {
            let user = absolute(self.user).or_else(|| Some(absolute("HOME")?.join(self.home)));
            Some(user?.join("belvedere"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_folder_comes_before_the_sessions_and_that_before_the_home() {
        let all = |name: &str| Some(OsString::from(format!("/{name}")));
        assert_eq!(CACHE.found(all), Some("/CACHE_DIRECTORY".into()));
        assert_eq!(STATE.found(all), Some("/STATE_DIRECTORY".into()));
        let without_service = |name: &str| all(name).filter(|_| !name.ends_with("_DIRECTORY"));
        assert_eq!(CACHE.found(without_service), Some("/XDG_CACHE_HOME/belvedere".into()));
        assert_eq!(STATE.found(without_service), Some("/XDG_STATE_HOME/belvedere".into()));
        let home = |name: &str| all(name).filter(|_| name == "HOME");
        assert_eq!(CACHE.found(home), Some("/HOME/.cache/belvedere".into()));
        assert_eq!(STATE.found(home), Some("/HOME/.local/state/belvedere".into()));
    }

    #[test]
    fn the_services_cache_is_another_one_only_where_it_is_there_and_not_ours() {
        let service = tempfile::tempdir().unwrap();
        let (there, ours) = (service.path(), Path::new("/home/eve/.cache/belvedere"));
        assert_eq!(other_than_ours(there, Some(ours)).as_deref(), Some(there));
        assert_eq!(other_than_ours(there, None).as_deref(), Some(there));
        assert_eq!(other_than_ours(there, Some(there)), None);
        assert_eq!(other_than_ours(&there.join("nowhere"), Some(ours)), None);
    }

    #[test]
    fn a_relative_path_or_no_home_is_no_folder() {
        assert_eq!(CACHE.found(|_| Some("cache".into())), None);
        assert_eq!(STATE.found(|_| None), None);
    }
}
