//! glibc's allocator, told to give back what nobody uses.
//!
//! Pipelines come and go with their streams, each with threads and pictures of its own. glibc makes an arena for every few
//! threads, and puts pictures among the small things in them once it has seen some go: it then gives little back, and memory
//! grows for hours. With the settings below it does not; README.md has numbers.
//!
//! glibc reads its settings when a process begins and at no other time that safe code could choose, and most of the memory
//! is that of C libraries, which no allocator of Rust's replaces. So the process begins once more, with the settings in its
//! environment. It stays the same process: its number, its open files, what its parent knows of it.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::{env, io, process};

/// Two arenas; pieces of 128 KiB and more are mapped one by one, and free memory at an arena's end is given back from 128 KiB
/// on, whatever was freed before.
const SETTINGS: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")];
/// The other way to set them, which is the user's.
const TUNABLES: &str = "GLIBC_TUNABLES";
/// Holds the number of the process that has begun again. The loader takes settings of the allocator out of the environment of
/// programs with capabilities of their own; they must not begin for ever.
const BEGUN_AGAIN: &str = "BELVEDERE_BEGUN_AGAIN";

/// What is to be done about the allocator.
#[derive(Debug, PartialEq, Eq)]
enum Settling {
    /// It is as it should be, or as the user wants it.
    Settled,
    /// These are to be set.
    Missing(Vec<(&'static str, &'static str)>),
    /// It was tried.
    Refused,
}

/// Lets the process begin again with the allocator's settings, where they are not set and glibc is what allocates. Called
/// before there is anything that would have to be done twice.
///
/// Where it cannot be, the process goes on as it is, with a warning.
pub fn settle() {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return;
    }
    let refused = match settling(|name| env::var_os(name), process::id()) {
        Settling::Settled => return,
        Settling::Missing(settings) => begin_again(&settings).to_string(),
        Settling::Refused => "they were taken out of the environment".to_owned(),
    };
    tracing::warn!(
        error = refused,
        "the process cannot begin again with MALLOC_ARENA_MAX and its like set: its memory may grow while cameras come and \
         go"
    );
}

fn settling(variable: impl Fn(&str) -> Option<OsString>, process: u32) -> Settling {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let tunables = variable(TUNABLES).unwrap_or_default();
    if tunables.to_string_lossy().contains("glibc.malloc.") {
        return Settling::Settled;
    }
    let missing: Vec<_> = SETTINGS.into_iter().filter(|(name, _)| !is_set(name)).collect();
    if missing.is_empty() {
        Settling::Settled
    } else if variable(BEGUN_AGAIN).as_deref() == Some(OsStr::new(&process.to_string())) {
        Settling::Refused
    } else {
        Settling::Missing(missing)
    }
}

/// Only comes back with the reason why it did not.
fn begin_again(settings: &[(&str, &str)]) -> io::Error {
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    // Run by hand, the loader is the program, and would take our first argument for what it is to load.
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("ld-") || name.starts_with("ld.") {
        return io::Error::other(format!("it was started by {name}"));
    }
    tracing::debug!(?settings, "beginning again with the allocator's settings");
    let mut arguments = env::args_os();
    let mut command = Command::new(&program);
    if let Some(own_name) = arguments.next() {
        command.arg0(own_name);
    }
    command.args(arguments).envs(settings.iter().copied()).env(BEGUN_AGAIN, process::id().to_string()).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Settling {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        settling(|name| find(name).map(|(_, value)| OsString::from(value)), 7)
    }

    #[test]
    fn what_is_not_set_is_missing_and_what_the_user_set_is_kept() {
        assert_eq!(with(&[]), Settling::Missing(SETTINGS.to_vec()));
        assert_eq!(with(&[("MALLOC_ARENA_MAX", "")]), Settling::Missing(SETTINGS.to_vec()));
        assert_eq!(with(&[("MALLOC_ARENA_MAX", "9")]), Settling::Missing(SETTINGS[1..].to_vec()));
        assert_eq!(with(&[(TUNABLES, "glibc.cpu.hwcaps=-AVX2")]), Settling::Missing(SETTINGS.to_vec()));
    }

    #[test]
    fn a_process_begins_again_once_only() {
        assert_eq!(with(&[(BEGUN_AGAIN, "7")]), Settling::Refused);
        assert_eq!(with(&[(BEGUN_AGAIN, "8")]), Settling::Missing(SETTINGS.to_vec()), "another's");
        assert_eq!(with(&SETTINGS), Settling::Settled);
    }

    #[test]
    fn a_user_who_tunes_the_allocator_is_left_alone() {
        assert_eq!(with(&[(TUNABLES, "glibc.malloc.arena_max=4")]), Settling::Settled);
    }
}
