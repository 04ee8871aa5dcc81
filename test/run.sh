#!/bin/sh
# Runs every test, with all the set-up they need: npm packages, the build, and on Debian the programs that the tests use as
# the real thing. Ends with one line, `N passed, N failed`, read from the runner's own JSON result.
set -eu
cd "$(dirname "$0")/.."
sh bin/setup.sh
PATH="$PWD/node_modules/.bin:$PATH"
export PATH

need=""
for tool in skopeo umoci docker-registry openssl chromium curl git faketime podman mmdebstrap; do
  command -v "$tool" >/dev/null 2>&1 || need="$need $tool"
done
command -v dockerd >/dev/null 2>&1 || need="$need docker.io"
# What Podman needs to run containers in networks, and both for users who are not root, which their packages do not bring.
for tool in runc iptables slirp4netns rootlesskit; do
  command -v "$tool" >/dev/null 2>&1 || need="$need $tool"
done
command -v newuidmap >/dev/null 2>&1 || need="$need uidmap"
[ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || need="$need containernetworking-plugins"
[ -x /usr/lib/podman/netavark ] || [ -x /usr/libexec/podman/netavark ] || need="$need netavark aardvark-dns"
command -v ip >/dev/null 2>&1 || need="$need iproute2"
command -v ps >/dev/null 2>&1 || need="$need procps"
if [ -n "$need" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing:$need"
    apt-get update -qq >/dev/null
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need >/dev/null
  else
    echo "Missing:$need. Tests that need them say so and are skipped; install them, or run this as root on Debian." >&2
  fi
fi

result=$(mktemp)
trap 'rm -f "$result"' EXIT
status=0
# The search for secrets has a least that it must see, when nothing is left out.
[ "$#" -gt 0 ] || export SECRET_SEARCH_WHOLE_SUITE=1
vitest run --config test/vitest.config.ts --reporter=default --reporter=json --outputFile.json="$result" "$@" || status=$?
node test/closing-line.js "$result" "$status"
exit "$status"
