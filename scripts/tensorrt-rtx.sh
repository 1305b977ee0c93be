#!/usr/bin/env bash
# TensorRT-RTX, one pinned version, taken out of its Python wheel: it builds engines without a GPU, which `make test` and
# `make engines` do. Belvedere itself never needs it.
#   tensorrt-rtx.sh path      the folder of its libraries
#   tensorrt-rtx.sh install   fetch it, unless it is there
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/fetch.sh

# Its headers must be of the same minor version: see tensorrt-headers.sh.
version=1.7.1.116
package=tensorrt-rtx-cu12-libs
sha256=68c2615fef1556e7721235682f460f3d78ab89df320a3f34a416367b144817a8
platform=manylinux_2_28_x86_64
runtime_version=12.9.79
runtime_package=nvidia-cuda-runtime-cu12
runtime_sha256=25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3
runtime_platform=manylinux2014_x86_64
folder=$PWD/.runtime/tensorrt-rtx/$version

take() {
  native_wheel "$package==$version" "$sha256" "$platform"
  native_wheel "$runtime_package==$runtime_version" "$runtime_sha256" "$runtime_platform"
  mv "$work"/unpacked/tensorrt_rtx_libs/*.so.* "$work"/unpacked/nvidia/cuda_runtime/lib/*.so.* "$work/out/"
  find "$work/unpacked" -path "*${package//-/_}*" -type f -iname 'LICENSE*' -exec cp {} "$work/out/" \;
  chmod 755 "$work/out" "$work"/out/*.so*
}

install() {
  if [[ $(uname -m) != x86_64 ]]; then
    echo "set-up: TensorRT-RTX is pinned for x86_64 only: tests of real engine builds are left out" >&2
    return 0
  fi
  fill "$folder" "TensorRT-RTX ($version, 90 MB)" take
}

case ${1:-} in
  path) echo "$folder" ;;
  install) install ;;
  *)
    echo "usage: $0 path|install" >&2
    exit 2
    ;;
esac
