import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { DATA } from "./shared/shared-flags.ts";

export const pruneImagesCommand = command({
  words: "prune images",
  aliases: ["image"],
  summary: "remove images that no revision needs and that were not used in the last hour",
  flags: [{ usage: "--dry-run", summary: "only list what would be removed" }],
  outputs: DATA,
  examples: ["appctl prune images --dry-run", "appctl prune images"],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.conflict],
  load: async () => {
    const { pruneImages } = await import("./handlers/prune-images-handler.ts");
    return (io, flags) => pruneImages(io, flags);
  },
});
