/** Gives a replica its secrets: as values for its environment, or as files with the exact bytes. */

import type { Buffer } from "node:buffer";
import { accessSync, chmodSync, constants, lchownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../core/errors.ts";
import type { Redacted } from "../../../core/redacted.ts";
import { causeOf } from "../../causes.ts";
import type { PinnedSecret } from "../../engine.ts";
import { StartFailure } from "../runtime.ts";
import type { AppUser } from "./isolation/isolation.ts";
import { makePrivateDirectory } from "./private-directory.ts";

/** Reads the bytes of one version of a secret. */
export type SecretReader = (id: string, version: number) => Promise<Redacted<Buffer>>;

const MEMORY_FILES = "/dev/shm";

/**
 * Makes the directory of secret files: in memory where the machine has a place for it, else next to the sockets. The place in
 * memory is everybody's, so a folder of that name that another user made is left alone.
 */
export function secretFilesRoot(name: string, fallback: string, mode: 0o700 | 0o711 = 0o700): string {
  try {
    accessSync(MEMORY_FILES, constants.W_OK | constants.X_OK);
    const dir = join(MEMORY_FILES, name);
    makePrivateDirectory(dir, mode);
    return dir;
  } catch {
    // no shared memory here, or somebody else has the name
    return join(fallback, "secrets");
  }
}

/**
 * Reads `secrets` and gives the variables that carry them. Files go into the directory `replica` below `root`, which is made
 * when it is needed (0700; files 0400). When the app has a `user` of its own, the files are that user's, and the directory is not: nobody but the
 * platform can change what lies there.
 * Rejects with a {@link StartFailure} when a value cannot be read or cannot be an environment variable.
 */
export async function giveSecrets(
  secrets: readonly PinnedSecret[],
  read: SecretReader,
  root: string,
  replica: string,
  user?: AppUser,
): Promise<Record<string, string>> {
  const variables: Record<string, string> = {};
  const values = await Promise.all(secrets.map((secret) => readSecret(secret, read)));
  for (const [at, secret] of secrets.entries()) {
    const bytes = values[at]?.reveal();
    if (bytes === undefined) continue;
    if (secret.mount === "file") {
      makePrivateDirectory(root, user ? 0o711 : 0o700);
      const dir = join(root, replica);
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      // The variable's name, not the key: it is the one of the two that no other secret of the app has.
      const file = join(dir, secret.envVar);
      writeFileSync(file, bytes, { mode: 0o400, flag: "wx" });
      if (user) {
        lchownSync(file, user.uid, user.gid);
        lchownSync(dir, process.getuid?.() ?? 0, user.gid);
        chmodSync(dir, 0o710);
      }
      variables[secret.envVar] = file;
    } else variables[secret.envVar] = secretText(secret.key, bytes);
  }
  return variables;
}

/** The bytes of a secret. Rejects with a {@link StartFailure} when they cannot be read. */
export async function readSecret(secret: PinnedSecret, read: SecretReader): Promise<Redacted<Buffer>> {
  try {
    return await read(secret.id, secret.version);
  } catch (error) {
    const { key, version } = secret;
    throw new StartFailure(causeOf("secretUnreadable", { key, version, error: messageOf(error) }), { cause: error });
  }
}

/** The bytes of a secret as text. Throws a {@link StartFailure} for what no variable can carry. */
export function secretText(key: string, bytes: Buffer): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.includes("\0")) return text;
  } catch {
    // no UTF-8: said below
  }
  throw new StartFailure(causeOf("secretNotText", { key }));
}
