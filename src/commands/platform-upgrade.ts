import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { DATA } from "./shared/shared-flags.ts";

export const platformUpgradeCommand = command({
  words: "platform upgrade",
  summary: "replace the local platform with this version of appctl; its apps go on",
  flags: [{ usage: "--force", summary: "replace a platform of this version, too" }],
  outputs: DATA,
  examples: ["appctl platform upgrade"],
  exitCodes: [ExitCode.unavailable],
  load: async () => {
    const { platformUpgrade } = await import("./handlers/platform-upgrade-handler.ts");
    return (io, flags) => platformUpgrade(io, flags);
  },
});
