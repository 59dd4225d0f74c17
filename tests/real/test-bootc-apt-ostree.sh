#!/bin/bash
# What an image-based distribution does every day, from the base to the machine that follows it:
#   base commit -> layer -> image -> signature -> registry -> a machine rebases -> new image -> upgrade -> rollback
# Usage (as root): tests/real/test-bootc-apt-ostree.sh REPO REF [WORKDIR]
#   REPO REF  a bare repo and a base commit in it (made by apt-ostree compose tree); it is not changed
#   WORKDIR   an empty directory, best on the file system of REPO; it is removed at the end when it is not given
set -euo pipefail

REPO=$(realpath "${1:?usage: $0 REPO REF [WORKDIR]}")
BASE=${2:?usage: $0 REPO REF [WORKDIR]}
WORK=${3:-$(mktemp -d /var/tmp/apt-ostree-workflow-XXXXXX)}
GIVEN=${3:-}
TOOL=${APT_OSTREE:-.venv/bin/apt-ostree}
[ "$(id -u)" = 0 ] || { echo "this composes and deploys: run it with sudo" >&2; exit 6; }

PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
HOST=127.0.0.1:$PORT
IMAGE=$HOST/site/os:stable
SYSROOT=$WORK/sysroot
export HOME=$WORK/home GNUPGHOME
GNUPGHOME=$(mktemp -d)  # a socket is in it, whose path must be short
registry=

say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
expect() { # expect CODE COMMAND...
  local want=$1 got=0; shift
  "$@" || got=$?
  [ "$got" = "$want" ] || fail "'$*' ended with $got, not with $want"
}
machine() { $TOOL --sysroot "$SYSROOT" "$@"; }
first() { machine status --json | jq -r ".deployments[0].$1"; }
tree() { first '"id"' | sed "s|^debian-|$SYSROOT/ostree/deploy/debian/deploy/|"; }
layers() { skopeo inspect --tls-verify=false --raw "docker://$1" | jq -r '.layers[] | "\(.digest) \(.size)"' | sort; }

clean() {
  [ -z "$registry" ] || { kill "$registry"; wait "$registry" || :; }
  gpgconf --kill all 2>/dev/null || :
  rm -rf "$GNUPGHOME"
  if [ -z "$GIVEN" ]; then
    find "$SYSROOT/ostree/deploy" -mindepth 3 -maxdepth 3 -type d -exec chattr -f -i {} + 2>/dev/null || :
    rm -rf --one-file-system "$WORK"
  fi
}
trap clean EXIT

deb() { # deb NAME VERSION: a small package with one program that says its version
  local folder=$WORK/debs/$1-$2
  mkdir -p "$folder/DEBIAN" "$folder/usr/bin"
  printf '#!/bin/sh\necho %s\n' "$2" > "$folder/usr/bin/$1"
  chmod 0755 "$folder/usr/bin/$1"
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Site <site@example.org>\nDescription: %s of the site\n' \
    "$1" "$2" "$1" > "$folder/DEBIAN/control"
  dpkg-deb --root-owner-group --build "$folder" "$WORK/debs/$1_$2.deb" > /dev/null
}

compose() { # compose VERSION AGENT: the site's tree is the base and two packages
  $TOOL compose install --repo "$WORK/repo" --ref "$BASE" --branch site/os --cache-only \
    "$WORK/debs/site-agent_$2.deb" "$WORK/debs/site-tools_1.0.deb" > /dev/null
  $TOOL oci export --repo "$WORK/repo" site/os "docker://$IMAGE" --tls-verify=false --previous auto \
    --compression zstd --label "org.opencontainers.image.version=$1" "${signing[@]}"
}

say "A registry, a key and a place for the work"
mkdir -p "$WORK"/{debs,home/.config/containers/registries.d,registry,lookaside,trust}
cat > "$WORK/registry.yml" <<EOF
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $WORK/registry}}
http: {addr: "$HOST", secret: nothing}
EOF
docker-registry serve "$WORK/registry.yml" > "$WORK/registry.log" 2>&1 & registry=$!
if skopeo --help | grep -q generate-sigstore-key; then
  echo "signatures: sigstore, kept in the registry"
  printf 'open sesame' > "$WORK/passphrase"
  chmod 0600 "$WORK/passphrase"
  skopeo generate-sigstore-key --output-prefix "$WORK/trust/site" --passphrase-file "$WORK/passphrase" > /dev/null
  chmod 0600 "$WORK/trust/site.private"
  signing=(--sign-by-sigstore-private-key "$WORK/trust/site.private" --sign-passphrase-file "$WORK/passphrase")
  key=site.pub
  rule='{"type": "sigstoreSigned", "keyPath": "/etc/containers/site.pub", "signedIdentity": {"type": "matchRepository"}}'
  place="use-sigstore-attachments: true"
else
  echo "signatures: GPG, kept in a directory"
  gpg --batch --quiet --passphrase '' --quick-gen-key 'Site <site@example.org>' rsa2048 sign never 2> /dev/null
  signing=(--sign-by "$(gpg --list-keys --with-colons | awk -F: '/^fpr/ { print $10; exit }')")
  key=site.gpg
  gpg --export > "$WORK/trust/$key"
  rule='{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/etc/containers/site.gpg"}'
  place="{lookaside: 'file://$WORK/lookaside', lookaside-staging: 'file://$WORK/lookaside'}"
fi
printf 'docker:\n  %s:\n    %s\n' "$HOST" "${place#\{}" | sed "s/}$//; s/, lookaside-staging/\n    lookaside-staging/" \
  > "$HOME/.config/containers/registries.d/site.yaml"
ostree init --repo="$WORK/repo" --mode=bare
ostree config --repo="$WORK/repo" set core.fsync false
ostree pull-local --repo="$WORK/repo" "$REPO" "$BASE"
deb site-agent 1.0; deb site-agent 2.0; deb site-tools 1.0

say "Base, layer, image, signature, registry"
compose 1 1.0

say "A machine with the base, and with the site's policy"
mkdir "$SYSROOT"
ostree admin init-fs --modern "$SYSROOT"
ostree config --repo="$SYSROOT/ostree/repo" set core.fsync false
ostree admin os-init --sysroot="$SYSROOT" debian
ostree pull-local --repo="$SYSROOT/ostree/repo" "$WORK/repo" "$BASE"
ostree admin deploy --sysroot="$SYSROOT" --os=debian --karg=root=LABEL=root --karg=rw "$BASE"
etc=$(tree)/etc/containers
mkdir -p "$etc"/registries.{d,conf.d}
printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$HOST" > "$etc/registries.conf.d/site.conf"
cp "$HOME/.config/containers/registries.d/site.yaml" "$etc/registries.d/"
cp "$WORK/trust/$key" "$etc/"
target=ostree-image-signed:docker://$IMAGE
echo '{"default": [{"type": "insecureAcceptAnything"}]}' > "$etc/policy.json"
expect 7 machine rebase -y "$target"
printf '{"default": [{"type": "reject"}], "transports": {"docker": {"%s": [%s]}}}\n' "$HOST" "$rule" > "$etc/policy.json"

say "It rebases to the image"
machine rebase -y "$target"
[ "$(first '"container-image-reference"')" = "$target" ] || fail "status does not name the image"
[ "$("$(tree)/usr/bin/site-agent")" = 1.0 ] || fail "the image is not deployed"
one=$(first '"container-image-reference-digest"')
layers "${IMAGE%:*}@$one" > "$WORK/one"
expect 77 machine upgrade --check

say "A new image, with one package changed"
compose 2 2.0
expect 0 machine upgrade --check
machine upgrade -y --json > "$WORK/upgrade.json"
two=$(first '"container-image-reference-digest"')
[ "$one" != "$two" ] || fail "the digest is the same"
[ "$("$(tree)/usr/bin/site-agent")" = 2.0 ] || fail "the new image is not deployed"
[ "$(jq -r '[.packages.upgraded[].name] | join(" ")' "$WORK/upgrade.json")" = site-agent ] || fail "more has changed"

say "Only what changed was fetched"
layers "${IMAGE%:*}@$two" > "$WORK/two"
changed=$(comm -13 "$WORK/one" "$WORK/two" | wc -l)
bytes=$(comm -13 "$WORK/one" "$WORK/two" | awk '{ sum += $2 } END { print sum }')
total=$(awk '{ sum += $2 } END { print sum }' "$WORK/two")
fetched=$(jq '.pulled."transferred-bytes"' "$WORK/upgrade.json")
echo "layers: $changed of $(wc -l < "$WORK/two"); bytes: $fetched of $total"
[ "$fetched" = "$bytes" ] || fail "$fetched bytes were fetched, $bytes have changed"
[ "$changed" -le 5 ] || fail "$changed layers have changed for one small package"
[ $((fetched * 5)) -lt "$total" ] || fail "more than a fifth was fetched"
for digest in $(comm -12 "$WORK/one" "$WORK/two" | awk '{ print $1 }'); do
  [ "$(grep -c "GET /v2/site/os/blobs/$digest " "$WORK/registry.log")" -le 1 ] || fail "$digest was fetched twice"
done

say "An image nobody signed"
ostree refs --repo="$WORK/repo" --delete site/os
signing=()
compose 3 1.0
expect 7 machine upgrade
[ "$(first '"container-image-reference-digest"')" = "$two" ] || fail "something was changed"

say "Back to the image before"
machine rollback
[ "$("$(tree)/usr/bin/site-agent")" = 1.0 ] || fail "the image before is not deployed"
[ "$(first '"container-image-reference-digest"')" = "$one" ] || fail "status names another image"
ostree fsck --quiet --repo="$SYSROOT/ostree/repo"
say "Done"
