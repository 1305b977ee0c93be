use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::ModelError;
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

const WEIGHTS: &str = "weights.bin";

impl Scratch {
    /// In `dir`, which is made if it is not there and waited for if another process is loading a model in it; or in a
    /// new temporary folder.
    ///
    /// # Errors
    /// The folder or the file of the weights cannot be made.
    pub(super) fn open(dir: Option<&Path>) -> Result<Self, ModelError> {
        let (dir, lock, temporary) = match dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(ModelError::io(dir))?;
                let path = dir.join("lock");
                let lock = File::create(&path).map_err(ModelError::io(&path))?;
                lock.lock().map_err(ModelError::io(&path))?;
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
