#!/usr/bin/env python3
"""Writes levels.f32: what transformers 5.23.0 makes of the 256 levels of each channel.

transformers.image_transforms.rescale and .normalize, the functions of its numpy image processors, with Florence-2's
numbers, on a picture [3, 1, 256] of uint8. The file is [3, 256] little-endian float32.
"""

import pathlib

import numpy as np
import transformers
from transformers.image_transforms import normalize, rescale
from transformers.image_utils import ChannelDimension

assert transformers.__version__ == "5.23.0", transformers.__version__
first = ChannelDimension.FIRST
picture = np.tile(np.arange(256, dtype=np.uint8), (3, 1, 1))
values = rescale(picture, 0.00392156862745098, input_data_format=first)
values = normalize(values, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], input_data_format=first)
assert values.dtype == np.float32 and values.shape == (3, 1, 256)
pathlib.Path(__file__).with_name("levels.f32").write_bytes(values.astype("<f4").tobytes())
