import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { DATA } from "./shared/shared-flags.ts";

export const platformResetCommand = command({
  words: "platform reset",
  summary: "stop the local platform and remove its apps, secrets, keys and images, and this machine's cache",
  flags: [{ usage: "-y, --yes", summary: "do not ask for confirmation" }],
  outputs: DATA,
  examples: ["appctl platform reset", "appctl platform reset --yes"],
  exitCodes: [ExitCode.failed, ExitCode.conflict, ExitCode.unavailable],
  load: async () => {
    const { platformReset } = await import("./handlers/platform-reset-handler.ts");
    return (io, flags) => platformReset(io, flags);
  },
});
