#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that Belvedere needs to be built, demonstrated and tested, if any is missing.
set -euo pipefail

packages=(
  build-essential pkg-config ca-certificates curl python3 python3-venv
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
  mosquitto
  openssl
  systemd
)

# A browser, for the tests of the page. Ubuntu's package is only a pointer to a snap.
if grep --quiet '^ID=debian$' /etc/os-release; then packages+=(chromium); fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "set-up: not a Debian or Ubuntu machine; these packages, by Debian's names, are taken to be there: ${packages[*]}" >&2
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if [[ $(id -u) != 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "set-up: missing packages and no sudo; as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "set-up: installing Debian packages: ${missing[*]}"
"${as_root[@]}" apt-get update --quiet=2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >/dev/null
