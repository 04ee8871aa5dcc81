/**
 * What a person has stored to sign in to registries, where `docker login`, `podman login` and `skopeo login` put it:
 * https://docs.docker.com/reference/cli/docker/login/ and containers-auth.json(5).
 */
import { Buffer } from "node:buffer";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppctlError, ExitCode, messageOf } from "../../core/errors.ts";
import { homeOf } from "../../core/home.ts";
import { Redacted } from "../../core/redacted.ts";
import { isRecord } from "../shapes.ts";
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

/** Names of Docker Hub in files with credentials; the last is what Docker itself writes, and asks its helpers for. */
const DOCKER_HUB = ["docker.io", "index.docker.io", "https://index.docker.io/v1/"];

/** What the places of credentials depend on besides the environment. */
export interface AuthSystem extends Pick<NodeJS.Process, "platform" | "getuid"> {
  /** Folder in which Podman keeps the credentials of users without a runtime directory, a folder for each. */
  sharedDir: string;
}

const SYSTEM: AuthSystem = { platform: process.platform, getuid: process.getuid, sharedDir: "/run/containers" };

/**
 * The credentials for a repository, or undefined when there are none: from the first of {@link authFiles} that has any. In a
 * file the registry's own helper (`credHelpers`) comes first, then the helper for all (`credsStore`), then what the file itself
 * holds (`auths`).
 */
export async function findCredentials(
  { host, repository }: { host: string; repository: string },
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
  system: AuthSystem = SYSTEM,
): Promise<Credentials | undefined> {
  for (const { file, named } of authFiles(env, system)) {
    const stored = await readAuthFile(file, named, system);
    const found = stored && (await credentialsOf(stored, host, repository, env, signal));
    if (found) return found;
  }
  return undefined;
}

async function credentialsOf(
  stored: AuthFile,
  host: string,
  repository: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Credentials | undefined> {
  for (const [helper, server] of helpersFor(stored, host)) {
    const found = await askCredentialHelper(helper, server, env, signal);
    if (!found) continue;
    // The helpers' own way to say that the secret is an identity token.
    return found.username === "<token>"
      ? { kind: "identity", token: found.secret }
      : { kind: "password", username: found.username, password: found.secret };
  }
  return fromAuths(stored.auths, host, repository);
}

/** The helpers to ask, each with the name of the registry by which it knows it: the one that the file has for it. */
function helpersFor({ auths, credHelpers, credsStore }: AuthFile, host: string): [helper: string, server: string][] {
  const keys = (entries: object) => Object.keys(entries).filter((key) => namesOf(host).includes(serverOf(key)));
  const helpers = keys(credHelpers).map((key): [string, string] => [credHelpers[key] as string, key]);
  if (credsStore === undefined) return helpers;
  const usual = host === "docker.io" ? DOCKER_HUB.slice(-1) : [host];
  // Docker leaves an empty entry in `auths` for what it has put into its store.
  const servers = new Set([...keys(auths), ...usual]);
  return [...helpers, ...[...servers].map((server): [string, string] => [credsStore, server])];
}

/**
 * The files with credentials, in the order in which they are searched: `$REGISTRY_AUTH_FILE` alone, else the one in
 * `$DOCKER_CONFIG` alone, else those of containers-auth.json(5), Docker's last. One that is `named` has to be there.
 */
export function authFiles(
  env: NodeJS.ProcessEnv,
  { platform, getuid, sharedDir }: AuthSystem = SYSTEM,
): { file: string; named: boolean }[] {
  const named = env["REGISTRY_AUTH_FILE"];
  if (named) return [{ file: named, named: true }];
  const docker = env["DOCKER_CONFIG"];
  if (docker) return [{ file: join(docker, "config.json"), named: false }];
  const home = homeOf(env) ?? "/";
  const runtime = env["XDG_RUNTIME_DIR"];
  const ofLinux = runtime ? join(runtime, "containers/auth.json") : `${sharedDir}/${getuid?.()}/auth.json`;
  const files = [
    platform === "linux" ? ofLinux : join(home, ".config/containers/auth.json"),
    join(env["XDG_CONFIG_HOME"] || join(home, ".config"), "containers/auth.json"),
    join(home, ".docker/config.json"),
  ];
  return [...new Set(files)].map((file) => ({ file, named: false }));
}

async function readAuthFile(file: string, named: boolean, { sharedDir }: AuthSystem): Promise<AuthFile | undefined> {
  const wrong = (why: string, cause?: unknown) =>
    new AppctlError({
      code: "INVALID_AUTH_FILE",
      exit: ExitCode.usage,
      message: `the credentials file ${file} ${why}`,
      hint: "docker login, podman login and skopeo login write it; REGISTRY_AUTH_FILE names another file",
      cause,
    });
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    // Who has never signed in has no such file; one that was named has to be there.
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" && !named) return undefined;
    // Where only root has run Podman its directory is closed to others, who have nothing there.
    if (code === "EACCES" && file.startsWith(`${sharedDir}/`) && !(await canEnter(sharedDir))) return undefined;
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

async function canEnter(dir: string): Promise<boolean> {
  return stat(`${dir}/.`).then(
    () => true,
    () => false,
  );
}

/** The closest entry: the repository's own, then those of the folders above it, then the registry's. */
function fromAuths(auths: AuthFile["auths"], host: string, repository: string): Credentials | undefined {
  const entries = new Map(Object.entries(auths).map(([key, entry]) => [serverOf(key), entry]));
  for (const each of namesOf(host)) {
    const parts = repository.split("/");
    for (let length = parts.length; length >= 0; length--) {
      const found = credentialsIn(entries.get([each, ...parts.slice(0, length)].join("/")));
      if (found) return found;
    }
  }
  return undefined;
}

/** What a registry is called, as {@link serverOf} gives it. */
const namesOf = (host: string): string[] => (host === "docker.io" ? [...new Set(DOCKER_HUB.map(serverOf))] : [host]);

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
const isRecordEntry = (entry: [string, unknown]): entry is [string, Record<string, unknown>] => isRecord(entry[1]);
