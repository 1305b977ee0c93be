"""Made-up street scenes with exact truth: what the bundled Florence-2 is trained, tested and filmed on.

A scene is a list of objects (a kind, a colour, a box) over a noisy background with clutter. `draw` renders it with
Pillow at twice the size and shrinks it, then blurs, lights and compresses it as a camera would. Everything follows
from a seed: `random_scene(numpy.random.default_rng(seed))`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

KINDS = ["car", "truck", "person", "dog", "ball", "box", "cone", "bicycle"]
COLOURS = {
    "red": (205, 35, 35),
    "green": (35, 150, 55),
    "blue": (40, 75, 205),
    "yellow": (238, 210, 40),
    "orange": (240, 125, 25),
    "purple": (130, 50, 160),
    "white": (240, 240, 240),
    "black": (28, 28, 30),
}
WORDS = ["MAIL", "FOOD", "TOYS", "BOOK", "MILK", "TEA", "SALT", "GLASS", "TOOL", "FIRE", "HELP", "OPEN"]

# Width over height of each kind as drawn, and the share of the picture's height it may take.
ASPECT = {"car": 2.0, "truck": 2.1, "person": 0.42, "dog": 1.35, "ball": 1.0, "box": 1.1, "cone": 0.75, "bicycle": 1.6}
HEIGHT = {
    "car": (0.12, 0.34),
    "truck": (0.18, 0.42),
    "person": (0.26, 0.68),
    "dog": (0.14, 0.36),
    "ball": (0.12, 0.34),
    "box": (0.15, 0.40),
    "cone": (0.17, 0.42),
    "bicycle": (0.18, 0.40),
}
SUPERSAMPLING = 2


@dataclass
class Thing:
    """One object: its kind, colour name, and full box in fractions of the picture (may reach past the edge)."""

    kind: str
    colour: str
    box: tuple[float, float, float, float]
    word: str | None = None
    flipped: bool = False
    shade: float = 1.0

    def visible_box(self) -> tuple[float, float, float, float]:
        """The box cut to the picture."""
        x1, y1, x2, y2 = self.box
        return (max(x1, 0.0), max(y1, 0.0), min(x2, 1.0), min(y2, 1.0))

    def phrase(self) -> str:
        return f"{self.colour} {self.kind}"


@dataclass
class Scene:
    width: int
    height: int
    things: list[Thing] = field(default_factory=list)
    background_seed: int = 0

    def ordered(self) -> list[Thing]:
        """Objects from left to right by the visible box, the order of every answer."""
        return sorted(self.things, key=lambda t: (t.visible_box()[0], t.visible_box()[1]))


def area(box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def overlap(a, b) -> float:
    """Intersection over the smaller area."""
    inter = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    return area(inter) / max(min(area(a), area(b)), 1e-9)


def random_thing(rng: np.random.Generator, aspect: float, kinds: list[str], colours: list[str]) -> Thing:
    """One object at a random place; `aspect` is the picture's width over height."""
    kind = kinds[rng.integers(len(kinds))]
    colour = colours[rng.integers(len(colours))]
    low, high = HEIGHT[kind]
    h = rng.uniform(low, high)
    w = h * ASPECT[kind] * rng.uniform(0.85, 1.15) / aspect
    if w > 0.9:
        h, w = h * 0.9 / w, 0.9
    cut = 0.4 if rng.random() < 0.3 else 0.0
    x = rng.uniform(-cut * w, 1.0 - w + cut * w)
    y = rng.uniform(-cut * 0.5 * h, 1.0 - h + cut * 0.5 * h)
    word = None
    if kind == "box" and h > 0.22 and 0 <= x <= 1 - w and rng.random() < 0.5:
        word = WORDS[rng.integers(len(WORDS))]
    return Thing(kind, colour, (x, y, x + w, y + h), word, bool(rng.random() < 0.5), rng.uniform(0.85, 1.1))


def random_scene(
    rng: np.random.Generator,
    most: int = 5,
    least: int = 0,
    kinds: list[str] = KINDS,
    colours: list[str] = list(COLOURS),
) -> Scene:
    """A scene of `least` to `most` objects. Overlaps stay under 35 % of the smaller object."""
    width = int(rng.integers(200, 330))
    aspect = [1.0, 4 / 3, 16 / 9, 1.5][rng.integers(4)]
    scene = Scene(width, max(int(round(width / aspect)), 120), background_seed=int(rng.integers(2**31)))
    wanted = int(rng.integers(least, most + 1))
    for _ in range(wanted * 12):
        if len(scene.things) == wanted:
            break
        thing = random_thing(rng, scene.width / scene.height, kinds, colours)
        if all(overlap(thing.visible_box(), t.visible_box()) < 0.35 for t in scene.things):
            scene.things.append(thing)
    return scene


def lesson(rng: np.random.Generator, most: int, least: int) -> Scene:
    """A scene to learn from: four in ten are of few kinds in few colours, so that neither alone tells objects apart."""
    if rng.random() < 0.6:
        return random_scene(rng, most, least)
    kinds = [str(k) for k in rng.choice(KINDS, 3, replace=False)]
    if rng.random() < 0.5:
        kinds[0] = "box"
    return random_scene(rng, most, least, kinds, [str(c) for c in rng.choice(list(COLOURS), 3, replace=False)])


def background(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Sky or wall over ground with low-frequency blotches, lines, patches of clutter and grain."""
    top = rng.uniform(60, 215, 3)
    if rng.random() < 0.7:
        top = top.mean() + (top - top.mean()) * 0.35
    bottom = rng.uniform(50, 190) + rng.uniform(-25, 25, 3)
    horizon = rng.uniform(0.15, 0.7)
    ramp = np.clip((np.linspace(0, 1, height) - horizon) * rng.uniform(3, 40) + 0.5, 0, 1)[:, None, None]
    picture = np.broadcast_to(top * (1 - ramp) + bottom * ramp, (height, width, 3)).copy()
    coarse = rng.normal(0, rng.uniform(3, 12), (6, 8, 3)).astype(np.float32)
    blotches = np.stack(
        [np.asarray(Image.fromarray(coarse[..., c]).resize((width, height), Image.BICUBIC)) for c in range(3)], -1
    )
    image = Image.fromarray(np.clip(picture + blotches, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.integers(0, 9)):
        grey = rng.uniform(40, 210)
        colour = tuple(int(v) for v in np.clip(grey + rng.uniform(-22, 22, 3), 0, 255))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        if rng.random() < 0.5:
            pen.line([x, y, x + rng.normal(0, width / 2), y + rng.normal(0, height / 5)], colour, int(rng.integers(1, 5)))
        else:
            w, h = rng.uniform(4, width / 4), rng.uniform(4, height / 5)
            shape = pen.rectangle if rng.random() < 0.6 else pen.ellipse
            shape([x, y, x + w, y + h], fill=colour)
    return image


def tint(colour: str, factor: float) -> tuple[int, int, int]:
    return tuple(int(min(max(v * factor, 0), 255)) for v in COLOURS[colour])


def draw_thing(pen: ImageDraw.ImageDraw, thing: Thing, width: int, height: int) -> None:
    """Draws one object so that it fills its box."""
    x1, y1, x2, y2 = thing.box
    px, py, pw, ph = x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height

    def at(x: float, y: float) -> tuple[float, float]:
        return (px + (1 - x if thing.flipped else x) * pw, py + y * ph)

    def rect(a: float, b: float, c: float, d: float) -> list[float]:
        (ax, ay), (cx, cy) = at(a, b), at(c, d)
        return [min(ax, cx), ay, max(ax, cx), cy]

    main = tint(thing.colour, thing.shade)
    dark = tint(thing.colour, thing.shade * 0.6) if thing.colour != "black" else (70, 70, 74)
    edge = (15, 15, 15) if thing.colour != "black" else (120, 120, 120)
    line = max(int(round(ph * 0.025)), 1)
    glass, rubber, skin = (165, 200, 215), (22, 22, 24), (222, 178, 142)

    if thing.kind == "car":
        pen.polygon([at(0.16, 0.45), at(0.30, 0.0), at(0.68, 0.0), at(0.86, 0.45)], fill=main, outline=edge)
        pen.polygon([at(0.25, 0.42), at(0.34, 0.09), at(0.48, 0.09), at(0.48, 0.42)], fill=glass)
        pen.polygon([at(0.53, 0.42), at(0.53, 0.09), at(0.65, 0.09), at(0.76, 0.42)], fill=glass)
        pen.rounded_rectangle(rect(0.0, 0.38, 1.0, 0.82), ph * 0.1, fill=main, outline=edge, width=line)
        for x in (0.12, 0.68):
            pen.ellipse(rect(x, 0.6, x + 0.2, 1.0), fill=rubber)
            pen.ellipse(rect(x + 0.06, 0.72, x + 0.14, 0.88), fill=(150, 150, 150))
    elif thing.kind == "truck":
        pen.rectangle(rect(0.0, 0.0, 0.66, 0.8), fill=main, outline=edge, width=line)
        for x in (0.2, 0.42):
            pen.line([at(x, 0.03), at(x, 0.77)], fill=dark, width=line)
        pen.polygon([at(0.68, 0.82), at(0.68, 0.22), at(0.88, 0.22), at(1.0, 0.5), at(1.0, 0.82)], fill=main, outline=edge)
        pen.polygon([at(0.74, 0.5), at(0.74, 0.29), at(0.86, 0.29), at(0.94, 0.5)], fill=glass)
        for x in (0.07, 0.3, 0.76):
            pen.ellipse(rect(x, 0.7, x + 0.145, 1.0), fill=rubber)
    elif thing.kind == "person":
        pen.ellipse(rect(0.3, 0.0, 0.7, 0.19), fill=skin, outline=edge)
        pen.rounded_rectangle(rect(0.2, 0.2, 0.8, 0.58), pw * 0.12, fill=main, outline=edge, width=line)
        pen.polygon([at(0.2, 0.23), at(0.0, 0.52), at(0.1, 0.57), at(0.3, 0.34)], fill=main, outline=edge)
        pen.polygon([at(0.8, 0.23), at(1.0, 0.52), at(0.9, 0.57), at(0.7, 0.34)], fill=main, outline=edge)
        pen.polygon([at(0.24, 0.57), at(0.5, 0.57), at(0.42, 1.0), at(0.18, 1.0)], fill=(52, 56, 74))
        pen.polygon([at(0.5, 0.57), at(0.76, 0.57), at(0.82, 1.0), at(0.58, 1.0)], fill=(52, 56, 74))
    elif thing.kind == "dog":
        pen.ellipse(rect(0.1, 0.28, 0.76, 0.72), fill=main, outline=edge)
        pen.line([at(0.14, 0.42), at(0.0, 0.16)], fill=main, width=max(int(ph * 0.08), 2))
        for x in (0.16, 0.28, 0.54, 0.66):
            pen.rectangle(rect(x, 0.6, x + 0.08, 1.0), fill=main)
        pen.ellipse(rect(0.62, 0.06, 0.92, 0.46), fill=main, outline=edge)
        pen.rectangle(rect(0.84, 0.24, 1.0, 0.4), fill=main)
        pen.polygon([at(0.64, 0.14), at(0.68, 0.0), at(0.76, 0.1)], fill=dark)
        pen.ellipse(rect(0.8, 0.18, 0.84, 0.24), fill=edge)
    elif thing.kind == "ball":
        pen.ellipse(rect(0.0, 0.0, 1.0, 1.0), fill=main, outline=edge, width=line)
        pen.ellipse(rect(0.3, 0.02, 0.7, 0.98), outline=dark, width=2 * line)
    elif thing.kind == "box":
        pen.rectangle(rect(0.0, 0.0, 1.0, 1.0), fill=main, outline=edge, width=2 * line)
        pen.rectangle(rect(0.0, 0.0, 1.0, 0.16), fill=dark, outline=edge, width=line)
        if thing.word:
            label = [px + 0.06 * pw, py + 0.32 * ph, px + 0.94 * pw, py + 0.82 * ph]
            pen.rectangle(label, fill=(250, 250, 245), outline=edge)
            size = 0.42 * ph
            font = ImageFont.load_default(size)
            while font.getlength(thing.word) > 0.82 * pw and size > 6:
                size *= 0.92
                font = ImageFont.load_default(size)
            pen.text((px + pw / 2, py + 0.57 * ph), thing.word, fill=(10, 10, 10), font=font, anchor="mm")
    elif thing.kind == "cone":
        pen.rectangle(rect(0.0, 0.88, 1.0, 1.0), fill=dark, outline=edge)
        pen.polygon([at(0.42, 0.0), at(0.58, 0.0), at(0.86, 0.88), at(0.14, 0.88)], fill=main, outline=edge)
        band = (245, 245, 245) if thing.colour != "white" else (170, 170, 170)
        pen.polygon([at(0.33, 0.36), at(0.67, 0.36), at(0.745, 0.58), at(0.255, 0.58)], fill=band)
    elif thing.kind == "bicycle":
        stroke = max(int(ph * 0.06), 2)
        for x in (0.0, 0.6):
            pen.ellipse(rect(x, 0.42, x + 0.4, 1.0), outline=rubber, width=max(int(ph * 0.05), 2))
        frame = [at(0.2, 0.71), at(0.45, 0.71), at(0.7, 0.3), at(0.34, 0.3), at(0.2, 0.71)]
        pen.line(frame, fill=main, width=stroke, joint="curve")
        pen.line([at(0.45, 0.71), at(0.31, 0.17)], fill=main, width=stroke)
        pen.line([at(0.8, 0.71), at(0.67, 0.06)], fill=main, width=stroke)
        pen.line([at(0.24, 0.15), at(0.4, 0.15)], fill=edge, width=stroke)
        pen.line([at(0.62, 0.04), at(0.8, 0.1)], fill=edge, width=stroke)
    else:
        raise ValueError(f"no drawing for {thing.kind}")


def draw(scene: Scene, rng: np.random.Generator, clean: bool = False) -> Image.Image:
    """The scene as an RGB picture of its own size; `clean` leaves the camera's faults out."""
    s = SUPERSAMPLING
    canvas = background(np.random.default_rng(scene.background_seed), scene.width, scene.height)
    canvas = canvas.resize((scene.width * s, scene.height * s), Image.NEAREST)
    pen = ImageDraw.Draw(canvas)
    for thing in scene.things:
        draw_thing(pen, thing, scene.width * s, scene.height * s)
    picture = canvas.reduce(s)
    return picture if clean else as_camera_sees(picture, rng)


def as_camera_sees(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightness, contrast, blur, grain and compression."""
    if rng.random() < 0.7:
        picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.65, 1.25))
    if rng.random() < 0.4:
        picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.75, 1.2))
    if rng.random() < 0.35:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.3)))
    if rng.random() < 0.6:
        noisy = np.asarray(picture, np.float32)
        noisy = noisy + rng.standard_normal(noisy.shape, np.float32) * np.float32(rng.uniform(1, 9))
        picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    if rng.random() < 0.6:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(35, 92)))
        picture = Image.open(buffer).convert("RGB")
    return picture
