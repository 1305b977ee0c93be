#!/usr/bin/env bash
# deb-test.sh PACKAGE: installs, upgrades, removes and purges the package in a clean Debian 12, and has lintian read it.
# The Debian is a folder; systemd-nspawn boots it where this machine can, so that the service runs under a real systemd,
# and else chroot enters it, and the service is not started. As root; minutes, and some hundred MB from Debian's mirror.
set -euo pipefail
cd "$(dirname "$0")/.."

package=$(realpath "${1:?the package}")
work=${CARGO_TARGET_DIR:-$PWD/target}/deb-test
suite=bookworm
mkdir -p "$work/archives"

missing=()
for name in debootstrap lintian systemd-container; do
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || missing+=("$name")
done
if ((${#missing[@]})); then
  apt-get update --quiet=2
  DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >/dev/null
fi

echo "deb-test: lintian"
lintian --allow-root --fail-on error "$package"

if [[ ! -d $work/base ]]; then
  echo "deb-test: a Debian in $work/base"
  rm -rf "$work/base.partial"
  debootstrap --variant=minbase --include=systemd,systemd-sysv,man-db,dbus "$suite" "$work/base.partial" >"$work/debootstrap.log"
  mv "$work/base.partial" "$work/base"
fi

# An older build: the same with another version, another example and a file that the newer one has no more.
rm -rf "$work/older" "$work/root"
dpkg-deb --raw-extract "$package" "$work/older"
sed -i 's/^Version: .*/Version: 0.0.1~older/' "$work/older/DEBIAN/control"
sed -i '2i # Of an older build.' "$work/older/etc/belvedere/belvedere.toml"
touch "$work/older/usr/share/belvedere/left-by-older"
dpkg-deb --root-owner-group -Zgzip -z1 --build "$work/older" "$work/older.deb" >/dev/null

cp --archive --reflink=auto "$work/base" "$work/root"
mkdir -p "$work/root/test"
cp "$work/older.deb" "$work/root/test/older.deb"
cp "$package" "$work/root/test/newer.deb"
cp scripts/deb-test-inside.sh "$work/root/test/inside.sh"
cp --dereference /etc/resolv.conf "$work/root/etc/resolv.conf"
# How this machine reaches a mirror, the clean one does too.
cp /etc/apt/apt.conf.d/*proxy* "$work/root/etc/apt/apt.conf.d/" 2>/dev/null || true

cat >"$work/root/etc/systemd/system/deb-test.service" <<'UNIT'
[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
TimeoutStartSec=20min
StandardOutput=file:/test/log
StandardError=inherit
ExecStart=/bin/bash /test/inside.sh systemd
UNIT

boots() {
  timeout --signal=KILL 1500 systemd-nspawn --quiet --directory="$work/root" --register=no --keep-unit --resolv-conf=off \
    --bind="$work/archives:/var/cache/apt/archives" --boot systemd.unit=deb-test.service >"$work/boot.log" 2>&1 || true
  [[ -s $work/root/test/log ]]
}

if boots; then
  cat "$work/root/test/log"
else
  echo "deb-test: no systemd boots in a container here; the service is not started"
  mount --bind "$work/archives" "$work/root/var/cache/apt/archives"
  mount -t proc proc "$work/root/proc"
  trap 'umount "$work/root/var/cache/apt/archives" "$work/root/proc"' EXIT
  chroot "$work/root" /bin/bash /test/inside.sh chroot 2>&1 | tee "$work/root/test/log"
fi
grep --quiet '^deb-test: all well' "$work/root/test/log"
