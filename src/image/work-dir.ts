import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { diskError } from "../core/disk-error.ts";

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

async function makeIn(parent: string): Promise<string> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  for (const name of await readdir(parent)) {
    const pid = /^(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(parent, name), { recursive: true, force: true });
  }
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
