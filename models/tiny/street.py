"""Draws the one street whose meaning the end-to-end tests know: tests/pictures/tiny_street.png.

    python street.py OUT.png
"""

from __future__ import annotations

import sys

import numpy as np

from scenes import Scene, Thing, draw

THINGS = [
    Thing("person", "blue", (0.06, 0.30, 0.17, 0.86)),
    Thing("car", "red", (0.26, 0.52, 0.62, 0.84)),
    Thing("box", "yellow", (0.72, 0.50, 0.95, 0.88), word="MILK"),
]

if __name__ == "__main__":
    scene = Scene(320, 180, THINGS, background_seed=11)
    draw(scene, np.random.default_rng([4, 0]), clean=True).save(sys.argv[1], optimize=True)
