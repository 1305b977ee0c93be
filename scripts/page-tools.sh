#!/usr/bin/env bash
# What the tests of the page and of the metrics use, in .runtime/page-tools:
#   promtool      Prometheus' own checks, taken out of the Debian package (the package itself would start a server)
#   axe.min.js    axe-core, the rules of accessibility, taken out of a Python wheel: one pinned version
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/fetch.sh

folder=$PWD/.runtime/page-tools
axe=axe-playwright-python==0.1.8  # with axe-core 4.12.1 inside
sha256=fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8

take() {
  # apt checks what it fetches against the signed lists of the distribution.
  chmod 755 "$work"
  (cd "$work" && apt-get download --quiet=2 -o APT::Sandbox::User=root prometheus)
  dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar --extract --directory "$work" ./usr/bin/promtool
  mv "$work/usr/bin/promtool" "$work/out/"
  wheel "$axe" "$sha256"
  mv "$work/unpacked/axe_playwright_python/axe.min.js" "$work/out/"
}

fill "$folder" "promtool and axe-core" take
