#!/usr/bin/env bash
# TensorRT's headers, one pinned version for TensorRT 11 and one for TensorRT-RTX, out of a source package that carries
# them (Apache-2.0). Nothing of the package is built. Where the system has headers of the same major, the build takes those.
#   tensorrt-headers.sh path      the folder of both
#   tensorrt-headers.sh install   fetch them, unless they are there
# The folder is complete or absent: it is filled beside and renamed into place.
set -euo pipefail
cd "$(dirname "$0")/.."

package=trtx-sys
version=0.9.1+rtx1.7
sha256=5480ee056292951daa1bc74532162d6cb75190f091e45d7d97c0c356916ae171
# The version in the name: whoever changes it here must change models/tensorrt/build.rs.
folder=$PWD/.runtime/tensorrt-headers/$version

install() {
  [[ ! -d $folder ]] || return 0
  mkdir -p "${folder%/*}"
  exec {lock}>"${folder%/*}/.lock"
  flock "$lock"
  [[ ! -d $folder ]] || return 0

  echo "set-up: fetching TensorRT's headers ($package $version) into ${folder#"$PWD"/}"
  rm -rf "${folder%/*}"/.partial.*
  work=$(mktemp -d "${folder%/*}/.partial.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # Fetches the package alone, none of what it depends on. Outside the workspace, which would look for it among its own.
  (cd / && cargo info --quiet "$package@$version" >"$work/info")
  archives=("${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/"$package-$version.crate")
  echo "$sha256  ${archives[0]}" | sha256sum --check --quiet
  tar --extract --gzip --file "${archives[0]}" --directory "$work"
  headers=$work/$package-$version/TensorRT-Headers
  mkdir "$work/out"
  mv "$headers/TRT-Enterprise-11.4" "$work/out/tensorrt-11"
  mv "$headers/TRT-RTX-1.7" "$work/out/tensorrt-rtx"
  mv --no-target-directory "$work/out" "$folder"
}

case ${1:-} in
  path) echo "$folder" ;;
  install) install ;;
  *)
    echo "usage: $0 path|install" >&2
    exit 2
    ;;
esac
