#!/usr/bin/env bash
# deb-test-inside.sh systemd|chroot: run by deb-test.sh in the clean Debian. Stops at the first thing that is not so.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root
under=$1
trap 'echo "deb-test: failed in line $LINENO: $BASH_COMMAND"' ERR

say() { echo "deb-test: $*"; }
# is EXPECTED COMMAND...: whether the command prints that.
is() {
  local expected=$1 found
  shift
  found=$("$@" 2>&1) || true
  [[ $found == "$expected" ]] || { say "$* says '$found' and not '$expected'"; return 1; }
}
# The service has reached this state, within a minute.
becomes() {
  for _ in $(seq 120); do
    [[ $(systemctl is-active belvedere) == "$1" ]] && return
    sleep 0.5
  done
  say "the service is $(systemctl is-active belvedere) and not $1"
  systemctl status --no-pager --lines=40 belvedere || true
  return 1
}
install_package() { apt-get install --quiet=2 --yes --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >/test/apt.log 2>&1 || { cat /test/apt.log; return 1; }; }

say "install"
apt-get update --quiet=2
install_package /test/older.deb
is '0.0.1~older' dpkg-query --show --showformat '${Version}' belvedere
groups=$(id --name --groups belvedere)
for group in video render; do grep --quiet --word-regexp "$group" <<<"$groups"; done
is 'root 700' stat --format '%U %a' /etc/belvedere/secrets
is 'belvedere 750' stat --format '%U %a' /var/lib/belvedere/models
belvedere --version
belvedere check
say "what it depends on is there: a stream is served, decoded, looked at and told of"
runuser -u belvedere -- env HOME=/tmp belvedere demo --results 3 --seconds 120 >/test/demo.log 2>&1 || { cat /test/demo.log; false; }
say "manual pages, completions, unit"
man --where belvedere belvedere-run belvedere-model-pull >/dev/null
bash -c '. /usr/share/bash-completion/completions/belvedere; complete -p belvedere' >/dev/null
is '' systemd-analyze verify /lib/systemd/system/belvedere.service
systemd-analyze security --offline=true --threshold=25 belvedere.service | tail -1

if [[ $under == systemd ]]; then
  say "the service is ready, enabled, and keeps its state where it should"
  becomes active
  is enabled systemctl is-enabled belvedere
  is 'belvedere 750' stat --format '%U %a' /var/lib/belvedere
  is 'belvedere 750' stat --format '%U %a' /var/cache/belvedere
  # Not through a pipe: what ends it early would count as its failure.
  journalctl --unit belvedere --output=json --no-pager >/test/journal.json
  grep --quiet BELVEDERE_TARGET /test/journal.json
  say "it cannot see what it needs not"
  main=$(systemctl show --property MainPID --value belvedere)
  is 'CapEff:	0000000000000000' grep CapEff "/proc/$main/status"
  is 'NoNewPrivs:	1' grep NoNewPrivs "/proc/$main/status"
  say "it is started again after a crash, and not after a wrong configuration"
  kill -ABRT "$main"
  for _ in $(seq 60); do [[ $(systemctl show --property NRestarts --value belvedere) == 0 ]] || break; sleep 0.5; done
  is 1 systemctl show --property NRestarts --value belvedere
  becomes active
  printf '[nonsense]\n' >/etc/belvedere/conf.d/wrong.toml
  systemctl restart belvedere || true
  becomes failed
  is 78 systemctl show --property ExecMainStatus --value belvedere
  rm /etc/belvedere/conf.d/wrong.toml
  systemctl start belvedere
  becomes active
fi

say "an upgrade replaces an example that nobody changed, and what is no longer there goes"
if [[ $under == systemd ]]; then main=$(systemctl show --property MainPID --value belvedere); fi
chmod 750 /etc/belvedere/secrets
install_package /test/newer.deb
# `! grep` would be no failure to `set -e`.
is 0 grep --count 'Of an older build' /etc/belvedere/belvedere.toml
is 'root 750' stat --format '%U %a' /etc/belvedere/secrets
[[ ! -e /usr/share/belvedere/left-by-older ]]
if [[ $under == systemd ]]; then
  becomes active
  now=$(systemctl show --property MainPID --value belvedere)
  [[ $main -gt 0 && $now -gt 0 && $now != "$main" ]]
fi

say "an upgrade keeps what someone wrote"
apt-get purge --quiet=2 --yes belvedere >/dev/null
install_package /test/older.deb
sed -i 's/^name = "example"/name = "mine"/' /etc/belvedere/belvedere.toml
mkdir -p /var/lib/belvedere/models /etc/belvedere/conf.d
touch /var/lib/belvedere/models/kept
echo '# mine' >/etc/belvedere/conf.d/mine.toml
echo secret >/etc/belvedere/secrets/mqtt
if [[ $under == systemd ]]; then systemctl disable --quiet belvedere; fi
install_package -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold /test/newer.deb
grep --quiet '^name = "mine"' /etc/belvedere/belvedere.toml
[[ -e /var/lib/belvedere/models/kept && -e /etc/belvedere/conf.d/mine.toml && -e /etc/belvedere/secrets/mqtt ]]
if [[ $under == systemd ]]; then is disabled systemctl is-enabled belvedere; fi

say "a removal leaves what was written"
apt-get remove --quiet=2 --yes belvedere >/dev/null
[[ ! -e /usr/bin/belvedere && ! -e /usr/lib/belvedere && ! -e /lib/systemd/system/belvedere.service ]]
[[ -e /etc/belvedere/belvedere.toml && -e /var/lib/belvedere/models/kept ]]
if [[ $under == systemd ]]; then is inactive systemctl is-active belvedere; fi

say "a purge leaves only what someone wrote"
apt-get purge --quiet=2 --yes belvedere >/dev/null
is '/etc/belvedere/conf.d/mine.toml
/etc/belvedere/secrets/mqtt' bash -c 'find /etc/belvedere -type f | sort'
rm -r /etc/belvedere
is '' find / -xdev -ipath '*belvedere*' -not -path '/test/*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/var/cache/apt/*' -not -path '/var/cache/man/*' -not -path '/var/log/*'
is 'dpkg-query: no packages found matching belvedere' dpkg-query --show belvedere

say "all well"
