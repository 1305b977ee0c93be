//! What all parts of the engine work on.

use std::collections::BTreeMap;
use std::fmt;

use belvedere_kernels::device::{Device, DeviceSlice, Memory, Pitched};

use super::memory_plan::{MemoryPlan, Purpose};
use super::{ModelShape, Profiles};
use crate::ModelError;

/// The device, its two orders of work, and the memory that was planned.
pub(super) struct Workspace<D: Device> {
    pub(super) device: D,
    /// Decoder steps, and whatever changes what they read.
    pub(super) decode: D::Stream,
    /// Vision and encoder.
    pub(super) encode: D::Stream,
    pub(super) shape: ModelShape,
    pub(super) profiles: Profiles,
    memory: BTreeMap<Purpose, D::Memory>,
}

impl<D: Device> Workspace<D> {
    /// Takes all memory of the plan.
    pub(super) fn new(
        device: D,
        shape: ModelShape,
        profiles: Profiles,
        plan: &MemoryPlan,
    ) -> Result<Workspace<D>, ModelError> {
        let doing = "making streams";
        let decode = device.stream().map_err(failed(doing))?;
        let encode = device.stream().map_err(failed(doing))?;
        let mut memory = BTreeMap::new();
        for (purpose, bytes) in plan.pieces() {
            let piece = device.allocate(bytes).map_err(failed(format!("reserving memory ({purpose:?})")))?;
            memory.insert(purpose, piece);
        }
        Ok(Workspace { device, decode, encode, shape, profiles, memory })
    }

    /// The first `bytes` of a piece of memory.
    pub(super) fn first(&self, purpose: Purpose, bytes: usize) -> Result<DeviceSlice, ModelError> {
        self.part(purpose, 0, bytes)
    }

    /// `bytes` of a piece of memory from `offset` on.
    pub(super) fn part(
        &self,
        purpose: Purpose,
        offset: usize,
        bytes: usize,
    ) -> Result<DeviceSlice, ModelError> {
        let doing = || format!("finding memory ({purpose:?})");
        let piece = self.memory.get(&purpose).ok_or_else(|| failure(doing(), "was not planned"))?;
        piece.slice().part(offset, bytes).map_err(|error| failure(doing(), error))
    }

    /// Row `row` of a piece whose rows have `row_bytes`.
    pub(super) fn row(
        &self,
        purpose: Purpose,
        row: usize,
        row_bytes: usize,
    ) -> Result<DeviceSlice, ModelError> {
        self.part(purpose, row * row_bytes, row_bytes)
    }

    /// Appends a copy to the decoder's stream.
    pub(super) fn copy(&self, to: DeviceSlice, from: DeviceSlice) -> Result<(), ModelError> {
        self.device.copy(&self.decode, to, from).map_err(failed("copying"))
    }

    /// Appends a copy of `rows` rows to the decoder's stream.
    pub(super) fn copy_rows(
        &self,
        to: Pitched,
        from: Pitched,
        row_bytes: usize,
        rows: usize,
    ) -> Result<(), ModelError> {
        self.device.copy_rows(&self.decode, to, from, row_bytes, rows).map_err(failed("copying rows"))
    }
}

impl<D: Device> Drop for Workspace<D> {
    /// Memory is not let go of while anything in the streams uses it.
    fn drop(&mut self) {
        for stream in [&self.decode, &self.encode] {
            // A stream that has failed does nothing more.
            let _ = self.device.record(stream).and_then(|event| self.device.wait(&event));
        }
    }
}

/// An error of this engine.
pub(super) fn failure(doing: impl Into<String>, reason: impl fmt::Display) -> ModelError {
    ModelError::Engine { engine: "tensorrt", doing: doing.into(), reason: reason.to_string() }
}

/// The same, for `map_err`.
pub(super) fn failed<E: fmt::Display>(doing: impl Into<String>) -> impl FnOnce(E) -> ModelError {
    let doing = doing.into();
    move |error| failure(doing, error)
}
