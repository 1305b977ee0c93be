#!/usr/bin/env bash
# The PTX of the CUDA kernels, made with pinned compilers (NVRTC, which needs no GPU) out of their Python wheels:
#   kernels-ptx.sh make    write kernels/cu/ptx again
#   kernels-ptx.sh check   fail if that is not what the sources give, or if a kernel does not compile for every GPU that is
#                          meant, or spills registers; prints a table
# The older compiler makes the PTX, so that the driver of JetPack 6.1 takes it; the newer knows the newer GPUs.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/fetch.sh

case $(uname -m) in
  x86_64)
    platforms=(manylinux2010_x86_64 manylinux_2_12_x86_64)
    sha256_12=800927308ccc5dd6246d3f61f7fcef2ed7ec4e59e199090d360d3293f78bd5a2
    sha256_13=86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc
    ;;
  aarch64)
    platforms=(manylinux2014_aarch64 manylinux_2_17_aarch64)
    sha256_12=3f3134f50963882373063901657554f230bedf6039d30b09f6be55c64c993a37
    sha256_13=36e4fa2a8ada293f5693d308e531c196ab6f91cf7a0ff479bf96a537d43a6096
    ;;
  *)
    echo "set-up: no CUDA compiler is pinned for $(uname -m)" >&2
    exit 1
    ;;
esac

runtime=$PWD/.runtime/nvrtc

take() {
  native_wheel "$requirement" "$sha256" "${platforms[@]}"
  find "$work/unpacked" -name 'libnvrtc*.so.*' ! -name '*.alt.*' -exec mv {} "$work/out/" \;
  find "$work/unpacked" -type f -iname 'license*' -exec cp {} "$work/out/" \;
}

# install FOLDER PACKAGE==VERSION SHA256
install() {
  local requirement=$2 sha256=$3
  fill "$runtime/$1" "the CUDA compiler ($requirement)" take
}

install 12 nvidia-cuda-nvrtc-cu12==12.6.85 "$sha256_12"
case ${1:-} in
  make) exec python3 scripts/kernels_ptx.py make --older "$runtime/12" ;;
  check)
    install 13 nvidia-cuda-nvrtc==13.5.37 "$sha256_13"
    exec python3 scripts/kernels_ptx.py check --older "$runtime/12" --newer "$runtime/13"
    ;;
  *)
    echo "usage: $0 make|check" >&2
    exit 2
    ;;
esac
