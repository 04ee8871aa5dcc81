import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";

export const platformLogsCommand = command({
  words: "platform logs",
  summary: "show the log of the local platform",
  flags: [
    { usage: "-f, --follow", summary: "wait for new lines until Ctrl-C" },
    { usage: "--tail <lines>", summary: "show only the last lines (default: 200)" },
  ],
  outputs: ["text"],
  examples: ["appctl platform logs --tail 50", "appctl platform logs -f"],
  exitCodes: [ExitCode.unavailable],
  load: async () => {
    const { platformLogs } = await import("./handlers/platform-logs-handler.ts");
    return (io, flags) => platformLogs(io, flags);
  },
});
