/** `create secret` and `update secret`. */
import type { Client, Scope } from "../../client/client.ts";
import { orList } from "../../contract/check-option.ts";
import type { SecretInfo, SecretScope } from "../../contract/types.ts";
import { AppctlError, ExitCode, isAppctlError, usageError } from "../../core/errors.ts";
import type { Io } from "../../ui/io.ts";
import { commandLine } from "../shared/flags.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { reportNewPlace } from "../shared/new-place.ts";
import { printResult } from "../shared/print.ts";
import { secretValue, type ValueFlags } from "../shared/secret-input.ts";
import { withSession } from "../shared/session.ts";

/** Flags of `create secret` and `update secret`. */
export interface SecretFlags extends CommonFlags, ValueFlags {
  scope?: string;
  ifAbsent?: boolean;
}

const SCOPES: readonly SecretScope[] = ["project", "domain", "organization"];

/** Reads `--scope`. */
export function secretScope(text: string): SecretScope {
  const scope = SCOPES.find((each) => each === text);
  if (!scope) throw usageError(`unknown --scope "${text}" (expected ${orList(SCOPES)})`);
  return scope;
}

/** `appctl create secret`: one that exists is a conflict, or fine with `--if-absent`. */
export async function createSecret(io: Io, name: string, flags: SecretFlags): Promise<void> {
  const level = secretScope(flags.scope ?? "project");
  await withSession(io, flags, async ({ client, scope }) => {
    const exists = (info: SecretInfo | undefined) => {
      if (!flags.ifAbsent) throw existsError(name, scope, level);
      printResult(io, flags, { ...info, created: false }, `Secret ${name} exists already, unchanged.`);
    };
    // Asked before the value: nobody should type one in vain.
    const existing = await find(client, scope, name, level);
    if (existing) return exists(existing);
    if (level === "project") await reportNewPlace(io, client, scope);
    const value = await secretValue(io, name, flags);
    try {
      const info = await client.createSecret(scope, {
        name,
        scope: level,
        value: Buffer.from(value.reveal()).toString("base64"),
        binary: flags.binary ?? false,
      });
      printResult(io, flags, { ...info, created: true }, `Secret ${name} is created${scopeText(level)}.`);
    } catch (error) {
      if (!isAppctlError(error) || error.exit !== ExitCode.conflict) throw error;
      exists(await find(client, scope, name, level));
    }
  });
}

/** `appctl update secret`: adds a version; running revisions keep theirs. */
export async function updateSecret(io: Io, name: string, flags: SecretFlags): Promise<void> {
  await withSession(io, flags, async ({ client, scope }) => {
    const level = flags.scope === undefined ? undefined : secretScope(flags.scope);
    // Without --scope it is the one that apps of this project and domain see.
    const current = await client.getSecret(scope, name, level);
    const value = await secretValue(io, name, flags);
    const info = await client.updateSecret(scope, {
      name,
      scope: current.scope,
      value: Buffer.from(value.reveal()).toString("base64"),
      binary: flags.binary ?? false,
    });
    const users = info.usedBy.length > 0 ? ` Deploy again to use it: ${info.usedBy.join(", ")}.` : "";
    printResult(io, flags, info, `Secret ${name} is now version ${info.version}${scopeText(info.scope)}.${users}`);
  });
}

async function find(client: Client, scope: Scope, name: string, level: SecretScope): Promise<SecretInfo | undefined> {
  try {
    return await client.getSecret(scope, name, level);
  } catch (error) {
    if (isAppctlError(error) && error.exit === ExitCode.notFound) return undefined;
    throw error;
  }
}

function existsError(name: string, scope: Scope, level: SecretScope): AppctlError {
  const words = ["secret", "--name", name, ...(level === "project" ? [] : ["--scope", level])];
  return new AppctlError({
    code: "SECRET_EXISTS",
    exit: ExitCode.conflict,
    message: `secret ${name} already exists${scopeText(level)}`,
    hint: "change it with appctl update secret, or keep it with --if-absent",
    next: [commandLine(["update", ...words], scope), commandLine(["create", ...words, "--if-absent"], scope)],
  });
}

/** What a sentence says of a scope that is not the usual one. */
export function scopeText(level: SecretScope): string {
  return level === "project" ? "" : ` (scope ${level})`;
}
