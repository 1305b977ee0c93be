#!/usr/bin/env bash
# What comes from outside, given to whatever reads it:
#   fuzz.sh SECONDS [TARGET...]   runs libFuzzer on each target for so long, from the kept corpus. What it finds is left in
#                                 fuzz/artifacts/TARGET; what is new and worth keeping is merged into fuzz/corpus/TARGET.
#   fuzz.sh corpora               gives each target its kept corpus once: what was found stays mended, and the targets
#                                 keep up with the code.
# Instrumented by rustc's own pass, so that a stable toolchain will do; cargo-fuzz works on the same folder.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

seconds=${1:?how many seconds for each target, or corpora}
shift
targets=("$@")
((${#targets[@]})) || targets=(answers checkpoint configuration http messages)
folder=${CARGO_TARGET_DIR:-$PWD/../target}/fuzz

if [[ $seconds == corpora ]]; then
  export CARGO_TARGET_DIR=$folder/corpora
  # Checks for overflow and assertions, and nothing that takes long to compile.
  RUSTFLAGS="--cfg fuzzing" CARGO_PROFILE_DEV_DEBUG=0 cargo build --locked --quiet --bins
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  for target in "${targets[@]}"; do
    inputs=("corpus/$target"/*)
    "$CARGO_TARGET_DIR/debug/$target" -timeout=20 -rss_limit_mb=2048 "${inputs[@]}" >"$log" 2>&1 || {
      cat "$log"
      echo "fuzz: $target fails on an input of its corpus, the last that is named above" >&2
      exit 1
    }
    echo "fuzz: $target takes the ${#inputs[@]} inputs of its corpus"
  done
  exit
fi

export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
 -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
RUSTFLAGS=${RUSTFLAGS//$'\n'/}
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=$folder
# With a target named, build scripts and macros are left without instrumentation.
cargo build --locked --release --target "$host" --bins

for target in "${targets[@]}"; do
  binary=$CARGO_TARGET_DIR/$host/release/$target
  mkdir -p "corpus/$target" "artifacts/$target" "$CARGO_TARGET_DIR/corpus/$target"
  # The words of its language, where it has one.
  words=()
  [[ ! -f $target.dict ]] || words=(-dict="$target.dict")
  echo "fuzz: $target for $seconds s"
  "$binary" "$CARGO_TARGET_DIR/corpus/$target" "corpus/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -max_len=65536 -artifact_prefix="artifacts/$target/" -print_final_stats=1 "${words[@]}"
  merged=$(mktemp -d)
  "$binary" -set_cover_merge=1 -use_counters=0 -max_len=4096 "$merged" "corpus/$target" "$CARGO_TARGET_DIR/corpus/$target" 2>/dev/null
  rm -rf "corpus/$target"
  mv "$merged" "corpus/$target"
done
