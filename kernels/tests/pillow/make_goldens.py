#!/usr/bin/env python3
"""Writes goldens.tsv: what Pillow makes of generated pictures. Pillow 13.0.0 and numpy are needed.

    python3 make_goldens.py            writes goldens.tsv beside this file
    python3 make_goldens.py --check    fails unless the installed Pillow still gives what the file holds

A picture is made from its kind, its size and nothing else, by the integer hash below; tests/pillow.rs makes the
same one. A line is: kind, width, height, target width, target height, SHA-256 of the resized RGB bytes.
"""

import hashlib
import pathlib
import sys

import numpy as np
import PIL
from PIL import Image

PILLOW = "13.0.0"
GOLDENS = pathlib.Path(__file__).with_name("goldens.tsv")

# Source and target sizes: down, up, mixed, unchanged axes, both sides of the rule that picks the first pass,
# one pixel, and extremes.
SIZES = [
    (1920, 1080, 768, 768),
    (1080, 1920, 768, 768),
    (1280, 720, 768, 768),
    (640, 480, 768, 768),
    (704, 576, 768, 768),
    (353, 289, 384, 384),
    (64, 48, 200, 150),
    (31, 17, 97, 101),
    (500, 40, 64, 96),
    (40, 500, 96, 64),
    (768, 768, 768, 768),
    (768, 500, 768, 384),
    (500, 768, 384, 768),
    (33, 768, 64, 768),
    (100, 150, 90, 130),
    (100, 151, 90, 130),
    (40, 45, 44, 44),
    (41, 80, 20, 38),
    (41, 81, 20, 38),
    (1, 1, 768, 768),
    (1, 1, 1, 1),
    (2, 3, 1, 1),
    (3, 2, 5, 1),
    (1, 97, 33, 5),
    (97, 1, 5, 33),
    (20000, 3, 768, 768),
    (3, 20000, 768, 768),
    (4097, 2, 1, 2),
    (17, 15, 16, 16),
    (15, 17, 16, 15),
]
KINDS = ["noise", "blocks"]


def scrambled(index: np.ndarray) -> np.ndarray:
    """A 32-bit hash of each 32-bit index."""
    x = index.astype(np.uint32)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def picture(kind: str, width: int, height: int) -> np.ndarray:
    """noise: every byte is the top byte of the hash of its index + 1.
    blocks: squares of 5x5 pixels, each channel 0 or 255 by the lowest bit of the hash of
    (block row * 65536 + block column) * 3 + channel + 1; they make the filter overshoot on both sides."""
    if kind == "noise":
        index = np.arange(width * height * 3, dtype=np.uint32) + np.uint32(1)
        return (scrambled(index) >> np.uint32(24)).astype(np.uint8).reshape(height, width, 3)
    y, x, channel = np.ogrid[:height, :width, :3]
    index = ((y // 5) * 65536 + x // 5) * 3 + channel + 1
    return ((scrambled(index) & np.uint32(1)) * np.uint32(255)).astype(np.uint8)


def lines() -> str:
    text = f"# Pillow {PIL.__version__}, Image.resize(size, Image.Resampling.BICUBIC); see make_goldens.py\n"
    for kind in KINDS:
        for width, height, target_width, target_height in SIZES:
            image = Image.fromarray(picture(kind, width, height))
            resized = image.resize((target_width, target_height), Image.Resampling.BICUBIC)
            digest = hashlib.sha256(resized.tobytes()).hexdigest()
            text += f"{kind}\t{width}\t{height}\t{target_width}\t{target_height}\t{digest}\n"
    return text


def main() -> None:
    if PIL.__version__ != PILLOW:
        sys.exit(f"Pillow {PIL.__version__} is installed, the goldens are those of Pillow {PILLOW}")
    if sys.argv[1:] == ["--check"]:
        if GOLDENS.read_text() != lines():
            sys.exit(f"{GOLDENS} differs from what Pillow {PILLOW} gives here")
        print(f"{len(KINDS) * len(SIZES)} resizes are as Pillow {PILLOW} makes them")
    else:
        GOLDENS.write_text(lines())


main()
