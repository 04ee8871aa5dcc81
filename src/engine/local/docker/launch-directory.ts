/** Writes the secrets of a replica where only its container and the platform's user can read them. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makePrivateDirectory } from "../process/private-directory.ts";
import { FILES_DIR, type LaunchFile } from "./launch-command.ts";

/**
 * Makes `<root>/<replica>` with the file that starts the program and with the secrets that are mounted as files. The root is
 * the platform's alone (0700); below it everybody may read, since the container's user has another number than ours.
 */
export function writeLaunchDirectory(
  root: string,
  replica: string,
  file: LaunchFile | undefined,
  files: ReadonlyMap<string, Uint8Array>,
): string {
  makePrivateDirectory(root, 0o700);
  const dir = join(root, replica);
  for (const path of [dir, join(dir, "files")]) {
    mkdirSync(path);
    chmodSync(path, 0o755); // whatever the umask is
  }
  if (file) writeShared(join(dir, file.name), file.text);
  for (const [name, bytes] of files) writeShared(join(dir, "files", name), bytes);
  return dir;
}

function writeShared(file: string, content: string | Uint8Array): void {
  writeFileSync(file, content, { mode: 0o444, flag: "wx" });
  chmodSync(file, 0o444);
}

/** Paths in the container of the secrets that are mounted as files. */
export function filePaths(names: Iterable<string>): Record<string, string> {
  return Object.fromEntries([...names].map((name) => [name, `${FILES_DIR}/${name}`]));
}
