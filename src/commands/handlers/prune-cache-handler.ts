import { pathsOf } from "../../core/paths.ts";
import { bytesText } from "../../ui/age.ts";
import type { Io } from "../../ui/io.ts";
import { plainLine } from "../../ui/plain-text.ts";
import { printResult } from "../shared/print.ts";
import type { PruneFlags } from "./prune-images-handler.ts";

/** `appctl prune cache`: this machine's own; no platform is asked. */
export async function pruneCache(io: Io, flags: PruneFlags): Promise<void> {
  const { CACHE_RECENT_MS, collectCache } = await import("../../image/cache-garbage.ts");
  const dryRun = flags.dryRun === true;
  const { cache: directory } = pathsOf(io.env);
  const options = { keptMs: CACHE_RECENT_MS, now: io.now().getTime(), dryRun, signal: io.signal };
  const pruned = await collectCache(directory, options);
  const names = pruned.images.map((name) => `${dryRun ? "Would remove" : "Removed"} ${plainLine(name)}\n`);
  const freed = `${dryRun ? "That would free" : "Freed"} ${bytesText(pruned.bytes)} in ${directory}.`;
  printResult(io, flags, { ...pruned, directory, dryRun }, `${names.join("")}${freed}`);
}
