"""Trains the bundled Florence-2 from nothing, or goes on from where it stopped.

    python train.py --out DIR --pictures 400000 [--threads 2]

Every picture is new (a scene from its own seed) and is asked several questions, so that one pass of the vision tower
teaches several answers. What makes it learn in hours on two cores:
  * a throw-away head on the image tokens that predicts what stands in each cell of the map, fading out;
  * scenes of one object first, then two, then all;
  * coordinates with soft targets (a Gaussian over neighbouring bins that narrows to one bin), and location embeddings
    that start as smooth sinusoids.
The state (weights, optimiser, picture count) is saved every few minutes; the same command goes on from it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from tokenizers import Tokenizer
from transformers import Florence2Config, Florence2ForConditionalGeneration

from language import PROMPTS, ask
from scenes import COLOURS, KINDS, draw, random_scene

SIZE = 192
CELLS = 6
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
# How often each task is asked, after the first question, which is always object-detection or a caption.
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


class Scenes(torch.utils.data.IterableDataset):
    """Endless pictures with questions, answers, and the truth of each cell of the map."""

    def __init__(self, tokenizer_file: str, first: int, batch: int, curriculum: tuple[int, int]):
        self.tokenizer_file, self.first, self.batch, self.curriculum = tokenizer_file, first, batch, curriculum

    def __iter__(self):
        tokenizer = Tokenizer.from_file(self.tokenizer_file)
        info = torch.utils.data.get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        number = self.first // self.batch + worker
        while True:
            yield self.make(number, tokenizer)
            number += workers

    def make(self, number: int, tokenizer: Tokenizer):
        seen = number * self.batch
        most = 1 if seen < self.curriculum[0] else 2 if seen < self.curriculum[1] else 5
        pictures, cells, prompts, answers = [], [], [], []
        for i in range(self.batch):
            rng = np.random.default_rng([1, seen + i])
            scene = random_scene(rng, most, 0 if rng.random() < 0.06 else 1)
            pictures.append(pixel_values(draw(scene, rng)))
            cells.append(cell_truth(scene))
            first = ["object-detection", "caption", "dense-region-caption"][rng.choice(3, p=[0.5, 0.3, 0.2])]
            names, weights = zip(*((n, w) for n, w in WEIGHTS.items() if n != first))
            rest = rng.choice(names, len(names), replace=False, p=np.array(weights) / sum(weights))
            asked = [a for name in [first, *rest] if (a := ask(name, scene, rng)) is not None][:QUESTIONS]
            prompts += [tokenizer.encode(p).ids for p, _ in asked]
            answers += [[2, *tokenizer.encode(a).ids] for _, a in asked]
        return torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack(cells)), padded(prompts), padded(answers)


def padded(rows: list[list[int]]) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [1] * (longest - len(row)) for row in rows])


def cell_truth(scene) -> np.ndarray:
    """[CELLS*CELLS, 6]: kind + 1 (0 is nothing), colour, and the box as fractions."""
    truth = np.zeros((CELLS, CELLS, 6), np.float32)
    for thing in sorted(scene.things, key=lambda t: (t.box[2] - t.box[0]) * (t.box[3] - t.box[1])):
        x1, y1, x2, y2 = thing.visible_box()
        x, y = min(int((x1 + x2) / 2 * CELLS), CELLS - 1), min(int((y1 + y2) / 2 * CELLS), CELLS - 1)
        truth[y, x] = [KINDS.index(thing.kind) + 1, list(COLOURS).index(thing.colour), x1, y1, x2, y2]
    return truth.reshape(-1, 6)


class CellHead(torch.nn.Module):
    """Predicts what stands in each cell from its image token; thrown away after training."""

    def __init__(self, width: int):
        super().__init__()
        self.hidden = torch.nn.Linear(width, 256)
        self.out = torch.nn.Linear(256, len(KINDS) + 1 + len(COLOURS) + 4)

    def loss(self, tokens: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        kind, colour, box = self.out(F.gelu(self.hidden(tokens))).split([len(KINDS) + 1, len(COLOURS), 4], -1)
        there = truth[..., 0] > 0
        weight = torch.ones(len(KINDS) + 1)
        weight[0] = 0.25
        total = F.cross_entropy(kind.flatten(0, 1).float(), truth[..., 0].long().flatten(), weight)
        if there.any():
            total = total + F.cross_entropy(colour[there].float(), truth[..., 1][there].long())
            total = total + 10 * F.smooth_l1_loss(box[there].float(), truth[..., 2:][there], beta=0.05)
        return total


def smooth_locations(model, first: int) -> None:
    """Location embeddings start as sinusoids of the bin, so that neighbours are alike."""
    table = model.get_input_embeddings().weight
    width = table.shape[1]
    bins = torch.arange(1000).float()[:, None] / 1000
    octaves = 2 ** (torch.arange(width // 2).float() / (width // 2) * 7)
    waves = torch.cat([torch.sin(bins * octaves * math.pi), torch.cos(bins * octaves * math.pi)], 1)
    with torch.no_grad():
        table[first : first + 1000] = waves * table[4:500].std() * 1.4


def answer_loss(logits, labels, first: int, sigma: float):
    """Cross-entropy; for coordinates against a Gaussian over neighbouring bins."""
    log_probs = F.log_softmax(logits.float(), -1)
    is_location = (labels >= first) & (labels < first + 1000)
    is_text = (labels != 1) & ~is_location
    text = -log_probs[is_text].gather(1, labels[is_text][:, None]).sum()
    wanted = labels[is_location] - first
    scores = log_probs[is_location][:, first : first + 1000]
    if sigma < 0.3:
        location = -scores.gather(1, wanted[:, None]).sum()
    else:
        target = torch.softmax(-((torch.arange(1000)[None] - wanted[:, None]).float() ** 2) / (2 * sigma**2), -1)
        location = -(target * scores).sum()
    count = is_text.sum() + is_location.sum()
    error = (scores.argmax(1) - wanted).abs().float().mean() if len(wanted) else torch.zeros(())
    return (text + location) / count, text.item() / max(int(is_text.sum()), 1), error.item()


def save(out: Path, model) -> None:
    """The checkpoint as Belvedere reads it: FP16, native layout, tied weights once."""
    import copy

    half = copy.deepcopy(model).half()
    half.config.dtype = torch.float16
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, default=Path(__file__).with_name("tokenizer.json"))
    parser.add_argument("--pictures", type=int, default=400_000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this long; the state is saved")
    parser.add_argument("--save-minutes", type=float, default=5)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    torch.set_num_threads(args.threads)
    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    first = tokenizer.token_to_id("<loc_0>")
    model = Florence2ForConditionalGeneration(config(tokenizer.get_vocab_size()))
    smooth_locations(model, first)
    head = CellHead(192)
    parameters = [*model.parameters(), *head.parameters()]
    decay = [p for p in parameters if p.dim() > 1]
    rest = [p for p in parameters if p.dim() <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}],
        lr=args.rate, betas=(0.9, 0.98), fused=True,
    )  # fmt: skip
    state_file, seen = args.out / "state.pt", 0
    if state_file.exists():
        state = torch.load(state_file)
        model.load_state_dict(state["model"])
        head.load_state_dict(state["head"])
        optimiser.load_state_dict(state["optimiser"])
        seen = state["seen"]
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, from picture {seen}", flush=True)
    curriculum = (int(0.06 * args.pictures), int(0.14 * args.pictures))
    data = torch.utils.data.DataLoader(
        Scenes(str(args.tokenizer), seen, args.batch, curriculum),
        batch_size=None, num_workers=args.workers, prefetch_factor=6,
    )  # fmt: skip
    language, started, saved, log = model.model.language_model, time.time(), time.time(), []
    model.train()
    for pictures, cells, prompts, answers in data:
        done = seen / args.pictures
        rate = args.rate * min(seen / 8000 + 0.02, 1.0) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
        for group in optimiser.param_groups:
            group["lr"] = rate
        sigma = max(6 * (1 - done / 0.85), 0.0)
        with torch.autocast("cpu", torch.bfloat16):
            seen_tokens = model.model.get_image_features(pictures.to(memory_format=torch.channels_last)).pooler_output
            cell_loss = head.loss(seen_tokens[:, 1:], cells)
            images = seen_tokens.repeat_interleave(len(prompts) // len(pictures), 0)
            embedded = torch.cat([images, model.get_input_embeddings()(prompts).to(images.dtype)], 1)
            mask = torch.cat([torch.ones(images.shape[:2], dtype=torch.long), (prompts != 1).long()], 1)
            hidden = language(
                inputs_embeds=embedded, attention_mask=mask, decoder_input_ids=answers[:, :-1]
            ).last_hidden_state
            labels = answers[:, 1:].clone()
            labels[:, 0] = 1  # the first token is forced
            wanted = labels != 1
            logits = model.lm_head(hidden[wanted])
        text_loss, text, error = answer_loss(logits, labels[wanted], first, sigma)
        head_weight = max(1 - done / 0.7, 0.0)
        loss = text_loss + head_weight * cell_loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        seen += len(pictures)
        log.append((text_loss.item(), text, error, cell_loss.item()))
        if seen % (args.batch * 50) == 0:
            means = np.mean(log[-50:], 0)
            row = {"pictures": seen, "minutes": round((time.time() - started) / 60, 1), "loss": round(means[0], 4),
                   "text": round(means[1], 4), "bins_off": round(means[2], 1), "cells": round(means[3], 4),
                   "sigma": round(sigma, 2), "rate": round(rate, 6)}  # fmt: skip
            print(json.dumps(row), flush=True)
            with open(args.out / "curve.jsonl", "a") as curve:
                curve.write(json.dumps(row) + "\n")
        over = seen >= args.pictures or time.time() - started > 60 * args.minutes
        if over or time.time() - saved > 60 * args.save_minutes:
            saved = time.time()
            state = {"model": model.state_dict(), "head": head.state_dict(), "optimiser": optimiser.state_dict(), "seen": seen}
            torch.save(state, state_file.with_suffix(".new"))
            state_file.with_suffix(".new").replace(state_file)
            save(args.out / "checkpoint", model)
        if over:
            return


if __name__ == "__main__":
    assert set(WEIGHTS) == set(PROMPTS)
    main()
