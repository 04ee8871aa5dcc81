import type { Bundle } from "../bundle/bundle.ts";
import type { Checked } from "./validate.ts";

/** A loaded file. `selectApp` takes an App out of it. */
export interface LoadedFile {
  /** The file as the user would type it. */
  file: string;
  cwd: string;
  bundle: Bundle;
  /** The exported Apps, each with its faults or ready to be deployed. At least one; names are unique. */
  apps: Checked[];
  /** Settles when the thread that described the file has ended and its folder is gone. Never rejects. */
  tidied: Promise<void>;
}
