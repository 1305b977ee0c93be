//! Device memory that callers hold: features of pictures, kept prompts.

use std::sync::{Arc, Mutex, PoisonError};

use belvedere_kernels::device::{Device, DeviceSlice, Memory};

use super::workspace::failed;
use crate::ModelError;

/// Pieces of one size. A piece whose lease is gone is given out again; memory is only ever added.
pub(super) struct Pool<D: Device> {
    bytes: usize,
    pieces: Vec<D::Memory>,
    returned: Arc<Mutex<Vec<usize>>>,
}

/// A piece of a pool, for as long as this lives.
#[derive(Debug)]
pub(super) struct Lease {
    piece: usize,
    /// Tells the pools of one engine, and engines, apart.
    returned: Arc<Mutex<Vec<usize>>>,
}

impl<D: Device> Pool<D> {
    /// Of pieces of `bytes`; none yet.
    pub(super) fn new(bytes: usize) -> Pool<D> {
        Pool { bytes, pieces: Vec::new(), returned: Arc::default() }
    }

    /// Any piece. What it holds is finite, and whoever held it before may still have work queued that reads it.
    pub(super) fn lease(&mut self, device: &D) -> Result<Lease, ModelError> {
        let returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let piece = match returned {
            Some(piece) => piece,
            None => {
                let memory = device.allocate(self.bytes).map_err(failed("reserving memory for a result"))?;
                self.pieces.push(memory);
                tracing::debug!(pieces = self.pieces.len(), bytes = self.bytes, "more memory for results");
                self.pieces.len() - 1
            }
        };
        Ok(Lease { piece, returned: Arc::clone(&self.returned) })
    }

    /// Bytes of all pieces, those that nobody holds included.
    pub(super) fn bytes(&self) -> usize {
        self.pieces.len() * self.bytes
    }

    /// Where a lease's memory is; `None` for a lease of another pool.
    pub(super) fn slice(&self, lease: &Lease) -> Option<DeviceSlice> {
        let is_own = Arc::ptr_eq(&lease.returned, &self.returned);
        self.pieces.get(lease.piece).filter(|_| is_own).map(Memory::slice)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).push(self.piece);
    }
}
