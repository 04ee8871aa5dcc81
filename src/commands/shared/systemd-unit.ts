import { userInfo } from "node:os";

/** Variables that a platform reads, and that a service does not have by itself. */
const KEPT = [
  "XDG_STATE_HOME",
  "XDG_CONFIG_HOME",
  "XDG_CACHE_HOME",
  "APPCTL_MASTER_KEY_FILE",
  "DOCKER_HOST",
  "TZ",
  "LANG",
];

/** A unit file of systemd (systemd.service(5)) that runs `command` as this user. */
export function systemdUnit({ command, env }: { command: readonly string[]; env: NodeJS.ProcessEnv }): string {
  const { username, homedir } = userInfo();
  const variables = [["HOME", env["HOME"] || homedir], ...KEPT.map((name) => [name, env[name]])].filter(
    ([, value]) => value,
  );
  return `[Unit]
Description=appctl platform
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
User=${username}
${variables.map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}`).join("\n")}
ExecStart=${command.map((word) => quoted(word, "$$")).join(" ")}
# The supervisor ends the apps in order. What is left after the time-out is killed.
KillMode=mixed
TimeoutStopSec=90
Restart=on-failure
# Lets the platform limit the memory and the processors of each app.
Delegate=yes

[Install]
WantedBy=multi-user.target
`;
}

/** A word of a unit file. systemd reads quotes, backslashes and `%` in it; in a command line `$`, too. */
function quoted(word: string, dollar = "$"): string {
  const escaped = word.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%");
  return /^[\w@+=:,./-]+$/.test(word) ? word : `"${escaped.replaceAll("$", () => dollar)}"`;
}
