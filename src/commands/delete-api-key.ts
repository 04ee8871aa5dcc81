import type { Io } from "../ui/io.ts";
import type { CommonFlags } from "./shared/flags.ts";
import { printResult } from "./shared/print.ts";
import { withSession } from "./shared/session.ts";

/** `appctl delete api-key NAME`: revokes it at once. */
export function deleteApiKey(io: Io, name: string, flags: CommonFlags): Promise<void> {
  return withSession(io, flags, async ({ client }) => {
    await client.deleteApiKey(name);
    printResult(
      io,
      flags,
      { deleted: { name } },
      `API key ${name} is deleted; requests with it are refused from now on. A secret of that name stays.`,
    );
  });
}
