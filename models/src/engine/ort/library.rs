//! Finding and loading ONNX Runtime, once for the process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

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
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The environment that sessions are made in. The first call loads the library; `explicit` has no effect later.
///
/// # Errors
/// [`ModelError::RuntimeMissing`] with every path tried; [`ModelError::RuntimeUnusable`] for a file that is no ONNX
/// Runtime or is too old.
pub fn environment(explicit: Option<&Path>) -> Result<Environment, ModelError> {
    let mut current = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = current.as_ref() {
        return Ok(environment.clone());
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
    Ok(current.insert(environment).clone())
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
    fn a_missing_library_names_every_place_and_what_to_do() {
        let error =
            find(&candidates(Some(Path::new("/nowhere/lib.so")), None, None)).expect_err("nothing there");
        let text = error.to_string();
        assert!(text.contains("/nowhere/lib.so") && text.contains("ORT_DYLIB_PATH"), "{text}");
    }
}
