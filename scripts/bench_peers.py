"""Belvedere and transformers on the same work, in turn, on this machine.

Both read one checkpoint folder: Florence-2-base at full size with synthetic weights (models/tests/reference/synthetic.py),
written once. Both get the same picture and prompt and write exactly the same number of tokens: greedy or K beams,
no-repeat 3-gram, forced first and last token, no end before that. The two run alternately, each time in a process of its own, so that a
slow minute of the machine meets both and the peak memory is that of one. Printed are the medians of all runs, their
spread (lowest to highest), and the ratios of the medians.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PROMPT = "Describe in detail what is shown in the image."
IMAGE_TOKEN = 51289
IMAGE_TOKENS = 577
# As the published checkpoints have it.
PREPROCESSOR = dict(
    do_resize=True, size=dict(height=768, width=768), resample=3, do_center_crop=False, do_rescale=True,
    rescale_factor=1 / 255, do_normalize=True, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
)
# What both sides are asked for: beams and new tokens.
CASES = [(1, 20), (1, 100), (3, 20)]
# Who is compared with whom: a name, the reference's dtype, Belvedere's precision.
PAIRS = [("float32 / exact", "float32", "exact"), ("bfloat16 / fast", "bfloat16", "fast")]


def write_checkpoint(folder: pathlib.Path, tokenizer: pathlib.Path) -> None:
    """Writes the checkpoint in the native layout, as transformers saves it."""
    import torch
    from transformers import Florence2Config, Florence2ForConditionalGeneration

    sys.path.insert(0, str(REPOSITORY / "models/tests/reference"))
    import synthetic

    print(f"writing a full-size checkpoint with synthetic weights to {folder}", flush=True)
    config = Florence2Config(
        text_config=dict(
            model_type="bart", vocab_size=51328, d_model=768, encoder_layers=6, decoder_layers=6,
            encoder_attention_heads=12, decoder_attention_heads=12, encoder_ffn_dim=3072, decoder_ffn_dim=3072,
            max_position_embeddings=1024, forced_bos_token_id=0, forced_eos_token_id=2, no_repeat_ngram_size=3,
            bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, num_beams=3, early_stopping=True,
        ),
        vision_config=dict(
            embed_dim=[128, 256, 512, 1024], depths=[1, 1, 9, 1], num_heads=[4, 8, 16, 32], num_groups=[4, 8, 16, 32],
            projection_dim=768,
        ),
        image_token_id=IMAGE_TOKEN,
    )
    model = Florence2ForConditionalGeneration(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(synthetic.tensor(name, tuple(parameter.shape))))
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = pathlib.Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial."))
    model.save_pretrained(partial)
    shutil.copy(tokenizer / "tokenizer.json", partial)
    (partial / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    os.rename(partial, folder)


def write_picture(path: pathlib.Path) -> None:
    """A picture with edges, areas and noise, always the same."""
    import numpy
    from PIL import Image

    y, x = numpy.mgrid[0:480, 0:640]
    noise = numpy.random.default_rng(1).integers(0, 32, (480, 640, 3))
    picture = numpy.stack([x * 255 // 640, y * 255 // 480, ((x // 40 + y // 40) % 2) * 200], axis=-1) + noise
    Image.fromarray(numpy.clip(picture, 0, 255).astype(numpy.uint8)).save(path)


def prompt_ids(folder: pathlib.Path, prompt: str) -> list[int]:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json")).encode(prompt).ids


def reference(arguments: argparse.Namespace) -> None:
    """One process of the reference: loads the model, warms up, measures every case, and prints JSON."""
    import torch
    from PIL import Image
    from transformers import CLIPImageProcessor, Florence2ForConditionalGeneration

    torch.set_num_threads(arguments.threads)
    dtype = getattr(torch, arguments.reference)
    model = Florence2ForConditionalGeneration.from_pretrained(arguments.checkpoint, dtype=dtype).eval()
    processor = CLIPImageProcessor(**PREPROCESSOR)
    ids = [IMAGE_TOKEN] * IMAGE_TOKENS + prompt_ids(arguments.checkpoint, PROMPT)
    input_ids = torch.tensor([ids])
    picture = Image.open(arguments.image).convert("RGB")
    beyond = list(range(IMAGE_TOKEN, model.config.text_config.vocab_size))

    def timed(work):
        start = time.perf_counter()
        result = work()
        return result, (time.perf_counter() - start) * 1e3

    def once(beams: int, tokens: int) -> tuple[dict, list[int]]:
        inputs, preprocess = timed(lambda: processor(picture, return_tensors="pt")["pixel_values"].to(dtype))
        # The tower alone, to report it; the generation below runs it again, as part of the whole.
        _, vision = timed(lambda: model.get_image_features(inputs))
        output, generate = timed(
            lambda: model.generate(
                input_ids=input_ids, pixel_values=inputs, attention_mask=torch.ones_like(input_ids),
                max_new_tokens=tokens, min_new_tokens=tokens, num_beams=beams, do_sample=False, early_stopping=True,
                no_repeat_ngram_size=3, forced_bos_token_id=0, forced_eos_token_id=2, decoder_start_token_id=2,
                suppress_tokens=beyond,
            )
        )
        return dict(preprocess=preprocess, vision=vision, total=preprocess + generate), output[0].tolist()

    report = []
    with torch.inference_mode():
        for beams, tokens in CASES:
            for _ in range(arguments.warm_up):
                once(beams, tokens)
            samples = [once(beams, tokens) for _ in range(arguments.iterations)]
            token_ids = samples[0][1]
            if len(token_ids) != tokens + 1:
                sys.exit(f"the reference wrote {len(token_ids) - 1} tokens, not {tokens}")
            report.append(dict(beams=beams, tokens=tokens, token_ids=token_ids, samples=[sample for sample, _ in samples]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(dict(cases=report, peak_memory_bytes=peak)))


def run_reference(arguments: argparse.Namespace, dtype: str) -> dict:
    command = [
        sys.executable, __file__, "--reference", dtype, "--checkpoint", arguments.checkpoint, "--image", arguments.image,
        "--threads", arguments.threads, "--iterations", arguments.iterations, "--warm-up", arguments.warm_up,
    ]
    output = run(command, env=dict(os.environ, OMP_NUM_THREADS=str(arguments.threads), TRANSFORMERS_VERBOSITY="error"))
    return json.loads(output.splitlines()[-1])


def run_belvedere(arguments: argparse.Namespace, precision: str) -> dict:
    """The same cases with `belvedere bench`, each in a process of its own; its peak memory is the highest of them."""
    cases = []
    for beams, tokens in CASES:
        report = json.loads(run([
            arguments.belvedere, "bench", "--model-only", "--format", "json", "--model", arguments.checkpoint,
            "--precision", precision, "--threads", arguments.threads, "--image", arguments.image, "--prompt", PROMPT,
            "--tokens", tokens, "--beams", beams, "--iterations", arguments.iterations, "--warm-up", arguments.warm_up,
        ]))
        cases.append(dict(beams=beams, tokens=tokens, report=report))
    return dict(cases=cases, peak_memory_bytes=max(case["report"]["peak_memory_bytes"] for case in cases))


def samples_of(run: dict, side: str, beams: int, tokens: int) -> dict[str, list[float]]:
    """The samples of a run for one case, in ms: preprocess, vision, total."""
    case = next(case for case in run["cases"] if (case["beams"], case["tokens"]) == (beams, tokens))
    if side == "reference":
        return {stage: [sample[stage] for sample in case["samples"]] for stage in ["preprocess", "vision", "total"]}
    report = case["report"]
    if report["tokens"] != tokens:
        sys.exit(f"Belvedere wrote {report['tokens']} tokens, not {tokens}")
    stages = {stage["stage"]: stage["samples_ms"] for stage in report["stages"]}
    return dict(preprocess=stages["preprocess"], vision=stages["vision"], total=stages["answer"])


def run(command: list, **options) -> str:
    finished = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, **options)
    if finished.returncode != 0:
        sys.exit(f"{command[0]} failed with {finished.returncode}")
    return finished.stdout


def median(values: list[float]) -> float:
    return statistics.median(values)


def shown(values: list[float]) -> str:
    return f"{median(values):8.1f} ({min(values):.1f} to {max(values):.1f})"


def print_row(name: str, theirs: list[float], ours: list[float]) -> None:
    print(f"  {name:28} {shown(theirs):>32} {shown(ours):>32} {median(theirs) / median(ours):8.2f}")


def compare(arguments: argparse.Namespace) -> None:
    checkpoint = pathlib.Path(arguments.checkpoint)
    if not checkpoint.exists():
        write_checkpoint(checkpoint, pathlib.Path(arguments.tokenizer))
    if not pathlib.Path(arguments.image).exists():
        write_picture(pathlib.Path(arguments.image))

    runs = {(name, side): [] for name, _, _ in PAIRS for side in ["reference", "belvedere"]}
    for turn in range(arguments.rounds):
        for name, dtype, precision in PAIRS:
            sides = [("reference", lambda: run_reference(arguments, dtype)),
                     ("belvedere", lambda: run_belvedere(arguments, precision))]
            for side, measure in sides if turn % 2 == 0 else reversed(sides):
                print(f"round {turn + 1} of {arguments.rounds}: {name}: {side}", flush=True)
                runs[name, side].append(measure())

    theirs, ours = (runs[PAIRS[0][0], side][0]["cases"] for side in ["reference", "belvedere"])
    different = [(case["beams"], case["tokens"]) for case, own in zip(theirs, ours)
                 if own["report"]["token_ids"] != case["token_ids"]]
    cases = ", ".join(f"{beams} beams {tokens} tokens" for beams, tokens in different)
    print("\ntokens, float32 / exact: " + (f"DIFFERENT for {cases}" if different else "equal in every case"))

    print(f"{arguments.threads} threads; medians in ms (lowest to highest); ratio: transformers / Belvedere")
    for name, _, _ in PAIRS:
        print(f"\n{name:30} {'transformers':>32} {'Belvedere':>32} {'ratio':>8}")
        gathered = {}
        for beams, tokens in CASES:
            for side in ["reference", "belvedere"]:
                for measured in runs[name, side]:
                    for stage, values in samples_of(measured, side, beams, tokens).items():
                        gathered.setdefault((side, stage, beams, tokens), []).extend(values)
        for stage in ["preprocess", "vision"]:
            theirs, ours = ([value for beams, tokens in CASES for value in gathered[side, stage, beams, tokens]]
                            for side in ["reference", "belvedere"])
            print_row(stage, theirs, ours)
        for beams, tokens in CASES:
            print_row(f"all, {beams} beams, {tokens} tokens",
                      gathered["reference", "total", beams, tokens], gathered["belvedere", "total", beams, tokens])
        # From two lengths of the same answer: what is the same for both cancels out.
        per_token = {side: (median(gathered[side, "total", 1, 100]) - median(gathered[side, "total", 1, 20])) / 80
                     for side in ["reference", "belvedere"]}
        print(f"  {'per token, from the medians':28} {per_token['reference']:32.2f} {per_token['belvedere']:32.2f} "
              f"{per_token['reference'] / per_token['belvedere']:8.2f}")
        peaks = [[measured["peak_memory_bytes"] / 1e6 for measured in runs[name, side]] for side in ["reference", "belvedere"]]
        print_row("peak memory, MB", *peaks)
    if arguments.output:
        named = {f"{name}: {side}": values for (name, side), values in runs.items()}
        pathlib.Path(arguments.output).write_text(json.dumps(named, indent=1))
    if different:
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    runtime = REPOSITORY / ".runtime/bench"
    parser.add_argument("--belvedere", help="the binary")
    parser.add_argument("--checkpoint", default=runtime / "synthetic-base", type=pathlib.Path, help="made if it is not there")
    parser.add_argument("--tokenizer", default=REPOSITORY / "models/testdata/tokenizer", type=pathlib.Path)
    parser.add_argument("--image", default=runtime / "picture.png", type=pathlib.Path, help="made if it is not there")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--output", help="every sample, as JSON")
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reference:
        reference(arguments)
    elif not arguments.belvedere:
        parser.error("--belvedere is missing")
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
