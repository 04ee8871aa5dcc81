/**
 * A tar writer whose output depends on nothing but names, contents and executable bits. The format is POSIX.1-1988 ustar,
 * with POSIX.1-2001 extended ("pax") headers only for what ustar cannot hold.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { AppctlError, ExitCode } from "../../core/errors.ts";
import { BLOCK, checksumOf, padding } from "./tar-header.ts";

/** One entry. `path` is relative, with `/`, without a `/` at its end; parents that are not listed are added. */
export type TarEntry =
  | { type: "directory"; path: string }
  | { type: "symlink"; path: string; target: string }
  | { type: "file"; path: string; executable?: boolean; content: Uint8Array | TarSource };

/**
 * A file to read the content from: all of it, or `size` bytes from `start` on. The file must not change while it is read, nor
 * since `digest` (`sha256:…`), when there is one, was made of it.
 */
export interface TarSource {
  file: string;
  start?: number;
  size: number;
  digest?: string;
}

const READ_SIZE = 1 << 20;
const GATHERED = 1 << 17;
const ZEROS = Buffer.alloc(2 * BLOCK);
const MAX_USTAR_SIZE = 0o77777777777;

/** The archive, piece by piece: entries by the bytes of their paths, owner 0:0, times 0, modes 0755 and 0644. */
export async function* tar(entries: Iterable<TarEntry>): AsyncGenerator<Buffer, void, undefined> {
  const small = new Gathered();
  for (const entry of arrange(entries)) {
    yield* small.add(headerOf(entry));
    if (entry.type !== "file") continue;
    const expectedDigest = entry.content instanceof Uint8Array ? undefined : entry.content.digest;
    const hash = expectedDigest === undefined ? undefined : createHash("sha256");
    let size = 0;
    for await (const chunk of contentOf(entry.content)) {
      size += chunk.length;
      hash?.update(chunk);
      yield* small.add(chunk);
    }
    if (size !== sizeOf(entry) || (hash && `sha256:${hash.digest("hex")}` !== expectedDigest))
      throw fileChangedError(entry.path);
    yield* small.add(ZEROS.subarray(0, padding(size)));
  }
  yield* small.add(ZEROS);
  yield* small.rest();
}

/** Makes few large pieces of many small ones, since the reader has some work for each. */
class Gathered {
  #bytes = Buffer.allocUnsafeSlow(GATHERED);
  #size = 0;

  /** What is to be passed on now that `piece` is added. */
  *add(piece: Buffer): Generator<Buffer, void, undefined> {
    if (piece.length > this.#bytes.length - this.#size) yield* this.rest();
    if (piece.length >= GATHERED / 2) {
      yield* this.rest();
      yield piece;
    } else this.#size += piece.copy(this.#bytes, this.#size);
  }

  /** What has not been passed on yet. */
  *rest(): Generator<Buffer, void, undefined> {
    if (this.#size === 0) return;
    const whole = this.#bytes.subarray(0, this.#size);
    this.#bytes = Buffer.allocUnsafeSlow(GATHERED);
    this.#size = 0;
    yield whole;
  }
}

/** The error for a file that changed after it was listed for the archive. */
export function fileChangedError(path: string, cause?: unknown): AppctlError {
  return new AppctlError({
    code: "FILE_CHANGED",
    exit: ExitCode.build,
    message: `${path} changed while the image was built`,
    hint: "try again when nothing writes to the file",
    cause,
  });
}

/** Every entry and every parent directory, sorted. Throws on two entries of one path. */
function arrange(entries: Iterable<TarEntry>): TarEntry[] {
  const byPath = new Map<string, TarEntry>();
  for (const entry of entries) {
    if (byPath.get(entry.path)?.type !== "directory" || entry.type !== "directory") {
      if (byPath.has(entry.path)) throw new Error(`tar: ${entry.path} is there twice`);
      byPath.set(entry.path, entry);
    }
  }
  for (const path of [...byPath.keys()]) {
    if (
      path === "" ||
      path.startsWith("/") ||
      path.split("/").some((part) => part === "" || part === ".." || part === ".")
    ) {
      throw new Error(`tar: "${path}" is not a relative path`);
    }
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const parent = path.slice(0, at);
      const present = byPath.get(parent);
      if (present === undefined) byPath.set(parent, { type: "directory", path: parent });
      else if (present.type !== "directory")
        throw new Error(`tar: ${parent} is a ${present.type} and has ${path} in it`);
    }
  }
  const keyed = [...byPath.values()].map((entry) => ({ entry, key: Buffer.from(entry.path, "utf8") }));
  return keyed.sort((a, b) => Buffer.compare(a.key, b.key)).map(({ entry }) => entry);
}

async function* contentOf(content: Uint8Array | TarSource): AsyncGenerator<Buffer, void, undefined> {
  if (content instanceof Uint8Array) {
    yield Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    return;
  }
  const { start } = content;
  if (content.size <= READ_SIZE && start === undefined) {
    // Waiting in line for a thread four times takes many times as long as reading a small file.
    yield readFileSync(content.file);
    return;
  }
  const file = await open(content.file, "r");
  try {
    for (let left = content.size; left > 0; ) {
      const chunk = Buffer.allocUnsafe(Math.min(left, READ_SIZE));
      const { bytesRead } = await file.read(
        chunk,
        0,
        chunk.length,
        start === undefined ? null : start + content.size - left,
      );
      if (bytesRead === 0) return;
      left -= bytesRead;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function sizeOf(entry: TarEntry): number {
  if (entry.type !== "file") return 0;
  return entry.content instanceof Uint8Array ? entry.content.byteLength : entry.content.size;
}

function headerOf(entry: TarEntry): Buffer {
  const path = entry.type === "directory" ? `${entry.path}/` : entry.path;
  const target = entry.type === "symlink" ? entry.target : "";
  const size = sizeOf(entry);
  const place = splitPath(path);
  const pax: [string, string][] = [];
  if (place === undefined) pax.push(["path", path]);
  if (target !== "" && !fits(target, 100)) pax.push(["linkpath", target]);
  if (size > MAX_USTAR_SIZE) pax.push(["size", String(size)]);
  const header = block({
    // With a pax header, this field is only for readers that do not know pax.
    ...(place ?? { name: Buffer.from(path, "utf8").subarray(0, 100), prefix: Buffer.alloc(0) }),
    mode: entry.type === "file" && !entry.executable ? 0o644 : entry.type === "symlink" ? 0o777 : 0o755,
    size: size > MAX_USTAR_SIZE ? 0 : size,
    typeflag: { file: "0", symlink: "2", directory: "5" }[entry.type],
    target: Buffer.from(target, "utf8").subarray(0, 100),
  });
  return pax.length === 0 ? header : Buffer.concat([paxHeader(pax), header]);
}

/** A pax header: records of `length key=value\n`, where the length counts the whole record, itself included. */
function paxHeader(values: [string, string][]): Buffer {
  const records = values.map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`, "utf8");
    let length = rest + String(rest).length;
    if (String(length).length !== String(rest).length) length = rest + String(length).length;
    return `${length} ${key}=${value}\n`;
  });
  const body = Buffer.from(records.join(""), "utf8");
  const name = Buffer.from("PaxHeaders/entry", "utf8");
  const prefix = Buffer.alloc(0);
  const header = block({ name, prefix, mode: 0o644, size: body.length, typeflag: "x", target: Buffer.alloc(0) });
  return Buffer.concat([header, body, Buffer.alloc(padding(body.length))]);
}

/** `name` and `prefix` of a ustar header, or undefined when the path is too long for them or is not ASCII. */
function splitPath(path: string): { name: Buffer; prefix: Buffer } | undefined {
  if (fits(path, 100)) return { name: Buffer.from(path, "latin1"), prefix: Buffer.alloc(0) };
  if (!fits(path, 256)) return undefined;
  const slash = path.lastIndexOf("/", 155);
  // The last "/" of a directory belongs to its name, so a split there would leave the name empty.
  if (slash <= 0 || slash === path.length - 1 || path.length - slash - 1 > 100) return undefined;
  return { name: Buffer.from(path.slice(slash + 1), "latin1"), prefix: Buffer.from(path.slice(0, slash), "latin1") };
}

function fits(text: string, bytes: number): boolean {
  return text.length <= bytes && /^[\x20-\x7e]*$/.test(text);
}

function block(fields: {
  name: Buffer;
  prefix: Buffer;
  mode: number;
  size: number;
  typeflag: string;
  target: Buffer;
}): Buffer {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number) =>
    header.write(`${value.toString(8).padStart(digits, "0")}\0`, at, "latin1");
  fields.name.copy(header, 0);
  octal(fields.mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(fields.size, 124, 11);
  octal(0, 136, 11);
  header.write(fields.typeflag, 156, "latin1");
  fields.target.copy(header, 157);
  header.write("ustar\x0000", 257, "latin1");
  octal(0, 329, 7);
  octal(0, 337, 7);
  fields.prefix.copy(header, 345);
  header.write(`${checksumOf(header).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}
