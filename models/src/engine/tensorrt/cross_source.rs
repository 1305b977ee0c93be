//! What rows attend to, on its way into the batch.

use belvedere_kernels::device::{Device, DeviceSlice, Pitched};

use super::Bucket;
use super::memory_plan::Purpose;
use super::workspace::{Workspace, failed};
use crate::ModelError;

/// Cross keys and values of one prompt, and where they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CrossSource {
    /// Tokens that the prompt is padded to.
    pub(super) prompt: usize,
    pub(super) place: CrossPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrossPlace {
    /// An item of the encoder's last run.
    Encoded(usize),
    /// A kept prompt's memory.
    Kept(DeviceSlice),
}

impl CrossSource {
    fn tensor<D: Device>(&self, workspace: &Workspace<D>, tensor: usize) -> Result<DeviceSlice, ModelError> {
        let bytes = workspace.shape.row_bytes(workspace.shape.source(self.prompt));
        match self.place {
            CrossPlace::Encoded(item) => workspace.row(Purpose::Encoded(tensor), item, bytes),
            CrossPlace::Kept(memory) => {
                memory.part(tensor * bytes, bytes).map_err(failed("reading a kept prompt"))
            }
        }
    }

    fn mask<D: Device>(&self, workspace: &Workspace<D>) -> Result<DeviceSlice, ModelError> {
        let shape = &workspace.shape;
        let source = shape.source(self.prompt);
        let bytes = shape.mask_bytes(source);
        match self.place {
            CrossPlace::Encoded(item) => workspace.row(Purpose::EncodedMask, item, bytes),
            CrossPlace::Kept(memory) => memory
                .part(shape.tensors() * shape.row_bytes(source), bytes)
                .map_err(failed("reading a kept prompt")),
        }
    }

    /// Appends copies to `row` of a bucket, to the decoder's stream. What the bucket has more is masked.
    pub(super) fn copy_to_row<D: Device>(
        &self,
        workspace: &Workspace<D>,
        bucket: &Bucket,
        row: usize,
    ) -> Result<(), ModelError> {
        let shape = &workspace.shape;
        let (source, wide) = (shape.source(self.prompt), shape.bucket_source(bucket));
        let prompt = bucket.prompt;
        for tensor in 0..shape.tensors() {
            let to = workspace.row(Purpose::CrossCache { prompt, tensor }, row, shape.row_bytes(wide))?;
            let from = self.tensor(workspace, tensor)?;
            if source == wide {
                workspace.copy(to, from)?;
            } else {
                let to = Pitched { slice: to, pitch: shape.head_bytes(wide) };
                let head = shape.head_bytes(source);
                workspace.copy_rows(to, Pitched { slice: from, pitch: head }, head, shape.heads)?;
            }
        }
        let mask = Purpose::CrossMask { prompt };
        let start = row * shape.mask_bytes(wide);
        let own = shape.mask_bytes(source);
        workspace.copy(workspace.part(mask, start, own)?, self.mask(workspace)?)?;
        let rest = shape.mask_bytes(wide).saturating_sub(own);
        if rest > 0 {
            workspace
                .copy(workspace.part(mask, start + own, rest)?, workspace.first(Purpose::Masked, rest)?)?;
        }
        Ok(())
    }

    /// Appends copies to memory of `ModelShape::kept_bytes`, to the encoders' stream.
    pub(super) fn copy_to_kept<D: Device>(
        &self,
        workspace: &Workspace<D>,
        memory: DeviceSlice,
    ) -> Result<(), ModelError> {
        let kept = CrossSource { prompt: self.prompt, place: CrossPlace::Kept(memory) };
        let copy = |to, from| workspace.device.copy(&workspace.encode, to, from).map_err(failed("keeping"));
        for tensor in 0..workspace.shape.tensors() {
            copy(kept.tensor(workspace, tensor)?, self.tensor(workspace, tensor)?)?;
        }
        copy(kept.mask(workspace)?, self.mask(workspace)?)
    }
}
