//! Where Belvedere keeps what it can make again.

use std::ffi::OsString;
use std::path::PathBuf;

/// A folder of this user's alone: `$CACHE_DIRECTORY` (which systemd sets), `$XDG_CACHE_HOME/belvedere` or
/// `~/.cache/belvedere`; `None` for a user without a home. It may not be there yet.
pub fn folder() -> Option<PathBuf> {
    folder_in(|name| std::env::var_os(name))
}

fn folder_in(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("CACHE_DIRECTORY").or_else(|| {
        let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        Some(caches?.join("belvedere"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_folder_comes_before_the_users() {
        let all = |name: &str| Some(OsString::from(format!("/{name}")));
        assert_eq!(folder_in(all), Some("/CACHE_DIRECTORY".into()));
        assert_eq!(
            folder_in(|name| all(name).filter(|_| name == "HOME")),
            Some("/HOME/.cache/belvedere".into())
        );
    }

    #[test]
    fn a_relative_path_or_no_home_is_no_folder() {
        assert_eq!(folder_in(|_| Some("cache".into())), None);
        assert_eq!(folder_in(|_| None), None);
    }
}
