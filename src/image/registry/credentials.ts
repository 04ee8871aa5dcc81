/**
 * What a person has stored to sign in to registries, where `docker login`, `podman login` and `skopeo login` put it:
 * https://docs.docker.com/reference/cli/docker/login/ and containers-auth.json(5).
 */
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { AppctlError, ExitCode, messageOf } from "../../core/errors.ts";
import { Redacted } from "../../core/redacted.ts";
import { askCredentialHelper } from "./credential-helper.ts";

/** How to sign in. A token of the kind `identity` is handed to the token service, one of the kind `registry` is used as it is. */
export type Credentials =
  | { kind: "password"; username: string; password: Redacted<string> }
  | { kind: "identity" | "registry"; token: Redacted<string> };

interface AuthFile {
  auths: Record<string, Record<string, unknown>>;
  credHelpers: Record<string, string>;
  credsStore: string | undefined;
}

/**
 * The credentials for a repository, or undefined when there are none. The file is `$REGISTRY_AUTH_FILE`, else
 * `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`. In it the registry's own helper (`credHelpers`) comes first,
 * then the helper for all (`credsStore`), then what the file itself holds (`auths`).
 */
export async function findCredentials(
  { host, repository }: { host: string; repository: string },
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Credentials | undefined> {
  const { file, named } = authFile(env);
  const stored = await readAuthFile(file, named);
  if (!stored) return undefined;
  const server = host === "docker.io" ? "https://index.docker.io/v1/" : host;
  const own = stored.credHelpers[host];
  for (const helper of own === undefined ? [stored.credsStore] : [own, stored.credsStore]) {
    if (!helper) continue;
    const found = await askCredentialHelper(helper, server, env, signal);
    if (!found) continue;
    // The helpers' own way to say that the secret is an identity token.
    return found.username === "<token>"
      ? { kind: "identity", token: found.secret }
      : { kind: "password", username: found.username, password: found.secret };
  }
  return fromAuths(stored.auths, host, repository);
}

function authFile(env: NodeJS.ProcessEnv): { file: string; named: boolean } {
  const named = env["REGISTRY_AUTH_FILE"];
  if (named) return { file: named, named: true };
  return { file: join(env["DOCKER_CONFIG"] || join(env["HOME"] || homedir(), ".docker"), "config.json"), named: false };
}

async function readAuthFile(file: string, named: boolean): Promise<AuthFile | undefined> {
  const wrong = (why: string, cause?: unknown) =>
    new AppctlError({
      code: "INVALID_AUTH_FILE",
      exit: ExitCode.usage,
      message: `the file with the credentials for registries, ${file}, ${why}`,
      hint: "docker login, podman login or skopeo login write it; REGISTRY_AUTH_FILE names another one",
      cause,
    });
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    // Who has never signed in has no such file; one that was named has to be there.
    if ((cause as NodeJS.ErrnoException).code === "ENOENT" && !named) return undefined;
    throw wrong(`cannot be read: ${messageOf(cause)}`, cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong("is not JSON"); // the parser's own message can quote the file, with what is secret in it
  }
  if (!isRecord(value)) throw wrong("is not a JSON object");
  const { auths, credHelpers, credsStore } = value;
  return {
    auths: isRecord(auths) ? Object.fromEntries(Object.entries(auths).filter(isRecordEntry)) : {},
    credHelpers: isRecord(credHelpers)
      ? Object.fromEntries(Object.entries(credHelpers).filter((entry): entry is [string, string] => isText(entry[1])))
      : {},
    credsStore: isText(credsStore) ? credsStore : undefined,
  };
}

/** The closest entry: the repository's own, then those of the folders above it, then the registry's. */
function fromAuths(auths: AuthFile["auths"], host: string, repository: string): Credentials | undefined {
  const entries = new Map(Object.entries(auths).map(([key, entry]) => [serverOf(key), entry]));
  const hosts = host === "docker.io" ? ["docker.io", "index.docker.io"] : [host];
  for (const each of hosts) {
    const parts = repository.split("/");
    for (let length = parts.length; length >= 0; length--) {
      const found = credentialsIn(entries.get([each, ...parts.slice(0, length)].join("/")));
      if (found) return found;
    }
  }
  return undefined;
}

/** `https://host/v1/` → `host`: older Dockers wrote addresses. */
function serverOf(key: string): string {
  return key.replace(/^https?:\/\//, "").replace(/\/(?:v[12]\/?)?$/, "");
}

function credentialsIn(entry: Record<string, unknown> | undefined): Credentials | undefined {
  if (!entry) return undefined;
  const { auth, username, password, identitytoken, registrytoken } = entry;
  if (isText(registrytoken)) return { kind: "registry", token: new Redacted(registrytoken) };
  if (isText(identitytoken)) return { kind: "identity", token: new Redacted(identitytoken) };
  if (isText(auth)) {
    const decoded = Buffer.from(auth, "base64").toString("utf8");
    const colon = decoded.indexOf(":");
    if (colon > 0) {
      // Some Dockers padded it with NULs.
      const secret = decoded.slice(colon + 1).replace(/\0+$/, "");
      return { kind: "password", username: decoded.slice(0, colon), password: new Redacted(secret) };
    }
  }
  if (isText(username) && isText(password)) return { kind: "password", username, password: new Redacted(password) };
  return undefined;
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isRecordEntry = (entry: [string, unknown]): entry is [string, Record<string, unknown>] => isRecord(entry[1]);
