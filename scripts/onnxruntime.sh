#!/usr/bin/env bash
# The ONNX Runtime library, one pinned version, taken out of its Python wheel:
#   onnxruntime.sh path           where the library is, or will be
#   onnxruntime.sh install        fetch it, unless it is there
#   onnxruntime.sh link TARGET    let the binary in TARGET/release find it: TARGET/lib/belvedere
# A folder under .runtime/onnxruntime is complete or absent: it is filled beside and renamed into place.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.24.1
machine=$(uname -m)
case $machine in
  x86_64)
    # With the OpenVINO provider, which the plain library lacks: faster on Intel CPUs, and bfloat16 where they have it.
    package=onnxruntime-openvino
    platform=manylinux_2_28_x86_64
    sha256=d617fac2f59a6ab5ea59a788c3e1592240a129642519aaeaa774761dfe35150e
    # What the CPU needs: OpenVINO under the names its parts ask for, not the wheel's copies under other names.
    files=(
      libonnxruntime.so.$version libonnxruntime_providers_shared.so libonnxruntime_providers_openvino.so
      libopenvino.so.2541 libopenvino_onnx_frontend.so.2541 libopenvino_intel_cpu_plugin.so libtbb.so.12
    )
    ;;
  aarch64)
    package=onnxruntime
    platform=manylinux_2_28_aarch64
    sha256=780add442ce2d4175fafb6f3102cdc94243acffa3ab16eacc03dd627cc7b1b54
    files=(libonnxruntime.so.$version libonnxruntime_providers_shared.so)
    ;;
  *)
    echo "set-up: no ONNX Runtime is pinned for $machine: set ORT_DYLIB_PATH to a library of version 1.24 or newer" >&2
    exit 1
    ;;
esac

folder=$PWD/.runtime/onnxruntime/$package-$version

install() {
  # A library that the user named is theirs to provide.
  [[ -z ${ORT_DYLIB_PATH:-} || $ORT_DYLIB_PATH == "$folder"/* ]] || return 0
  [[ ! -d $folder ]] || return 0

  mkdir -p "${folder%/*}"
  exec {lock}>"${folder%/*}/.lock"
  flock "$lock"
  [[ ! -d $folder ]] || return 0

  echo "set-up: fetching ONNX Runtime ($package $version) into ${folder#"$PWD"/}"
  rm -rf "${folder%/*}"/.partial.*
  work=$(mktemp -d "${folder%/*}/.partial.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python3 -m venv "$work/venv"
  # Only native libraries are taken from the wheel: which Python it was made for does not matter, one checksum does.
  "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --implementation cp --python-version 3.12 --platform "$platform" --dest "$work/wheel" "$package==$version"
  echo "$sha256  $(echo "$work"/wheel/*.whl)" | sha256sum --check --quiet
  "$work/venv/bin/python" -m zipfile --extract "$work"/wheel/*.whl "$work/unpacked"
  mkdir "$work/lib"
  for file in "${files[@]}"; do mv "$work/unpacked/onnxruntime/capi/$file" "$work/lib/"; done
  cp "$work"/unpacked/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$work/lib/"
  ln -s "libonnxruntime.so.$version" "$work/lib/libonnxruntime.so"
  chmod 755 "$work/lib" "$work"/lib/*.so*
  mv --no-target-directory "$work/lib" "$folder"
}

link() {
  [[ -d $folder ]] || return 0
  mkdir -p "$1/lib"
  ln --symbolic --force --no-dereference "$folder" "$1/lib/belvedere"
}

case ${1:-} in
  path) echo "$folder/libonnxruntime.so.$version" ;;
  install) install ;;
  link) link "${2:?the target folder}" ;;
  *)
    echo "usage: $0 path|install|link TARGET" >&2
    exit 2
    ;;
esac
