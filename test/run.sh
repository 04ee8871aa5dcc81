#!/bin/sh
# Runs tiers of the tests with the set-up they need: `sh test/run.sh unit e2e`. The tiers `system` and `long` install Debian packages
# where they are missing; the others install nothing outside this folder. See test/tiers/.
set -eu
cd "$(dirname "$0")/.."
case " $* " in *" system "* | *" long "*) sh test/tiers/system-programs.sh ;; esac
sh bin/setup.sh
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
exec node test/tiers/run.ts "$@"
