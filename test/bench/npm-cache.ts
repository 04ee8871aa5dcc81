/**
 * What `src/packages/npm-cache` saves: how long it takes until the packages of an image can be packed, by four ways that
 * begin with npm's cache. Not a figure of the table, since it speaks for a decision and not for the product. Run it with
 * `node test/bench/npm-cache.ts [ROUNDS]`; it asks the registry only to fill the cache.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { treeEntries } from "../../src/image/layer.ts";
import type { TarEntry, TarSource } from "../../src/oci/archive/tar.ts";
import { installPackages } from "../../src/packages/install-packages.ts";
import { entriesFor, packageName, type ResolvedLock } from "../../src/packages/lockfiles/package-lock.ts";
import { cachedPackages } from "../../src/packages/npm-cache/cached-packages.ts";
import { hostTarget } from "../../src/packages/npm-target.ts";
import type { PackageContext } from "../../src/packages/package-context.ts";
import { resolvePackages } from "../../src/packages/resolve-packages.ts";
import { findNpm } from "../../src/packages/run-npm.ts";
import { median } from "./statistics.ts";

const PROJECTS = {
  small: ["hono", "zod"],
  middle: ["express", "pg", "pino"],
  nest: ["@nestjs/core", "@nestjs/common", "@nestjs/platform-express", "rxjs", "reflect-metadata"],
  next: ["next", "react", "react-dom"],
};

interface Setup {
  context: PackageContext;
  lock: ResolvedLock;
  /** Folder of npm's cache. */
  cache: string;
  /** An empty folder. */
  dir: string;
}

/** pacote and arborist are those that npm itself has. */
const requireFromNpm = async () => createRequire(realpathSync(await findNpm(process.env)));
const entriesIn = (nodeModules: string) =>
  treeEntries(nodeModules, "app/node_modules", (path) => path === ".package-lock.json");

const WAYS: Record<string, (setup: Setup) => Promise<TarEntry[]>> = {
  async appctl({ lock, context }) {
    const cached = await cachedPackages(lock, context);
    if ("why" in cached) throw new Error(cached.why);
    return cached.entries;
  },
  async "npm ci"({ lock, context }) {
    const { nodeModules = "" } = await installPackages(lock, context);
    return entriesIn(nodeModules);
  },
  /** Without what npm does with the tree: which packages fit, and the links of their commands. */
  async pacote({ lock, context, cache, dir }) {
    const { extract } = (await requireFromNpm())("pacote");
    const content = (integrity: string) => {
      const hex = Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex");
      return join(cache, "content-v2/sha512", hex.slice(0, 2), hex.slice(2, 4), hex.slice(4));
    };
    const cached = entriesFor(lock.lock, context.platform).filter(([, { integrity = "" }]) =>
      existsSync(content(integrity)),
    );
    const unpack = async (waiting: typeof cached) => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const [path, entry] = next;
        const { integrity, version } = entry;
        const name = packageName(path, entry);
        await extract(`${name}@${version}`, join(dir, path), { cache, integrity, resolved: "https://x.example/x.tgz" });
      }
    };
    // pacote empties the folder first, so what is inside another package comes after it.
    const levels = Map.groupBy(cached, ([path]) => path.split("node_modules/").length);
    for (const [, level] of [...levels].sort(([a], [b]) => a - b))
      await Promise.all(Array.from({ length: 8 }, () => unpack(level)));
    return entriesIn(join(dir, "node_modules"));
  },
  async arborist({ lock, cache, dir }) {
    const Arborist = (await requireFromNpm())("@npmcli/arborist");
    writeFileSync(join(dir, "package.json"), JSON.stringify({ ...lock.lock.packages[""], private: true }));
    writeFileSync(join(dir, "package-lock.json"), JSON.stringify(lock.lock));
    const options = {
      path: dir,
      cache,
      offline: true,
      ignoreScripts: true,
      audit: false,
      installLinks: true,
      save: false,
    };
    const arborist = new Arborist(options);
    await arborist.loadVirtual();
    await arborist.reify(options);
    return entriesIn(join(dir, "node_modules"));
  },
};

function setupIn(home: string, project: string): Omit<Setup, "lock" | "dir"> & { lockFile: string } {
  const npmCache = join(home, "npm");
  const env = { ...process.env, npm_config_cache: npmCache };
  const signal = new AbortController().signal;
  const context = { appDir: home, cacheDir: join(home, "cache"), env, cwd: home, signal, platform: hostTarget() };
  return { context, cache: join(npmCache, "_cacache"), lockFile: join(home, `${project}.json`) };
}

function readSource({ file, start = 0, size }: TarSource): void {
  const handle = openSync(file, "r");
  readSync(handle, Buffer.allocUnsafe(size), 0, size, start);
  closeSync(handle);
}

/** One way in a process of its own, without the time to load the modules. Prints milliseconds: until the bytes are read. */
async function runOnce(home: string, project: string, way: string): Promise<void> {
  const { lockFile, ...setup } = setupIn(home, project);
  const lock: ResolvedLock = JSON.parse(readFileSync(lockFile, "utf8"));
  const dir = mkdtempSync(join(home, "tree-"));
  const start = performance.now();
  for (const entry of (await WAYS[way]?.({ ...setup, lock, dir })) ?? [])
    if (entry.type === "file" && "file" in entry.content) readSource(entry.content);
  console.log(performance.now() - start);
  rmSync(dir, { recursive: true });
}

async function compareAll(rounds: number): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "appctl-npm-cache-"));
  mkdirSync(join(home, "cache"));
  console.log(`| packages | ${Object.keys(WAYS).join(" | ")} |\n|${" --- |".repeat(Object.keys(WAYS).length + 1)}`);
  for (const [project, packages] of Object.entries(PROJECTS)) {
    const { context, lockFile } = setupIn(home, project);
    const { lock } = await resolvePackages({ ...context, packages });
    writeFileSync(lockFile, JSON.stringify(lock));
    await (await installPackages(lock, context)).dispose();
    const times = new Map(Object.keys(WAYS).map((way): [string, number[]] => [way, []]));
    for (let round = 0; round < rounds; round++)
      for (const [way, list] of times)
        list.push(
          Number(execFileSync(process.execPath, [import.meta.filename, home, project, way], { encoding: "utf8" })),
        );
    const medians = [...times.values()].map(median);
    const cells = medians.map((ms) => `${ms.toFixed(0)} ms (${(ms / (medians[0] as number)).toFixed(1)} ×)`);
    console.log(`| ${packages.join(", ")} | ${cells.join(" | ")} |`);
  }
  rmSync(home, { recursive: true });
}

const [first = "5", project, way] = process.argv.slice(2);
if (project !== undefined && way !== undefined) await runOnce(first, project, way);
else await compareAll(Number(first));
