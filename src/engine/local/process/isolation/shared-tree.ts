/**
 * The tree outside of every home directory that apps' users can pass through: content of images, and a copy of the Node binary
 * where apps cannot reach the platform's. One folder for each platform of the machine, named after its state directory.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Names the state directory that a tree belongs to. */
const OWNER = "state-directory";

/** Makes the tree `dir` of the platform on `stateDir`: others may pass through, and see no names. */
export function makeTree(dir: string, stateDir: string): void {
  makePassable(dirname(dir));
  makePassable(dir);
  if (!existsSync(join(dir, OWNER))) writeFileSync(join(dir, OWNER), `${stateDir}\n`, { mode: 0o600 });
}

/** Makes a directory that other users may pass through, whatever the umask is. One that is there keeps its mode. */
export function makePassable(dir: string): void {
  if (mkdirSync(dir, { recursive: true, mode: 0o711 }) !== undefined) chmodSync(dir, 0o711);
}

/** Puts the program `node` into the tree: as a link where the file system allows it, else as a copy. Returns its new path. */
export function adoptNode(dir: string, node: string): string {
  const { size, mtimeMs, mode } = statSync(node);
  // A folder of its own, so that it is called "node": programs look for that name.
  const folder = join(dir, `node-${size}-${Math.floor(mtimeMs)}`);
  const target = join(folder, "node");
  if (existsSync(target)) return target;
  makePassable(folder);
  const temporary = `${target}.${process.pid}`;
  try {
    if ((mode & 0o005) !== 0o005) throw new Error("others may not execute it");
    linkSync(node, temporary);
  } catch {
    copyFileSync(node, temporary);
    chmodSync(temporary, 0o755);
  }
  renameSync(temporary, target);
  return target;
}

/** Removes the trees next to `dir` whose platform's state directory is gone. Resolves with their paths. */
export async function sweepTrees(dir: string): Promise<string[]> {
  const removed: string[] = [];
  for (const name of await readdir(dirname(dir))) {
    const other = join(dirname(dir), name);
    const owner = ownerOf(other);
    if (other === dir || owner === undefined || existsSync(owner)) continue;
    await rm(other, { recursive: true, force: true });
    removed.push(other);
  }
  return removed;
}

function ownerOf(tree: string): string | undefined {
  try {
    return readFileSync(join(tree, OWNER), "utf8").trim() || undefined;
  } catch {
    return undefined; // not a tree of ours, or one that is just being made
  }
}
