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

app=api-key-auth
file=templates/api-key/app.ts

if [ "$(uname -s)" != Linux ]; then
  cat <<TEXT
On $(uname -s), appctl builds images and deploys them to a platform on another machine:
  npx appctl build $file $app --registry ghcr.io/my-org --push
  APPCTL_API_KEY=... npx appctl deploy apps $file $app
The local platform runs on Linux only. Building the image of $app:
TEXT
  say "npx appctl build $file $app"
  appctl build "$file" "$app"
  exit 0
fi

# A key for the demo, unless the caller has one. It is shown, so that the commands below can be pasted.
if [ -z "${AUTH_API_KEY:-}" ]; then
  AUTH_API_KEY=$(node -p 'require("node:crypto").randomBytes(24).toString("hex")')
  say "export AUTH_API_KEY=$AUTH_API_KEY"
  shown=1
else
  shown=0
fi
export AUTH_API_KEY
if appctl get secret --name AUTH_API_KEY >/dev/null 2>&1; then verb=update; else verb=create; fi
say "printf %s \"\$AUTH_API_KEY\" | npx appctl $verb secret --name AUTH_API_KEY --value-file -"
printf %s "$AUTH_API_KEY" | appctl "$verb" secret --name AUTH_API_KEY --value-file -

say "npx appctl create admin-api-key --name MY_APPCTL_API_KEY --if-absent"
appctl create admin-api-key --name MY_APPCTL_API_KEY --if-absent

say "npx appctl deploy apps $file $app"
appctl deploy apps "$file" "$app"
endpoint=$(appctl get apps "$app" -o url)

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

printf '\nYour turn, in this folder:\n'
if [ "$shown" = 1 ]; then printf '  export AUTH_API_KEY=%s\n' "$AUTH_API_KEY"; fi
cat <<TEXT
  curl -H "Authorization: Bearer \$AUTH_API_KEY" $endpoint/
  npx appctl logs $app
  npx appctl open $app
  npx appctl platform stop
TEXT
