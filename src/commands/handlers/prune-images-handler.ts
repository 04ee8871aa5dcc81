import { bytesText } from "../../ui/age.ts";
import type { Io } from "../../ui/io.ts";
import { plainLine } from "../../ui/plain-text.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printResult } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";

/** Flags of `prune images`. */
export interface PruneFlags extends CommonFlags {
  dryRun?: boolean;
}

/** `appctl prune images`. */
export function pruneImages(io: Io, flags: PruneFlags): Promise<void> {
  const dryRun = flags.dryRun === true;
  return withSession(io, flags, async ({ client }) => {
    const pruned = await client.pruneImages(dryRun);
    const names = pruned.images.map((name) => `${dryRun ? "Would remove" : "Removed"} ${plainLine(name)}\n`);
    const freed = `${dryRun ? "That would free" : "Freed"} ${bytesText(pruned.bytes)}.`;
    printResult(io, flags, { ...pruned, dryRun }, `${names.join("")}${freed}`);
  });
}
