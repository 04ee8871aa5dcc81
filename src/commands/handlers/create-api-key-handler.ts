import { ExitCode, isAppctlError } from "../../core/errors.ts";
import type { Io } from "../../ui/io.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { reportNewPlace } from "../shared/new-place.ts";
import { placeText, printJson, printResult } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";

/** Flags of `create admin-api-key`. */
export interface ApiKeyFlags extends CommonFlags {
  /** False with `--no-secret`: do not store the key as a secret of its name. */
  secret: boolean;
  ifAbsent?: boolean;
}

/**
 * `appctl create admin-api-key --name N` and `create api-key admin --name N`: makes a key, shows it once and stores it as
 * the secret N. stdout carries the key alone, so that `KEY=$(appctl create …)` works; the words around it go to stderr.
 */
export async function createApiKey(io: Io, name: string, flags: ApiKeyFlags): Promise<void> {
  await withSession(io, flags, async ({ client, scope }) => {
    if (flags.secret) await reportNewPlace(io, client, scope);
    try {
      const created = await client.createApiKey({
        name,
        kind: "admin",
        ...(flags.secret ? { secret: { ...scope, name } } : {}),
      });
      if (flags.output === "json") return printJson(io, { ...created, created: true });
      io.stderr.write(`API key ${name} is created. It is shown only now:\n`);
      io.stdout.write(`${created.key}\n`);
      if (created.storedAs !== null) {
        io.stderr.write(`It is also stored as the secret ${created.storedAs} (${placeText(scope)}).\n`);
      }
    } catch (error) {
      if (!flags.ifAbsent || !isAppctlError(error) || error.exit !== ExitCode.conflict) throw error;
      // Only a key of this name is what was asked for; a mere secret of this name is still a conflict.
      const existing = await client.getApiKey(name).catch(() => undefined);
      if (!existing) throw error;
      printResult(io, flags, { ...existing, created: false }, `API key ${name} exists already, unchanged.`);
    }
  });
}
