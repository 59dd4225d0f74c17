#!/bin/bash
# The main job, on real Debian: compose a base, deploy it, layer packages, survive a broken one, go back.
# Needs root. The composed base is kept, so a second run is quick; `demo.sh clean` removes all.
set -euo pipefail

TOOL=${APT_OSTREE:-.venv/bin/apt-ostree}
STATE=${APT_OSTREE_DEMO:-/var/tmp/apt-ostree-demo}
REPO=$STATE/repo
SYSROOT=$STATE/sysroot
REF=debian/13/x86_64/minimal
TREEFILE=apt_ostree/data/treefiles/debian-13-minimal.toml
times=()

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { printf '\033[2m$%s\033[0m\n' "$(printf ' %q' "$@")"; "$@"; } # as it can be typed
clock() { # clock NAME COMMAND...: run it and remember how long it took
  local name=$1 start=$EPOCHREALTIME status=0; shift
  show "$@" || status=$?
  times+=("$(printf '%-34s %6.1f s' "$name" "$(minus "$EPOCHREALTIME" "$start")")")
  return "$status"
}
minus() { awk -v a="$1" -v b="$2" 'BEGIN { print a - b }'; }
ao() { "$TOOL" --sysroot "$SYSROOT" "$@"; }
show_ao() { show "$TOOL" --sysroot "$SYSROOT" "$@"; }
clock_ao() { local name=$1; shift; clock "$name" "$TOOL" --sysroot "$SYSROOT" "$@"; }
drop_machine() { # libostree makes its deployments immutable
  [ -d "$SYSROOT" ] || return 0
  find "$SYSROOT/ostree/deploy" -maxdepth 3 -mindepth 3 -type d -exec chattr -i {} + 2>/dev/null || true
  rm -rf "$SYSROOT"
}

[ "$(id -u)" = 0 ] || { echo "the demo mounts and deploys: run it with sudo" >&2; exit 6; }
[ ! -L "$STATE" ] && [ ! -L "$SYSROOT" ] || { echo "$STATE is a link, or has one: not the demo's" >&2; exit 1; }
if [ -e "$STATE" ]; then # its name is known to everybody, and /var/tmp is everybody's
  [ -O "$STATE" ] || { echo "$STATE is somebody else's: set APT_OSTREE_DEMO to another directory" >&2; exit 1; }
  [ -e "$STATE/.demo" ] || [ -z "$(ls -A "$STATE")" ] || { echo "$STATE is not the demo's" >&2; exit 1; }
fi
if [ "${1-}" = clean ]; then
  [ -d "$STATE" ] || exit 0
  drop_machine
  rm -rf --one-file-system "$STATE"
  exit
fi
mkdir -p "$STATE"
chmod 0700 "$STATE"
touch "$STATE/.demo"

say "1. A base: real Debian 13, composed into an OSTree repo"
[ -d "$REPO/objects" ] || ostree init --repo="$REPO" --mode=bare
stamp=$(cat "$TREEFILE" apt_ostree/compose/*.py apt_ostree/tree/*.py | sha256sum)
if [ "$(cat "$STATE/stamp" 2>/dev/null)" = "$stamp" ] && ostree rev-parse --repo="$REPO" "$REF" >/dev/null 2>&1; then
  echo "kept from the last run: $(ostree rev-parse --repo="$REPO" "$REF")"
else
  clock "compose tree" "$TOOL" compose tree "$TREEFILE" --repo "$REPO"
  echo "$stamp" > "$STATE/stamp"
fi

say "2. A throw-away machine with this base deployed"
drop_machine
mkdir -p "$SYSROOT"
start=$EPOCHREALTIME
ostree admin init-fs --modern "$SYSROOT" 2>/dev/null || ostree admin init-fs "$SYSROOT"
ostree admin os-init --sysroot="$SYSROOT" debian
ostree pull-local --repo="$SYSROOT/ostree/repo" "$REPO" "$REF"
ostree admin deploy --sysroot="$SYSROOT" --os=debian --karg=root=LABEL=root --karg=rw "$REF"
times+=("$(printf '%-34s %6.1f s' "first deployment" "$(minus "$EPOCHREALTIME" "$start")")")

say "3. Layer real packages: one with a service and a system user"
clock_ao "install chrony htop" install --assumeyes chrony htop
show_ao status
show_ao db diff
deployment=$(ao status --json | jq -r '.deployments[0] | "\(.checksum).\(.serial)"')
grep -H _chrony "$SYSROOT/ostree/deploy/debian/deploy/$deployment/etc/passwd"

say "4. A package whose postinst fails changes nothing"
broken=$STATE/broken
rm -rf "$broken"
mkdir -p "$broken/DEBIAN" "$broken/usr/share/broken"
printf 'Package: broken\nVersion: 1.0\nArchitecture: all\nMaintainer: Demo <demo@example.org>\nDescription: fails\n' \
  > "$broken/DEBIAN/control"
printf '#!/bin/sh\necho "I am about to fail" >&2\nexit 3\n' > "$broken/DEBIAN/postinst"
chmod 0755 "$broken/DEBIAN/postinst"
dpkg-deb --build --root-owner-group "$broken" "$STATE/broken.deb" >/dev/null
before=$(ao status --json | sha256sum)
if clock_ao "install broken.deb (fails)" install --assumeyes "$STATE/broken.deb" 2>"$STATE/broken.err"; then
  echo "a failing postinst was accepted" >&2; exit 1
fi
cat "$STATE/broken.err"
grep -q "postinst script of package broken failed: exit code 3" "$STATE/broken.err" || { echo "it failed otherwise" >&2; exit 1; }
[ "$before" = "$(ao status --json | sha256sum)" ] || { echo "something changed" >&2; exit 1; }
echo "status is the same, byte for byte"

say "5. Uninstall, then roll back"
clock_ao "uninstall htop" uninstall --assumeyes htop
clock_ao "rollback" rollback
show_ao status
ostree fsck --repo="$SYSROOT/ostree/repo" --quiet >/dev/null
echo "ostree fsck: clean"

say "Where time went"
printf '%s\n' "${times[@]}"
printf 'the logs of every run: %s\n' "$SYSROOT/ostree/deploy/debian/var/log/apt-ostree"
printf '%s\n' "the machine and its base stay in $STATE until: make demo-clean"
