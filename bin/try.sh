#!/bin/sh
# The README's first command: from a clone to an app's live endpoint, on the local platform.
set -eu
cd "$(dirname "$0")/.."
sh bin/setup.sh
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
appctl() { node bin/appctl.js "$@"; }
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold='\033[1m' plain='\033[0m'; else bold='' plain=''; fi
say() { printf "\n$bold\$ %s$plain\n" "$*"; }

AUTH_API_KEY=${AUTH_API_KEY:-$(node -p 'require("node:crypto").randomBytes(24).toString("hex")')}
if appctl get secret --name AUTH_API_KEY >/dev/null 2>&1; then verb=update; else verb=create; fi
say "printf %s \"\$AUTH_API_KEY\" | npx appctl $verb secret --name AUTH_API_KEY --value-file -"
printf %s "$AUTH_API_KEY" | appctl "$verb" secret --name AUTH_API_KEY --value-file -

say "npx appctl create admin-api-key --name MY_APPCTL_API_KEY --if-absent"
appctl create admin-api-key --name MY_APPCTL_API_KEY --if-absent

say "npx appctl deploy apps templates/api-key/app.ts fastapi-with-auth"
appctl deploy apps templates/api-key/app.ts fastapi-with-auth
endpoint=$(appctl get apps fastapi-with-auth -o url)

# curl knows that *.localhost is this machine; where there is no curl, Node asks the same.
ask() {
  if command -v curl >/dev/null 2>&1; then curl -sS "$@" -w '   → %{http_code}\n' "$endpoint/"; else node bin/ask.js "$endpoint/" "$@"; fi
}
say "curl -H \"Authorization: Bearer \$AUTH_API_KEY\" $endpoint/"
ask -H "Authorization: Bearer $AUTH_API_KEY"
say "curl $endpoint/"
ask
say "curl -H \"Authorization: Bearer wrong\" $endpoint/"
ask -H "Authorization: Bearer wrong"
printf '\nThe console: npx appctl open fastapi-with-auth · Stop it all: npx appctl platform stop\n'
