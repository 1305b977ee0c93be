# Sourced by the scripts that fetch pinned packages into .runtime.

# fill FOLDER WHAT COMMAND: has COMMAND fill $work/out, which becomes FOLDER, unless that is there. The folder is complete or
# absent: it is filled beside and renamed into place, by one process at a time. COMMAND has $work to itself.
fill() {
  local folder=$1 what=$2 command=$3 lock
  [[ ! -d $folder ]] || return 0
  mkdir -p "${folder%/*}"
  exec {lock}>"${folder%/*}/.lock"
  flock "$lock"
  # Another process may have filled it meanwhile.
  if [[ ! -d $folder ]]; then
    echo "set-up: fetching $what into ${folder#"$PWD"/}"
    rm -rf "${folder%/*}"/.partial.*
    work=$(mktemp -d "${folder%/*}/.partial.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/out"
    "$command"
    mv --no-target-directory "$work/out" "$folder"
    rm -rf "$work"
  fi
  exec {lock}>&-
}

# wheel PACKAGE==VERSION SHA256 [OPTION...]: a Python wheel, checked and unpacked into $work/unpacked. Options are pip's.
wheel() {
  [[ -d $work/venv ]] || python3 -m venv "$work/venv"
  "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: "${@:3}" \
    --dest "$work/wheel" "$1"
  echo "$2  $(echo "$work"/wheel/*.whl)" | sha256sum --check --quiet
  "$work/venv/bin/python" -m zipfile --extract "$work"/wheel/*.whl "$work/unpacked"
  rm -r "$work/wheel"
}

# native_wheel PACKAGE==VERSION SHA256 PLATFORM...: one that only native libraries are taken from. Which Python it was made
# for does not matter, one checksum does.
native_wheel() {
  local platforms=("${@:3}")
  wheel "$1" "$2" --implementation cp --python-version 3.12 "${platforms[@]/#/--platform=}"
}
