"""Writes testdata/goldens.json and testdata/pictures: what transformers generates with synthetic weights.

    python make_goldens.py              all shapes
    python make_goldens.py tiny ...       only these, the others stay as they are in the file

Pinned: transformers 5.23.0, torch 2.15.0, Pillow; float32, eager attention, one prompt at a time. The format is
described in testdata/GOLDENS.md.

The reference is Florence2ForConditionalGeneration.generate with the published generation settings. Vocabulary columns
from 51289 up (padding rows of native checkpoints) are minus infinity before the softmax. The picture is resized by
Pillow and normalised in the reference processor's order of float operations.
"""

import copy
import json
import platform
import sys
import time
from pathlib import Path

import numpy as np
import PIL
import torch
import transformers
from PIL import Image, ImageDraw
from transformers import Florence2Config, Florence2ForConditionalGeneration, LogitsProcessor, LogitsProcessorList

import synthetic

DATA = Path(__file__).resolve().parents[2] / "testdata"
GOLDENS = DATA / "goldens.json"
TOKENIZER_ROWS = 51289
IMAGE_TOKEN = 51289
# Added to the logits of a second beam search: twenty times what float32 rounding moves them by.
PERTURBATION = 2e-5
# So often is each beam search made again with it.
DRAWS = 3

PICTURES = {"street.png": (320, 240), "tower.png": (150, 260), "banner.png": (400, 90)}


def shape(name, channels, depth, width, layers, vocabulary, positions, image_size, layout, dtype, tokens, salt=0):
    groups = [c // 32 for c in channels]
    return dict(
        name=name, image_size=image_size, layout=layout, dtype=dtype, salt=salt, max_new_tokens=tokens,
        vision=dict(embed_dim=channels, num_heads=groups, num_groups=groups, depths=[1, 1, depth, 1],
                    projection_dim=width),
        text=dict(d_model=width, encoder_layers=layers, decoder_layers=layers, encoder_attention_heads=width // 64,
                  decoder_attention_heads=width // 64, encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width,
                  vocab_size=vocabulary, max_position_embeddings=positions),
    )


# Base has 9 blocks in the third stage and 6 + 6 text layers, large 12 + 12 and twice the tower's width.
# 224, 320 and 480x352 pixels leave maps that the windows do not divide.
SHAPES = [
    shape("tiny", [32, 64, 96, 128], 1, 64, 2, 51289, 1024, [224, 224], "original", "F16", 20),
    shape("base-768", [32, 64, 128, 256], 9, 192, 6, 51289, 1024, [768, 768], "original", "F16", 20),
    shape("base-384-native", [32, 64, 128, 256], 9, 192, 6, 51328, 1024, [384, 384], "native", "BF16", 20),
    shape("base-320-native", [32, 64, 128, 256], 9, 192, 6, 51328, 1024, [320, 320], "native", "F16", 30),
    shape("large-384", [64, 128, 256, 512], 9, 256, 12, 51289, 4096, [384, 384], "original", "F32", 20),
    shape("large-480x352-native", [64, 128, 256, 512], 9, 256, 12, 51328, 1024, [480, 352], "native", "F32", 20),
]


def draw_pictures():
    """Three small pictures of different proportions; drawn with whole numbers only."""
    folder = DATA / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, (width, height)) in enumerate(PICTURES.items()):
        y, x = np.mgrid[0:height, 0:width]
        ground = np.stack([(x * 3 + y * number) % 256, (y * 2 + 40 * number) % 256, (x + y) // 2 % 256], axis=-1)
        image = Image.fromarray(ground.astype(np.uint8))
        draw = ImageDraw.Draw(image)
        step = 23 + 7 * number
        for k in range(6):
            left, top = (k * step * 2) % width, (k * step + 11 * number) % height
            colour = ((k * 70 + 30) % 256, (200 - k * 33) % 256, (number * 90 + k * 20) % 256)
            if (k + number) % 2:
                draw.rectangle([left, top, left + step, top + step * 2], fill=colour)
            else:
                draw.ellipse([left, top, left + step * 2, top + step], fill=colour)
        image.save(folder / name, optimize=True)


def pixel_values(path, width, height):
    image = Image.open(path).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    x = (np.asarray(image).astype(np.float64) * (1 / 255)).astype(np.float32)
    x = (x - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))[None]


def make_config(shape):
    # A row for <image>, which the original layout has not; rows of the hash do not depend on how many there are.
    text = dict(shape["text"], model_type="bart", scale_embedding=False, vocab_size=51328)
    return Florence2Config(vision_config=shape["vision"], text_config=text, image_token_id=IMAGE_TOKEN)


def make_model(shape):
    model = Florence2ForConditionalGeneration(make_config(shape)).eval().float()
    shared = "model.language_model.shared.weight"
    state = {}
    for name, value in model.state_dict().items():
        if name.endswith("pos_idx_to_embed"):
            continue
        source = shared if "embed_tokens" in name or name == "lm_head.weight" else name
        state[name] = torch.from_numpy(synthetic.tensor(source, tuple(value.shape), shape["salt"]))
    # strict would ask for the cosine table, which the model makes itself.
    model.load_state_dict(state, strict=False)

    def cut(_module, _inputs, logits):
        logits[..., TOKENIZER_ROWS:] = -torch.inf
        return logits

    model.lm_head.register_forward_hook(cut)
    return model


class EncodedOnce(torch.nn.Module):
    """The vision tower, run once for each picture instead of once for each prompt."""

    def __init__(self, tower):
        super().__init__()
        self.tower, self.pixels, self.output = tower, None, None

    def forward(self, pixel_values, **arguments):
        if self.pixels is None or not torch.equal(self.pixels, pixel_values):
            self.pixels, self.output = pixel_values, self.tower(pixel_values, **arguments)
        return copy.copy(self.output)


class Perturb(LogitsProcessor):
    def __init__(self, salt):
        self.salt, self.step = salt, 0

    def __call__(self, input_ids, scores):
        self.step += 1
        noise = torch.randn(scores.shape, generator=torch.Generator().manual_seed(self.salt * 1000 + self.step))
        return scores + PERTURBATION * noise


def generate(model, ids, pixels, beams, tokens, processors=()):
    return model.generate(
        input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), max_new_tokens=tokens,
        num_beams=beams, do_sample=False, early_stopping=beams > 1, length_penalty=1.0, no_repeat_ngram_size=3,
        forced_bos_token_id=0, forced_eos_token_id=2, return_dict_in_generate=True, output_scores=True,
        logits_processor=LogitsProcessorList(processors),
    )


def transition_scores(model, out, beams):
    indices = out.beam_indices if beams > 1 else None
    scores = model.compute_transition_scores(out.sequences, out.scores, indices, normalize_logits=beams == 1)[0]
    length = len(out.sequences[0]) - 1
    return [round(float(score), 5) + 0.0 for score in scores[:length]]


def margin(out):
    """The least distance of first and second choice over all free steps of a greedy run."""
    tops = [scores[0].topk(2).values for scores in out.scores]
    gaps = [float(a - b) for a, b in tops if torch.isfinite(b)]
    return round(min(gaps, default=99.0), 6)


def checksums(features):
    features = features[0]
    tokens, width = features.shape
    samples = []
    for k in range(16):
        row, column = k * 37 % tokens, (k * 101 + 5) % width
        samples.append([row, column, round(float(features[row, column]), 6)])
    return dict(mean_abs=round(float(features.abs().mean()), 6), samples=samples)


def run_shape(shape, prompts):
    model = make_model(shape)
    model.model.vision_tower = EncodedOnce(model.model.vision_tower)
    width, height = shape["image_size"]
    pictures = []
    for picture_number, picture in enumerate(PICTURES):
        pixels = pixel_values(DATA / "pictures" / picture, width, height)
        with torch.no_grad():
            features = model.model.get_image_features(pixels).pooler_output
        image_tokens = features.shape[1]
        runs = []
        for number, (task, prompt) in enumerate(prompts.items()):
            ids = torch.tensor([[IMAGE_TOKEN] * image_tokens + prompt])
            run = dict(task=task, prompt_ids=prompt)
            for key, beams in (("greedy", 1), ("beams", 3)):
                out = generate(model, ids, pixels, beams, shape["max_new_tokens"])
                run[key] = dict(ids=out.sequences[0].tolist(), log_probs=transition_scores(model, out, beams))
                if beams == 1:
                    run[key]["margin"] = margin(out)
                else:
                    noises = [Perturb(1 + number + 100 * picture_number + 10000 * draw) for draw in range(DRAWS)]
                    again = [generate(model, ids, pixels, beams, shape["max_new_tokens"], [noise]) for noise in noises]
                    run[key]["stable"] = all(torch.equal(one.sequences, out.sequences) for one in again)
            runs.append(run)
        pictures.append(dict(picture=picture, features=checksums(features), runs=runs))
    return dict(
        name=shape["name"], image_size=shape["image_size"], layout=shape["layout"], dtype=shape["dtype"],
        salt=shape["salt"], max_new_tokens=shape["max_new_tokens"], config=native_config(shape), pictures=pictures,
    )


def native_config(shape):
    """config.json in native spelling: what is not a default of both layouts."""
    return dict(
        model_type="florence2", image_token_id=IMAGE_TOKEN,
        vision_config=dict(
            shape["vision"], model_type="florence_vision", window_size=12, mlp_ratio=4.0, patch_size=[7, 3, 3, 3],
            patch_stride=[4, 2, 2, 2], patch_padding=[3, 1, 1, 1], patch_prenorm=[False, True, True, True],
            max_position_embeddings=50, max_temporal_embeddings=100),
        text_config=dict(shape["text"], model_type="bart", scale_embedding=False),
    )


def write(goldens):
    """JSON with one run a line."""
    def lines(value, depth):
        pad = " " * depth
        if isinstance(value, dict) and depth < 6:
            inner = ",\n".join(f'{pad} {json.dumps(key)}: {lines(item, depth + 1)}' for key, item in value.items())
            return "{\n" + inner + "\n" + pad + "}"
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n" + ",\n".join(f"{pad} {lines(item, depth + 1)}" for item in value) + "\n" + pad + "]"
        return json.dumps(value)

    GOLDENS.write_text(lines(goldens, 0) + "\n")


def main():
    torch.set_num_threads(1)
    draw_pictures()
    prompts = json.loads((DATA / "text_prompts.json").read_text())["prompts"]
    prompts = {task: prompt["ids"] for task, prompt in prompts.items()}
    wanted = sys.argv[1:] or [shape["name"] for shape in SHAPES]
    old = json.loads(GOLDENS.read_text())["shapes"] if GOLDENS.exists() else []
    done = {shape["name"]: shape for shape in old}
    for shape in SHAPES:
        if shape["name"] not in wanted:
            continue
        start = time.time()
        done[shape["name"]] = run_shape(shape, prompts)
        runs = [run for picture in done[shape["name"]]["pictures"] for run in picture["runs"]]
        lengths = [len(run["greedy"]["ids"]) for run in runs]
        different = len({tuple(run["greedy"]["ids"]) for run in runs})
        print(
            f"{shape['name']}: {time.time() - start:.0f} s, {len(runs)} runs, {different} different, lengths "
            f"{min(lengths)} to {max(lengths)} mean {sum(lengths) / len(lengths):.1f}, least greedy margin "
            f"{min(run['greedy']['margin'] for run in runs)}, unstable beams "
            f"{sum(not run['beams'].get('stable', True) for run in runs)}", flush=True)
        write(dict(
            made_by="models/tests/reference/make_goldens.py",
            versions=dict(python=platform.python_version(), torch=torch.__version__,
                          transformers=transformers.__version__, pillow=PIL.__version__, numpy=np.__version__),
            perturbation=PERTURBATION,
            shapes=[done[shape["name"]] for shape in SHAPES if shape["name"] in done],
        ))


if __name__ == "__main__":
    main()
