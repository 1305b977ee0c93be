"""Everything that needs an NVIDIA GPU, in one go, on a machine that has one and little else.

The machine needs Python with torch and transformers (for the comparison alone) and the NVIDIA driver; no Rust, no GStreamer,
no network. `make gpu-carry` makes the folder to carry: pieces of at most 40 MB, this script, and their checksums.

    python3 gpu_session.py unpack FOLDER...   what of it is there; pieces may come in several goes
    python3 gpu_session.py run                every check and measurement, in the order of their worth

`run` goes on after failures, gives every step a time of its own, and writes what each says into a file. A second call goes on
where the limit of time ended the first: steps that have had their turn are not run again but with --again. It ends with a
table, and with exit code 0 only if everything passed.
"""

import argparse
import dataclasses
import glob
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import time

HOME = pathlib.Path.home() / "belvedere-gpu"
ARCHIVES = ("programs", "onnxruntime-cuda", "tensorrt-rtx")
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")


def sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(folders: list[pathlib.Path], home: pathlib.Path) -> bool:
    """Takes the pieces in `folders`, and unpacks every archive whose pieces are all there. Says what is missing."""
    kept = home / "pieces"
    kept.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        for path in [*folder.glob("*.tar.xz.*"), *folder.glob("pieces.txt")]:
            shutil.copy(path, kept)
    listed = dict(reversed(line.split()) for line in (kept / "pieces.txt").read_text().splitlines())
    complete = True
    for archive in ARCHIVES:
        done = home / f"{archive}.unpacked"
        pieces = sorted(name for name in listed if name.startswith(f"{archive}.tar.xz."))
        mark = " ".join(listed[name] for name in pieces)
        if done.exists() and done.read_text() == mark:
            print(f"{archive}: unpacked")
            continue
        missing = [name for name in pieces if not (kept / name).exists()]
        damaged = [name for name in pieces if name not in missing and sha256(kept / name) != listed[name]]
        if missing or damaged or not pieces:
            complete = False
            print(f"{archive}: missing {', '.join(missing) or 'nothing'}; damaged {', '.join(damaged) or 'nothing'}")
            continue
        whole = kept / f"{archive}.tar.xz"
        with whole.open("wb") as out:
            for name in pieces:
                with (kept / name).open("rb") as piece:
                    shutil.copyfileobj(piece, out)
        with tarfile.open(whole) as tar:
            tar.extractall(home, filter="tar")
        for name in [*pieces, whole.name]:
            (kept / name).unlink()
        done.write_text(mark)
        print(f"{archive}: unpacked")
    return complete


@dataclasses.dataclass
class Step:
    name: str
    limit_s: int
    command: list[str]
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    # Programs and folders without which there is nothing to run; the words say what it is.
    needs: list[tuple[pathlib.Path | None, str]] = dataclasses.field(default_factory=list)


def sanitizer() -> pathlib.Path | None:
    found = shutil.which("compute-sanitizer") or next(iter(glob.glob("/usr/local/cuda*/bin/compute-sanitizer")), None)
    return pathlib.Path(found) if found else None


def library_folders(home: pathlib.Path) -> list[str]:
    """ONNX Runtime's, then where PyTorch's packages keep CUDA's, then the empty libraries that are named and not used."""
    folders = [home / "lib/onnxruntime-cuda"]
    try:
        import nvidia

        folders += [pathlib.Path(path) for base in nvidia.__path__ for path in sorted(glob.glob(f"{base}/*/lib"))]
    except ImportError:
        print("no packages of CUDA's libraries: those of the system are looked for")
    folders.append(home / "lib/onnxruntime-cuda/empty")
    return [str(folder) for folder in folders if folder.is_dir()]


def steps(home: pathlib.Path, python: str) -> list[Step]:
    bin = home / "bin"
    tiny, base = home / "models/tiny", home / "synthetic-base"
    provider = home / "lib/onnxruntime-cuda/libonnxruntime_providers_cuda.so"
    needs_provider = [(provider, "the archive onnxruntime-cuda")]
    rtx = home / "lib/tensorrt-rtx"
    needs_rtx = [(rtx, "the archive tensorrt-rtx")]
    gpu = str(bin / "belvedere-gpu")
    on_rtx = {"BELVEDERE_TENSORRT_LIBRARY": str(rtx)}
    on_provider = {"BELVEDERE_NETWORKS": "onnxruntime-cuda"}
    ignored = ["--ignored", "--nocapture", "--test-threads", "1"]
    cuda = ["--device", "onnxruntime-cuda"]
    engines = ["--engines", str(home / "engines")]
    bench = [gpu, "bench", "--model", str(base), "--tokens", "20", "--tokens", "100", "--batch", "1", "--batch", "8"]
    peers = [
        python, str(home / "scripts/bench_gpu_peers.py"), "--belvedere", gpu, "--checkpoint", str(base), "--engines",
        str(home / "engines"), "--networks", "onnxruntime-cuda",
    ]
    needs_base = [(base, "the step make-checkpoint")]
    return [
        Step("gpu", 60, [gpu, "look", "--need", "gpu"]),
        # TensorRT-RTX first: if it runs here, everything is measured on what is meant to run it. It is asked itself: on a GPU
        # that it has no name for, the steps after this one refuse before it is.
        Step("rtx-look", 60, [gpu, "look", "--need", "tensorrt", "--build"], on_rtx, needs_rtx),
        Step("rtx-engines", 240, [str(bin / "engines-test"), *ignored], on_rtx, needs_rtx),
        Step("rtx-accuracy", 240, [gpu, "accuracy", "--model", str(tiny), *engines], on_rtx, needs_rtx),
        Step("provider-look", 60, [gpu, "look", "--need", "cuda-provider"], {}, needs_provider),
        Step("provider-graphs", 300, [str(bin / "engines-test"), *ignored], on_provider, needs_provider),
        Step("provider-accuracy-f16", 240, [gpu, "accuracy", "--model", str(tiny), *cuda], {}, needs_provider),
        Step("provider-accuracy-f32", 240, [gpu, "accuracy", "--model", str(tiny), "--exact", *cuda], {}, needs_provider),
        Step("provider-answers", 300, [str(bin / "florence-test"), *ignored], on_provider, needs_provider),
        Step("kernels", 300, [str(bin / "kernels-test"), *ignored]),
        Step("kernels-bench", 120, [str(bin / "kernels-bench"), "--bench"]),
        Step(
            "make-checkpoint", 120,
            [gpu, "make-checkpoint", "--out", str(base), "--tokenizer", str(home / "models/testdata/tokenizer/tokenizer.json")],
        ),
        Step("bench-captured", 300, [*bench, *cuda], {}, needs_provider + needs_base),
        Step("bench-peers", 420, [*peers, "--mode", "eager", "--mode", "sdpa"], {}, needs_provider + needs_base),
        Step("bench-rtx", 420, [*bench, *engines], on_rtx, needs_rtx + needs_base),
        Step(
            "base-accuracy", 300, [gpu, "accuracy", "--model", str(base), "--by-chance", "--pictures", "2", *cuda], {},
            needs_provider + needs_base,
        ),
        *[
            Step(
                tool, 240,
                [str(sanitizer()), "--tool", tool, "--target-processes", "all", "--error-exitcode", "1",
                 str(bin / "kernels-test"), *ignored, "cases"],
                {"BELVEDERE_GPU_SEEDS": "20"}, [(sanitizer(), "compute-sanitizer")],
            )
            for tool in SANITIZERS
        ],
        Step("bench-plain", 240, [*bench, *cuda, "--capturing", "nobody"], {}, needs_provider + needs_base),
        Step("bench-provider-captures", 240, [*bench, *cuda, "--capturing", "provider"], {}, needs_provider + needs_base),
        Step("bench-peers-compiled", 540, [*peers, "--mode", "eager", "--mode", "compile"], {}, needs_provider + needs_base),
    ]


def telling(text: str) -> str:
    """The line of an output that says most about how it failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["said nothing"]
    missing = [line for line in lines if "cannot open shared object" in line][:1]
    # What a panic is about stands in the line behind it.
    panics = [words for line, words in zip(lines, lines[1:]) if " panicked at " in line]
    errors = [line for line in lines if "Error" in line or "error:" in line or "not here" in line]
    return (missing or panics or errors or lines)[-1]


def run_step(step: Step, variables: dict[str, str], limit_s: float, out: pathlib.Path) -> tuple[str, str]:
    """The outcome in a word, and the line that says most."""
    for path, words in step.needs:
        if path is None or not path.exists():
            return "not run", f"{words} is not here"
    if not pathlib.Path(step.command[0]).exists():
        return "not run", f"{step.command[0]} is not here: is the archive programs unpacked?"
    with out.open("w") as file:
        print("$", *(f"{name}={value}" for name, value in step.variables.items()), *step.command, file=file, flush=True)
        process = subprocess.Popen(
            step.command, stdout=file, stderr=subprocess.STDOUT, env=variables | step.variables, start_new_session=True,
            cwd=out.parent,
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            # With whatever it has started itself.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
    text = out.read_text(errors="replace").split("\n", 1)[-1]
    if code is None:
        return "timed out" if limit_s >= step.limit_s else "cut off", f"after {limit_s:.0f} s; {telling(text)}"
    if code == 0:
        lines = [line for line in text.splitlines() if line.strip() and "not here" not in line and line[0] != " "]
        return "passed", lines[-1] if lines else ""
    words = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return "failed", f"{words}: {telling(text)}"


def run(arguments: argparse.Namespace) -> bool:
    home = arguments.home.resolve()
    out = arguments.out.resolve()
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    record = home / "outcomes.json"
    known = json.loads(record.read_text()) if record.exists() else {}
    variables = dict(os.environ)
    folders = library_folders(home) + [folder for folder in [variables.get("LD_LIBRARY_PATH")] if folder]
    variables |= {
        "LD_LIBRARY_PATH": ":".join(folders),
        "BELVEDERE_MODELS": str(home / "models"),
        "RUST_BACKTRACE": "0",
        "PYTHONUNBUFFERED": "1",
    }
    library = next(iter(sorted(home.glob("lib/onnxruntime-cuda/libonnxruntime.so.*"))), None)
    if library:
        variables["ORT_DYLIB_PATH"] = str(library)
    end = time.monotonic() + 60 * arguments.minutes
    wanted = [step for step in steps(home, sys.executable) if not arguments.only or step.name in arguments.only]
    for step in wanted:
        if known.get(step.name, {}).get("outcome") in ("passed", "failed", "timed out") and not arguments.again:
            continue
        left_s = end - time.monotonic()
        begin = time.monotonic()
        if left_s < 5:
            outcome, says = "not run", "no time was left"
        else:
            outcome, says = run_step(step, variables, min(step.limit_s, left_s), logs / f"{step.name}.txt")
        seconds = time.monotonic() - begin
        known[step.name] = dict(outcome=outcome, seconds=round(seconds, 1), says=says[:300])
        record.write_text(json.dumps(known, indent=1))
        print(f"{step.name:24} {outcome:10} {seconds:6.1f} s  {says[:160]}", flush=True)
        pack(out, logs, wanted, known)
    pack(out, logs, wanted, known)
    print()
    print((out / "summary.txt").read_text())
    return all(known.get(step.name, {}).get("outcome") == "passed" for step in wanted)


def pack(out: pathlib.Path, logs: pathlib.Path, wanted: list[Step], known: dict) -> None:
    """The table, and everything that was said, in two files: from some machines only few come back."""
    rows = [(step.name, known.get(step.name, dict(outcome="not run", seconds=0.0, says="not reached"))) for step in wanted]
    table = [f"{'step':24} {'outcome':10} {'seconds':>8}  says"]
    table += [f"{name:24} {row['outcome']:10} {row['seconds']:8.1f}  {row['says']}" for name, row in rows]
    passed = sum(row["outcome"] == "passed" for _, row in rows)
    (out / "summary.txt").write_text("\n".join([*table, "", f"{passed} of {len(rows)} steps passed", ""]))
    with tarfile.open(out / "logs.tar.gz", "w:gz") as tar:
        for path in sorted(logs.glob("*.txt")):
            tar.add(path, arcname=path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=pathlib.Path, default=HOME, help=f"where everything is unpacked and made ({HOME})")
    commands = parser.add_subparsers(dest="command", required=True)
    unpacking = commands.add_parser("unpack")
    unpacking.add_argument("folders", nargs="+", type=pathlib.Path, metavar="FOLDER")
    running = commands.add_parser("run")
    running.add_argument("--out", type=pathlib.Path, default=pathlib.Path("gpu-session"), help="the table and the outputs")
    running.add_argument("--minutes", type=float, default=60, help="for everything together; the rest is left for another call")
    running.add_argument("--only", action="append", metavar="STEP", help="this step; may be given several times")
    running.add_argument("--again", action="store_true", help="also what has had its turn before")
    arguments = parser.parse_args()
    if arguments.command == "unpack":
        sys.exit(not unpack(arguments.folders, arguments.home))
    sys.exit(not run(arguments))


if __name__ == "__main__":
    main()
