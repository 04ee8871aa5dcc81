import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
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
