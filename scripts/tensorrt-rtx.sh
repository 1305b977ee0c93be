#!/usr/bin/env bash
# TensorRT-RTX, one pinned version, taken out of its Python wheel: it builds engines without a GPU, which `make test` and
# `make engines` do. Belvedere itself never needs it.
#   tensorrt-rtx.sh path      the folder of its libraries
#   tensorrt-rtx.sh install   fetch it, unless it is there
# The folder is complete or absent: it is filled beside and renamed into place.
set -euo pipefail
cd "$(dirname "$0")/.."

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

install() {
  if [[ $(uname -m) != x86_64 ]]; then
    echo "set-up: TensorRT-RTX is pinned for x86_64 only: tests of real engine builds are left out" >&2
    return 0
  fi
  [[ ! -d $folder ]] || return 0
  mkdir -p "${folder%/*}"
  exec {lock}>"${folder%/*}/.lock"
  flock "$lock"
  [[ ! -d $folder ]] || return 0

  echo "set-up: fetching TensorRT-RTX ($version, 90 MB) into ${folder#"$PWD"/}"
  rm -rf "${folder%/*}"/.partial.*
  work=$(mktemp -d "${folder%/*}/.partial.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python3 -m venv "$work/venv"
  fetch() {
    "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
      --implementation py --python-version 3.12 --platform "$3" --dest "$work/wheels" "$1==$2"
    echo "$4  $(echo "$work/wheels/${1//-/_}"-*.whl)" | sha256sum --check --quiet
    "$work/venv/bin/python" -m zipfile --extract "$work/wheels/${1//-/_}"-*.whl "$work/unpacked"
  }
  fetch "$package" "$version" "$platform" "$sha256"
  fetch "$runtime_package" "$runtime_version" "$runtime_platform" "$runtime_sha256"
  mkdir "$work/lib"
  mv "$work"/unpacked/tensorrt_rtx_libs/*.so.* "$work"/unpacked/nvidia/cuda_runtime/lib/*.so.* "$work/lib/"
  find "$work/unpacked" -path "*${package//-/_}*" -type f -iname 'LICENSE*' -exec cp {} "$work/lib/" \;
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
