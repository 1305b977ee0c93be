"""The CUDA kernels through NVRTC: PTX for the repository, and what they take of every GPU that is meant.

Called by kernels-ptx.sh, which fetches the compilers.
"""

import argparse
import ctypes
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

SOURCES = Path("kernels/cu")
PTX = SOURCES / "ptx"
VIRTUAL = "compute_75"
# Turing to Blackwell; 87 is Orin, 110 is Thor. The older compiler does not know the last two.
OLDER = ["compute_75", "sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90"]
NEWER = [*OLDER, "sm_110", "sm_120"]

KERNEL = re.compile(
    r"Compiling entry function '(\w+)' for '\w+'.*?"
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads\s*"
    r"ptxas info\s*: Used (\d+) registers([^\n]*)",
    re.DOTALL,
)


def compiled(library: Path, source: Path, architecture: str) -> tuple[bytes, str]:
    """PTX or cubin of a source, and what the compiler says."""
    nvrtc = ctypes.CDLL(str(next(library.glob("libnvrtc.so.*"))))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()

    def call(name, *arguments):
        status = getattr(nvrtc, name)(*arguments)
        if status != 0:
            raise RuntimeError(f"{source} for {architecture}: {name} fails with status {status}")

    def text(what):
        call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        call(f"nvrtcGet{what}", program, buffer)
        return buffer.raw

    call("nvrtcCreateProgram", ctypes.byref(program), source.read_bytes(), source.name.encode(), 0, None, None)
    options = [f"--gpu-architecture={architecture}", f"--include-path={SOURCES}", "--std=c++17"]
    virtual = architecture.startswith("compute")
    if not virtual:
        options.append("--ptxas-options=-v")
    encoded = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    status = nvrtc.nvrtcCompileProgram(program, len(options), encoded)
    log = text("ProgramLog").rstrip(b"\0").decode()
    if status != 0 or "warning" in log:
        raise RuntimeError(f"{source} for {architecture}:\n{log}")
    result = text("PTX").rstrip(b"\0") if virtual else text("CUBIN")
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return result, log


def make(older: Path) -> None:
    PTX.mkdir(exist_ok=True)
    for old in PTX.glob("*.ptx"):
        old.unlink()
    for source in sorted(SOURCES.glob("*.cu")):
        (PTX / f"{source.stem}.ptx").write_bytes(compiled(older, source, VIRTUAL)[0])


def job(task: tuple[Path, Path, str]) -> tuple[bytes, str]:
    return compiled(*task)


def check(older: Path, newer: Path) -> list[str]:
    """What is wrong; prints the table."""
    sources = sorted(SOURCES.glob("*.cu"))
    tasks = [(library, source, architecture) for library, all_ in ((older, OLDER), (newer, NEWER))
             for source in sources for architecture in all_]
    wrong = []
    table = {}
    kernels = set()
    with ProcessPoolExecutor() as pool:
        for (library, source, architecture), (result, log) in zip(tasks, pool.map(job, tasks), strict=True):
            declared = set(re.findall(r"^extern \"C\" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(",
                                      source.read_text(), re.MULTILINE))
            kernels |= declared
            if architecture == VIRTUAL and library == older:
                kept = PTX / f"{source.stem}.ptx"
                if not kept.exists() or kept.read_bytes() != result:
                    wrong.append(f"{kept} is not what {source} gives: make ptx")
            if architecture.startswith("compute"):
                found = set(re.findall(r"\.visible \.entry (\w+)\(", result.decode()))
            else:
                rows = KERNEL.findall(log)
                found = {row[0] for row in rows}
                for name, stack, stores, loads, registers, rest in rows:
                    shared = re.search(r"(\d+) bytes smem", rest)
                    table[name, architecture, library == newer] = (registers, shared[1] if shared else "0")
                    if (stack, stores, loads) != ("0", "0", "0"):
                        wrong.append(f"{name} for {architecture} ({library.name}): {stack} bytes of stack, "
                                     f"{stores} and {loads} bytes spilled")
            if found != declared:
                wrong.append(f"{source} for {architecture}: kernels {sorted(found)}, declared {sorted(declared)}")
    wrong += [f"{kept} has no source" for kept in PTX.glob("*.ptx") if not (SOURCES / f"{kept.stem}.cu").exists()]
    columns = [(a, False) for a in OLDER[1:]] + [(a, True) for a in NEWER[1:]]
    print("Registers a thread / bytes of shared memory a block; no kernel spills." if not wrong else "Registers:")
    print(f"{'':22}" + "".join(f"{a.removeprefix('sm_') + (' (13)' if new else ' (12)'):>9}" for a, new in columns)
          + "   shared")
    for kernel in sorted(kernels):
        cells = [table.get((kernel, *column), ("-", "-")) for column in columns]
        shared = "/".join(sorted({cell[1] for cell in cells}, key=lambda s: (len(s), s)))
        print(f"{kernel:22}" + "".join(f"{cell[0]:>9}" for cell in cells) + f"   {shared}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["make", "check"])
    parser.add_argument("--older", type=Path, required=True)
    parser.add_argument("--newer", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.older)
        return 0
    wrong = check(arguments.older, arguments.newer)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
