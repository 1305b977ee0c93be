"""What is asked about a scene and what the right answer is: the real Florence-2 prompts, and its answer grammar.

Boxes are location tokens of 1000 bins an axis (the rule of Florence-2's BoxQuantizer). Objects are named from left to right.
"""

from __future__ import annotations

import numpy as np

from scenes import COLOURS, KINDS, WORDS, Scene, Thing

PROMPTS = {
    "caption": "What does the image describe?",
    "detailed-caption": "Describe in detail what is shown in the image.",
    "object-detection": "Locate the objects with category name in the image.",
    "dense-region-caption": "Locate the objects in the image, with their descriptions.",
    "region-proposal": "Locate the region proposals in the image.",
    "phrase-grounding": "Locate the phrases in the caption: {input}",
    "open-vocabulary-detection": "Locate {input} in the image.",
    "region-to-category": "What is the region {input}?",
    "region-to-description": "What does the region {input} describe?",
    "ocr": "What is the text in the image?",
}
NUMBERS = ["no", "one", "two", "three", "four", "five"]
PLURALS = {"person": "people", "box": "boxes"}
# Share of open-vocabulary questions about a thing that is not there, answered with nothing.
ABSENT_SHARE = 0.15
# Of these, how many share the colour or the kind with something that is there.
LIKENESS_SHARE = 0.6
# How many pictures without a word are asked for their text.
WORDLESS_SHARE = 0.1


def plural(kind: str) -> str:
    return PLURALS.get(kind, kind + "s")


def location_bin(fraction: float) -> int:
    return min(max(int(np.floor(fraction * 1000)), 0), 999)


def location(fraction: float) -> str:
    return f"<loc_{location_bin(fraction)}>"


def box_text(thing: Thing) -> str:
    return "".join(location(v) for v in thing.visible_box())


def grouped(things: list[Thing]) -> str:
    """`red car, two blue balls and green dog`: equal things are counted, in order of the first."""
    counts: dict[tuple[str, str], int] = {}
    for thing in things:
        key = (thing.colour, thing.kind)
        counts[key] = counts.get(key, 0) + 1
    names = [f"{c} {k}" if n == 1 else f"{NUMBERS[n]} {c} {plural(k)}" for (c, k), n in counts.items()]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def caption(scene: Scene) -> str:
    things = scene.ordered()
    return grouped(things) if things else "an empty street"


def detailed_caption(scene: Scene) -> str:
    things = scene.ordered()
    if not things:
        return "The street is empty."
    sides: dict[str, list[Thing]] = {"left": [], "middle": [], "right": []}
    for thing in things:
        x1, _, x2, _ = thing.visible_box()
        centre = (x1 + x2) / 2
        sides["left" if centre < 1 / 3 else "middle" if centre < 2 / 3 else "right"].append(thing)
    count = "one object" if len(things) == 1 else f"{NUMBERS[len(things)]} objects"
    parts = [f"{side}: {grouped(found)}" for side, found in sides.items() if found]
    return f"There are {count}. ".replace("There are one", "There is one") + "; ".join(parts) + "."


def matching(scene: Scene, colour: str | None, kind: str) -> list[Thing]:
    return [t for t in scene.ordered() if t.kind == kind and colour in (None, t.colour)]


def phrase_with(article: int, colour: str | None, kind: str) -> str:
    """`red car`, `a red car` or `the red car` for article 0, 1 or 2."""
    name = kind if colour is None else f"{colour} {kind}"
    return ["", "an " if name[0] in "aeiou" else "a ", "the "][article] + name


def phrase_for(thing_colour: str | None, kind: str, rng: np.random.Generator) -> str:
    return phrase_with(rng.integers(3), thing_colour, kind)


def ask(task: str, scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """The prompt and the right answer, or None where the task has no question about this scene."""
    things = scene.ordered()
    template = PROMPTS[task]
    if task == "caption":
        return template, caption(scene)
    if task == "detailed-caption":
        return template, detailed_caption(scene)
    if task == "object-detection":
        return template, "".join(t.kind + box_text(t) for t in things)
    if task == "dense-region-caption":
        return template, "".join(t.phrase() + box_text(t) for t in things)
    if task == "region-proposal":
        return template, "".join(box_text(t) for t in things)
    if task == "ocr":
        words = [t.word for t in things if t.word]
        return (template, " ".join(words)) if words or rng.random() < WORDLESS_SHARE else None
    if task == "open-vocabulary-detection":
        coloured = rng.random() < 0.7
        if rng.random() < ABSENT_SHARE or not things:
            alike = coloured and things and rng.random() < LIKENESS_SHARE
            for _ in range(20):
                kind = KINDS[rng.integers(len(KINDS))]
                colour = list(COLOURS)[rng.integers(len(COLOURS))] if coloured else None
                if alike:
                    other = things[rng.integers(len(things))]
                    kind, colour = (kind, other.colour) if rng.random() < 0.5 else (other.kind, colour)
                if not matching(scene, colour, kind):
                    return template.format(input=phrase_for(colour, kind, rng)), ""
            return None
        wanted = things[rng.integers(len(things))]
        colour = wanted.colour if coloured else None
        phrase = phrase_for(colour, wanted.kind, rng)
        found = matching(scene, colour, wanted.kind)
        return template.format(input=phrase), phrase + "".join(box_text(t) for t in found)
    if not things:
        return None
    if task == "phrase-grounding":
        names = list(dict.fromkeys(t.phrase() for t in things))
        rng.shuffle(names)
        names = names[: 1 + rng.integers(len(names))]
        sentence = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
        answer = ""
        for name in names:
            colour, kind = name.split()
            answer += name + "".join(box_text(t) for t in matching(scene, colour, kind))
        return template.format(input=sentence), answer
    thing = things[rng.integers(len(things))]
    question = template.format(input=box_text(thing))
    if task == "region-to-category":
        return question, thing.kind + box_text(thing)
    if task == "region-to-description":
        return question, thing.phrase() + box_text(thing)
    raise ValueError(f"unknown task {task}")


# The prompts of the tasks that this checkpoint does not learn, and words that people put into phrases: the tokenizer
# knows them, so that any question is short, also one that the model cannot answer.
OTHER_PROMPTS = [
    "Describe with a paragraph what is shown in the image.",
    "Locate the referred object in the image with mask: segmentation of polygons.",
    "What is the polygon mask of region",
    "What text is in the region",
    "What is the text in the image, with regions?",
]
OTHER_WORDS = """above animal bag beside bench behind bird bottle bridge brown building bus camera cat chair child clear closed
cloud cup door driving entering fence fire flower front gate glass grey hand hat helmet horse house jacket ladder large leaving
light lying man motorcycle near next night number open package parcel parked pink plant plate pool rain road roof running shirt
shop sign sitting sky small smoke snow standing stop table traffic tree umbrella under van vehicle walking wall water wearing
window with woman""".split()


def corpus() -> list[str]:
    """Sentences that the tokenizer is trained on: every prompt with typical input, and captions."""
    from scenes import random_scene

    lines = OTHER_PROMPTS * 20 + [f"{a} {b}" for a in OTHER_WORDS for b in OTHER_WORDS]
    for seed in range(3000):
        rng = np.random.default_rng([7, seed])
        scene = random_scene(rng)
        for task in PROMPTS:
            if (asked := ask(task, scene, rng)) is not None:
                lines += [part.split("<loc_")[0] for part in asked]
                lines.append(" ".join(WORDS))
    return lines
