#!/usr/bin/env bash
# Makes sure that cargo, clippy and rustfmt are there, as new as the workspace asks.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# Is version $1 at least $2?
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort --version-sort | head -1) == "$2" ]]; }

new_enough() {
  local have
  have=$(cargo --version 2>/dev/null | cut -d' ' -f2) || return 1
  [[ -n $have ]] && at_least "$have" "$wanted" && cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1
}

new_enough && exit 0

if ! command -v rustup >/dev/null; then
  echo "set-up: installing the Rust toolchain with rustup, into ~/.cargo and ~/.rustup"
  installer=$(mktemp)
  trap 'rm -f "$installer"' EXIT
  if ! curl --proto '=https' --tlsv1.2 --silent --show-error --fail --output "$installer" https://sh.rustup.rs; then
    echo "set-up: Rust $wanted or newer is needed, with clippy and rustfmt; see https://rustup.rs" >&2
    exit 1
  fi
  sh "$installer" -y --quiet --no-modify-path --profile minimal --component clippy --component rustfmt
else
  echo "set-up: Rust $wanted or newer is needed, with clippy and rustfmt; asking rustup for stable"
  rustup toolchain install stable --no-self-update --profile minimal --component clippy --component rustfmt
fi

if ! new_enough; then
  echo "set-up: cargo is still $(cargo --version 2>/dev/null || echo missing), Rust $wanted or newer is needed: 'rustup default stable' may help" >&2
  exit 1
fi
