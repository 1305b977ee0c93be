"""The synthetic weights of `models/src/synthetic`, bit for bit, and transformers models made from them.

See models/src/synthetic/hash.rs for the definition; this file must follow it.
"""

import numpy as np

MASK = (1 << 64) - 1
CHUNK = 1 << 22


def seed_of(name: str, salt: int) -> int:
    """FNV-1a, 64 bits, of the name's bytes and then the salt's eight (little-endian)."""
    state = 0xCBF29CE484222325
    for byte in name.encode() + salt.to_bytes(8, "little"):
        state = ((state ^ byte) * 0x100000001B3) & MASK
    return state


def hashes(seed: int, indices: np.ndarray) -> np.ndarray:
    """splitmix64's output function at seed + (index + 1) * golden ratio; one u64 an element."""
    z = (indices + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def gain_squared(name: str) -> float:
    if ".conv1." in name or ".conv2." in name:
        return 0.0625
    if name.endswith(".qkv.weight"):
        return 0.25
    if name.endswith(("shared.weight", "encoder_attn.q_proj.weight", "encoder_attn.k_proj.weight")):
        return 4.0
    if name.endswith("encoder_attn.out_proj.weight"):
        return 0.25
    if name.endswith("self_attn.out_proj.weight") or (".layers." in name and name.endswith("fc2.weight")):
        return 0.0625
    return 1.0


def exponent(name: str, shape) -> int:
    """The power of two that the weights stay below."""
    if name.endswith("_embeddings.weight"):
        return 0
    fan_in = int(np.prod(shape[1:]))
    e = 8
    while 4.0**e * fan_in > 6.0 * gain_squared(name):
        e -= 1
    return e


def tensor(name: str, shape, salt: int = 0) -> np.ndarray:
    """The synthetic tensor of this native name, float32."""
    size = int(np.prod(shape))
    out = np.empty(size, np.float32)
    seed = seed_of(name, salt)
    for start in range(0, size, CHUNK):
        index = np.arange(start, min(start + CHUNK, size), dtype=np.uint64)
        if len(shape) == 1 and name.endswith(".weight"):
            odd = (hashes(seed, index) >> np.uint64(60)).astype(np.float32) * 2 - 15
            values = 1 + odd * np.float32(2.0**-7)
        else:
            scale = 2.0 ** (-3 if len(shape) == 1 else exponent(name, shape))
            odd = (hashes(seed, index) >> np.uint64(56)).astype(np.float32) * 2 - 255
            values = odd * np.float32(scale / 256)
            if name.endswith("shared.weight"):
                row = index // np.uint64(shape[1])
                values[row == 2] *= 2
        out[start : start + len(index)] = values
    return out.reshape(shape)


# (name, shape, salt, how many elements from the end) of the vectors that the Rust test compares.
VECTORS = [
    ("model.language_model.shared.weight", (3, 64), 0, 4),
    ("model.language_model.shared.weight", (5, 64), 3, 4),
    ("model.vision_tower.convs.0.norm.weight", (128,), 0, 4),
    ("model.vision_tower.convs.0.conv.weight", (128, 3, 7, 7), 0, 4),
    ("model.vision_tower.blocks.0.0.spatial_block.conv1.weight", (128, 1, 3, 3), 0, 4),
    ("model.vision_tower.blocks.0.0.spatial_block.window_attn.qkv.weight", (384, 128), 1, 4),
    ("model.language_model.decoder.layers.0.encoder_attn.q_proj.weight", (768, 768), 0, 4),
    ("model.language_model.encoder.layers.0.self_attn.out_proj.weight", (768, 768), 0, 4),
    ("model.language_model.decoder.layers.0.encoder_attn.out_proj.weight", (768, 768), 0, 4),
    ("model.language_model.decoder.layers.0.fc2.weight", (768, 3072), 0, 4),
    ("model.vision_tower.blocks.0.0.spatial_block.ffn.fc2.weight", (128, 512), 0, 4),
    ("model.language_model.encoder.layers.0.fc1.bias", (3072,), 2**63 + 1, 4),
    ("model.multi_modal_projector.image_position_embed.row_embeddings.weight", (50, 64), 0, 4),
]

if __name__ == "__main__":
    print("// Written by tests/reference/synthetic.py: name, shape, salt, last elements.")
    print("#[rustfmt::skip]\n#[allow(clippy::excessive_precision)]")
    print("const VECTORS: &[(&str, &[usize], u64, &[f32])] = &[")
    for name, shape, salt, count in VECTORS:
        values = ", ".join(str(float(value)) for value in tensor(name, shape, salt).reshape(-1)[-count:])
        print(f'    ("{name}", &{list(shape)}, {salt}, &[{values}]),')
    print("];")
