#!/bin/sh
# Measures what docs/benchmarks.md shows, with all the set-up it needs: npm packages, the build, and on Debian the peers that
# the platform is compared with. `--only NAME` measures one figure, `--quick` shows that all of them work.
set -eu
cd "$(dirname "$0")/../.."
sh bin/setup.sh
PATH="$PWD/node_modules/.bin:$PATH:/usr/sbin"
export PATH
unset NODE_EXTRA_CA_CERTS NODE_OPTIONS NODE_COMPILE_CACHE || true

need=""
for tool in wrk caddy nginx taskset; do
  command -v "$tool" >/dev/null 2>&1 || need="$need $tool"
done
if [ -n "$need" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing:$need"
    packages=$(echo "$need" | sed -e 's/nginx/nginx-light/' -e 's/taskset/util-linux/')
    apt-get update -qq >/dev/null
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
    # Debian runs servers as services as soon as they are installed; the bench starts its own and needs no others.
    for service in nginx caddy; do
      case "$need" in *" $service"*) [ ! -d /run/systemd/system ] || systemctl disable --now --quiet "$service" ;; esac
    done
  else
    echo "Missing:$need. Figures that need them say so; install them, or run this as root on Debian." >&2
  fi
fi
exec node test/bench/main.ts "$@"
