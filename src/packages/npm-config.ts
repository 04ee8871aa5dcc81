/** The environment and the flags for an npm that works in a folder of ours, under the user's own configuration. */
import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { homeOf } from "../core/home.ts";

/** What `npm run` and `npx` set for the run that appctl is part of; it describes that run, not the user's wishes. */
const RUN_VARIABLES =
  /^(?:npm_(?:package_.*|lifecycle_.*|command|execpath|node_execpath|debug_log|old_.*|new_.*)|INIT_CWD|npm_config_(?:local_prefix|global_prefix|prefix|global|location|npm_version|node_gyp|user_agent|init_module|loglevel|allow_scripts|package|call|yes|json|dry_run|workspaces?|include_workspace_root|package_lock|package_lock_only|package_lock_force|omit|include|only|production|dev|also|save.*))$/i;

/** Settings whose value is a path; npm reads a relative one from the working directory. */
const PATH_SETTINGS = ["cafile", "userconfig", "globalconfig", "cache"];

/** Retry pauses, in ms. npm's own (10 s, then 60 s) leave a person without a word for more than a minute. */
const RETRY: Record<string, string> = { fetch_retry_mintimeout: "500", fetch_retry_maxtimeout: "4000" };

/** Flags that make any npm of the last years do the same thing, whatever the user's configuration says. */
export const FIXED_FLAGS = [
  "--no-audit",
  "--no-fund",
  "--no-update-notifier",
  "--no-color",
  "--no-progress",
  "--json",
  "--loglevel=http",
  "--omit=dev",
  "--include=optional",
  "--include=peer",
  "--global=false",
  "--workspaces=false",
  "--dry-run=false",
  "--package-lock=true",
  "--lockfile-version=3",
  "--install-strategy=hoisted",
  "--install-links=true",
  "--bin-links=true",
  "--omit-lockfile-registry-resolved=true",
];

/** The configuration of npm for one project. */
export interface NpmConfig {
  /** Environment for npm's process. */
  env: NodeJS.ProcessEnv;
  /** Addresses of registries by setting (`registry`, `@scope:registry`), as written. They can hold credentials. */
  registries: [setting: string, url: string][];
}

/** Reads what has to be known of the user's configuration. `cwd` is what relative paths in `env` refer to. */
export async function npmConfig(env: NodeJS.ProcessEnv, cwd: string, npmrc: string | undefined): Promise<NpmConfig> {
  const clean = cleanEnvironment(env);
  for (const [name, value] of Object.entries(clean)) {
    const setting = settingOf(name);
    if (setting !== undefined && value && PATH_SETTINGS.includes(setting) && !isAbsolute(value))
      clean[name] = resolve(cwd, value);
  }
  const userFile = lookUp(clean, "userconfig") ?? join(homeOf(clean) ?? "/", ".npmrc");
  const user = await readSettings(userFile);
  const project = npmrc === undefined ? [] : await readSettings(npmrc);
  const written = new Map([...user, ...project]);

  const cafile = new Map(project).get("cafile");
  if (npmrc !== undefined && cafile !== undefined && !isAbsolute(cafile) && !/\$\{/.test(cafile)) {
    // npm runs in a folder of ours, so a path that is meant from the project's has to be made whole.
    if (lookUp(clean, "cafile") === undefined) clean["npm_config_cafile"] = resolve(dirname(npmrc), cafile);
  }
  for (const [setting, value] of Object.entries(RETRY)) {
    const dashed = setting.replaceAll("_", "-");
    if (!written.has(dashed) && lookUp(clean, setting) === undefined) clean[`npm_config_${setting}`] = value;
  }
  for (const [name, value] of Object.entries(clean)) {
    const setting = settingOf(name);
    if (setting !== undefined && /(?:^|:)registry$/.test(setting) && value) written.set(setting, value);
  }
  const registries = [...written].filter(([setting]) => /^(?:@[^:]+:)?registry$/.test(setting));
  return { env: clean, registries: registries.sort(([a], [b]) => (a < b ? -1 : 1)) };
}

/** `env` without what `npm run` and `npx` set for their own run. What the user set (`npm_config_registry` …) stays. */
export function cleanEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(
      // `npm run` sets an empty noproxy for its children; one with a value is the user's.
      ([name, value]) => !RUN_VARIABLES.test(name) && !(settingOf(name) === "noproxy" && value === ""),
    ),
  );
}

/** The setting, in lower case, that an environment variable `npm_config_…` gives; undefined for other variables. */
export function settingOf(variable: string): string | undefined {
  return /^npm_config_(.+)$/i.exec(variable)?.[1]?.toLowerCase();
}

function lookUp(env: NodeJS.ProcessEnv, setting: string): string | undefined {
  return Object.entries(env).find(([name, value]) => settingOf(name) === setting && value !== "")?.[1];
}

/** `key = value` lines of an `.npmrc`. Sections and arrays, which npm's files do not need here, are not read. */
async function readSettings(file: string): Promise<[key: string, value: string][]> {
  const text = await readFile(file, "utf8").catch(() => ""); // npm too passes over a file that it cannot read
  return text.split(/\r?\n/).flatMap((line): [string, string][] => {
    const match = /^\s*([^;#=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line);
    return match?.[1] === undefined ? [] : [[match[1], withoutQuotes(match[2] ?? "")]];
  });
}

/** A value of an `.npmrc` without the quotes around it. */
export function withoutQuotes(value: string): string {
  return value.replace(/^(["'])(.*)\1$/, "$2");
}
