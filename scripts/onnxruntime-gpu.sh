#!/usr/bin/env bash
# ONNX Runtime with its CUDA provider, one pinned version, taken out of its Python wheel, and the one CUDA library that
# PyTorch's packages may lack: for measuring on GPUs that TensorRT-RTX does not serve (scripts/gpu_session.py). Nothing else
# needs it.
#   onnxruntime-gpu.sh path      the folder of its libraries
#   onnxruntime-gpu.sh install   fetch it, unless it is there
# cuBLAS, cuDNN, cuFFT and the runtime of CUDA 13 come from where PyTorch keeps them. The folder is complete or absent: it is
# filled beside and renamed into place.
set -euo pipefail
cd "$(dirname "$0")/.."

package=onnxruntime-gpu
version=1.31.1
sha256=05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7
platform=manylinux_2_28_x86_64
curand_package=nvidia-curand
curand_version=10.4.5.25
curand_sha256=22bb226a857e5888fe6b54ae465fc4371296bcff13a35f79e19691bcf454f529
curand_platform=manylinux_2_27_x86_64

folder=$PWD/.runtime/onnxruntime-gpu/$package-$version

install() {
  [[ $(uname -m) == x86_64 ]] || { echo "$0: pinned for x86_64 only" >&2; exit 1; }
  [[ ! -d $folder ]] || return 0

  mkdir -p "${folder%/*}"
  exec {lock}>"${folder%/*}/.lock"
  flock "$lock"
  [[ ! -d $folder ]] || return 0

  echo "set-up: fetching ONNX Runtime for CUDA 13 ($package $version, 330 MB) into ${folder#"$PWD"/}"
  rm -rf "${folder%/*}"/.partial.*
  work=$(mktemp -d "${folder%/*}/.partial.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python3 -m venv "$work/venv"
  # Only native libraries are taken from the wheels: for which Python they were made does not matter, one checksum each does.
  fetch() {
    "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
      --implementation "$5" --python-version 3.12 --platform "$3" --dest "$work/wheels" "$1==$2"
    echo "$4  $(echo "$work/wheels/${1//-/_}"-*.whl)" | sha256sum --check --quiet
    "$work/venv/bin/python" -m zipfile --extract "$work/wheels/${1//-/_}"-*.whl "$work/unpacked"
  }
  fetch "$package" "$version" "$platform" "$sha256" cp
  fetch "$curand_package" "$curand_version" "$curand_platform" "$curand_sha256" py
  mkdir "$work/lib"
  mv "$work"/unpacked/onnxruntime/capi/libonnxruntime{.so.$version,_providers_shared.so,_providers_cuda.so} "$work/lib/"
  mv "$work"/unpacked/nvidia/cu13/lib/libcurand.so.10 "$work/lib/"
  cp "$work"/unpacked/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$work/lib/"
  ln -s "libonnxruntime.so.$version" "$work/lib/libonnxruntime.so"
  chmod 755 "$work/lib" "$work"/lib/*.so*
  mv --no-target-directory "$work/lib" "$folder"
}

case ${1:-} in
  path) echo "$folder" ;;
  install) install ;;
  *)
    echo "usage: $0 path|install" >&2
    exit 2
    ;;
esac
