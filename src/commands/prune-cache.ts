import { command } from "./shared/command.ts";
import { DATA } from "./shared/shared-flags.ts";

export const pruneCacheCommand = command({
  words: "prune cache",
  summary: "remove images and packages from this machine's cache that were not used in the last hour",
  flags: [{ usage: "--dry-run", summary: "only list what would be removed" }],
  outputs: DATA,
  examples: ["appctl prune cache --dry-run", "appctl prune cache"],
  exitCodes: [],
  load: async () => {
    const { pruneCache } = await import("./handlers/prune-cache-handler.ts");
    return (io, flags) => pruneCache(io, flags);
  },
});
