#!/usr/bin/env bash
# ONNX Runtime with its CUDA provider, one pinned version, taken out of its Python wheel: for measuring on GPUs that
# TensorRT-RTX does not serve (scripts/gpu_session.py). Nothing else needs it.
#   onnxruntime-gpu.sh path      the folder of its libraries
#   onnxruntime-gpu.sh install   fetch it, unless it is there
# cuBLAS, cuDNN and the runtime of CUDA 13 come from where PyTorch keeps them. The provider also names cuRAND, of which it
# calls nothing: an empty library of that name, made here, lets it load where PyTorch came without.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/fetch.sh

package=onnxruntime-gpu
version=1.31.1
sha256=05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7

folder=$PWD/.runtime/onnxruntime-gpu/$package-$version

take() {
  native_wheel "$package==$version" "$sha256" manylinux_2_28_x86_64
  mkdir "$work/out/empty"
  mv "$work"/unpacked/onnxruntime/capi/libonnxruntime{.so.$version,_providers_shared.so,_providers_cuda.so} "$work/out/"
  : | cc -shared -x c -Wl,-soname,libcurand.so.10 -o "$work/out/empty/libcurand.so.10" -
  cp "$work"/unpacked/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$work/out/"
  ln -s "libonnxruntime.so.$version" "$work/out/libonnxruntime.so"
  chmod 755 "$work/out" "$work"/out/*.so*
}

case ${1:-} in
  path) echo "$folder" ;;
  install)
    [[ $(uname -m) == x86_64 ]] || { echo "$0: pinned for x86_64 only" >&2; exit 1; }
    fill "$folder" "ONNX Runtime for CUDA 13 ($package $version, 256 MB)" take
    ;;
  *)
    echo "usage: $0 path|install" >&2
    exit 2
    ;;
esac
