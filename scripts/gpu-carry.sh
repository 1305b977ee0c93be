#!/usr/bin/env bash
# Gathers what scripts/gpu_session.py needs on a machine that has a GPU and Python with torch, and no Rust, no GStreamer and no
# network: gpu-carry.sh FOLDER. `make gpu-carry` calls it; the programs are built by then.
#   FOLDER/programs.tar.xz.NN           belvedere-gpu, tests and benches as one program each, the bundled model, the scripts
#   FOLDER/onnxruntime-cuda.tar.xz.NN   ONNX Runtime with its CUDA provider
#   FOLDER/tensorrt-rtx.tar.xz.NN       TensorRT-RTX
#   FOLDER/pieces.txt                   the SHA-256 of every piece
#   FOLDER/gpu_session.py               begin with `python3 gpu_session.py --help`
# Pieces are small because what can be carried at once may be. Base's weights are not carried: they are made there.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(realpath -m "${1:?the folder to fill}")
piece_bytes=${GPU_CARRY_PIECE_BYTES:-40000000}
cargo_flags=(--release --locked)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# program NAME CARGO ARGUMENTS...: builds one executable and puts it into bin/ under this name, without debug information.
program() {
  local name=$1 built
  shift
  built=$(cargo "$@" --message-format=json-render-diagnostics |
    python3 -c 'import json, sys
found = [row["executable"] for row in map(json.loads, sys.stdin) if row.get("executable")]
print(found[-1])')
  mkdir -p "$work/programs/bin"
  strip -o "$work/programs/bin/$name" "$built"
}

program belvedere-gpu build "${cargo_flags[@]}" -p belvedere-gpu
program kernels-test test "${cargo_flags[@]}" --no-run -p belvedere-cuda --test gpu
program kernels-bench bench --locked --no-run -p belvedere-cuda --bench gpu
program engines-test test "${cargo_flags[@]}" --no-run -p belvedere-models --test engines_on_gpu
program florence-test test "${cargo_flags[@]}" --no-run -p belvedere-models --test florence_on_gpu

# In the layout of the repository, which the scripts know.
programs=$work/programs
mkdir -p "$programs"/{models/tiny,models/testdata,models/tests,scripts}
cp models/tiny/{config,generation_config,preprocessor_config,tokenizer}.json models/tiny/model.safetensors "$programs/models/tiny/"
cp -r models/testdata/{pictures,tokenizer} "$programs/models/testdata/"
cp -r models/tests/reference "$programs/models/tests/"
find "$programs" -name __pycache__ -prune -exec rm -rf {} +
cp scripts/{bench_gpu_peers,bench_peers}.py "$programs/scripts/"

mkdir -p "$folder"

# pack ARCHIVE MARK: the folder $work/ARCHIVE as pieces. What is already there with this mark stays: compressing takes long.
pack() {
  local mark="$2, pieces of $piece_bytes bytes"
  [[ ! -e $folder/$1.packed || $(< "$folder/$1.packed") != "$mark" ]] || return 0
  rm -f "$folder/$1".{packed,tar.xz.*}
  "$1"
  tar --create --directory "$work/$1" --sort=name --owner=0 --group=0 . |
    xz -6 --threads=1 | split --bytes="$piece_bytes" --numeric-suffixes - "$folder/$1.tar.xz."
  rm -rf "${work:?}/$1"
  echo "$mark" > "$folder/$1.packed"
}

# What is packed, each a function of its archive's name.
programs() { :; }
onnxruntime-cuda() {
  mkdir -p "$work/onnxruntime-cuda/lib"
  cp -rL "$(scripts/onnxruntime-gpu.sh path)" "$work/onnxruntime-cuda/lib/onnxruntime-cuda"
  rm "$work/onnxruntime-cuda/lib/onnxruntime-cuda/libonnxruntime.so"
}
tensorrt-rtx() {
  mkdir -p "$work/tensorrt-rtx/lib"
  cp -r "$(scripts/tensorrt-rtx.sh path)" "$work/tensorrt-rtx/lib/tensorrt-rtx"
}

pack programs "$(cd "$programs" && find . -type f -exec sha256sum {} + | sort | sha256sum)"
pack onnxruntime-cuda "$(basename "$(scripts/onnxruntime-gpu.sh path)")"
pack tensorrt-rtx "$(basename "$(scripts/tensorrt-rtx.sh path)")"
cp scripts/gpu_session.py "$folder/"
(cd "$folder" && sha256sum ./*.tar.xz.* | sed 's| \./| |' > pieces.txt)
du --bytes "$folder"/*.tar.xz.* | awk '{ sum += $1; printf "%6.1f MB  %s\n", $1 / 1e6, $2 } END { printf "%6.1f MB\n", sum / 1e6 }'
