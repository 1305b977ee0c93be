"""Belvedere and PyTorch float16 on one GPU: the same weights, the same pixels, the same number of tokens.

Both sides read one checkpoint folder (Florence-2-base at full size with synthetic weights, written once) and answer one
prompt greedily with exactly so many tokens, for one picture and for eight at once. PyTorch is measured three ways: eager
attention, SDPA, and SDPA under torch.compile with a static cache. Printed are medians in ms with their spread, the ratios,
and how far each is from the roofline of the specification (section 9.3): the time in which the card could do the
multiplications, or read the bytes, whichever is longer.

Run where the GPU is; nothing is downloaded: `python bench_gpu_peers.py --belvedere target/release/belvedere-gpu`.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

from bench_peers import PROMPT, REPOSITORY, prompt_ids, write_checkpoint

TOKENS = (20, 100)
MODES = ("eager", "sdpa", "compile")
# Dense FP16 TFLOP/s and GB/s by a part of the card's name: vendors' sheets. Others are given with --peak.
PEAKS = {
    "H100": (989, 3350), "H200": (989, 4800), "A100": (312, 2039), "L4": (121, 300), "RTX 4090": (330, 1008),
    "RTX 4060": (60, 272), "AGX Orin": (42.5, 204.8), "Orin NX": (15, 102.4), "Orin Nano": (10, 68),
}
# Florence-2-base at 768 pixels: multiply-accumulates and bytes of specification sections 9.1 and 9.2.
VISION_GMAC, VISION_BYTES = 190.3, 1.9e9
ENCODER_GMAC, ENCODER_BYTES = 28.0 + 4.18, 85.1e6 + 14.2e6
STEP_GMAC, STEP_WEIGHT_BYTES, STEP_CROSS_BYTES, CACHE_TOKEN_BYTES = 94.6e-3, 178.0e6, 10.9e6, 18432


def roofline_ms(batch: int, tokens: int, tflops: float, gbytes: float) -> dict[str, float]:
    """The least time of each stage on a card with these peaks."""

    def least(gmac: float, moved: float) -> float:
        return max(2 * gmac * 1e9 / (tflops * 1e12), moved / (gbytes * 1e9)) * 1e3

    # Activations are moved for each picture, weights once for all: section 9.3 counts both in the tower's bytes.
    vision = least(batch * VISION_GMAC, batch * VISION_BYTES if batch == 1 else 182.4e6 + batch * (VISION_BYTES - 182.4e6))
    encoder = least(batch * ENCODER_GMAC, ENCODER_BYTES)
    step = sum(
        least(batch * STEP_GMAC, STEP_WEIGHT_BYTES + batch * (STEP_CROSS_BYTES + past * CACHE_TOKEN_BYTES))
        for past in range(1, tokens + 1)
    )
    return dict(vision=vision, encoder=encoder, decode=step, total=vision + encoder + step)


def pixels(torch, batch: int, side: int, dtype, device: str):
    """The picture that Belvedere's bench makes too: a hash of the place of each value, between -2 and 2."""
    place = torch.arange(3 * side * side, dtype=torch.int64)
    values = ((place * 2654435761 % 2**32) >> 16) % 4096
    picture = (values.to(torch.float32) / 1024 - 2).reshape(1, 3, side, side)
    return picture.repeat(batch, 1, 1, 1).to(dtype).to(device)


def reference(arguments: argparse.Namespace, mode: str) -> list[dict]:
    """PyTorch, one mode: a row for each batch and length."""
    import torch
    from transformers import Florence2ForConditionalGeneration

    device = arguments.device
    dtype = torch.float16 if device != "cpu" else torch.float32
    attention = "eager" if mode == "eager" else "sdpa"
    model = Florence2ForConditionalGeneration.from_pretrained(
        arguments.checkpoint, dtype=dtype, attn_implementation=attention
    ).eval().to(device)
    side = arguments.side
    image_token = model.config.image_token_id
    ids = [image_token] * ((side // 32) ** 2 + 1) + prompt_ids(arguments.checkpoint, PROMPT)
    beyond = list(range(image_token, model.config.text_config.vocab_size))

    def done() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    def timed(work) -> float:
        done()
        start = time.perf_counter()
        work()
        done()
        return (time.perf_counter() - start) * 1e3

    tower = model.model.vision_tower
    if mode == "compile":
        model.model.vision_tower = torch.compile(tower)
    rows = []
    with torch.inference_mode():
        for batch in arguments.batches:
            input_ids = torch.tensor([ids] * batch, device=device)
            mask = torch.ones_like(input_ids)
            picture = pixels(torch, batch, side, dtype, device)
            # What fills the encoder: embeddings in which the picture's places hold its features.
            embeds = torch.randn(batch, len(ids), model.config.text_config.d_model, dtype=dtype, device=device)
            encoder = model.model.language_model.encoder

            def generate(tokens: int, **options):
                return model.generate(
                    input_ids=input_ids, pixel_values=picture, attention_mask=mask, max_new_tokens=tokens,
                    min_new_tokens=tokens, num_beams=1, do_sample=False, no_repeat_ngram_size=3, forced_bos_token_id=0,
                    forced_eos_token_id=2, decoder_start_token_id=2, suppress_tokens=beyond, **options,
                )

            options = dict(cache_implementation="static") if mode == "compile" else {}
            stages = dict(
                vision=lambda: model.get_image_features(picture),
                encoder=lambda: encoder(inputs_embeds=embeds, attention_mask=mask),
                **{f"total_{tokens}": lambda tokens=tokens: generate(tokens, **options) for tokens in TOKENS},
            )
            row = dict(side=mode, batch=batch)
            for stage, work in stages.items():
                try:
                    for _ in range(arguments.warm_up):
                        work()
                    row[stage] = [timed(work) for _ in range(arguments.iterations)]
                except Exception as error:  # noqa: BLE001: what a mode cannot do is part of the result
                    row[stage] = []
                    row[f"{stage}_failed"] = f"{type(error).__name__}: {error}"[:300]
            row["token_ids"] = generate(TOKENS[0])[0].tolist()
            rows.append(row)
    return rows


def belvedere(arguments: argparse.Namespace) -> list[dict]:
    """The same with Belvedere: it prints one JSON row for each batch."""
    command = [
        arguments.belvedere, "bench", "--model", arguments.checkpoint, "--prompt", PROMPT, "--iterations",
        arguments.iterations, "--warm-up", arguments.warm_up, "--engines", arguments.engines,
        *[option for batch in arguments.batches for option in ("--batch", batch)],
        *[option for tokens in TOKENS for option in ("--tokens", tokens)],
        *(["--device", "cpu", "--exact"] if arguments.device == "cpu" else ["--device", arguments.networks]),
    ]
    output = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [dict(json.loads(line), side="belvedere") for line in output.splitlines() if line.startswith("{")]


def shown(values: list[float]) -> str:
    return f"{statistics.median(values):8.2f} ({min(values):.2f} to {max(values):.2f})" if values else "failed"


def compare(rows: list[dict], arguments: argparse.Namespace, card: str) -> None:
    peaks = arguments.peak or next((peak for name, peak in PEAKS.items() if name in card), None)
    print(f"{card}; medians in ms (least to most) of {arguments.iterations}; ratio: eager / this")
    for batch in arguments.batches:
        here = {row["side"]: row for row in rows if row["batch"] == batch}
        for stage in ["vision", "encoder", *[f"total_{tokens}" for tokens in TOKENS]]:
            print(f"\nbatch {batch}, {stage}")
            eager = here.get("eager", {}).get(stage)
            for side, row in here.items():
                values = row.get(stage, [])
                line = f"  {side:10} {shown(values):>32}"
                if values and eager:
                    line += f"   {statistics.median(eager) / statistics.median(values):6.2f}"
                if values and peaks:
                    tokens = int(stage.split("_")[1]) if stage.startswith("total_") else TOKENS[0]
                    least = roofline_ms(batch, tokens, *peaks)["total" if stage.startswith("total_") else stage]
                    line += f"   {100 * least / statistics.median(values):5.1f} % of the roofline ({least:.2f} ms)"
                print(line + (f"   {row[f'{stage}_failed']}" if f"{stage}_failed" in row else ""))
        for side, row in here.items():
            first, last = (row.get(f"total_{tokens}") for tokens in TOKENS)
            if first and last:
                each = (statistics.median(last) - statistics.median(first)) / (TOKENS[1] - TOKENS[0])
                print(f"  {side:10} {each:8.3f} ms a token, from the medians")
        if own := here.get("belvedere"):
            same = [side for side, row in here.items() if row["token_ids"] == own["token_ids"] and side != "belvedere"]
            print(f"  Belvedere's tokens also from: {', '.join(same) or 'nobody'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    runtime = REPOSITORY / ".runtime/bench"
    parser.add_argument("--belvedere", type=pathlib.Path, help="belvedere-gpu; left out: PyTorch alone")
    parser.add_argument("--engines", type=pathlib.Path, default=runtime / "engines", help="Belvedere's engine files")
    parser.add_argument("--networks", default="tensorrt", help="what runs Belvedere's graphs, or onnxruntime-cuda")
    parser.add_argument("--checkpoint", default=runtime / "synthetic-base", type=pathlib.Path, help="made if it is not there")
    parser.add_argument("--tokenizer", default=REPOSITORY / "models/testdata/tokenizer", type=pathlib.Path)
    parser.add_argument("--batch", dest="batches", type=int, action="append", help="pictures at once; 1 and 8")
    parser.add_argument("--mode", dest="modes", action="append", choices=MODES, help="all of them")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--peak", type=float, nargs=2, metavar=("TFLOPS", "GBYTES"), help="of a card that is not known")
    parser.add_argument("--device", default="cuda", help="cpu runs the script itself through, in float32")
    parser.add_argument("--side", type=int, default=768, help="of the picture, in pixels")
    parser.add_argument("--output", type=pathlib.Path, help="every sample, as JSON")
    arguments = parser.parse_args()
    arguments.batches = arguments.batches or [1, 8]

    import torch

    if arguments.device != "cpu" and not torch.cuda.is_available():
        sys.exit("PyTorch sees no GPU")
    card = "CPU" if arguments.device == "cpu" else torch.cuda.get_device_name()
    if not arguments.checkpoint.exists():
        write_checkpoint(arguments.checkpoint, arguments.tokenizer)
    rows = [row for mode in arguments.modes or MODES for row in reference(arguments, mode)]
    if arguments.belvedere:
        rows += belvedere(arguments)
    compare(rows, arguments, card)
    if arguments.output:
        arguments.output.write_text(json.dumps(dict(card=card, rows=rows), indent=1))


if __name__ == "__main__":
    main()
