"""Trains the bundled Florence-2 from nothing, or goes on from where it stopped.

    python train.py --out DIR [--processes 2]

What a plain training does not learn in hours on two cores, three stages do:
  1. The vision tower alone, on crowded pictures, with a throw-away head that reads from each image token what stands in
     its cell, in the decoder's own words. It learns shapes by the number of objects seen.
  2. The language model alone, on the tokens of pictures that the tower has looked at once: three times as many
     questions in the same time. Scenes of one object first, then two, then all.
  3. Everything together, on new pictures.
Coordinates have soft targets (a Gaussian over neighbouring bins that narrows to one bin), and location embeddings start
as smooth sinusoids. One process a core, each with its share of the batch, the gradients averaged after every step: on
two cores that is half as fast again as one process with two threads. The state (weights, optimiser, picture count) is
saved every few minutes; the same command goes on from it.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from PIL import Image
from tokenizers import Tokenizer
from transformers import Florence2Config, Florence2ForConditionalGeneration, GenerationConfig

from language import PROMPTS, ask
from scenes import COLOURS, KINDS, WORDS, area, draw, lesson, random_scene

SIZE = 192
CELLS = 6
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
# How often each task is asked, after the first question, which is always object-detection or a caption, and the second,
# which is always for a phrase.
WEIGHTS = {
    "caption": 1.0,
    "detailed-caption": 0.7,
    "object-detection": 1.5,
    "dense-region-caption": 0.8,
    "region-proposal": 0.4,
    "phrase-grounding": 0.9,
    "open-vocabulary-detection": 2.0,
    "region-to-category": 0.8,
    "region-to-description": 0.7,
    "ocr": 0.7,
}
QUESTIONS = 4
# The questions of a batch go through the language model in this many parts, sorted by length: less padding.
PARTS = 2


def config(vocabulary: int) -> Florence2Config:
    """Florence-2 in small: the proportions of the real one, widths 32 to 192."""
    return Florence2Config(
        text_config=dict(
            model_type="bart",
            vocab_size=math.ceil(vocabulary / 64) * 64,
            d_model=192,
            encoder_layers=2,
            decoder_layers=3,
            encoder_attention_heads=3,
            decoder_attention_heads=3,
            encoder_ffn_dim=768,
            decoder_ffn_dim=768,
            max_position_embeddings=256,
            dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            bos_token_id=0,
            pad_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=2,
            forced_bos_token_id=0,
            forced_eos_token_id=2,
        ),
        vision_config=dict(
            embed_dim=[32, 64, 128, 192],
            num_heads=[1, 2, 4, 6],
            num_groups=[1, 2, 4, 6],
            depths=[1, 1, 2, 1],
            window_size=12,
            projection_dim=192,
            drop_path_rate=0.0,
            max_position_embeddings=50,
            max_temporal_embeddings=100,
        ),
        image_token_id=vocabulary - 1,
    )


def pixel_values(picture: Image.Image) -> np.ndarray:
    resized = np.asarray(picture.resize((SIZE, SIZE), Image.BICUBIC), np.uint8)
    return ((resized.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)


class Drawn:
    """New pictures each time, with the truth of each cell of the map and, if `asked`, questions and answers."""

    def __init__(self, tokenizer: Tokenizer, asked: bool):
        self.tokenizer, self.asked = tokenizer, asked

    def make(self, first: int, count: int):
        """`count` pictures from number `first`; the number is the seed."""
        pictures, cells, questions = [], [], []
        for i in range(count):
            rng = np.random.default_rng([1, first + i])
            scene = lesson(rng, 5, 0 if rng.random() < 0.06 else 1) if self.asked else random_scene(rng, 7, 3)
            pictures.append(pixel_values(draw(scene, rng)))
            cells.append(cell_truth(scene))
            if self.asked:
                questions += asked_about(scene, i, rng, self.tokenizer)
        return torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack(cells)), in_parts(questions)


class Stored:
    """Pictures that a trained vision tower has looked at once: their tokens, to be asked about again and again."""

    def __init__(self, model, tokenizer: Tokenizer, first: int, count: int):
        self.tokenizer = tokenizer
        self.scenes, tokens = [], []
        for begin in range(first, first + count, 16):
            pictures = []
            for number in range(begin, begin + 16):
                rng = np.random.default_rng([1, number])
                scene = lesson(rng, [1, 2, 5, 5][number % 4], 0 if rng.random() < 0.06 else 1)
                self.scenes.append(scene)
                pictures.append(pixel_values(draw(scene, rng)))
            with torch.no_grad():
                tokens.append(image_tokens(model, torch.from_numpy(np.stack(pictures)).to(model.device)).half())
        self.tokens = torch.cat(tokens)
        self.up_to = {most: [i for i, s in enumerate(self.scenes) if len(s.things) <= most] for most in (1, 2, 5)}

    def make(self, first: int, count: int, most: int):
        """Questions about `count` of the pictures with at most `most` objects, by the seed `first`."""
        rng = np.random.default_rng([2**20, first])
        chosen = rng.choice(self.up_to[most], count)
        questions = []
        for i, index in enumerate(chosen):
            questions += asked_about(self.scenes[index], i, rng, self.tokenizer)
        return self.tokens[torch.from_numpy(chosen)].float(), in_parts(questions)


def asked_about(scene, owner: int, rng: np.random.Generator, tokenizer: Tokenizer):
    """Some questions about a scene: the ids of the prompt and of the answer, and whose they are."""
    first = ["object-detection", "caption", "dense-region-caption"][rng.choice(3, p=[0.5, 0.3, 0.2])]
    names, weights = zip(*((n, w) for n, w in WEIGHTS.items() if n != first))
    rest = rng.choice(names, len(names), replace=False, p=np.array(weights) / sum(weights))
    asked = [a for name in [first, "open-vocabulary-detection", *rest] if (a := ask(name, scene, rng)) is not None][:QUESTIONS]
    return [(tokenizer.encode(p).ids, [2, *tokenizer.encode(a).ids], owner) for p, a in asked]


def in_parts(questions):
    """Prompts, answers and owners, padded, in parts of like length."""
    questions.sort(key=lambda q: (len(q[1]), len(q[0])))
    size = max(math.ceil(len(questions) / PARTS), 1)
    parts = []
    for start in range(0, len(questions), size):
        prompts, answers, owners = zip(*questions[start : start + size])
        parts.append((padded(prompts), padded(answers), torch.tensor(owners)))
    return parts


def padded(rows: list[list[int]]) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [1] * (longest - len(row)) for row in rows])


def cell_truth(scene) -> np.ndarray:
    """[CELLS*CELLS, 7] of what a cell's middle lies in: kind + 1 (0 is nothing), colour, the box as fractions, word + 1."""
    truth = np.zeros((CELLS, CELLS, 7), np.float32)
    centres = (np.arange(CELLS) + 0.5) / CELLS
    # The small ones last: they have the fewest cells.
    things = sorted(scene.things, key=lambda t: -area(t.visible_box()))
    for only_middle in (False, True):
        for thing in things:
            x1, y1, x2, y2 = thing.visible_box()
            row = [KINDS.index(thing.kind) + 1, list(COLOURS).index(thing.colour), x1, y1, x2, y2]
            row.append(WORDS.index(thing.word) + 1 if thing.word else 0)
            if only_middle:
                x, y = (min(int(v / 2 * CELLS), CELLS - 1) for v in (x1 + x2, y1 + y2))
                truth[y, x] = row
            else:
                inside = np.outer((y1 < centres) & (centres < y2), (x1 < centres) & (centres < x2))
                truth[inside] = row
    return truth.reshape(-1, 7)


class CellHead(torch.nn.Module):
    """Reads from each image token what stands in its cell; thrown away after training.

    It reads with the decoder's own words: six directions of the token (kind, colour, four edges) are compared with the
    embeddings of the words and locations that will be said about it. What the tower has learnt so is ready for the
    decoder's attention to copy.
    """

    def __init__(self, width: int, tokenizer: Tokenizer):
        super().__init__()
        self.directions = torch.nn.Linear(width, 6 * width)
        self.nothing = torch.nn.Parameter(torch.zeros(width))
        # Words on boxes are several tokens each: here they are classes, 0 for a box without one.
        self.written = torch.nn.Linear(width, len(WORDS) + 1)
        # At the beginning of an answer a word has no space before it.
        ids = [[tokenizer.encode(form + w, add_special_tokens=False).ids for form in ("", " ")] for w in [*KINDS, *COLOURS]]
        assert all(len(form) == 1 for word in ids for form in word)
        self.words = torch.tensor(ids).squeeze(-1)
        self.first = tokenizer.token_to_id("<loc_0>")

    def loss(self, tokens: torch.Tensor, truth: torch.Tensor, table: torch.Tensor, sigma: float) -> torch.Tensor:
        seen = self.directions(tokens).unflatten(-1, (6, -1))
        seen = F.layer_norm(seen.float(), seen.shape[-1:])
        words = table[self.words.to(table.device)].sum(1)
        kinds = torch.cat([self.nothing[None], words[: len(KINDS)]])
        weight = torch.ones(len(KINDS) + 1, device=tokens.device)
        weight[0] = 0.25
        total = F.cross_entropy((seen[:, :, 0] @ kinds.T).flatten(0, 1).float(), truth[..., 0].long().flatten(), weight)
        there = truth[..., 0] > 0
        if there.any():
            colour = (seen[:, :, 1][there] @ words[len(KINDS) :].T).float()
            total = total + F.cross_entropy(colour, truth[..., 1][there].long())
            scores = F.log_softmax((seen[:, :, 2:][there] @ table[self.first : self.first + 1000].T).float(), -1)
            wanted = (truth[..., 2:6][there] * 1000).long().clamp(0, 999)
            total = total + location_loss(scores.flatten(0, 1), wanted.flatten(), sigma) / wanted.numel()
        boxes = truth[..., 0] == KINDS.index("box") + 1
        if boxes.any():
            total = total + F.cross_entropy(self.written(tokens[boxes]).float(), truth[..., 6][boxes].long())
        return total


def location_loss(scores: torch.Tensor, wanted: torch.Tensor, sigma: float) -> torch.Tensor:
    """Summed cross-entropy of log-probabilities over the 1000 bins against a Gaussian around the right one."""
    if sigma < 0.3:
        return -scores.gather(1, wanted[:, None]).sum()
    bins = torch.arange(1000, device=wanted.device)
    target = torch.softmax(-((bins[None] - wanted[:, None]).float() ** 2) / (2 * sigma**2), -1)
    return -(target * scores).sum()


def smooth_locations(model, first: int) -> None:
    """Location embeddings start as sinusoids of the bin, so that neighbours are alike."""
    table = model.get_input_embeddings().weight
    width = table.shape[1]
    bins = torch.arange(1000).float()[:, None] / 1000
    octaves = 2 ** (torch.arange(width // 2).float() / (width // 2) * 7)
    waves = torch.cat([torch.sin(bins * octaves * math.pi), torch.cos(bins * octaves * math.pi)], 1)
    with torch.no_grad():
        table[first : first + 1000] = waves * 0.07


def answer_loss(logits, labels, first: int, sigma: float):
    """Cross-entropy; for coordinates against a Gaussian over neighbouring bins."""
    log_probs = F.log_softmax(logits.float(), -1)
    is_location = (labels >= first) & (labels < first + 1000)
    is_text = (labels != 1) & ~is_location
    text = -log_probs[is_text].gather(1, labels[is_text][:, None]).sum()
    wanted = labels[is_location] - first
    scores = log_probs[is_location][:, first : first + 1000]
    location = location_loss(scores, wanted, sigma)
    count = is_text.sum() + is_location.sum()
    error = (scores.argmax(1) - wanted).abs().float().mean() if len(wanted) else torch.zeros(())
    return (text + location) / count, text.item() / max(int(is_text.sum()), 1), error.item()


def save(out: Path, model) -> None:
    """The checkpoint as Belvedere reads it: FP16, native layout, tied weights once."""
    import copy

    half = copy.deepcopy(model).cpu().half()
    half.config.dtype = torch.float16
    # As the real ones have it, but greedy.
    half.generation_config = GenerationConfig(
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
        forced_bos_token_id=0, forced_eos_token_id=2, no_repeat_ngram_size=3, num_beams=1,
    )  # fmt: skip
    half.save_pretrained(out)
    (out / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "do_resize": True,
                "size": {"height": SIZE, "width": SIZE},
                "resample": 3,
                "do_rescale": True,
                "rescale_factor": 1 / 255,
                "do_normalize": True,
                "image_mean": [0.485, 0.456, 0.406],
                "image_std": [0.229, 0.224, 0.225],
                "image_seq_length": CELLS * CELLS + 1,
            },
            indent=2,
        )
        + "\n"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, default=Path(__file__).with_name("tokenizer.json"))
    parser.add_argument("--vision", type=int, default=60_000, help="pictures of the first stage: the vision tower alone")
    parser.add_argument("--language", type=int, default=200_000, help="of the second: the language model on stored tokens")
    parser.add_argument("--simple", type=float, default=0.35, help="share of the second on few objects; 0 to go on with")
    parser.add_argument("--stored", type=int, default=24_000, help="different pictures of the second stage")
    parser.add_argument("--together", type=int, default=60_000, help="of the third: everything, on new pictures")
    parser.add_argument("--batch", type=int, default=32, help="pictures a step, over all processes; twice that in the second")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--processes", type=int, default=2, help="one for each core, a divisor of the batch")
    parser.add_argument("--device", default="cpu", help="cuda: all processes share the GPU and draw on their cores")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this long; the state is saved")
    parser.add_argument("--save-minutes", type=float, default=5)
    return parser.parse_args()


def average_gradients(parameters, processes: int) -> None:
    if processes == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients]).cpu()
    dist.all_reduce(flat)
    flat /= processes
    torch._foreach_copy_(gradients, [v.view_as(g) for v, g in zip(flat.split([g.numel() for g in gradients]), gradients)])


class Stage:
    """One of the three stages: which parameters, which pictures, how coarse, how fast."""

    def __init__(self, name: str, first: int, pictures: int, batch: int, simple: float = 0.0):
        self.name, self.first, self.pictures, self.batch, self.simple = name, first, pictures, batch, simple

    def rate(self, done: float) -> float:
        """Of the full rate: each stage warms up, and cools down for the next."""
        peak, last = {"vision": (1.0, 0.3), "language": (1.0, 0.2), "together": (0.4, 0.01)}[self.name]
        warmth = min(done * self.pictures / min(6000, 0.1 * self.pictures) + 0.02, 1.0)
        return peak * warmth * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))

    def sigma(self, done: float) -> float:
        """In bins. Coarse to fine, and hard at the end: scores are read off these probabilities."""
        if self.name == "vision":
            return 40 * 0.2**done
        if self.name == "language":
            return 8 * 0.25**done
        return 2 * 0.4 ** (done / 0.6) if done < 0.6 else 0.0

    def most(self, done: float) -> int:
        """Objects in a picture of the second stage: one first, then two, then all."""
        return 1 if done < 0.6 * self.simple else 2 if done < self.simple else 5

    def parameters(self, model, head):
        if self.name == "vision":
            vision = [*model.model.vision_tower.parameters(), *model.model.multi_modal_projector.parameters()]
            return [*vision, *head.parameters(), model.get_input_embeddings().weight]
        if self.name == "language":
            return [*model.model.language_model.parameters()]
        return [*model.parameters(), *head.parameters()]


def train(rank: int, args: argparse.Namespace, meeting: str) -> None:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    if args.processes > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=args.processes)
    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    first = tokenizer.token_to_id("<loc_0>")
    # "eager": on CPUs the fused attention's backward pass takes a third of the whole step.
    model = Florence2ForConditionalGeneration._from_config(config(tokenizer.get_vocab_size()), attn_implementation="eager")
    smooth_locations(model, first)
    model, head = model.to(args.device), CellHead(192, tokenizer).to(args.device)
    state_file, seen, optimiser_state = args.out / "state.pt", 0, None
    if state_file.exists():
        state = torch.load(state_file, map_location=args.device)
        model.load_state_dict(state["model"])
        head.load_state_dict(state["head"], strict=False)
        seen, optimiser_state = state["seen"], state["optimiser"]
    if rank == 0:
        print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, from picture {seen}", flush=True)
    started = time.time()
    together = args.vision + args.language
    for stage in (
        Stage("vision", 0, args.vision, args.batch),
        Stage("language", args.vision, args.language, 2 * args.batch, args.simple),
        Stage("together", together, args.together, args.batch),
    ):
        if seen >= stage.first + stage.pictures:
            continue
        seen = run_stage(stage, model, head, tokenizer, first, seen, optimiser_state, rank, args, started)
        optimiser_state = None
        if time.time() - started > 60 * args.minutes:
            return


def run_stage(stage, model, head, tokenizer, first, seen, optimiser_state, rank, args, started) -> int:
    """Trains until the end of the stage or of the time; returns the pictures seen."""
    parameters = [p for p in stage.parameters(model, head) if p.requires_grad]
    decay = [p for p in parameters if p.dim() > 1]
    rest = [p for p in parameters if p.dim() <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}],
        lr=args.rate, betas=(0.9, 0.98), fused=True,
    )  # fmt: skip
    if optimiser_state is not None and seen > stage.first:
        optimiser.load_state_dict(optimiser_state)
    share = stage.batch // args.processes
    drawn, stored = Drawn(tokenizer, stage.name == "together"), None
    model.train()
    if stage.name == "language":
        each = args.stored // args.processes
        stored = Stored(model, tokenizer, stage.first + rank * each, each)
    saved, log = time.time(), []
    while True:
        done = (seen - stage.first) / stage.pictures
        for group in optimiser.param_groups:
            group["lr"] = args.rate * stage.rate(done)
        sigma, begin = stage.sigma(done), seen + rank * share
        text_loss, text, error, cell_loss = torch.zeros(()), 0.0, 0.0, torch.zeros(())
        with torch.autocast(model.device.type, torch.bfloat16):
            if stored is None:
                pictures, cells, parts = drawn.make(begin, share)
                tokens = image_tokens(model, pictures.to(model.device))
                table = model.get_input_embeddings().weight
                cell_loss = head.loss(tokens[:, 1:], cells.to(model.device), table, sigma)
            else:
                tokens, parts = stored.make(begin, share, stage.most(done))
            if parts:
                text_loss, text, error = answers_loss(model, tokens, parts, first, sigma)
        optimiser.zero_grad(set_to_none=True)
        # The tower keeps what it has learnt while everything is trained.
        (text_loss + (1.0 if stage.name == "vision" else 0.3) * cell_loss).backward()
        average_gradients(parameters, args.processes)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        seen += stage.batch
        ended = seen >= stage.first + stage.pictures
        over = torch.tensor(ended or time.time() - started > 60 * args.minutes, dtype=torch.int32)
        if args.processes > 1:
            dist.broadcast(over, 0)
        if rank == 0:
            log.append((text_loss.item(), text, error, cell_loss.item()))
            if len(log) == 50 or over:
                means = np.mean(log, 0)
                row = {"stage": stage.name, "pictures": seen, "minutes": round((time.time() - started) / 60, 1),
                       "loss": round(means[0], 4), "text": round(means[1], 4), "bins_off": round(means[2], 1),
                       "cells": round(means[3], 4), "sigma": round(sigma, 2),
                       "rate": round(args.rate * stage.rate(done), 6)}  # fmt: skip
                log = []
                print(json.dumps(row), flush=True)
                with open(args.out / "curve.jsonl", "a") as curve:
                    curve.write(json.dumps(row) + "\n")
            if over or time.time() - saved > 60 * args.save_minutes:
                saved = time.time()
                state = {"model": model.state_dict(), "head": head.state_dict(), "optimiser": optimiser.state_dict(), "seen": seen}
                state_file = args.out / "state.pt"
                torch.save(state, state_file.with_suffix(".new"))
                state_file.with_suffix(".new").replace(state_file)
                save(args.out / "checkpoint", model)
        if over:
            return seen


def image_tokens(model, pictures: torch.Tensor) -> torch.Tensor:
    with torch.autocast(model.device.type, torch.bfloat16):
        return model.model.get_image_features(pictures.to(memory_format=torch.channels_last)).pooler_output


def answers_loss(model, tokens: torch.Tensor, parts, first: int, sigma: float):
    """The loss of all answers, the loss of their words, and how many bins coordinates are off."""
    device, outputs, wanted = model.device, [], []
    for prompts, answers, owners in ([t.to(device) for t in part] for part in parts):
        images = tokens[owners]
        embedded = torch.cat([images, model.get_input_embeddings()(prompts).to(images.dtype)], 1)
        mask = torch.cat([torch.ones(images.shape[:2], dtype=torch.long, device=device), (prompts != 1).long()], 1)
        hidden = model.model.language_model(
            inputs_embeds=embedded, attention_mask=mask, decoder_input_ids=answers[:, :-1]
        ).last_hidden_state
        labels = answers[:, 1:].clone()
        labels[:, 0] = 1  # the first token is forced
        outputs.append(hidden[labels != 1])
        wanted.append(labels[labels != 1])
    logits = model.lm_head(torch.cat(outputs))
    return answer_loss(logits, torch.cat(wanted), first, sigma)


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.processes == 1:
        return train(0, args, "")
    with tempfile.TemporaryDirectory() as meeting:
        torch.multiprocessing.spawn(train, (args, f"{meeting}/processes"), args.processes)


if __name__ == "__main__":
    assert set(WEIGHTS) == set(PROMPTS)
    main()
