//! A synthetic model as a checkpoint folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use half::{bf16, f16};
use serde_json::json;

use super::hash;
use crate::ModelError;
use crate::checkpoint::{FlorenceConfig, Layout, TensorSpec, Weights};
use crate::graph::transposed;

/// Element type of a checkpoint's files. Synthetic values are exact in all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredType {
    /// 32-bit float.
    F32,
    /// 16-bit float, as the published checkpoints.
    F16,
    /// bfloat16.
    Bf16,
}

/// A model of any shape with weights from the hash of their names (see `hash.rs`).
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticModel {
    /// Its shape.
    pub config: FlorenceConfig,
    /// Image width and height in pixels that its preprocessor configuration asks for.
    pub image_size: (u32, u32),
    /// Another salt is another model of the same shape.
    pub salt: u64,
}

impl SyntheticModel {
    /// A model of this shape with salt 0.
    pub fn new(config: FlorenceConfig, image_size: (u32, u32)) -> SyntheticModel {
        SyntheticModel { config, image_size, salt: 0 }
    }

    /// Writes `config.json`, `preprocessor_config.json` and `model.safetensors` into a folder, which is made if need
    /// be. The embedding is stored once, as the published files do. The tokenizer is not written.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, dir: &Path, layout: Layout, stored: StoredType) -> Result<(), ModelError> {
        std::fs::create_dir_all(dir).map_err(ModelError::io(dir))?;
        let write_json = |name: &str, value: &serde_json::Value| {
            let path = dir.join(name);
            std::fs::write(&path, format!("{value:#}\n")).map_err(ModelError::io(path))
        };
        write_json("config.json", &self.config.to_json(layout))?;
        write_json("preprocessor_config.json", &self.preprocessor_json())?;
        let path = dir.join("model.safetensors");
        self.write_weights(&path, layout, stored)
    }

    fn preprocessor_json(&self) -> serde_json::Value {
        let (width, height) = self.image_size;
        json!({
            "image_processor_type": "CLIPImageProcessor",
            "processor_class": "Florence2Processor",
            "do_convert_rgb": null,
            "do_resize": true,
            "resample": 3,
            "size": { "width": width, "height": height },
            "do_center_crop": false,
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225],
        })
    }

    fn write_weights(&self, path: &Path, layout: Layout, stored: StoredType) -> Result<(), ModelError> {
        let specs = self.config.inventory();
        let width = if stored == StoredType::F32 { 4 } else { 2 };
        let dtype = match stored {
            StoredType::F32 => "F32",
            StoredType::F16 => "F16",
            StoredType::Bf16 => "BF16",
        };
        let mut header = BTreeMap::new();
        header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
        let mut end = 0;
        for spec in &specs {
            let start = end;
            end += spec.shape.iter().product::<usize>() * width;
            let mut shape = spec.shape.clone();
            if layout.transposes(&spec.name) {
                shape.reverse();
            }
            let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
            header.insert(layout.name_of(&spec.name), entry);
        }
        let mut header = serde_json::to_string(&header)
            .map_err(|source| ModelError::Json { path: path.to_owned(), source })?;
        // The format wants the data to start at a multiple of eight.
        header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));

        let file = File::create(path).map_err(ModelError::io(path))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(ModelError::io(path));
        put(&(header.len() as u64).to_le_bytes())?;
        put(header.as_bytes())?;
        for spec in &specs {
            let mut elements = hash::elements(spec, self.salt);
            if let [rows, columns] = spec.shape[..]
                && layout.transposes(&spec.name)
            {
                elements = transposed(&elements, rows, columns);
            }
            for piece in elements.chunks(1 << 18) {
                let bytes: Vec<u8> = match stored {
                    StoredType::F32 => piece.iter().flat_map(|value| value.to_le_bytes()).collect(),
                    StoredType::F16 => {
                        piece.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect()
                    }
                    StoredType::Bf16 => {
                        piece.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect()
                    }
                };
                put(&bytes)?;
            }
        }
        out.flush().map_err(ModelError::io(path))
    }
}

impl Weights for SyntheticModel {
    fn read(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let unknown = || ModelError::UnknownTensor { tensor: name.to_owned() };
        let spec: TensorSpec =
            self.config.inventory().into_iter().find(|spec| spec.name == name).ok_or_else(unknown)?;
        Ok(hash::elements(&spec, self.salt))
    }
}
