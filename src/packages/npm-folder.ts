import { rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeWorkDir } from "../core/work-dir.ts";
import type { NpmProject } from "./npm-project.ts";
import type { PackageContext } from "./package-context.ts";

/** Makes a folder below the cache for one run of npm, with the `.npmrc` of `project`. The caller removes it. */
export async function makeNpmFolder(context: PackageContext, project: NpmProject, manifest: object): Promise<string> {
  const dir = await makeWorkDir(join(context.cacheDir, "tmp"));
  // A link, not a copy: it can hold credentials, and only the folder node_modules next to it goes into the image.
  if (project.npmrc !== undefined) await symlink(project.npmrc, join(dir, ".npmrc"));
  await writeFile(join(dir, "package.json"), JSON.stringify({ ...manifest, private: true }));
  return dir;
}

/** Runs `work` in such a folder, and removes the folder. */
export async function inNpmFolder<T>(
  context: PackageContext,
  project: NpmProject,
  manifest: object,
  work: (dir: string) => Promise<T>,
): Promise<T> {
  const dir = await makeNpmFolder(context, project, manifest);
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
