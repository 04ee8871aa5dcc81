import type { Io } from "../../ui/io.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printResult } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";
import { secretScope } from "./write-secret-handler.ts";

/** `appctl delete secret NAME`: with all its versions; one that a running app uses is a conflict. */
export function deleteSecret(io: Io, name: string, flags: CommonFlags & { scope?: string }): Promise<void> {
  const level = flags.scope === undefined ? undefined : secretScope(flags.scope);
  return withSession(io, flags, async ({ client, scope }) => {
    await client.deleteSecret(scope, name, level);
    printResult(io, flags, { deleted: { ...scope, name } }, `Secret ${name} is deleted.`);
  });
}
