/** What of npm's configuration and of npm itself bears on a tree of packages: nothing may, or npm has to make the tree. */
import { execFile } from "node:child_process";
import { open, readFile, realpath } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";
import { promisify } from "node:util";
import { homeOf } from "../../core/home.ts";
import { type NpmConfig, settingOf, withoutQuotes } from "../npm-config.ts";
import { findExecutable, findNpm, pathOf } from "../run-npm.ts";
import { ensure, LeaveToNpm } from "./leave-to-npm.ts";

/**
 * Settings that do not change which files npm makes of packages that lie in its cache: where and how it asks the registry,
 * what it prints, what it does for authors, and what {@link FIXED_FLAGS} overrides.
 */
const HARMLESS = new RegExp(
  `^(?:${[
    "(?:@[^:]+:)?registry|//.+|_auth|_authtoken|_password|username|email|always-auth|otp|auth-type|replace-registry-host|scope",
    "ca|cafile|cert|key|strict-ssl|proxy|https?-proxy|noproxy|no-proxy|local-address|maxsockets|user-agent|metrics-registry",
    "fetch-.+|cache|cache-(?:min|max)|prefer-(?:on|off)line|offline|userconfig|globalconfig|prefix|tmp",
    "loglevel|logs-.+|progress|color|unicode|timing|heading|long|json|parseable|usage|viewer|editor|browser|send-metrics",
    "audit|audit-level|fund|update-notifier|save|save-.+|init[.-].+|sign-git-.+|tag|tag-version-prefix|message|access",
    "git|git-tag-version|commit-hooks|provenance|ignore-scripts|foreground-scripts|script-shell|python|node-gyp|package-lock",
    "lockfile-version|bin-links|omit-lockfile-registry-resolved|global|dry-run|workspaces|unsafe-perm|user|group|yes|nodedir|search.+|description|format-package-lock",
  ].join("|")})$`,
);
/** Where a script names `env` as its interpreter. */
const BY_PATH = /^#!\s*\/usr\/bin\/env\s+node\s*$/;

/** npm as it would run: the folder of its cache, and a question for the version of its Node. */
export interface NpmSetting {
  /** Absolute path of the content of npm's cache, addressed by digests. */
  content: string;
  nodeVersion(): Promise<string | undefined>;
  /** The C library that npm sees on this machine; undefined where it looks for it in a way that cannot be followed. */
  libc(): Promise<string | null | undefined>;
}

/** Reads it. Throws LeaveToNpm, or NPM_MISSING where there is no npm. */
export async function npmSetting({ env }: NpmConfig, npmrc: string | undefined): Promise<NpmSetting> {
  const npm = await findNpm(env);
  const script = await realpath(npm);
  ensure(basename(script) === "npm-cli.js", "npm is started by something else");
  const { version } = JSON.parse(await readFile(join(script, "../../package.json"), "utf8").catch(() => "{}"));
  // Older ones see nothing in libc, and have other rules for what is left out.
  ensure(Number.parseInt(String(version), 10) >= 10, `npm is of version ${version}`);
  const node = await nodeOf(npm, script, env);

  const given = new Map<string, string>();
  const home = homeOf(env) ?? "/";
  const set = (name: string) => Object.entries(env).find(([key]) => key.toLowerCase() === `npm_config_${name}`)?.[1];
  const prefixes = [env["PREFIX"], dirname(dirname(node)), dirname(dirname(await realpath(node)))];
  const globals = set("globalconfig")
    ? [set("globalconfig")]
    : prefixes.map((prefix) => prefix && join(prefix, "etc/npmrc"));
  const files = [join(script, "../../npmrc"), ...globals, set("userconfig") || join(home, ".npmrc"), npmrc];
  for (const file of files) if (file) for (const [key, value] of await strictly(file)) given.set(key, value);
  for (const [name, value] of Object.entries(env)) {
    const key = settingOf(name);
    if (key !== undefined && value) given.set(key.replace(/(?!^)_/g, "-"), value);
  }
  for (const key of given.keys()) ensure(HARMLESS.test(key), `npm has a setting of ${key}`);
  const cache = expand(given.get("cache") ?? "~/.npm", env, home);
  ensure(isAbsolute(cache), "the cache of npm has a relative path");
  return { content: join(cache, "_cacache/content-v2"), nodeVersion: () => versionOf(node, env), libc };
}

/** The Node that runs the script of npm. */
async function nodeOf(npm: string, script: string, env: NodeJS.ProcessEnv): Promise<string> {
  const file = await open(script, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(200), 0, 200, 0);
    const line = buffer.toString("utf8", 0, bytesRead).split("\n")[0] ?? "";
    const direct = /^#!\s*(\/\S+\/node)\s*$/.exec(line)?.[1];
    if (direct !== undefined) return direct;
    ensure(BY_PATH.test(line), "npm is run by something else than Node");
  } finally {
    await file.close();
  }
  const node = await findExecutable("node", [dirname(npm), ...pathOf(env)]);
  ensure(node !== undefined, "there is no Node for npm");
  return node;
}

async function versionOf(node: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  if ((await realpath(node)) === (await realpath(process.execPath))) return process.versions.node;
  const { stdout } = await promisify(execFile)(node, ["--version"], { env }).catch(() => ({ stdout: "" }));
  return /^v(\d+\.\d+\.\d+)\s*$/.exec(stdout)?.[1];
}

async function libc(): Promise<string | null | undefined> {
  const text = await readFile("/usr/bin/ldd", "utf8").catch(() => undefined); // without it, npm asks its Node
  if (text === undefined) return undefined;
  return text.includes("musl") ? "musl" : text.includes("GNU C Library") ? "glibc" : null;
}

/** Every setting of a file in the format of ini; LeaveToNpm for lines that are more than `key = value`. */
async function strictly(file: string): Promise<[key: string, value: string][]> {
  const text = await readFile(file, "utf8").catch(() => ""); // npm too passes over a file that it cannot read
  return text.split(/\r?\n/).flatMap((line): [string, string][] => {
    if (/^\s*(?:[;#].*)?$/.test(line)) return [];
    const match = /^\s*([^=\s[\]]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (match === null) throw new LeaveToNpm("a file of npm's settings has unusual lines");
    return [[String(match[1]).toLowerCase(), withoutQuotes(match[2] ?? "")]];
  });
}

function expand(path: string, env: NodeJS.ProcessEnv, home: string): string {
  const named = path.replace(/\$\{([^}]+)\}/g, (all, name: string) => env[name] ?? all);
  return named.startsWith("~/") ? join(home, named.slice(2)) : named;
}
