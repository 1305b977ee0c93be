//! Finding and loading ONNX Runtime, once for the process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider as _};

use crate::ModelError;

/// Names of the library, the plain one first: the others are what packages without development files have.
const NAMES: [&str; 2] = ["libonnxruntime.so", "libonnxruntime.so.1"];
const VARIABLE: &str = "ORT_DYLIB_PATH";
const STANDARD_DIRECTORIES: [&str; 6] = [
    "/usr/local/lib/belvedere",
    "/usr/lib/belvedere",
    "/usr/local/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib",
];

/// The process has one environment for ever: the `ort` crate refuses a second one, even after the first has gone.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

/// The library that this process uses.
#[derive(Clone)]
struct Loaded {
    environment: Environment,
    path: PathBuf,
}

/// An ONNX Runtime library that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeLibrary {
    /// The file.
    pub path: PathBuf,
    /// As the library says, such as `1.24.1`; else how it describes itself.
    pub version: String,
    /// What Belvedere can run graphs on with it, the best first.
    pub providers: Vec<String>,
}

impl RuntimeLibrary {
    /// Loads the library for the process, as an engine would; `explicit` has no effect on a later call.
    ///
    /// # Errors
    /// [`ModelError::RuntimeMissing`] and [`ModelError::RuntimeUnusable`].
    pub fn load(explicit: Option<&Path>) -> Result<RuntimeLibrary, ModelError> {
        let path = loaded(explicit)?.path;
        let has =
            |name: &'static str, found: ort::Result<bool>| found.unwrap_or(false).then(|| name.to_owned());
        let providers = [has("OpenVINO", ep::OpenVINO::is_available()), has("CPU", ep::CPU::is_available())];
        Ok(RuntimeLibrary {
            path,
            version: version_in(ort::info()),
            providers: providers.into_iter().flatten().collect(),
        })
    }
}

/// Release builds are made from a branch that is named for the version.
fn version_in(build_info: &str) -> String {
    let branch = build_info.split_once("git-branch=rel-").map(|(_, rest)| rest);
    let version = branch.and_then(|rest| rest.split([',', ' ']).next());
    version.unwrap_or(build_info).to_owned()
}

/// The environment that sessions are made in. The first call loads the library; `explicit` has no effect later.
///
/// # Errors
/// [`ModelError::RuntimeMissing`] with every path tried; [`ModelError::RuntimeUnusable`] for a file that is no ONNX
/// Runtime or is too old.
pub fn environment(explicit: Option<&Path>) -> Result<Environment, ModelError> {
    Ok(loaded(explicit)?.environment)
}

fn loaded(explicit: Option<&Path>) -> Result<Loaded, ModelError> {
    let mut current = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = current.as_ref() {
        return Ok(loaded.clone());
    }
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let executable = std::env::current_exe().ok();
    let path = find(&candidates(explicit, variable.as_deref(), executable.as_deref()))?;
    let unusable = |reason: String| ModelError::RuntimeUnusable { path: path.clone(), reason };
    // `init_from` before anything else of the crate: everything else would load a default library and panic without.
    let environment = ort::init_from(&path)
        .map_err(|error| unusable(error.to_string()))?
        .with_name("belvedere")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    tracing::debug!(path = %path.display(), "loaded ONNX Runtime");
    Ok(current.insert(Loaded { environment, path }).clone())
}

/// Where the library may be. A path that the user gave is the only one: a typing error must not load another library.
fn candidates(explicit: Option<&Path>, variable: Option<&Path>, executable: Option<&Path>) -> Vec<PathBuf> {
    if let Some(given) = explicit.or(variable) {
        let inside = NAMES.iter().map(|name| given.join(name));
        return std::iter::once(given.to_owned()).chain(inside).collect();
    }
    let beside = executable.and_then(Path::parent).into_iter();
    let beside = beside.flat_map(|bin| [bin.join("../lib/belvedere"), bin.to_owned()]);
    beside
        .chain(STANDARD_DIRECTORIES.iter().map(PathBuf::from))
        .flat_map(|directory| NAMES.map(|name| directory.join(name)))
        .collect()
}

fn find(candidates: &[PathBuf]) -> Result<PathBuf, ModelError> {
    candidates
        .iter()
        .find(|path| path.is_file())
        // Absolute, because the `ort` crate takes a relative path from the executable's folder.
        .map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()))
        .ok_or_else(|| ModelError::RuntimeMissing { searched: candidates.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_was_given_is_the_only_place_looked_at() {
        let explicit = Path::new("/nowhere/libonnxruntime.so");
        let tried =
            candidates(Some(explicit), Some(Path::new("/variable")), Some(Path::new("/opt/bin/belvedere")));
        assert!(tried.iter().all(|path| path.starts_with(explicit)));
        let tried = candidates(None, Some(Path::new("/variable")), None);
        assert!(tried.iter().all(|path| path.starts_with("/variable")));
    }

    #[test]
    fn the_library_beside_the_executable_comes_before_the_systems() {
        let tried = candidates(None, None, Some(Path::new("/opt/bin/belvedere")));
        assert_eq!(tried[0], Path::new("/opt/bin/../lib/belvedere/libonnxruntime.so"));
        assert!(tried.contains(&PathBuf::from("/usr/lib/libonnxruntime.so")));
    }

    #[test]
    fn the_version_is_that_of_the_release_branch() {
        let info = "ORT Build Info: git-branch=rel-1.24.1, git-commit-id=b5963e82c8, build type=Release";
        assert_eq!(version_in(info), "1.24.1");
        assert_eq!(version_in("ORT Build Info: git-branch=main"), "ORT Build Info: git-branch=main");
    }

    #[test]
    fn a_missing_library_names_every_place_and_what_to_do() {
        let error =
            find(&candidates(Some(Path::new("/nowhere/lib.so")), None, None)).expect_err("nothing there");
        let text = error.to_string();
        assert!(text.contains("/nowhere/lib.so") && text.contains("ORT_DYLIB_PATH"), "{text}");
    }
}
