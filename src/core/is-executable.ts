import { accessSync, constants } from "node:fs";

/** True when this process may execute the file; true for a folder that it may enter, too. */
export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
