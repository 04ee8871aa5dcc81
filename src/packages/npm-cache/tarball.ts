/** The files that npm makes of a package's tarball. Whatever is unusual in a tarball is npm's to judge: LeaveToNpm. */
import { Buffer } from "node:buffer";
import { BLOCK, checksumOf, padding, textField } from "../../oci/archive/tar-header.ts";
import { ensure } from "./leave-to-npm.ts";

/** A file of a package; its bytes are those of the archive from `start` on. */
export interface PackageFile {
  path: string;
  executable: boolean;
  start: number;
  size: number;
}

/** Keys of a pax header that say nothing of a file's place or content. `path`, `linkpath` and `size` are looked at. */
const PAX_IGNORED = /^(?:[acm]time|uid|gid|uname|gname|comment|(?:SCHILY|LIBARCHIVE|NODETAR|RHT)\..*)$/;
const MAX_META = 1 << 16;
/** Far less than any file system takes. */
const MAX_NAME = 200;
const MAX_PATH = 1000;

/** The files in the archive of `size` bytes, by their paths below the package's folder; `read` gives a part of it. */
export function packageFiles(read: (at: number, length: number) => Buffer, size: number): Map<string, PackageFile> {
  const files = new Map<string, PackageFile>();
  const ignoreFiles = new Set<string>();
  let pax: Record<string, string> = {};
  let longPath: string | undefined;
  for (let at = 0; at < size; ) {
    ensure(at + BLOCK <= size, "the archive ends in a header");
    const header = read(at, BLOCK);
    if (isEmpty(header)) {
      ensure(at + BLOCK === size || isEmpty(read(at + BLOCK, Math.min(BLOCK, size - at - BLOCK))), "an empty header");
      break;
    }
    ensure(octal(header, 148, 8) === checksumOf(header), "a header with a wrong checksum");
    const type = String.fromCharCode(header[156] as number);
    const length = octal(header, 124, 12);
    at += BLOCK;
    if (type === "x" || type === "L" || type === "g") {
      ensure(length <= MAX_META && at + length + padding(length) <= size, "a long header of an archive");
      const body = read(at, length);
      if (type === "L") longPath = textOf(body).replace(/\0+$/, "");
      else {
        const values = parsePax(textOf(body));
        ensure(type === "x" || Object.keys(values).every((key) => key === "comment"), "a global header of an archive");
        if (type === "x") pax = values;
      }
      at += length + padding(length);
      continue;
    }
    const fileSize = pax["size"] === undefined ? length : Number(pax["size"]);
    ensure(Number.isSafeInteger(fileSize) && at + fileSize + padding(fileSize) <= size, "the archive ends in a file");
    ensure(longPath === undefined || pax["path"] === undefined, "two paths of one file");
    const path = pax["path"] ?? longPath ?? pathOf(header);
    pax = {};
    longPath = undefined;
    const folder = type === "5" || path.endsWith("/");
    // npm makes folders only for what is in them, and no links.
    if (folder || type === "1" || type === "2") ensure(fileSize === 0, "content where there should be none");
    else {
      ensure(type === "0" || type === "\0", `an entry of type ${JSON.stringify(type)}`);
      const place = npmIgnore(path, ignoreFiles);
      if (place !== undefined) {
        const file = { path: innerPath(place), executable: isExecutable(header), start: at, size: fileSize };
        const before = files.get(file.path);
        ensure(before === undefined || isSame(before, file, read), `${file.path} is there twice`);
        files.set(file.path, file);
      }
    }
    at += fileSize + padding(fileSize);
  }
  checkPlaces(files);
  return files;
}

function isExecutable(header: Buffer): boolean {
  return (octal(header, 100, 8) & 0o100) !== 0;
}

/** Some packers put a file into an archive twice, by two paths. */
function isSame(one: PackageFile, other: PackageFile, read: (at: number, length: number) => Buffer): boolean {
  if (one.executable !== other.executable || one.size !== other.size) return false;
  return read(one.start, one.size).equals(read(other.start, other.size));
}

/** The path below the first folder. */
function innerPath(path: string): string {
  const [first = "", ...parts] = path.split("/");
  const inner = parts.filter((part) => part !== ".");
  ensure(
    path.length <= MAX_PATH && inner.length > 0 && [first, ...inner].every(isName),
    `the path ${JSON.stringify(path)}`,
  );
  return inner.join("/");
}

/** npm makes a `.gitignore` a `.npmignore`, unless there was one before it. */
function npmIgnore(path: string, seen: Set<string>): string | undefined {
  if (path.endsWith("/.npmignore")) seen.add(path);
  if (!path.endsWith("/.gitignore")) return path;
  const renamed = path.replace(/\.gitignore$/, ".npmignore");
  return seen.has(renamed) ? undefined : renamed;
}

/** Nothing may lie in the place of something else, on no file system. */
function checkPlaces(files: Map<string, PackageFile>): void {
  const folders = new Set<string>();
  const places = new Map<string, string>();
  for (const path of files.keys()) {
    ensure(path !== "node_modules" && !path.startsWith("node_modules/"), "a package with packages in it");
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) folders.add(path.slice(0, at));
  }
  for (const path of [...folders, ...files.keys()]) {
    const folded = path.normalize("NFC").toLowerCase();
    ensure(!places.has(folded), `${path} and ${places.get(folded)} are the same on some file systems`);
    places.set(folded, path);
  }
}

function isName(part: string): boolean {
  return (
    part !== "" && part !== "." && part !== ".." && part.length <= MAX_NAME && !/[\x00-\x1f\x7f\\\ufffd]/.test(part)
  );
}

function pathOf(header: Buffer): string {
  const name = textField(header, 0, 100);
  if (header.toString("latin1", 257, 265) !== "ustar\x0000") {
    const magic = header.toString("latin1", 257, 265);
    ensure(magic === "ustar  \0" || magic === "\0\0\0\0\0\0\0\0", "an unusual format of an archive");
    return name;
  }
  const prefix = textField(header, 345, 155);
  return prefix === "" ? name : `${prefix}/${name}`;
}

function textOf(bytes: Buffer): string {
  return bytes.toString("utf8");
}

function octal(header: Buffer, at: number, length: number): number {
  const digits = textField(header, at, length).trim();
  ensure(/^[0-7]{1,11}$/.test(digits), "a number of an archive that is not octal");
  return Number.parseInt(digits, 8);
}

function isEmpty(block: Buffer): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0);
}

function parsePax(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  ensure(text.endsWith("\n") && !text.includes("\0"), "a damaged header of an archive");
  for (const line of text.slice(0, -1).split("\n")) {
    const [, length, key, value] = /^(\d+) ([^=]+)=(.*)$/s.exec(line) ?? [];
    ensure(key !== undefined && value !== undefined, "a damaged header of an archive");
    ensure(
      Number(length) === Buffer.byteLength(line) + 1 && values[key] === undefined,
      "a damaged header of an archive",
    );
    ensure(/^(?:path|linkpath|size)$/.test(key) || PAX_IGNORED.test(key), `a header with ${JSON.stringify(key)}`);
    ensure(key !== "size" || /^\d+$/.test(value), "a size that is no number");
    values[key] = value;
  }
  return values;
}
