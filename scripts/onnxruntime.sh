#!/usr/bin/env bash
# The ONNX Runtime library, one pinned version, taken out of its Python wheel:
#   onnxruntime.sh path           where the library is, or will be
#   onnxruntime.sh install        fetch it, unless it is there
#   onnxruntime.sh link TARGET    let the binary in TARGET/release find it: TARGET/lib/belvedere
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/fetch.sh

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

take() {
  native_wheel "$package==$version" "$sha256" "$platform"
  for file in "${files[@]}"; do mv "$work/unpacked/onnxruntime/capi/$file" "$work/out/"; done
  cp "$work"/unpacked/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$work/out/"
  ln -s "libonnxruntime.so.$version" "$work/out/libonnxruntime.so"
  chmod 755 "$work/out" "$work"/out/*.so*
}

install() {
  # A library that the user named is theirs to provide.
  [[ -z ${ORT_DYLIB_PATH:-} || $ORT_DYLIB_PATH == "$folder"/* ]] || return 0
  fill "$folder" "ONNX Runtime ($package $version)" take
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
