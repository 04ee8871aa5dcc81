import type { Io } from "../../ui/io.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { placeText, printResult } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";

/** `appctl delete api-key NAME`: revokes it at once. */
export function deleteApiKey(io: Io, name: string, flags: CommonFlags): Promise<void> {
  return withSession(io, flags, async ({ client, scope }) => {
    await client.deleteApiKey(name);
    const hasSecret = (await client.listSecrets(scope)).some((secret) => secret.name === name);
    const sentence = `API key ${name} is deleted. The platform refuses requests with it.`;
    const secret = hasSecret ? ` The secret ${name} (${placeText(scope)}) stays.` : "";
    printResult(io, flags, { deleted: { name } }, sentence + secret);
  });
}
