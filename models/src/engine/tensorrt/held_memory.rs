//! Memory that callers hold, as the engine finds it again: features of pictures, kept prompts.

use std::sync::Arc;

use belvedere_kernels::device::{Device, DeviceSlice};

use super::Networks;
use super::device_engine::DeviceEngine;
use super::pool::Lease;
use crate::ModelError;
use crate::engine::{ImageFeatures, KeptPrompt};

/// Features on the device.
pub(super) struct DeviceFeatures(pub(super) Arc<Lease>);

/// A prompt on the device, padded to so many tokens.
pub(super) struct DeviceKept {
    pub(super) memory: Arc<Lease>,
    pub(super) prompt: usize,
}

impl<D: Device, N: Networks<D>> DeviceEngine<D, N> {
    /// Memory for the features of so many pictures, and where it is.
    pub(super) fn lease_features(
        &mut self,
        pictures: usize,
    ) -> Result<(Vec<Lease>, Vec<DeviceSlice>), ModelError> {
        let leases = (0..pictures).map(|_| self.features.lease(&self.workspace.device));
        let leases: Vec<Lease> = leases.collect::<Result<_, _>>()?;
        let slices = leases.iter().map(|lease| self.features_slice(lease));
        let slices = slices.collect::<Result<_, _>>()?;
        Ok((leases, slices))
    }

    /// Features that this engine made.
    pub(super) fn own_features(&self, features: &ImageFeatures) -> Result<Arc<Lease>, ModelError> {
        let lease = features.storage::<DeviceFeatures>().map(|DeviceFeatures(lease)| lease);
        match lease.filter(|lease| self.features.slice(lease).is_some()) {
            Some(lease) => Ok(Arc::clone(lease)),
            None => Err(other_engine("image features")),
        }
    }

    /// A prompt that this engine keeps: its memory, and the tokens that it is padded to.
    pub(super) fn own_kept(&self, kept: &KeptPrompt) -> Result<(Arc<Lease>, usize), ModelError> {
        let kept = kept.storage::<DeviceKept>();
        let is_own = |kept: &&DeviceKept| {
            self.kept.get(&kept.prompt).is_some_and(|pool| pool.slice(&kept.memory).is_some())
        };
        match kept.filter(is_own) {
            Some(DeviceKept { memory, prompt }) => Ok((Arc::clone(memory), *prompt)),
            None => Err(other_engine("kept prompts")),
        }
    }

    pub(super) fn features_slice(&self, lease: &Lease) -> Result<DeviceSlice, ModelError> {
        self.features.slice(lease).ok_or_else(|| other_engine("image features"))
    }
}

pub(super) fn other_engine(what: &'static str) -> ModelError {
    ModelError::Request { what, reason: "made by another engine".to_owned() }
}
