//! Whether there is memory for a second model.

use belvedere_models::Checkpoint;

use super::WatchError;
use crate::analyst::AnalysisError;
use crate::config::ModelSettings;
use crate::process;

/// What a loaded model takes for each parameter, in bytes, its loading and first answer included: full-size base, of 231
/// million, peaks at 1.9 GB.
const BYTES_PER_PARAMETER: u64 = 8;

/// Whether the model of `settings` can be loaded while another one runs.
///
/// # Errors
/// [`WatchError::NoRoom`], or the checkpoint cannot be read.
pub(super) fn check_room(settings: &ModelSettings) -> Result<(), WatchError> {
    // The bundled one always fits.
    let (Some(path), Some(available_bytes)) = (&settings.path, process::available_memory_bytes()) else {
        return Ok(());
    };
    let checkpoint =
        Checkpoint::open(path).map_err(|error| WatchError::Model(AnalysisError::Model(error)))?;
    let needed_bytes = checkpoint.parameters().saturating_mul(BYTES_PER_PARAMETER);
    match needed_bytes <= available_bytes {
        true => Ok(()),
        false => {
            Err(WatchError::NoRoom { needed_mb: needed_bytes >> 20, available_mb: available_bytes >> 20 })
        }
    }
}
