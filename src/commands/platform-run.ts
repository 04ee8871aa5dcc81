import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { SERVER_FLAGS } from "./shared/shared-flags.ts";

export const platformRunCommand = command({
  words: "platform run",
  summary: "run the platform in this process",
  flags: [...SERVER_FLAGS],
  outputs: ["text"],
  examples: ["appctl platform run --port 7654"],
  exitCodes: [ExitCode.conflict, ExitCode.unavailable],
  hidden: true,
  load: async () => {
    const { platformRun } = await import("./handlers/platform-run-handler.ts");
    return (io, flags) => platformRun(io, flags);
  },
});
