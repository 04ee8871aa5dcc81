import { stat } from "node:fs/promises";

/** True when `path` is a folder, or a link to one. Throws when that cannot be found out. */
export async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      return false;
    },
  );
}
