import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { DATA } from "./shared/shared-flags.ts";

export const platformStopCommand = command({
  words: "platform stop",
  summary: "stop the local platform gracefully; its apps start again with it",
  outputs: DATA,
  examples: ["appctl platform stop"],
  exitCodes: [ExitCode.unavailable],
  load: async () => {
    const { platformStop } = await import("./handlers/platform-stop-handler.ts");
    return (io, flags) => platformStop(io, flags);
  },
});
