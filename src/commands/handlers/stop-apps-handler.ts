import type { Io } from "../../ui/io.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printResult } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";

/** `appctl stop apps NAME`: ends the app's replicas; its address, secrets and revisions stay. */
export function stopApps(io: Io, name: string, flags: CommonFlags): Promise<void> {
  return withSession(io, flags, async ({ client, scope, next }) => {
    const app = await client.stopApp({ ...scope, name });
    const again = next(["start", "apps", name]);
    printResult(io, flags, app, `App ${name} is stopped. To start it again: ${again}`);
  });
}
