import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";

export const logsAppsCommand = command({
  words: "logs apps",
  aliases: ["app"],
  summary: "show the output of an app, oldest line first",
  arguments: [{ usage: "<name>", summary: "name of the app" }],
  flags: [
    { usage: "-f, --follow", summary: "wait for new lines until Ctrl-C" },
    { usage: "--tail <lines>", summary: "show only the last lines" },
    { usage: "--since <duration>", summary: "show only newer lines: 10m, 1h, or a time such as 2026-01-31T08:00:00Z" },
  ],
  outputs: ["text", "json", "ndjson"],
  examples: [
    "appctl logs apps fastapi-with-auth --tail 50",
    "appctl logs fastapi-with-auth -f",
    "appctl logs fastapi-with-auth --since 10m -o ndjson",
  ],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.notFound],
  load: async () => {
    const { logsApps } = await import("./handlers/logs-apps-handler.ts");
    return (io, flags, [name]) => logsApps(io, nameOf("app", name, undefined), flags);
  },
});
