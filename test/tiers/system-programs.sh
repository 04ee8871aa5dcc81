#!/bin/sh
# Installs the Debian programs that the tests of the tiers `system` and `long` use as the real thing, where they are missing.
# Says so first; without root or Debian it lists them, and the tests that need them are left out with their reason.
set -eu
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
command -v systemd-analyze >/dev/null 2>&1 || need="$need systemd"
[ -n "$need" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing Debian packages:$need"
  apt-get update -qq >/dev/null
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need >/dev/null
else
  echo "Missing programs:$need. Tests that need them are left out, and the tier fails for what it does not search; install them, or run this as root on Debian." >&2
fi
