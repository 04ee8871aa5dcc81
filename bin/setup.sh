#!/bin/sh
# Brings a clone to where `npx appctl` works: npm packages and the build. Does nothing when that is done already.
set -eu
cd "$(dirname "$0")/.."
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "Installing npm packages…" >&2
  npm ci --no-audit --no-fund --loglevel=error >&2
elif [ ! -f dist/main.js ] || [ -n "$(find src bin/build.js bin/notices.js bin/licenses -newer dist/main.js -print | head -n 1)" ]; then
  npm run --silent build >&2
fi
