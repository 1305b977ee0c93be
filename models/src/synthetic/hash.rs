//! Weights as a hash of their name and place.
//!
//! Both sides of a comparison with the reference can make the same model of any size, and no file is stored
//! (`tests/reference/synthetic.py` is the other side). For the tensor with native name `name`, salt `salt`, and
//! row-major element `i`:
//!
//! 1. `seed` = FNV-1a (64 bits) of the bytes of `name`, then of the eight little-endian bytes of `salt`.
//! 2. `z` = splitmix64's output function (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014)
//!    at `seed + (i + 1) * 0x9E3779B97F4A7C15`, all modulo 2^64.
//! 3. A LayerNorm gain (a vector called `….weight`) is `1 + (2 * (z >> 60) - 15) / 128`.
//!    Every other element is `(2 * (z >> 56) - 255) / 256 * 2^e`: 256 equal steps inside `±2^e`. For a bias `e` = -3.
//!    For the image position tables `e` = 0. For other weights with `n` inputs, `e` is the largest whole number with
//!    `4^e * n <= 6 * g`, about a variance of `g / n`.
//! 4. `g` is 1/16 for depthwise convolutions and for what the text model's self-attention and feed-forward parts add
//!    to the residual stream, 1/4 for what cross attention adds: none of them drowns what came before. It is 1/4 for
//!    the tower's `qkv`, so that channel attention over tens of thousands of tokens does not turn rounding into noise;
//!    4 for the embedding (logits far apart) and for queries and keys of the cross attention (sharp enough for the
//!    picture to matter); else 1. With these, f32 and f64 agree on the logits to 1e-5 of their spread, and another
//!    picture moves them by a sixth to a third of it.
//! 5. Row 2 of the embedding, `</s>`, is doubled, so that sequences end at different lengths.
//!
//! Every value has at most eight significant bits: F32, F16 and BF16 files hold the same model, without rounding.

use crate::checkpoint::TensorSpec;
use crate::checkpoint::inventory::SHARED;

const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
// Of the embedding.
const END_OF_SEQUENCE_ROW: usize = 2;

/// All elements of a tensor, row-major in native shape.
pub(super) fn elements(spec: &TensorSpec, salt: u64) -> Vec<f32> {
    let seed = seed(&spec.name, salt);
    let count = spec.shape.iter().product::<usize>() as u64;
    if spec.shape.len() == 1 && spec.name.ends_with(".weight") {
        let gain = |i| 1.0 + (2 * (hash(seed, i) >> 60) as i32 - 15) as f32 / 128.0;
        return (0..count).map(gain).collect();
    }
    let step = (exponent(spec) - 8) as f32;
    let step = step.exp2();
    let mut elements: Vec<f32> =
        (0..count).map(|i| (2 * (hash(seed, i) >> 56) as i32 - 255) as f32 * step).collect();
    if spec.name == SHARED
        && let Some(row) = spec.shape.get(1).and_then(|&columns| {
            elements.get_mut(END_OF_SEQUENCE_ROW * columns..(END_OF_SEQUENCE_ROW + 1) * columns)
        })
    {
        row.iter_mut().for_each(|value| *value *= 2.0);
    }
    elements
}

fn seed(name: &str, salt: u64) -> u64 {
    let step = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
    name.bytes().chain(salt.to_le_bytes()).fold(0xCBF2_9CE4_8422_2325, step)
}

fn hash(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add((index + 1).wrapping_mul(GOLDEN_RATIO));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn exponent(spec: &TensorSpec) -> i32 {
    if spec.shape.len() == 1 {
        return -3;
    }
    if spec.name.ends_with("_embeddings.weight") {
        return 0;
    }
    let inputs = spec.shape.iter().skip(1).product::<usize>() as f64;
    let mut exponent = 8;
    while 4f64.powi(exponent) * inputs > 6.0 * gain_squared(&spec.name) {
        exponent -= 1;
    }
    exponent
}

fn gain_squared(name: &str) -> f64 {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if name.contains(".conv1.") || name.contains(".conv2.") {
        0.0625
    } else if ends(&[".qkv.weight", "encoder_attn.out_proj.weight"]) {
        0.25
    } else if ends(&["shared.weight", "encoder_attn.q_proj.weight", "encoder_attn.k_proj.weight"]) {
        4.0
    } else if ends(&["self_attn.out_proj.weight"]) || (name.contains(".layers.") && ends(&["fc2.weight"])) {
        0.0625
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, shape: &[usize]) -> TensorSpec {
        TensorSpec { name: name.to_owned(), shape: shape.to_vec() }
    }

    #[test]
    fn the_elements_are_those_of_the_python_definition() {
        // Printed by `python tests/reference/synthetic.py`.
        let vectors: &[(&str, &[usize], u64, &[f32])] = VECTORS;
        for (name, shape, salt, expected) in vectors {
            let elements = elements(&spec(name, shape), *salt);
            assert_eq!(&elements[elements.len() - expected.len()..], *expected, "{name}");
        }
    }

    include!("hash_vectors.rs");

    #[test]
    fn every_element_survives_half_precision_of_either_kind() {
        for (name, shape) in [
            (SHARED, &[100, 768][..]),
            ("model.vision_tower.convs.0.norm.weight", &[128]),
            ("model.language_model.encoder.layers.0.fc1.bias", &[3072]),
            ("model.vision_tower.blocks.3.0.channel_block.ffn.fc2.weight", &[20, 8192]),
        ] {
            for value in elements(&spec(name, shape), 7) {
                assert_eq!(half::f16::from_f32(value).to_f32(), value, "{name}");
                assert_eq!(half::bf16::from_f32(value).to_f32(), value, "{name}");
            }
        }
    }
}
