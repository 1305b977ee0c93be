#!/usr/bin/env bash
# python-env.sh FOLDER REQUIREMENTS: a Python environment with exactly these packages, made unless it is there.
# The copy of the requirements inside is written last: an interrupted installation is started afresh.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$1
requirements=$2
stamp=$folder/requirements.installed

cmp --silent "$requirements" "$stamp" && exit 0
echo "set-up: making the Python environment $folder from $requirements"
python3 -m venv --clear "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check --only-binary=:all: --requirement "$requirements"
cp "$requirements" "$stamp"
