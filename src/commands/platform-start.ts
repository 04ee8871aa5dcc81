import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { DATA, SERVER_FLAGS } from "./shared/shared-flags.ts";

export const platformStartCommand = command({
  words: "platform start",
  summary: "start the local platform (other commands start it when they need it)",
  flags: [
    ...SERVER_FLAGS,
    { usage: "--foreground", summary: "run below this process, with the log on stderr" },
    {
      usage: "--print-systemd-unit",
      summary: "print a unit file of systemd that starts the platform, and start nothing",
    },
  ],
  outputs: DATA,
  examples: [
    "appctl platform start",
    "appctl platform start --runtime docker",
    "appctl platform start --print-systemd-unit > /etc/systemd/system/appctl.service",
    "appctl platform start --host 0.0.0.0 --base-domain apps.example.com --url https://example.com",
  ],
  exitCodes: [ExitCode.conflict, ExitCode.unavailable],
  load: async () => {
    const { platformStart } = await import("./handlers/platform-start-handler.ts");
    return (io, flags) => platformStart(io, flags);
  },
});
