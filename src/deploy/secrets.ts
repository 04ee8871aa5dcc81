/** The secrets that an app needs and that do not exist yet. */
import type { LoadedApp } from "../app/validate.ts";
import type { Client, Scope } from "../client/client.ts";
import { isAppctlError } from "../core/errors.ts";
import type { Redacted } from "../core/redacted.ts";

/** A secret that the app declares and that does not exist yet. */
export interface MissingSecret {
  key: string;
  mount: "env" | "file";
}

/** What {@link createSecrets} needs. */
export interface SecretOptions {
  client: Client;
  scope: Scope;
  /** Returns the values of missing secrets, or throws what to type. Nothing has been built or changed then. */
  provideSecrets(missing: MissingSecret[], app: string): Promise<Map<string, Redacted<Uint8Array>>>;
}

/** Creates the secrets with the keys `missing`. Another deploy may create one first: that is as good. */
export async function createSecrets(
  { spec }: LoadedApp,
  missing: readonly string[],
  { client, scope, provideSecrets }: SecretOptions,
): Promise<void> {
  const missingSecrets = missing.map((key): MissingSecret => {
    const isFile = spec.secrets.filter((secret) => secret.key === key).every(({ mount }) => mount === "file");
    return { key, mount: isFile ? "file" : "env" };
  });
  // Called even when nothing is missing: it also reports faults of the values that the user offered.
  const values = await provideSecrets(missingSecrets, spec.name);
  for (const { key, mount } of missingSecrets) {
    const bytes = values.get(key);
    if (!bytes) throw new Error(`no value for secret ${key}`);
    const value = Buffer.from(bytes.reveal()).toString("base64");
    await client
      .createSecret(scope, { name: key, scope: "project", value, binary: mount === "file" }, true)
      .catch((error: unknown) => {
        if (!(isAppctlError(error) && error.code === "SECRET_EXISTS")) throw error;
      });
  }
}
