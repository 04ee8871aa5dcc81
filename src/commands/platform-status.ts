import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { DATA } from "./shared/shared-flags.ts";

export const platformStatusCommand = command({
  words: "platform status",
  summary: "show the status of the platform, without starting one",
  outputs: DATA,
  examples: ["appctl platform status", "appctl platform status -o json"],
  exitCodes: [ExitCode.auth, ExitCode.unavailable],
  load: async () => {
    const { platformStatus } = await import("./handlers/platform-status-handler.ts");
    return (io, flags) => platformStatus(io, flags);
  },
});
