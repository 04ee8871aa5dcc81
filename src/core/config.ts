import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseApiKey } from "./api-key.ts";
import { AppctlError, ExitCode, type Fault, messageOf, usageError } from "./errors.ts";
import { pathsOf } from "./paths.ts";
import { lastRuntime } from "./platform-file.ts";
import { Redacted } from "./redacted.ts";
import { parseRegistryAddress, REGISTRY_ADDRESS_RULE } from "./registry-address.ts";
import { SETTINGS, type Setting } from "./settings.ts";
import { credentialsHint, withoutCredentials } from "./without-credentials.ts";

/** Port of the local platform when nothing else is said. */
export const DEFAULT_PORT = 7654;
/** What can run the replicas of a local platform; the first is the default. */
export const RUNTIMES = ["process", "docker"] as const;

/** One of {@link RUNTIMES}. */
export type RuntimeName = (typeof RUNTIMES)[number];

/** What flags may say; each wins over the environment and the files. */
export interface ConfigFlags {
  project?: string;
  domain?: string;
  endpoint?: string;
  port?: number;
  registry?: string;
  runtime?: string;
  /** Configuration file to read instead of the user's. */
  config?: string;
}

/** Settings of one run: flag, else `APPCTL_*`, else project file, else user file, else default. */
export interface Config {
  project: string;
  domain: string;
  /** Address of a platform that is not the local one. */
  endpoint: string | undefined;
  /** Key for that platform. */
  apiKey: Redacted<string> | undefined;
  /** Where the key came from, for messages. */
  apiKeySource: string | undefined;
  port: number;
  /** Registry that images go to when nothing else says so: `ghcr.io/org`. */
  registry: string | undefined;
  /** Base of images that name none, as written. */
  baseImage: string | undefined;
  /** What runs the replicas of a local platform that is started now. */
  runtime: RuntimeName;
  /** Files that were read. */
  files: string[];
}

interface FileSettings {
  project?: string;
  domain?: string;
  endpoint?: string;
  apiKeyFile?: string;
  port?: number;
  registry?: string;
  baseImage?: string;
  runtime?: string;
}

const FILE_KEYS = Object.values<Setting>(SETTINGS).flatMap(({ key }) => key ?? []);
/** Name of the project file; it is looked for in the working directory and above. */
export const PROJECT_FILE = "appctl.yaml";

/** Resolves the {@link Config} of a run. Throws one usage error with every fault of flags, environment and files. */
export async function resolveConfig(flags: ConfigFlags, env: NodeJS.ProcessEnv, cwd: string): Promise<Config> {
  const faults: Fault[] = [];
  const userFile = flags.config ?? env[SETTINGS.config.variable] ?? pathsOf(env).configFile;
  if ((flags.config ?? env[SETTINGS.config.variable]) && !existsSync(resolve(cwd, userFile))) {
    throw usageError(`the configuration file ${userFile} does not exist`, { code: "CONFIG_NOT_FOUND" });
  }
  const files = [findUpwards(cwd, PROJECT_FILE), resolve(cwd, userFile)].filter((file) => file && existsSync(file));
  const settings: (FileSettings & { dir: string })[] = [];
  for (const file of files as string[]) settings.push({ ...(await readSettings(file, faults)), dir: dirname(file) });

  const fromFiles = <K extends keyof FileSettings>(key: K) => settings.find((s) => s[key] !== undefined)?.[key];
  const project = flags.project ?? nonEmpty(env[SETTINGS.project.variable]) ?? fromFiles("project") ?? "default";
  const domain = flags.domain ?? nonEmpty(env[SETTINGS.domain.variable]) ?? fromFiles("domain") ?? "development";
  for (const [path, value] of Object.entries({ project, domain })) {
    if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(value)) {
      faults.push({ path, message: `"${value}" must be 1 to 63 lower-case letters, digits and '-'` });
    }
  }

  const port = flags.port ?? numberOf(env[SETTINGS.port.variable]) ?? fromFiles("port") ?? DEFAULT_PORT;
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    faults.push({ path: "port", message: "must be a port number, 1 to 65535" });
  }

  const registry = flags.registry ?? nonEmpty(env[SETTINGS.registry.variable]) ?? fromFiles("registry");
  if (registry !== undefined && !parseRegistryAddress(registry)) {
    const hint = credentialsHint(registry);
    const message = `"${withoutCredentials(registry)}" ${REGISTRY_ADDRESS_RULE}`;
    faults.push({ path: "registry", message, ...(hint ? { hint } : {}) });
  }
  const projectFile = findUpwards(cwd, PROJECT_FILE);
  if (settings.some(({ dir, runtime }) => runtime !== undefined && projectFile && dir === dirname(projectFile))) {
    // What keeps apps apart is not for a folder that was cloned from somewhere to choose.
    faults.push({
      path: `${projectFile}: runtime`,
      message: "belongs in the user's configuration file, not in a project's",
    });
  }
  const said = flags.runtime ?? nonEmpty(env[SETTINGS.runtime.variable]) ?? fromFiles("runtime");
  // A platform that was killed, or stopped, comes back as it was: apps that were kept in containers stay there.
  const runtime = said ?? lastRuntime(pathsOf(env).state) ?? RUNTIMES[0];
  if (!isRuntime(runtime)) {
    faults.push({ path: "runtime", message: `"${runtime}" is not a runtime (expected ${RUNTIMES.join(" or ")})` });
  }

  const key = readKey(env, cwd, settings, faults);
  // A file's endpoint is for nobody's key but its own: a folder that was cloned from somewhere must not lead a key astray.
  const explicit =
    flags.endpoint ?? nonEmpty(env[SETTINGS.endpoint.variable]) ?? (key ? undefined : fromFiles("endpoint"));
  if (explicit !== undefined && !isOrigin(explicit)) {
    faults.push({
      path: "endpoint",
      message: `"${withoutCredentials(explicit)}" must be a URL such as https://apps.example.com`,
    });
  }
  if (faults.length > 0) throw usageError("the configuration has faults", { code: "INVALID_CONFIG", faults });

  return {
    project,
    domain,
    endpoint: (explicit ?? key?.endpoint)?.replace(/\/+$/, ""),
    apiKey: key?.key,
    apiKeySource: key?.source,
    port,
    registry,
    baseImage: nonEmpty(env[SETTINGS.baseImage.variable]) ?? fromFiles("baseImage"),
    runtime: runtime as RuntimeName, // else it was a fault
    files: files as string[],
  };
}

function readKey(
  env: NodeJS.ProcessEnv,
  cwd: string,
  settings: (FileSettings & { dir: string })[],
  faults: Fault[],
): { key: Redacted<string>; endpoint: string; source: string } | undefined {
  const fromFile = settings.find((s) => s.apiKeyFile !== undefined);
  const candidates: [source: string, read: () => string | undefined][] = [
    ["APPCTL_API_KEY", () => nonEmpty(env[SETTINGS.apiKey.variable])],
    ["APPCTL_API_KEY_FILE", () => readText(env[SETTINGS.apiKeyFile.variable], cwd)],
    ["apiKeyFile", () => fromFile && readText(fromFile.apiKeyFile, fromFile.dir)],
  ];
  for (const [source, read] of candidates) {
    try {
      const text = read();
      if (text === undefined) continue;
      const parts = parseApiKey(text);
      if (parts) return { key: new Redacted(text.trim()), endpoint: parts.endpoint, source };
      faults.push({
        path: source,
        message: "is not an appctl API key: it is incomplete, or its checksum is wrong",
        hint: "copy the key again, or create another one: appctl create admin-api-key --name NAME",
      });
    } catch (cause) {
      faults.push({ path: source, message: `cannot be read: ${messageOf(cause)}` });
    }
    return undefined;
  }
  return undefined;
}

async function readSettings(file: string, faults: Fault[]): Promise<FileSettings> {
  const { parse } = await import("./yaml.ts");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    faults.push({ path: file, message: `cannot be read: ${messageOf(cause)}` });
    return {};
  }
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (cause) {
    faults.push({ path: file, message: `is not valid YAML: ${messageOf(cause)}` });
    return {};
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    faults.push({ path: file, message: "must contain settings, one `name: value` a line" });
    return {};
  }
  const settings: Record<string, unknown> = {};
  for (const [key, entry] of Object.entries(value)) {
    if (!(FILE_KEYS as readonly string[]).includes(key)) {
      faults.push({ path: `${file}: ${key}`, message: `is not a setting; the settings are ${FILE_KEYS.join(", ")}` });
    } else if (typeof entry !== (key === "port" ? "number" : "string")) {
      faults.push({ path: `${file}: ${key}`, message: `must be a ${key === "port" ? "number" : "text"}` });
    } else settings[key] = entry;
  }
  return settings;
}

function findUpwards(from: string, name: string): string | undefined {
  for (let dir = resolve(from); ; dir = dirname(dir)) {
    const file = join(dir, name);
    if (existsSync(file)) return file;
    if (dirname(dir) === dir) return undefined;
  }
}

function readText(file: string | undefined, dir: string): string | undefined {
  return file ? readFileSync(resolve(dir, file), "utf8") : undefined;
}

const isRuntime = (name: string): name is RuntimeName => (RUNTIMES as readonly string[]).includes(name);
const nonEmpty = (value: string | undefined) => (value === "" ? undefined : value);
const numberOf = (value: string | undefined) => (value ? Number(value) : undefined);

function isOrigin(text: string): boolean {
  try {
    const url = new URL(text);
    const isBare = url.pathname === "/" && !url.search && !url.hash && !url.username && !url.password;
    return (url.protocol === "http:" || url.protocol === "https:") && isBare;
  } catch {
    return false; // not a URL at all
  }
}

/** The error for a command that needs a key and has none. */
export function noKeyError(endpoint: string): AppctlError {
  return new AppctlError({
    code: "NO_API_KEY",
    exit: ExitCode.auth,
    message: `no API key for ${endpoint}`,
    hint: "a key that was created on that platform contains its address: the key alone is enough",
    next: ["export APPCTL_API_KEY=…"],
  });
}
