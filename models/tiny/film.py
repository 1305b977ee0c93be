"""Draws the demonstration's film and writes what is in each of its frames.

    python film.py OUT_DIR        # demo.mp4 and demo.json; needs ffmpeg with libx264

One fixed camera, 40 s, 15 frames a second. Objects come in at one side, cross, sometimes stop, and leave; nobody is
there for two seconds. Time is a circle: the last frame goes on in the first, so that the film can be shown in a loop.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from scenes import ASPECT, HEIGHT, SUPERSAMPLING, Thing, area, background, draw_thing, overlap

WIDTH, HEIGHT_PX, FPS, SECONDS = 640, 360, 15, 40
FRAMES = FPS * SECONDS
SEED = [3, 8]
# Who is on: colour, kind and the word on it, if any.
CAST = [
    ("red", "car", None), ("blue", "person", None), ("yellow", "truck", None), ("green", "dog", None),
    ("white", "box", "MILK"), ("purple", "bicycle", None), ("red", "car", None), ("orange", "cone", None),
    ("red", "person", None), ("black", "car", None), ("green", "ball", None), ("yellow", "person", None),
    ("white", "dog", None), ("blue", "truck", None), ("orange", "ball", None), ("purple", "person", None),
    ("red", "car", None), ("black", "bicycle", None), ("yellow", "box", "HELP"), ("blue", "cone", None),
]  # fmt: skip
# Seconds in which nobody is there.
EMPTY = (19.0, 21.0)
MOST = 4


@dataclass
class Actor:
    """One object on its way: in at one side at second `start`, out at the other."""

    thing: Thing
    width: float
    height: float
    top: float
    rightwards: bool
    start: float
    speed: float
    stop_at: float | None
    stop_seconds: float

    def box(self, second: float) -> tuple[float, float, float, float] | None:
        """The box at a second of the film in fractions of the picture; None while it is away."""
        elapsed = (second - self.start) % SECONDS
        way = elapsed * self.speed
        if self.stop_at is not None:
            way = way if way < self.stop_at else max(self.stop_at, way - self.stop_seconds * self.speed)
        if way > 1 + self.width:
            return None
        left = way - self.width if self.rightwards else 1 - way
        steps = 0.0
        if self.thing.kind in ("person", "dog", "ball"):
            steps = 0.008 * abs(np.sin(2 * np.pi * 1.1 * elapsed))
        return (left, self.top - steps, left + self.width, self.top + self.height - steps)

    def present(self, second: float) -> Thing | None:
        box = self.box(second)
        if box is None or visible_share(box) <= 0:
            return None
        return Thing(self.thing.kind, self.thing.colour, box, self.thing.word, not self.rightwards, self.thing.shade)


def visible_share(box) -> float:
    inside = (max(box[0], 0), max(box[1], 0), min(box[2], 1), min(box[3], 1))
    return area(inside) / area(box)


def random_actor(rng: np.random.Generator, colour: str, kind: str, word: str | None) -> Actor:
    low, high = HEIGHT[kind]
    height = rng.uniform(low + 0.2 * (high - low), high)
    width = height * ASPECT[kind] * HEIGHT_PX / WIDTH
    return Actor(
        Thing(kind, colour, (0, 0, 0, 0), word, shade=rng.uniform(0.92, 1.05)),
        width,
        height,
        rng.uniform(max(0.45, height + 0.03), 0.98) - height,
        bool(rng.random() < 0.5),
        rng.uniform(0, SECONDS),
        rng.uniform(0.11, 0.2),
        rng.uniform(0.35, 0.7) + width / 2 if rng.random() < 0.35 else None,
        rng.uniform(1.5, 3.5),
    )


def fits(candidate: Actor, others: list[Actor]) -> bool:
    """Few at a time, little overlap, and nobody in the empty seconds."""
    for frame in range(0, FRAMES, 3):
        second = frame / FPS
        thing = candidate.present(second)
        if thing is None:
            continue
        if EMPTY[0] <= second <= EMPTY[1]:
            return False
        there = [t for other in others if (t := other.present(second)) is not None]
        if len(there) >= MOST or any(overlap(thing.visible_box(), t.visible_box()) > 0.3 for t in there):
            return False
    return True


def cast(rng: np.random.Generator) -> list[Actor]:
    actors: list[Actor] = []
    for colour, kind, word in CAST:
        for _ in range(2000):
            candidate = random_actor(rng, colour, kind, word)
            if fits(candidate, actors):
                actors.append(candidate)
                break
    return actors


def frames(actors: list[Actor], rng: np.random.Generator):
    """Each frame as RGB bytes with its truth."""
    half = background(rng, WIDTH // 2, HEIGHT_PX // 2)
    street = half.resize((WIDTH * SUPERSAMPLING, HEIGHT_PX * SUPERSAMPLING), Image.BICUBIC)
    scale = np.array([WIDTH, HEIGHT_PX, WIDTH, HEIGHT_PX])
    for frame in range(FRAMES):
        second = frame / FPS
        canvas = street.copy()
        pen = ImageDraw.Draw(canvas)
        truth = []
        for number, actor in enumerate(actors):
            if (thing := actor.present(second)) is None:
                continue
            draw_thing(pen, thing, canvas.width, canvas.height)
            box = [round(float(v), 1) for v in np.array(thing.visible_box()) * scale]
            truth.append({"id": number, "kind": thing.kind, "colour": thing.colour, "box": box,
                          "visible": round(visible_share(thing.box), 3)})  # fmt: skip
        picture = canvas.reduce(SUPERSAMPLING).filter(ImageFilter.GaussianBlur(0.5))
        daylight = 0.95 + 0.08 * np.sin(2 * np.pi * second / SECONDS)
        noisy = np.asarray(ImageEnhance.Brightness(picture).enhance(daylight), np.float32)
        noisy = noisy + rng.standard_normal(noisy.shape, np.float32) * np.float32(2.0)
        truth.sort(key=lambda t: (t["box"][0], t["box"][1]))
        yield np.clip(noisy, 0, 255).astype(np.uint8).tobytes(), truth


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    actors = cast(rng)
    # No B frames and a key frame each second: what a camera sends, and what a client can join soon.
    encoder = subprocess.Popen(
        ["ffmpeg", "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT_PX}", "-r", str(FPS),
         "-i", "-", "-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p", "-colorspace", "bt709",
         "-color_primaries", "bt709", "-color_trc", "bt709", "-c:v", "libx264", "-preset", "slow", "-threads", "1",
         "-crf", "23", "-bf", "0", "-g", str(FPS), "-sc_threshold", "0", "-movflags", "+faststart", str(out / "demo.mp4")],
        stdin=subprocess.PIPE,
    )  # fmt: skip
    truths = []
    for pixels, truth in frames(actors, rng):
        encoder.stdin.write(pixels)
        truths.append(truth)
    encoder.stdin.close()
    if encoder.wait() != 0:
        raise SystemExit("ffmpeg failed")
    rows = ",\n".join(json.dumps(truth, separators=(",", ":")) for truth in truths)
    head = f'{{"width":{WIDTH},"height":{HEIGHT_PX},"fps":{FPS},"frames":[\n'
    (out / "demo.json").write_text(head + rows + "\n]}\n")
    present = [len(truth) for truth in truths]
    print(f"{len(actors)} of {len(CAST)} objects, {np.mean(present):.1f} at a time, at most {max(present)}, "
          f"{sum(n == 0 for n in present)} empty frames, {(out / 'demo.mp4').stat().st_size} bytes")  # fmt: skip


if __name__ == "__main__":
    main()
