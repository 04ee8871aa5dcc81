/** Folders for the time of one job: below a cache, or in the system's folder for temporary files. */
import { lstatSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskError } from "./disk-error.ts";

/**
 * Makes an empty folder (0700) below `parent` for the time of one job and removes what killed processes left there. The
 * caller removes it.
 */
export async function makeWorkDir(parent: string): Promise<string> {
  try {
    return await makeIn(parent);
  } catch (error) {
    throw diskError(error, parent);
  }
}

/** Removes what killed processes left of the folders of {@link makeWorkDir}. */
export async function removeLeftWork(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const pid = /^(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(parent, name), { recursive: true, force: true });
  }
}

/** Makes an empty folder (0700) in the system's folder for temporary files; returns its real path. The caller removes it. */
export function makeSystemWorkDir(kind: "bundle" | "describe"): string {
  return mkdtempSync(join(realpathSync(tmpdir()), `appctl-${kind}-`));
}

/** Removes what killed commands of this user left of the folders of {@link makeSystemWorkDir}: not changed since `before`, in milliseconds since 1970. */
export function removeLeftSystemWork(before: number): void {
  const parent = realpathSync(tmpdir());
  for (const name of readdirSync(parent)) {
    if (!/^appctl-(?:bundle|describe)-\w{6}$/.test(name)) continue;
    const path = join(parent, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!found?.isDirectory() || found.uid !== process.getuid?.()) continue;
    if (found.mtimeMs < before) rmSync(path, { recursive: true, force: true });
  }
}

async function makeIn(parent: string): Promise<string> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await removeLeftWork(parent);
  return mkdtemp(join(parent, `${process.pid}-`));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
