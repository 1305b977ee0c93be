//! The file beside the graphs that holds their weights.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Element;
use super::weight::{Recipe, Weight};
use crate::ModelError;
use crate::checkpoint::Weights;

// Engines map the file into memory; a weight that starts on a page can be mapped on its own.
const ALIGNMENT_BYTES: u64 = 4096;
// Written a piece at a time, so that a large weight is not encoded into a second copy of itself.
const PIECE_ELEMENTS: usize = 1 << 18;

/// ONNX external data under construction. Graphs written to one file share the weights that they have in common.
#[derive(Debug)]
pub struct WeightsFile {
    path: PathBuf,
    file_name: String,
    out: BufWriter<File>,
    position: u64,
    placed: Vec<(Recipe, Element, Vec<usize>, u64)>,
    by_name: HashMap<String, Vec<usize>>,
}

impl WeightsFile {
    /// Starts an empty file.
    ///
    /// # Errors
    /// A file that cannot be made, or a path that does not end in a readable file name.
    pub fn create(path: &Path) -> Result<WeightsFile, ModelError> {
        let file = File::create(path).map_err(ModelError::io(path))?;
        let file_name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| ModelError::Graph {
            graph: path.display().to_string(),
            reason: "the weights need a file name in UTF-8".to_owned(),
        })?;
        Ok(WeightsFile {
            path: path.to_owned(),
            file_name: file_name.to_owned(),
            out: BufWriter::with_capacity(1 << 20, file),
            position: 0,
            placed: Vec::new(),
            by_name: HashMap::new(),
        })
    }

    /// Its name without the folder: what the graphs refer to.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Bytes written so far.
    pub fn bytes_long(&self) -> u64 {
        self.position
    }

    /// Writes what is still in the buffer.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> Result<(), ModelError> {
        self.out.flush().map_err(ModelError::io(&self.path))
    }

    /// Offset and length of a weight, written now unless an equal one is there already.
    pub(super) fn place(&mut self, weight: &Weight, weights: &dyn Weights) -> Result<(u64, u64), ModelError> {
        let length = weight.bytes_long();
        let known = self.by_name.entry(weight.name.clone()).or_default();
        for place in known.iter().filter_map(|&number| self.placed.get(number)) {
            if (&place.0, place.1, &place.2) == (&weight.recipe, weight.element, &weight.shape) {
                return Ok((place.3, length));
            }
        }
        known.push(self.placed.len());
        let elements = weight.read(weights)?;
        let pieces = elements.chunks(PIECE_ELEMENTS).map(|piece| weight.encode(piece));
        let (offset, _) = self.append(pieces)?;
        self.placed.push((weight.recipe.clone(), weight.element, weight.shape.clone(), offset));
        Ok((offset, length))
    }

    /// Writes `pieces` one behind the other, from the next page on. Returns their offset and length.
    pub(super) fn append(
        &mut self,
        pieces: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<(u64, u64), ModelError> {
        let offset = self.position.next_multiple_of(ALIGNMENT_BYTES);
        let gap = vec![0; (offset - self.position) as usize];
        self.out.write_all(&gap).map_err(ModelError::io(&self.path))?;
        self.position = offset;
        for piece in pieces {
            self.out.write_all(&piece).map_err(ModelError::io(&self.path))?;
            self.position += piece.len() as u64;
        }
        Ok((offset, self.position - offset))
    }
}
