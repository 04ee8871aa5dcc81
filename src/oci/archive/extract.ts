import { Buffer } from "node:buffer";
import { chmodSync, closeSync, fchmodSync, mkdirSync, openSync, symlinkSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { readTar, type TarReaderEntry } from "./tar-reader.ts";

/** Bounds of {@link extractTar}. */
export interface ExtractLimits {
  /** Bytes of all files together. */
  maxBytes: number;
  maxEntries: number;
}

/** What has been written to a folder so far, by path. */
export type ExtractedKinds = Map<string, "directory" | "other">;

/** Files up to this size are written in one go. */
const SMALL = 1 << 20;
/** What every file system takes: bytes of a name, and of a path with room for the folder that it is below. */
const MAX_NAME = 255;
const MAX_PATH = 3000;
/** After so many entries everything else that the process has to do gets its turn. */
const TURN = 32;

/**
 * Writes the archive `source` below the empty folder `dir`, with modes 0755 and 0644 whatever the umask is. Throws an Error
 * on everything that appctl's layers do not hold: paths or links that lead out of `dir`, entries below a link, a path that
 * is there twice, hard links, devices, whiteouts. What was written until then stays: the caller removes `dir`. Several
 * archives may fill one folder when they share `kinds`: together they are judged as one.
 *
 * Small things are done synchronously: it takes a tenth of the time that waiting for a thread at each step does, and 32
 * entries keep the process for 2 or 3 ms.
 */
export async function extractTar(
  source: AsyncIterable<Uint8Array>,
  dir: string,
  limits: ExtractLimits,
  kinds: ExtractedKinds = new Map(),
): Promise<void> {
  kinds.set("", "directory");
  let bytes = 0;
  const ensureParent = (path: string): void => {
    const parent = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
    const kind = kinds.get(parent);
    if (kind === "other") throw new Error(`the archive has ${path} below something that is no directory`);
    if (kind === undefined) {
      ensureParent(parent);
      makeDirectory(dir, parent);
      kinds.set(parent, "directory");
    }
  };
  for await (const entry of readTar(source)) {
    const directory = entry.header.typeflag === "5";
    const path = safePath(entry.header.path, directory);
    bytes += entry.header.size;
    if (bytes > limits.maxBytes) throw new Error(`the archive has more than ${limits.maxBytes} bytes`);
    if (kinds.size > limits.maxEntries) throw new Error(`the archive has more than ${limits.maxEntries} entries`);
    ensureParent(path);
    if (directory && kinds.get(path) === "directory") continue;
    if (kinds.has(path)) throw new Error(`the archive has ${path} twice`);
    kinds.set(path, directory ? "directory" : "other");
    await write(entry, dir, path);
    if (kinds.size % TURN === 0) await setImmediate();
  }
}

async function write({ header, body }: TarReaderEntry, dir: string, path: string): Promise<void> {
  const file = join(dir, path);
  const mode = (header.mode & 0o111) === 0 ? 0o644 : 0o755;
  if (header.typeflag === "5") makeDirectory(dir, path);
  else if (header.typeflag === "2") {
    checkLink(path, header.target);
    symlinkSync(header.target, file);
  } else if (header.typeflag !== "0" && header.typeflag !== "\0") {
    throw new Error(
      `the archive has ${path} of a kind (${JSON.stringify(header.typeflag)}) that no layer of appctl has`,
    );
  } else if (header.size > SMALL) await writeLarge(file, body, mode);
  else {
    const pieces: Buffer[] = [];
    for await (const piece of body) pieces.push(piece);
    writeSmall(file, Buffer.concat(pieces), mode);
  }
}

function writeSmall(file: string, bytes: Buffer, mode: number): void {
  const handle = openSync(file, "wx", mode);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at);
    fchmodSync(handle, mode);
  } finally {
    closeSync(handle);
  }
}

async function writeLarge(file: string, body: AsyncIterable<Uint8Array>, mode: number): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, "wx", mode);
    for await (const piece of body) {
      for (let at = 0; at < piece.length; ) at += (await handle.write(piece, at)).bytesWritten;
    }
    await handle.chmod(mode);
  } finally {
    await handle?.close();
  }
}

function makeDirectory(dir: string, path: string): void {
  mkdirSync(join(dir, path));
  chmodSync(join(dir, path), 0o755);
}

/** The path without what is idle in it. Throws when it leads out or is a whiteout (image-spec, layer.md). */
function safePath(path: string, directory: boolean): string {
  const plain = directory ? path.replace(/\/+$/, "") : path;
  const parts = plain.split("/");
  if (plain === "" || path.includes("\0") || parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new Error(`the archive has the path ${JSON.stringify(path)}, which is not a plain relative one`);
  }
  if (tooLong(plain)) throw new Error(`the archive has a path that no file system takes: ${plain.slice(0, 60)}…`);
  if (parts.some((part) => part.startsWith(".wh."))) throw new Error(`the archive has the whiteout ${path}`);
  return plain;
}

/**
 * A link may lead anywhere inside. `..` is allowed only at its start: there it goes up real directories, because nothing is
 * ever written below a link; further on it might go up from where another link leads.
 */
function checkLink(path: string, target: string): void {
  const parts = target.split("/");
  const ups = parts.findIndex((part) => part !== "..");
  const climbed = ups < 0 ? parts.length : ups;
  const depth = dirname(path) === "." ? 0 : dirname(path).split("/").length;
  const rest = parts.slice(climbed);
  if (target === "" || target.startsWith("/") || target.includes("\0") || climbed > depth || rest.includes("..")) {
    throw new Error(`the archive has the link ${path}, which leads out of it: ${JSON.stringify(target)}`);
  }
  if (tooLong(target)) throw new Error(`the archive has the link ${path}, which leads to no possible path`);
}

function tooLong(path: string): boolean {
  return Buffer.byteLength(path) > MAX_PATH || path.split("/").some((part) => Buffer.byteLength(part) > MAX_NAME);
}
