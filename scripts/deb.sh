#!/usr/bin/env bash
# deb.sh OUT: the Debian package of what `make deb` has built, into the folder OUT; prints its path. Run by make, which
# sets CARGO_TARGET_DIR and ORT_DYLIB_PATH.
# dpkg-deb alone: the package has no source package, and what debhelper would add is little and in systemd/debian.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:?where to write the package}
release=$CARGO_TARGET_DIR/release
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
architecture=$(dpkg --print-architecture)
maintainer=${DEB_MAINTAINER:-Belvedere <packages@belvedere.example>}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
doc=$root/usr/share/doc/belvedere
umask 022
# The same files give the same package.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}

install -D --strip "$release/belvedere" "$root/usr/bin/belvedere"
mkdir -p "$root/usr/lib/belvedere" "$doc"
cp --no-dereference "$(dirname "$ORT_DYLIB_PATH")"/*.so* "$root/usr/lib/belvedere/"
# The loader needs no permission to execute a library, and policy gives it none.
find "$root/usr/lib/belvedere" -type f -exec strip --strip-unneeded {} + -exec chmod 644 {} +
install -D -m 644 systemd/belvedere.service "$root/lib/systemd/system/belvedere.service"
install -D -m 644 systemd/belvedere.sysusers "$root/usr/lib/sysusers.d/belvedere.conf"
install -D -m 644 systemd/belvedere.toml "$root/etc/belvedere/belvedere.toml"
install -d "$root/etc/belvedere/conf.d"
install -D -m 644 systemd/belvedere.schema.json "$root/usr/share/belvedere/belvedere.schema.json"

# Manual pages and completions, written by the command line's own definition.
"$release/examples/reference" packaged "$work/made"
for page in "$work"/made/man/*.1; do
  install -D -m 644 "$page" "$root/usr/share/man/man1/$(basename "$page")"
done
install -D -m 644 "$work/made/belvedere.bash" "$root/usr/share/bash-completion/completions/belvedere"
install -D -m 644 "$work/made/_belvedere" "$root/usr/share/zsh/vendor-completions/_belvedere"
install -D -m 644 "$work/made/belvedere.fish" "$root/usr/share/fish/vendor_completions.d/belvedere.fish"

# What Belvedere is licensed under, and all that is compiled into it or beside it.
python3 scripts/licences.py --texts "$work/licence-texts" >"$doc/copyright"
{
  cat "$work/licence-texts"
  printf '\n%s\n\n' "ONNX Runtime and OpenVINO, in /usr/lib/belvedere"
  cat "$(dirname "$ORT_DYLIB_PATH")"/{LICENSE,ThirdPartyNotices.txt}
} >"$doc/THIRD-PARTY-LICENCES"
# Each document where the others' links look for it.
for document in README.md ARCHITECTURE.md daemon/docs daemon/grafana systemd/belvedere.toml models/tiny/README.md; do
  mkdir -p "$doc/$(dirname "$document")"
  cp --recursive "$document" "$doc/$document"
done
printf 'belvedere (%s) unstable; urgency=medium\n\n  * %s\n\n -- %s  %s\n' \
  "$version" "As it is in the repository." "$maintainer" "$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")" >"$doc/changelog"
find "$root/usr/share/man" "$doc/THIRD-PARTY-LICENCES" "$doc/changelog" -type f -exec gzip --best --no-name {} +

# What the binaries are linked against, by dpkg's own reckoning.
mkdir "$work/debian"
printf 'Source: belvedere\n\nPackage: belvedere\nArchitecture: any\n' >"$work/debian/control"
linked=$(cd "$work" && dpkg-shlibdeps -O -lroot/usr/lib/belvedere --ignore-missing-info -xbelvedere \
  -eroot/usr/bin/belvedere root/usr/lib/belvedere/*.so* 2>"$work/shlibdeps.log") || { cat "$work/shlibdeps.log" >&2; exit 1; }
linked=${linked#shlibs:Depends=}

mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: belvedere
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Section: video
Priority: optional
Installed-Size: $(du --summarize --apparent-size --block-size=1024 "$root" | cut -f1)
Depends: $linked, gstreamer1.0-plugins-base, gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad, gstreamer1.0-libav, systemd | systemd-standalone-sysusers | systemd-sysusers
Recommends: ca-certificates
Suggests: mosquitto
Description: watches cameras with Florence-2 and says what it sees over MQTT
 Belvedere is a daemon for people with cameras. You write a camera and a phrase
 into a file, and get an MQTT message when the phrase comes true; Home Assistant
 finds the cameras by itself. It runs on the CPU; NVIDIA GPUs are supported and
 not yet proven.
 .
 A small model for trying things out is inside; "belvedere model pull" fetches
 a real one.
CONTROL
echo /etc/belvedere/belvedere.toml >"$root/DEBIAN/conffiles"
install -m 755 systemd/debian/{postinst,prerm,postrm} "$root/DEBIAN/"
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -not -path './etc/*' -printf '%P\0' | sort --zero-terminated | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
chmod 644 "$root/DEBIAN"/{control,conffiles,md5sums}

mkdir -p "$out"
package=$out/belvedere_${version}_$architecture.deb
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
# Seconds instead of a minute for the libraries, at the price of a few MB.
dpkg-deb --root-owner-group -Zxz -z"${DEB_COMPRESSION:-6}" --build "$root" "$package" >/dev/null
echo "$package"
