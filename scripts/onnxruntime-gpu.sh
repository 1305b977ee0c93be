#!/usr/bin/env bash
# ONNX Runtime with its CUDA provider, one pinned version, taken out of its Python wheel: for measuring on GPUs that
# TensorRT-RTX does not serve (scripts/gpu_session.py). Nothing else needs it.
#   onnxruntime-gpu.sh path      the folder of its libraries
#   onnxruntime-gpu.sh install   fetch it, unless it is there
# cuBLAS, cuDNN and the runtime of CUDA 13 come from where PyTorch keeps them. The provider also names cuRAND, of which it
# calls nothing: an empty library of that name, made here, lets it load where PyTorch came without. The folder is complete or
# absent: it is filled beside and renamed into place.
set -euo pipefail
cd "$(dirname "$0")/.."

package=onnxruntime-gpu
version=1.31.1
sha256=05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7
platform=manylinux_2_28_x86_64

folder=$PWD/.runtime/onnxruntime-gpu/$package-$version

install() {
  [[ $(uname -m) == x86_64 ]] || { echo "$0: pinned for x86_64 only" >&2; exit 1; }
  [[ ! -d $folder ]] || return 0

  mkdir -p "${folder%/*}"
  exec {lock}>"${folder%/*}/.lock"
  flock "$lock"
  [[ ! -d $folder ]] || return 0

  echo "set-up: fetching ONNX Runtime for CUDA 13 ($package $version, 256 MB) into ${folder#"$PWD"/}"
  rm -rf "${folder%/*}"/.partial.*
  work=$(mktemp -d "${folder%/*}/.partial.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python3 -m venv "$work/venv"
  # Only native libraries are taken from the wheel: which Python it was made for does not matter, one checksum does.
  "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --implementation cp --python-version 3.12 --platform "$platform" --dest "$work/wheel" "$package==$version"
  echo "$sha256  $(echo "$work"/wheel/*.whl)" | sha256sum --check --quiet
  "$work/venv/bin/python" -m zipfile --extract "$work"/wheel/*.whl "$work/unpacked"
  mkdir -p "$work/lib/empty"
  mv "$work"/unpacked/onnxruntime/capi/libonnxruntime{.so.$version,_providers_shared.so,_providers_cuda.so} "$work/lib/"
  : | cc -shared -x c -Wl,-soname,libcurand.so.10 -o "$work/lib/empty/libcurand.so.10" -
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
