/** Builds what loading needs and makes projects in temporary directories. */
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type LoadOptions, loadApps } from "../../src/app/load.ts";
import type { LoadedFile } from "../../src/app/loaded-file.ts";
import { type AppctlError, isAppctlError } from "../../src/core/errors.ts";

/** The repository's root. */
export const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A temporary directory outside of the repository, by its real path; `remove` takes it away. */
export async function temporaryDirectory(): Promise<{ dir: string; remove: () => Promise<void> }> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "appctl-test-")));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}

/** Builds the SDK and the describe worker into `dir`, as `bin/build.js` does. */
export async function buildParts(dir: string): Promise<{ sdkFile: string; workerFile: string }> {
  const { build }: typeof import("esbuild") = createRequire(import.meta.url)("esbuild");
  const sdkFile = join(dir, "sdk", "index.js");
  const workerFile = join(dir, "describe-worker.js");
  await writeFile(join(dir, "package.json"), JSON.stringify({ type: "module" }));
  const common = { bundle: true, format: "esm", platform: "node", target: "node22.19", logLevel: "error" } as const;
  await Promise.all([
    build({ ...common, entryPoints: [join(repository, "src/sdk/index.ts")], outfile: sdkFile }),
    build({ ...common, entryPoints: [join(repository, "src/app/describe-worker.ts")], outfile: workerFile }),
  ]);
  return { sdkFile, workerFile };
}

/** Writes `files` (path → text) below `dir` and links `packages` of the repository's node_modules into it. */
export async function project(dir: string, files: Record<string, string>, packages: string[] = []): Promise<string> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text);
  }
  for (const name of packages) {
    await mkdir(dirname(join(dir, "node_modules", name)), { recursive: true });
    await symlink(join(repository, "node_modules", name), join(dir, "node_modules", name), "dir");
  }
  return dir;
}

/** Loads with the parts that {@link buildParts} made. */
export function loader(parts: { sdkFile: string; workerFile: string }) {
  return (cwd: string, file = "app.ts", more: Partial<LoadOptions> = {}): Promise<LoadedFile> =>
    loadApps({ file, cwd, env: process.env, signal: new AbortController().signal, ...parts, ...more });
}

/** The AppctlError that `work` fails with; throws when it does not fail, or with something else. */
export async function failureOf(work: Promise<unknown> | (() => unknown)): Promise<AppctlError> {
  let value: unknown;
  try {
    value = await (typeof work === "function" ? work() : work);
  } catch (error) {
    if (isAppctlError(error)) return error;
    throw error;
  }
  throw new Error(`did not fail, but gave ${JSON.stringify(value)}`);
}
