#!/usr/bin/env bash
# TensorRT's headers, one pinned version for TensorRT 11 and one for TensorRT-RTX, out of a source package that carries
# them (Apache-2.0). Nothing of the package is built. Where the system has headers of the same major, the build takes those.
#   tensorrt-headers.sh path      the folder of both
#   tensorrt-headers.sh install   fetch them, unless they are there
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/fetch.sh

package=trtx-sys
version=0.9.1+rtx1.7
sha256=5480ee056292951daa1bc74532162d6cb75190f091e45d7d97c0c356916ae171
# The version in the name: whoever changes it here must change models/tensorrt/build.rs.
folder=$PWD/.runtime/tensorrt-headers/$version

take() {
  # Fetches the package alone, none of what it depends on. Outside the workspace, which would look for it among its own.
  (cd / && cargo info --quiet "$package@$version" >"$work/info")
  archives=("${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/"$package-$version.crate")
  echo "$sha256  ${archives[0]}" | sha256sum --check --quiet
  tar --extract --gzip --file "${archives[0]}" --directory "$work"
  headers=$work/$package-$version/TensorRT-Headers
  mv "$headers/TRT-Enterprise-11.4" "$work/out/tensorrt-11"
  mv "$headers/TRT-RTX-1.7" "$work/out/tensorrt-rtx"
  # A build before this one found none and would not look again.
  touch models/tensorrt/build.rs
}

case ${1:-} in
  path) echo "$folder" ;;
  install) fill "$folder" "TensorRT's headers ($package $version)" take ;;
  *)
    echo "usage: $0 path|install" >&2
    exit 2
    ;;
esac
