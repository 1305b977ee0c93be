#!/usr/bin/env python3
"""Writes the RGB that FFmpeg's swscale makes of a generated I420 picture, one file for each colorimetry.

Made with ffmpeg 5.1.9 (Debian 12). The flags choose what Belvedere defines: each chroma sample colours its whole
2x2 block (neighbor), and the arithmetic is exact (accurate_rnd, full_chroma_int, bitexact). swscale still rounds
once more than necessary, so a level in some hundred differs by 1.

Byte i of the picture (all of Y, then U, then V) is 16 + (hash(i + 1) >> 8) % n, n = 220 for luma and 225 for chroma:
the limited range, beyond which swscale overflows. The hash is that of ../pillow/make_goldens.py.
"""

import pathlib
import subprocess

WIDTH, HEIGHT = 32, 24
MASK = 0xFFFFFFFF


def scrambled(x: int) -> int:
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & MASK
    return x ^ (x >> 16)


luma = WIDTH * HEIGHT
picture = bytes(16 + (scrambled(i + 1) >> 8) % (220 if i < luma else 225) for i in range(luma * 3 // 2))
for matrix in ["bt601", "bt709"]:
    for name, swscale_range in [("limited", "tv"), ("full", "pc")]:
        scale = (
            f"scale=in_color_matrix={matrix}:in_range={swscale_range}:out_range=pc"
            ":flags=neighbor+accurate_rnd+full_chroma_int+bitexact"
        )
        command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}"]
        command += ["-i", "-", "-vf", scale, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
        rgb = subprocess.run(command, input=picture, stdout=subprocess.PIPE, check=True).stdout
        assert len(rgb) == luma * 3
        pathlib.Path(__file__).with_name(f"{matrix}_{name}.rgb").write_bytes(rgb)
