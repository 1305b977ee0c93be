"""Writes text_goldens.json: what the two reference implementations make of seeded token sequences and prompts.

    python make_text_goldens.py --original PATH/processing_florence2.py

Pinned: transformers 5.23.0, torch 2.15.0. The original parser is `processing_florence2.py` of
microsoft/Florence-2-large (state of 2024-11-15 or later, with scores; MIT, Microsoft), which is not part of this
repository. The stored output was made with the copy in the public mirror thomas-roth/Florence-2-large, commit 2ce7cd7.

Each task gets sequences that follow its grammar and sequences that break it. For each the file holds
  ids       the whole sequence, decoder start included
  original  the original parser: regions with float pixels; for <OD> and <DENSE_REGION_CAPTION> with scores of the
            log-probabilities that `log_prob` below gives
  native    transformers' Florence2Processor.post_process_generation: integer pixels
"""

import argparse
import importlib.util
import json
import random
import tempfile
from pathlib import Path

import numpy
import torch
import transformers
from transformers import BartTokenizerFast, CLIPImageProcessor, Florence2Processor

DATA = Path(__file__).resolve().parents[2] / "testdata"
SEED = 20241115
SEQUENCES_PER_FORM = 7
PICTURES = [(640, 480), (1300, 876), (1920, 1080), (333, 777), (1000, 1000)]

LABELS = [
    "car", "door handle", "wheel", "a green car", " person on a ladder ", "café", "中新中", "naïve façade", "Ünïcödé",
    "traffic light", "STOP", "the", "The", "it", "a group", "other objects", "dog", "88", "a, b; c.", "x", "🚲 bike",
]
BROKEN_LABELS = ["a\nb", "\nline", "a<b", " ", "", "<od>", "loc_5>", "a  b", "<and>", "\n"]
SENTENCES = [
    "A green car parked in front of a yellow building.",
    "The image shows a stop sign sitting on the side of a street in Chinatown, New York City.",
    "中新中 88 CUDA FOR ENGINEERS",
    " leading and trailing ",
    "Two cats, 🐈🐈, on a pink blanket.",
]


def log_prob(index: int) -> float:
    """Log-probability of the token after the first with this index; exact in binary32."""
    return -((index * 37) % 101) / 128.0


def added_tokens() -> list[str]:
    """As the original processor adds them."""
    return (
        ["<od>", "</od>", "<ocr>", "</ocr>"]
        + [f"<loc_{bin}>" for bin in range(1000)]
        + ["<cap>", "</cap>", "<ncap>", "</ncap>", "<dcap>", "</dcap>", "<grounding>", "</grounding>"]
        + ["<seg>", "</seg>", "<sep>", "<region_cap>", "</region_cap>"]
        + ["<region_to_desciption>", "</region_to_desciption>", "<proposal>", "</proposal>", "<poly>", "</poly>", "<and>"]
    )


def load_tokenizer():
    with tempfile.TemporaryDirectory() as folder:
        source = DATA / "tokenizer" / "tokenizer.json"
        (Path(folder) / "tokenizer.json").write_bytes(source.read_bytes())
        tokenizer = BartTokenizerFast.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": added_tokens()})
    assert tokenizer.convert_tokens_to_ids("<loc_0>") == 50269 and len(tokenizer) == 51289
    return tokenizer


def load_original(path: Path, tokenizer):
    spec = importlib.util.spec_from_file_location("original", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Florence2PostProcesser(tokenizer=tokenizer)


def load_native(tokenizer, ungrounded):
    """The processor with the parser configuration that its published checkpoints carry."""
    parsers = [
        "ocr", "phrase_grounding", "pure_text", "description_with_bboxes", "description_with_polygons", "polygons",
        "bboxes", "description_with_bboxes_or_polygons",
    ]
    config = {parser: {} for parser in parsers}
    config["phrase_grounding"] = {"banned_grounding_tokens": sorted(ungrounded)}
    tokenizer.image_token = "<image>"
    tokenizer.image_token_id = len(tokenizer)
    images = CLIPImageProcessor()
    images.image_seq_length = 577
    return Florence2Processor(images, tokenizer, post_processor_config=config)


class Sequences:
    def __init__(self, tokenizer, seed):
        self.tokenizer = tokenizer
        self.random = random.Random(seed)
        self.first = tokenizer.convert_tokens_to_ids("<loc_0>")
        self.sep, self.poly, self.poly_end = tokenizer.convert_tokens_to_ids(["<sep>", "<poly>", "</poly>"])

    def words(self, text):
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def label(self):
        return self.words(self.random.choice(LABELS))

    def locations(self, count):
        return [self.first + self.random.randrange(1000) for _ in range(count)]

    def box(self):
        (x1, x2), (y1, y2) = (sorted(self.random.sample(range(1000), 2)) for _ in range(2))
        return [self.first + bin for bin in (x1, y1, x2, y2)]

    def boxes(self, most=3):
        return sum((self.box() for _ in range(self.random.randint(1, most))), [])

    def polygon(self):
        return self.locations(2 * self.random.randint(3, 7))

    def polygons(self):
        ids = self.polygon()
        for _ in range(self.random.randint(0, 2)):
            ids += [self.sep] + self.polygon()
        return ids

    def repeat(self, part):
        return sum((part() for _ in range(self.random.randint(1, 5))), [])

    def valid(self, task):
        """An answer that follows the grammar of its task."""
        if task in ("<OD>", "<DENSE_REGION_CAPTION>", "<CAPTION_TO_PHRASE_GROUNDING>"):
            return self.repeat(lambda: self.label() + self.boxes())
        if task == "<REGION_PROPOSAL>":
            return self.boxes(most=8)
        if task == "<OPEN_VOCABULARY_DETECTION>":
            if self.random.random() < 0.5:
                return self.repeat(lambda: self.label() + self.boxes())
            return self.repeat(lambda: self.label() + self.repeat(lambda: [self.poly, *self.polygons(), self.poly_end]))
        if task in ("<REFERRING_EXPRESSION_SEGMENTATION>", "<REGION_TO_SEGMENTATION>"):
            if self.random.random() < 0.5:
                return self.polygons()
            return self.repeat(lambda: [self.poly, *self.polygons(), self.poly_end])
        if task == "<OCR_WITH_REGION>":
            return self.repeat(lambda: self.label() + self.locations(8))
        if task in ("<REGION_TO_CATEGORY>", "<REGION_TO_DESCRIPTION>", "<REGION_TO_OCR>"):
            return self.label() + (self.box() if self.random.random() < 0.8 else [])
        return self.words(self.random.choice(SENTENCES))

    def broken(self, task):
        """An answer with tokens lost, doubled, moved or made up."""
        ids = self.valid(task)
        strange = [
            lambda: self.words(self.random.choice(BROKEN_LABELS)),
            lambda: self.locations(self.random.randint(1, 9)),
            lambda: [self.random.choice([self.sep, self.poly, self.poly_end])],
            lambda: [self.random.choice([0, 0, 1, 2])] * self.random.randint(1, 3),
            lambda: [self.random.randrange(len(self.tokenizer))],
            lambda: self.label(),
        ]
        for _ in range(self.random.randint(1, 5)):
            at = self.random.randrange(len(ids) + 1)
            if self.random.random() < 0.4:
                del ids[at : at + self.random.randint(1, 3)]
            else:
                ids[at:at] = self.random.choice(strange)()
        return ids


def f32(values):
    """Floats as binary32 in their shortest form."""
    if isinstance(values, list):
        return [f32(value) for value in values]
    return float(str(numpy.float32(values)))


def original_regions(original, task, kind, ids, text, picture):
    if task in ("<OD>", "<DENSE_REGION_CAPTION>"):
        scores = torch.tensor([log_prob(index) for index in range(len(ids) - 1)])
        answer = original(
            sequence=torch.tensor(ids), transition_beam_score=scores, image_size=picture, parse_tasks=kind
        )[kind]
    else:
        answer = original(text=text, image_size=picture, parse_tasks=kind)[kind]
    if kind == "pure_text":
        return {"text": answer.replace("<s>", "").replace("</s>", "")}
    regions = []
    for part in answer:
        if "polygons" in part:
            regions.append({"label": part["cat_name"], "polygons": f32(part["polygons"])})
        elif "quad_box" in part:
            regions.append({"label": part["text"], "quad": f32(part["quad_box"])})
        elif kind == "phrase_grounding":
            regions += [{"label": part["cat_name"], "box": f32(box)} for box in part["bbox"]]
        else:
            region = {"label": part["cat_name"], "box": f32(part["bbox"])}
            if "score" in part:
                region["score"] = f32(part["score"])
            regions.append(region)
    return {"regions": regions}


def native_regions(native, task, text, picture):
    answer = native.post_process_generation(text=text, task=task, image_size=picture)[task]
    if isinstance(answer, str):
        return {"text": answer}
    regions = []
    for shape, shapes, labels in [
        ("quad", "quad_boxes", "labels"),
        ("box", "bboxes", "bboxes_labels" if "bboxes_labels" in answer else "labels"),
        ("polygons", "polygons", "polygons_labels" if "polygons_labels" in answer else "labels"),
    ]:
        if shapes in answer:
            regions += [{"label": label, shape: value} for label, value in zip(answer[labels], answer[shapes], strict=True)]
    return {"regions": regions}


def prompts(native, tokenizer):
    """Prompts as users write them, what transformers makes of them, and their ids."""
    texts = [*native.task_prompts_without_inputs]
    for task in native.task_prompts_with_input:
        if "REGION_TO" in task:
            inputs = ["<loc_1><loc_22><loc_333><loc_999>", " <loc_0><loc_0><loc_999><loc_999> "]
        else:
            inputs = ["a green car", "  two  spaces  around  ", "a cat<and>a dog", "café 中新中 🚲", "<b>", "x" * 40]
        texts += [task + given for given in inputs]
    texts += ["<DocVQA>What is the date?", "<GENERATE_TAGS>", "anything else", "", "héllo <loc_5> <sep>"]
    rendered = [native._construct_prompts(text)[0] for text in texts]
    return [
        {"prompt": text, "text": sentence, "ids": tokenizer(sentence).input_ids}
        for text, sentence in zip(texts, rendered, strict=True)
    ]


def bins():
    """Pixel boxes and their bins, by transformers' own quantiser."""
    post = transformers.models.florence2.processing_florence2.Florence2PostProcessor
    quantize = post.quantize
    chance = random.Random(SEED)
    holder = type("Bins", (), {"quantize_bins": (1000, 1000)})()
    rows = []
    for width, height in PICTURES + [(1, 1), (7, 4001), (20000, 3)]:
        for _ in range(8):
            (x1, x2), (y1, y2) = (
                sorted(f32(chance.choice([chance.random() * size, float(chance.randint(0, size))])) for _ in range(2))
                for size in (width, height)
            )
            found = quantize(holder, torch.tensor([[x1, y1, x2, y2]]), (width, height))[0].tolist()
            rows.append({"picture": [width, height], "box": [x1, y1, x2, y2], "bins": found})
    return rows


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--original", type=Path, required=True)
    arguments = arguments.parse_args()

    tokenizer = load_tokenizer()
    original = load_original(arguments.original, tokenizer)
    native = load_native(tokenizer, original.black_list_of_phrase_grounding)
    sequences = Sequences(tokenizer, SEED)

    answers = []
    for task, kind in native.tasks_answer_post_processing_type.items():
        for form in ["valid", "broken"] * SEQUENCES_PER_FORM:
            ids = [2, 0, *getattr(sequences, form)(task), 2]
            if form == "broken":
                ids += [1] * sequences.random.randint(0, 4)
            picture = sequences.random.choice(PICTURES)
            text = tokenizer.decode(ids, skip_special_tokens=False)
            answers.append({
                "task": task,
                "form": form,
                "picture": picture,
                "ids": ids,
                "decoded": text,
                "original": original_regions(original, task, kind, ids, text, picture),
                "native": native_regions(native, task, text, picture),
            })

    goldens = {
        "transformers": transformers.__version__,
        "torch": torch.__version__.split("+")[0],
        "seed": SEED,
        "prompts": prompts(native, tokenizer),
        "bins": bins(),
        "answers": answers,
    }
    lines = json.dumps(goldens, ensure_ascii=False, separators=(",", ":"))
    (DATA / "text_goldens.json").write_text(lines.replace('{"task"', '\n{"task"').replace('{"prompt"', '\n{"prompt"') + "\n")


main()
