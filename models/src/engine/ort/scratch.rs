use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::ModelError;
use crate::engine::CancelToken;
use crate::graph::{Graph, WeightsFile};

/// The folder in which graphs lie while sessions are opened. The sessions map the weights, which therefore stay
/// readable after the files have been removed.
pub(super) struct Scratch {
    dir: PathBuf,
    weights: WeightsFile,
    written: Vec<PathBuf>,
    /// Keeps other processes out of a folder that is used again.
    _lock: Option<File>,
    _temporary: Option<TempDir>,
}

/// How often a lock that another process holds is tried.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

const WEIGHTS: &str = "weights.bin";

impl Scratch {
    /// In `dir`, which is made if it is not there and waited for if another process is loading a model in it; or in a
    /// new temporary folder.
    ///
    /// # Errors
    /// The folder or the file of the weights cannot be made; cancellation.
    pub(super) fn open(dir: Option<&Path>, cancel: &CancelToken) -> Result<Self, ModelError> {
        let (dir, lock, temporary) = match dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(ModelError::io(dir))?;
                let path = dir.join("lock");
                let lock = File::create(&path).map_err(ModelError::io(&path))?;
                wait_for(&lock, &path, cancel)?;
                (dir.to_owned(), Some(lock), None)
            }
            None => {
                let temporary = tempfile::tempdir().map_err(ModelError::io(&std::env::temp_dir()))?;
                (temporary.path().to_owned(), None, Some(temporary))
            }
        };
        let weights = dir.join(WEIGHTS);
        // Never written over: a process that was not able to remove the file may still map it.
        let _ = std::fs::remove_file(&weights);
        let file = WeightsFile::create(&weights)?;
        Ok(Self { dir, weights: file, written: vec![weights], _lock: lock, _temporary: temporary })
    }

    /// Writes a graph by `write`, which is given its path and the file of the weights. Returns the path.
    ///
    /// # Errors
    /// Those of `write`.
    pub(super) fn put(
        &mut self,
        graph: &Graph,
        write: impl FnOnce(&Path, &mut WeightsFile) -> Result<(), ModelError>,
    ) -> Result<PathBuf, ModelError> {
        let path = self.dir.join(format!("{}.onnx", graph.name()));
        self.written.push(path.clone());
        write(&path, &mut self.weights)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for path in &self.written {
            // What cannot be removed is replaced by the next process.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Takes `lock`, the file `path`, as soon as nobody else has it.
///
/// # Errors
/// What the system says; cancellation.
fn wait_for(lock: &File, path: &Path, cancel: &CancelToken) -> Result<(), ModelError> {
    loop {
        cancel.check()?;
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(ModelError::io(path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_another_process_loads_in_is_waited_for_until_the_cancellation() {
        let dir = tempfile::tempdir().unwrap();
        let cancel = CancelToken::new();
        let first = Scratch::open(Some(dir.path()), &cancel).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| Scratch::open(Some(dir.path()), &cancel).map(|_| ()));
            cancel.cancel();
            assert!(matches!(second.join().unwrap(), Err(ModelError::Cancelled)));
        });
        drop(first);
        assert!(Scratch::open(Some(dir.path()), &CancelToken::new()).is_ok());
    }
}
