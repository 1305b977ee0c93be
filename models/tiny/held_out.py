"""Draws scenes that training never sees, with questions and what is true of them.

    python held_out.py OUT_DIR --scenes 500 [--seed-family 2]

Scene n follows from the seed [family, n]; training draws from family 1, the film from 3. OUT_DIR/scene-0000.png and so
on hold the pictures without loss, OUT_DIR/scenes.json what is true and asked. Needs numpy and Pillow only.
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path

import numpy as np
import PIL

from language import PROMPTS, box_text, location_bin, matching, phrase_with
from scenes import Scene, Thing, draw, random_scene

# Mostly without an article, as people write what they look for. Training asks with all three forms.
BARE_SHARE = 0.9
COLOURED_SHARE = 0.7


def pixels(box, scene: Scene) -> list[float]:
    return [round(float(v) * side, 3) for v, side in zip(box, [scene.width, scene.height] * 2)]


def present_phrase(scene: Scene, rng: np.random.Generator) -> dict:
    """Asks for something that is there: the phrase, and the boxes of all that it names."""
    wanted = scene.ordered()[rng.integers(len(scene.things))]
    colour = wanted.colour if rng.random() < COLOURED_SHARE else None
    article = 0 if rng.random() < BARE_SHARE else int(rng.integers(1, 3))
    found = matching(scene, colour, wanted.kind)
    phrase = phrase_with(article, colour, wanted.kind)
    prompt = PROMPTS["open-vocabulary-detection"].format(input=phrase)
    return {"prompt": prompt, "phrase": phrase, "boxes": [pixels(t.visible_box(), scene) for t in found]}


def region(scene: Scene, rng: np.random.Generator) -> dict:
    """Asks for the kind of what is in a box. The corners are the middles of their bins: no rounding can move them to others."""
    thing = scene.ordered()[rng.integers(len(scene.things))]
    middles = [(location_bin(v) + 0.5) / 1000 for v in thing.visible_box()]
    prompt = PROMPTS["region-to-category"].format(input=box_text(thing))
    return {"prompt": prompt, "box": pixels(middles, scene), "kind": thing.kind}


def questions(scene: Scene, rng: np.random.Generator) -> dict:
    """The prompts word for word, by task; what an empty scene cannot be asked is left out."""
    asked = {task: {"prompt": PROMPTS[task]} for task in ("object-detection", "caption")}
    if scene.things:
        asked["open-vocabulary-detection"] = present_phrase(scene, rng)
        asked["region-to-category"] = region(scene, rng)
    return asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scenes", type=int, required=True)
    parser.add_argument("--seed-family", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    scenes = []
    for n in range(args.scenes):
        rng = np.random.default_rng([args.seed_family, n])
        scene = random_scene(rng)
        picture = draw(scene, rng)
        name = f"scene-{n:04}.png"
        # Read once more and never kept, so the quickest compression.
        picture.save(args.out / name, compress_level=1)
        things = scene.ordered()
        objects = [{"kind": t.kind, "colour": t.colour, "box": pixels(t.visible_box(), scene)} for t in things]
        scenes.append({
            "picture": name, "width": scene.width, "height": scene.height, "crc32": zlib.crc32(picture.tobytes()),
            "objects": objects, "named": sorted({(t.colour, t.kind) for t in things}), "questions": questions(scene, rng),
        })  # fmt: skip
    made_with = {"pillow": PIL.__version__, "numpy": np.__version__}
    head = json.dumps({"seed_family": args.seed_family, "made_with": made_with})
    lines = ",\n".join(json.dumps(scene) for scene in scenes)
    (args.out / "scenes.json").write_text(f'{head[:-1]}, "scenes": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
