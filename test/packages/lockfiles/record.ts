/**
 * Makes the lock files in recorded/ again, with the package managers themselves:
 *
 *     npm install --prefix DIR pnpm@9 pnpm8@npm:pnpm@8 yarn@1 berry@npm:@yarnpkg/cli-dist@4 berry3@npm:@yarnpkg/cli-dist@3 bun
 *     node test/packages/lockfiles/record.ts DIR
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRegistry } from "../../support/npm-registry.ts";
import { BUN_MANIFEST, CATALOGUE, MANIFEST, YARN_MANIFESTS } from "./catalogue.ts";

const tools = join(process.argv[2] ?? ".", "node_modules");
const node = process.execPath;
const yarn = [node, join(tools, "yarn/bin/yarn.js"), "install", "--ignore-scripts"];
const bun = [join(tools, "bun/bin/bun.exe"), "install", "--lockfile-only", "--save-text-lockfile"];
const runs: [recorded: string, lockFile: string, command: string[], manifest?: object][] = [
  ["pnpm-6.yaml", "pnpm-lock.yaml", [node, join(tools, "pnpm8/bin/pnpm.cjs"), "install", "--lockfile-only"]],
  ["pnpm-9.yaml", "pnpm-lock.yaml", [node, join(tools, "pnpm/bin/pnpm.cjs"), "install", "--lockfile-only"]],
  ["yarn-1.lock", "yarn.lock", yarn],
  ["yarn-1-name.lock", "yarn.lock", yarn, YARN_MANIFESTS.name],
  ["yarn-1-everywhere.lock", "yarn.lock", yarn, YARN_MANIFESTS.everywhere],
  ["yarn-1-path.lock", "yarn.lock", yarn, YARN_MANIFESTS.path],
  ["yarn-berry-6.lock", "yarn.lock", [node, join(tools, "berry3/bin/yarn.js"), "install", "--mode=update-lockfile"]],
  ["yarn-berry-10.lock", "yarn.lock", [node, join(tools, "berry/bin/yarn.js"), "install", "--mode=update-lockfile"]],
  ["bun-2.lock", "bun.lock", bun],
  ["bun-3.lock", "bun.lock", bun, BUN_MANIFEST],
];

const registry = await startRegistry(CATALOGUE);
const yarnrc = [
  `npmRegistryServer: "${registry.url}"`,
  'unsafeHttpWhitelist: ["127.0.0.1"]',
  "enableGlobalCache: false",
  "enableTelemetry: false",
  "enableImmutableInstalls: false",
  "npmMinimalAgeGate: 0",
];
for (const [recorded, lockFile, [program = "", ...args], manifest = MANIFEST] of runs) {
  const dir = await mkdtemp(join(tmpdir(), "record-"));
  await writeFile(join(dir, "package.json"), JSON.stringify(manifest));
  await writeFile(join(dir, ".npmrc"), `registry=${registry.url}\n`);
  await writeFile(
    join(dir, ".yarnrc.yml"),
    yarnrc.filter((line) => !recorded.includes("-6") || !/Gate/.test(line)).join("\n"),
  );
  if (recorded.startsWith("yarn-berry")) await writeFile(join(dir, "yarn.lock"), "");
  const env = { PATH: process.env["PATH"], HOME: dir, npm_config_registry: registry.url };
  const [code] = await once(spawn(program, args, { cwd: dir, env, stdio: "inherit" }), "exit");
  if (code !== 0) throw new Error(`${recorded}: ${program} failed with ${code}`);
  const text = await readFile(join(dir, lockFile), "utf8");
  const neutral = text.replaceAll(registry.url, "https://registry.invalid/");
  await writeFile(join(import.meta.dirname, "recorded", recorded), neutral);
  await rm(dir, { recursive: true, force: true });
}
await registry.close();
