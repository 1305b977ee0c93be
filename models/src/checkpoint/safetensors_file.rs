//! One safetensors file, read a tensor at a time.
//!
//! The header is read once; tensors are read by position into fresh memory. A mapping would save a copy, but the file
//! may be truncated by someone else while it is mapped, which kills the process.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::ModelError;

// The limit of the safetensors format itself.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// An open safetensors file whose header agrees with its length.
#[derive(Debug)]
pub(super) struct SafetensorsFile {
    path: PathBuf,
    file: File,
    data_start: u64,
    metadata: Metadata,
}

impl SafetensorsFile {
    pub(super) fn open(path: &Path) -> Result<SafetensorsFile, ModelError> {
        let bad = |reason: String| ModelError::Safetensors { path: path.to_owned(), reason };
        let file = File::open(path).map_err(ModelError::io(path))?;
        let actual_bytes = file.metadata().map_err(ModelError::io(path))?.len();
        let mut length = [0; 8];
        if actual_bytes < 8 {
            return Err(bad(format!("{actual_bytes} bytes are too few for a header")));
        }
        file.read_exact_at(&mut length, 0).map_err(ModelError::io(path))?;
        let header_bytes = u64::from_le_bytes(length);
        if header_bytes > MAX_HEADER_BYTES {
            return Err(bad(format!(
                "a header of {header_bytes} bytes is announced; this is no safetensors file"
            )));
        }
        let data_start = header_bytes + 8;
        if data_start > actual_bytes {
            return Err(ModelError::FileLength {
                path: path.to_owned(),
                expected_bytes: data_start,
                actual_bytes,
            });
        }
        // Under 100 MB by the check above.
        let mut header = vec![0; header_bytes as usize];
        file.read_exact_at(&mut header, 8).map_err(ModelError::io(path))?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| bad(format!("its header: {error}")))?;
        let mut data_end = 0u64;
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let bytes = info
                .shape
                .iter()
                .try_fold(info.dtype.bitsize(), |bits, &side| bits.checked_mul(side))
                .map(|bits| bits / 8);
            if end.checked_sub(start).is_none() || end.checked_sub(start) != bytes {
                return Err(bad(format!(
                    "tensor {name}: bytes {start} to {end} do not hold its shape {:?}",
                    info.shape
                )));
            }
            data_end = data_end.max(end as u64);
        }
        let expected_bytes = data_start.saturating_add(data_end);
        if expected_bytes != actual_bytes {
            return Err(ModelError::FileLength { path: path.to_owned(), expected_bytes, actual_bytes });
        }
        Ok(SafetensorsFile { path: path.to_owned(), file, data_start, metadata })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.metadata.info(name)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// Whether both tensors have equal bytes.
    pub(super) fn same_bytes(
        &self,
        name: &str,
        other: &SafetensorsFile,
        other_name: &str,
    ) -> Result<bool, ModelError> {
        let (Some(a), Some(b)) = (self.info(name), other.info(other_name)) else { return Ok(false) };
        if a.dtype != b.dtype || a.shape != b.shape {
            return Ok(false);
        }
        const CHUNK: usize = 1 << 20;
        let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
        let length = a.data_offsets.1 - a.data_offsets.0;
        for start in (0..length).step_by(CHUNK) {
            let span = CHUNK.min(length - start);
            let (left, right) = (&mut left[..span], &mut right[..span]);
            self.read_at(left, a.data_offsets.0 + start)?;
            other.read_at(right, b.data_offsets.0 + start)?;
            if left != right {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The tensor's elements, row-major, as f32.
    pub(super) fn read(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let info = self.info(name).ok_or_else(|| ModelError::UnknownTensor { tensor: name.to_owned() })?;
        let (start, end) = info.data_offsets;
        let width = match info.dtype {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
            dtype => {
                return Err(ModelError::TensorType {
                    tensor: name.to_owned(),
                    path: self.path.clone(),
                    dtype: format!("{dtype:?}"),
                });
            }
        };
        let mut elements = Vec::with_capacity((end - start) / width);
        // In pieces, so that a tensor costs its f32 size and little more.
        let mut piece = vec![0; 1 << 20];
        for offset in (start..end).step_by(piece.len()) {
            let span = piece.len().min(end - offset);
            let piece = &mut piece[..span];
            self.read_at(piece, offset)?;
            match info.dtype {
                Dtype::F32 => {
                    elements.extend(piece.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)))
                }
                Dtype::F16 => elements
                    .extend(piece.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32())),
                _ => elements
                    .extend(piece.as_chunks().0.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32())),
            }
        }
        Ok(elements)
    }

    fn read_at(&self, bytes: &mut [u8], data_offset: usize) -> Result<(), ModelError> {
        self.file
            .read_exact_at(bytes, self.data_start + data_offset as u64)
            .map_err(ModelError::io(&self.path))
    }
}
