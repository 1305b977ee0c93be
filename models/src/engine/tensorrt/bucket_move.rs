//! A running batch moves to larger caches.

use belvedere_kernels::device::{Device, Pitched};

use super::Bucket;
use super::memory_plan::Purpose;
use super::row_state::mask_reset;
use super::workspace::{Workspace, failed};
use crate::ModelError;

/// Appends, to the decoder's stream, copies of what `rows` rows hold in bucket `from` to bucket `to`, which is no
/// smaller; `all_rows` masks over the caches are written anew.
pub(super) fn move_rows<D: Device>(
    workspace: &Workspace<D>,
    from: &Bucket,
    to: &Bucket,
    rows: usize,
    all_rows: usize,
) -> Result<(), ModelError> {
    let shape = &workspace.shape;
    let (old_source, new_source) = (shape.bucket_source(from), shape.bucket_source(to));
    let heads = rows * shape.heads;
    for tensor in 0..shape.tensors() {
        if from.capacity != to.capacity && rows > 0 {
            let purpose = |bucket: &Bucket| Purpose::SelfCache { capacity: bucket.capacity, tensor };
            let (old, new) = (shape.head_bytes(from.capacity), shape.head_bytes(to.capacity));
            copy(workspace, (purpose(to), new), (purpose(from), old), old, heads)?;
        }
        if from.prompt != to.prompt && rows > 0 {
            let purpose = |bucket: &Bucket| Purpose::CrossCache { prompt: bucket.prompt, tensor };
            let (old, new) = (shape.head_bytes(old_source), shape.head_bytes(new_source));
            copy(workspace, (purpose(to), new), (purpose(from), old), old, heads)?;
        }
    }
    if from.prompt != to.prompt && rows > 0 {
        let mask = |bucket: &Bucket| Purpose::CrossMask { prompt: bucket.prompt };
        let (old, new) = (shape.mask_bytes(old_source), shape.mask_bytes(new_source));
        copy(workspace, (mask(to), new), (mask(from), old), old, rows)?;
        let rest = new - old;
        let tail = workspace.part(mask(to), old, rows * new - old)?;
        let masked = workspace.first(Purpose::Masked, rows * rest)?;
        workspace.copy_rows(
            Pitched { slice: tail, pitch: new },
            Pitched { slice: masked, pitch: rest },
            rest,
            rows,
        )?;
    }
    if from.capacity != to.capacity {
        let reset = mask_reset(workspace, to.capacity, all_rows)?;
        workspace.device.launch(&workspace.decode, &reset).map_err(failed("past_mask"))?;
    }
    Ok(())
}

/// Appends a copy of `rows` rows of `row_bytes`; each side with its pitch.
fn copy<D: Device>(
    workspace: &Workspace<D>,
    (to, to_pitch): (Purpose, usize),
    (from, from_pitch): (Purpose, usize),
    row_bytes: usize,
    rows: usize,
) -> Result<(), ModelError> {
    let to = Pitched { slice: workspace.first(to, rows * to_pitch)?, pitch: to_pitch };
    let from = Pitched { slice: workspace.first(from, rows * from_pitch)?, pitch: from_pitch };
    workspace.copy_rows(to, from, row_bytes, rows)
}
