#!/usr/bin/env bash
# What the tests of the page and of the metrics use, in .runtime/page-tools:
#   promtool      Prometheus' own checks, taken out of the Debian package (the package itself would start a server)
#   axe.min.js    axe-core, the rules of accessibility, taken out of a Python wheel: one pinned version
# The folder is complete or absent: it is filled beside and renamed into place.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$PWD/.runtime/page-tools
wheel=axe-playwright-python==0.1.8  # with axe-core 4.12.1 inside
sha256=fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8

[[ ! -d $folder ]] || exit 0
echo "set-up: fetching promtool and axe-core into ${folder#"$PWD"/}"
mkdir -p "${folder%/*}"
work=$(mktemp -d "${folder%/*}/.partial.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir "$work/tools"

# apt checks what it fetches against the signed lists of the distribution.
(cd "$work" && apt-get download --quiet=2 -o APT::Sandbox::User=root prometheus)
dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar --extract --directory "$work" ./usr/bin/promtool
mv "$work/usr/bin/promtool" "$work/tools/"

python3 -m venv "$work/venv"
"$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work/wheel" "$wheel"
echo "$sha256  $(echo "$work"/wheel/*.whl)" | sha256sum --check --quiet
"$work/venv/bin/python" -m zipfile --extract "$work"/wheel/*.whl "$work/unpacked"
mv "$work/unpacked/axe_playwright_python/axe.min.js" "$work/tools/"
mv --no-target-directory "$work/tools" "$folder"
