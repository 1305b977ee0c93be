"""What transformers generates with the bundled checkpoint: the tokens that Belvedere's `exact` must equal.

    python make_reference_tokens.py PICTURES_DIR --model DIR --scenes 200 > reference_tokens.json

PICTURES_DIR is what held_out.py wrote. Pinned: transformers 5.23.0, torch 2.15.0; float32, eager attention, greedy, one
prompt at a time, with the published generation settings. Rows of the vocabulary from `<image>` up (the padding of native
checkpoints) are minus infinity before the softmax. Beside each answer stands the least distance of its first and second
choices: below about 4e-5, float32 rounding decides.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer
from transformers import Florence2ForConditionalGeneration

BOS, EOS = 0, 2
# Five objects with their boxes are 38 tokens; a checkpoint that is not trained never ends by itself.
MAX_NEW_TOKENS = 64


def pixel_values(picture: Image.Image, settings: dict) -> torch.Tensor:
    """As preprocessor_config.json says, in the order of the reference processor's float operations."""
    assert settings["resample"] == Image.Resampling.BICUBIC
    size = settings["size"]
    resized = picture.resize((size["width"], size["height"]), Image.Resampling.BICUBIC)
    x = (np.asarray(resized).astype(np.float64) * settings["rescale_factor"]).astype(np.float32)
    x = (x - np.float32(settings["image_mean"])) / np.float32(settings["image_std"])
    return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))[None]


def load(folder: Path, rows: int) -> Florence2ForConditionalGeneration:
    model = Florence2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()

    def cut(_module, _inputs, logits):
        logits[..., rows:] = -torch.inf
        return logits

    model.lm_head.register_forward_hook(cut)
    return model


def answer(model, pixels: torch.Tensor, ids: torch.Tensor) -> tuple[list[int], float]:
    """The whole sequence, decoder start included, and the least distance of first and second choice."""
    out = model.generate(
        input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), max_new_tokens=MAX_NEW_TOKENS,
        num_beams=1, do_sample=False, no_repeat_ngram_size=3, forced_bos_token_id=BOS, forced_eos_token_id=EOS,
        return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    tops = [scores[0].topk(2).values for scores in out.scores]
    gaps = [float(first - second) for first, second in tops if torch.isfinite(second)]
    return out.sequences[0].tolist(), round(min(gaps, default=99.0), 6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--model", type=Path, default=Path(__file__).parent)
    parser.add_argument("--scenes", type=int, default=200)
    args = parser.parse_args()
    # One thread: sums in another order round differently.
    torch.set_num_threads(1)

    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    image = tokenizer.token_to_id("<image>")
    model = load(args.model, image)
    settings = json.loads((args.model / "preprocessor_config.json").read_text())
    scenes = json.loads((args.pictures / "scenes.json").read_text())["scenes"][: args.scenes]
    lines = []
    for scene in scenes:
        picture = Image.open(args.pictures / scene["picture"]).convert("RGB")
        assert zlib.crc32(picture.tobytes()) == scene["crc32"], scene["picture"]
        pixels = pixel_values(picture, settings)
        tokens, margins = {}, {}
        for task, question in scene["questions"].items():
            prompt = [BOS, *tokenizer.encode(question["prompt"], add_special_tokens=False).ids, EOS]
            ids = torch.tensor([[image] * settings["image_seq_length"] + prompt])
            with torch.no_grad():
                tokens[task], margins[task] = answer(model, pixels, ids)
        lines.append(json.dumps({"crc32": scene["crc32"], "tokens": tokens, "margins": margins}, separators=(",", ":")))
        print(f"\r{len(lines)} of {len(scenes)} scenes", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    head = json.dumps({
        "model_sha256": hashlib.sha256((args.model / "model.safetensors").read_bytes()).hexdigest(),
        "versions": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "max_new_tokens": MAX_NEW_TOKENS,
    })  # fmt: skip
    print(f'{head[:-1]}, "scenes": [\n' + ",\n".join(lines) + "\n]}")


if __name__ == "__main__":
    main()
