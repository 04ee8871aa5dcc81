import { AppctlError, ExitCode, usageError } from "../../core/errors.ts";
import { canAsk, type Io } from "../../ui/io.ts";
import { commandLine } from "../shared/flags.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { placeText, printResult } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";

/** `appctl delete apps NAME`: asks first, unless `--yes`. */
export async function deleteApps(io: Io, name: string, flags: CommonFlags & { yes?: boolean }): Promise<void> {
  if (!flags.yes && !canAsk(io)) {
    throw usageError(`app ${name} not deleted: pass --yes (no terminal to ask on)`, {
      code: "NOT_CONFIRMED",
      next: [commandLine(["delete", "apps", name, "--yes"])],
    });
  }
  await withSession(io, flags, async ({ client, scope }) => {
    if (!flags.yes) {
      await client.getApp({ ...scope, name }); // nobody should be asked about what does not exist
      const { confirm } = await import("../../ui/prompt.ts");
      const question = `Delete app ${name} (${placeText(scope)}) with its URL and its revisions?`;
      if (!(await confirm(io, question))) {
        throw new AppctlError({
          code: "NOT_CONFIRMED",
          exit: ExitCode.failed,
          message: `app ${name} was not deleted`,
        });
      }
    }
    const revisions = await client.listRevisions({ ...scope, name });
    await client.deleteApp({ ...scope, name });
    const secrets = revisions.some(({ secrets }) => secrets.length > 0) ? " Its secrets stay." : "";
    printResult(io, flags, { deleted: { ...scope, name } }, `App ${name} is deleted.${secrets}`);
  });
}
