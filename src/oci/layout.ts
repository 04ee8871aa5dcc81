import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { diskError } from "../core/disk-error.ts";
import { AppctlError, ExitCode, messageOf } from "../core/errors.ts";
import { removeOld } from "../core/remove-old.ts";
import { syncDirectory } from "../core/write-durably.ts";
import { type Descriptor, digestOf, hexOf, MediaType, parseReference, REF_NAME } from "./model.ts";
import { isDescriptor } from "./shapes.ts";

interface Index {
  schemaVersion: 2;
  mediaType?: string;
  manifests: Descriptor[];
  [other: string]: unknown;
}

/** A reference of a layout and what it names. */
export interface Reference {
  reference: string;
  descriptor: Descriptor;
}

const LOCK_TIMEOUT = 30_000;
/** SQLite's code for a file that is something else: SQLITE_NOTADB. */
const NOT_A_DATABASE = 26;
/** Blobs up to this size are looked at before they are written, in bytes. */
const SMALL = 1024 * 1024;

/**
 * An OCI image layout directory (image-spec, image-layout.md): the CLI's cache of images and the platform's store. Any
 * number of processes may use one at the same time: blobs and `index.json` only ever appear whole, by a rename.
 * The directory is made, 0700, by the first write.
 */
export class OciLayout {
  readonly dir: string;
  /** A blob that was stored is there whatever becomes of the machine. A cache can be filled again. */
  protected readonly durable: boolean = true;
  #ready: Promise<void> | undefined;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Where the blob lies, whether it is there or not. */
  blobPath(digest: string): string {
    return join(this.dir, "blobs", "sha256", hexOf(digest));
  }

  /** True when the blob is there (and, when `size` is given, has that many bytes). */
  async hasBlob(digest: string, size?: number): Promise<boolean> {
    const found = await stat(this.blobPath(digest)).catch((error: unknown) => ignoreMissing(error));
    return found?.isFile() === true && (size === undefined || found.size === size);
  }

  /** True when `path`, which was made of content of the layout, is there. A cache notes that it is used. */
  async use(path: string): Promise<boolean> {
    return (await stat(path).catch((error: unknown) => ignoreMissing(error))) !== undefined;
  }

  /** {@link OciLayout.hasBlob} without a pause, for decisions that nothing else of this process may come into. */
  isStored(digest: string): boolean {
    return statSync(this.blobPath(digest), { throwIfNoEntry: false })?.isFile() === true;
  }

  /** Those of `digests` that are not there, each once, in the order given. */
  async missing(digests: Iterable<string>): Promise<string[]> {
    const wanted = [...new Set(digests)];
    const present = await Promise.all(wanted.map((digest) => this.hasBlob(digest)));
    return wanted.filter((_, index) => !present[index]);
  }

  /** The blob's bytes, checked against the digest. Throws BLOB_NOT_FOUND, or BLOB_DAMAGED when they are not the same. */
  async readBlob(digest: string): Promise<Buffer> {
    const file = this.blobPath(digest);
    const bytes = await readFile(file).catch((error: unknown) => ignoreMissing(error));
    if (bytes === undefined) throw blobNotFound(digest, this.dir);
    if (digestOf(bytes) !== digest) throw await this.setAside(digest);
    return bytes;
  }

  /**
   * Takes a damaged blob out of the layout, so that it counts as missing, and a client can bring it again. What is
   * left of it is kept in `damaged`. Gives the error to throw.
   */
  async setAside(digest: string): Promise<AppctlError> {
    const aside = join(this.dir, "damaged", hexOf(digest));
    const moved = await mkdir(join(this.dir, "damaged"), { recursive: true })
      .then(() => rename(this.blobPath(digest), aside))
      .then(
        () => true,
        () => false, // a disk that cannot be written: the damage is reported all the same
      );
    return blobDamaged(digest, moved ? aside : this.blobPath(digest));
  }

  /** A JSON blob. The digest is checked, the shape is not. */
  async readJson<T>(digest: string): Promise<T> {
    const bytes = await this.readBlob(digest);
    try {
      return JSON.parse(bytes.toString("utf8"));
    } catch (cause) {
      throw new AppctlError({
        code: "NOT_JSON",
        exit: ExitCode.usage,
        message: `${digest} is not a JSON document: ${messageOf(cause)}`,
        cause,
      });
    }
  }

  /** Stores `bytes`; a no-op when they are there already. */
  async writeBlob(bytes: Uint8Array): Promise<{ digest: string; size: number }> {
    const digest = digestOf(bytes);
    if (await this.hasBlob(digest, bytes.length)) return { digest, size: bytes.length };
    return bytes.length > SMALL ? this.writeBlobStream([bytes], digest) : this.#writeSmall(bytes, digest);
  }

  /**
   * Stores a stream of bytes. Throws DIGEST_MISMATCH when it does not have `expectedDigest`, and BLOB_TOO_LARGE as soon as
   * there are more than `maxBytes`; the source is then left, and nothing of it stays in the layout.
   */
  async writeBlobStream(
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    expectedDigest?: string,
    maxBytes = Number.POSITIVE_INFINITY,
  ): Promise<{ digest: string; size: number }> {
    if (expectedDigest !== undefined) hexOf(expectedDigest);
    else {
      const small = await firstBytes(source, SMALL);
      if (small.whole !== undefined) {
        // Made again at each deploy, and mostly the same: what is there already needs no file, and no wait for the disk.
        return this.writeBlob(small.whole);
      }
      source = small.source;
    }
    await this.#prepare();
    const temporary = join(this.dir, ".tmp", randomBytes(12).toString("hex"));
    let file: FileHandle | undefined;
    try {
      file = await open(temporary, "wx", 0o644);
      const hash = createHash("sha256");
      let size = 0;
      for await (const chunk of source) {
        size += chunk.length;
        if (size > maxBytes) throw blobTooLarge(maxBytes);
        hash.update(chunk);
        for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
      }
      const digest = `sha256:${hash.digest("hex")}`;
      if (expectedDigest !== undefined && digest !== expectedDigest) throw digestMismatch(expectedDigest, digest);
      if (this.durable) await file.sync();
      await file.close();
      file = undefined;
      await rename(temporary, this.blobPath(digest));
      this.named(this.blobPath(digest));
      return { digest, size };
    } catch (error) {
      await file?.close();
      await rm(temporary, { force: true });
      throw diskError(error, this.dir);
    }
  }

  /** Where nobody waits for the disk, these few bytes take longer to be passed from thread to thread than to be written. */
  async #writeSmall(bytes: Uint8Array, digest: string): Promise<{ digest: string; size: number }> {
    if (this.durable) return this.writeBlobStream([bytes], digest);
    await this.#prepare();
    const temporary = join(this.dir, ".tmp", randomBytes(12).toString("hex"));
    try {
      writeFileSync(temporary, bytes, { flag: "wx", mode: 0o644 });
      renameSync(temporary, this.blobPath(digest));
      this.named(this.blobPath(digest));
      return { digest, size: bytes.length };
    } catch (error) {
      rmSync(temporary, { force: true });
      throw diskError(error, this.dir);
    }
  }

  /** Called when a blob that was written has its name. */
  protected named(path: string): void {
    syncDirectory(dirname(path));
  }

  /** What `reference` (`<name>:<tag>`) names, or undefined. */
  async resolve(reference: string): Promise<Descriptor | undefined> {
    return (await this.references()).find((entry) => entry.reference === reference)?.descriptor;
  }

  /** Every reference of the layout, in order of its text. */
  async references(): Promise<Reference[]> {
    const text = await readFile(join(this.dir, "index.json"), "utf8").catch((error: unknown) =>
      ignoreMissing(isMissing(error) ? error : diskError(error, this.dir)),
    );
    return (text === undefined ? [] : (parseIndex(text)?.manifests ?? [])).flatMap(namedBy);
  }

  /**
   * Makes `reference` name `descriptor`'s manifest, which is in the layout, as are `parts`: BLOB_NOT_FOUND when one of them is
   * not at the moment at which it gets its name. Safe against other processes that do the same: `index.json` is read and
   * replaced under a lock that the kernel lets go of when its holder dies.
   */
  async tag(
    reference: string,
    descriptor: Descriptor,
    parts: readonly Pick<Descriptor, "digest">[] = [],
  ): Promise<void> {
    parseReference(reference);
    if (!(await this.hasBlob(descriptor.digest))) throw blobNotFound(descriptor.digest, this.dir);
    const { mediaType, digest, size } = descriptor;
    if ((await this.resolve(reference))?.digest === digest) return;
    await this.#changeIndex((entries) => {
      const absent = [descriptor, ...parts].find((each) => !this.isStored(each.digest));
      if (absent) throw blobNotFound(absent.digest, this.dir);
      const others = entries.filter((entry) => entry.annotations?.[REF_NAME] !== reference);
      const manifests = [...others, { mediaType, digest, size, annotations: { [REF_NAME]: reference } }];
      return manifests.sort((a, b) => ((a.annotations?.[REF_NAME] ?? "") < (b.annotations?.[REF_NAME] ?? "") ? -1 : 1));
    });
  }

  /** Takes the names away that `goes` is true for, which may not wait; what they named stays. As safe as {@link OciLayout.tag}. */
  async untag(goes: (named: Reference) => boolean): Promise<void> {
    await this.#changeIndex((entries) => entries.filter((entry) => !namedBy(entry).some(goes)));
  }

  /**
   * Takes a manifest's names away, and itself. `decide`, which may not wait, gets all names of the layout and gives those that
   * go, and whether the manifest does; or it throws, and all stays. From its question to the end nothing else of this process
   * runs: whatever {@link OciLayout.isStored} tells then is true before or after all of it.
   */
  async remove(
    digest: string,
    decide: (all: Reference[]) => { names: readonly string[]; manifest: boolean },
  ): Promise<void> {
    await this.locked(() => {
      let goes = false;
      this.#replaceIndex((entries) => {
        const { names, manifest } = decide(entries.flatMap(namedBy));
        goes = manifest;
        return entries.filter(({ annotations }) => !names.includes(annotations?.[REF_NAME] ?? ""));
      });
      if (goes) rmSync(this.blobPath(digest), { force: true });
    });
  }

  /** Takes in a file of the same disk, whole and synced, whose digest was found to be `digest`. It is moved. */
  async adopt(file: string, digest: string): Promise<void> {
    await this.#prepare();
    try {
      await rename(file, this.blobPath(digest));
      this.named(this.blobPath(digest));
    } catch (error) {
      throw diskError(error, this.dir);
    }
  }

  /** Runs `work`, which may not wait, while no other process changes names or takes anything away. */
  async locked<T>(work: () => T): Promise<T> {
    await this.#prepare();
    const { DatabaseSync } = await import("node:sqlite");
    // An exclusive SQLite transaction is a POSIX record lock, which Node itself does not have. Nothing is awaited while it
    // is held, so two calls in one process cannot wait for each other; another process holds it for a millisecond or two.
    const file = join(this.dir, ".lock");
    const lock = new DatabaseSync(file);
    try {
      lock.exec(`PRAGMA busy_timeout = ${LOCK_TIMEOUT}; BEGIN EXCLUSIVE`);
      return work();
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== NOT_A_DATABASE) throw diskError(error, this.dir);
      // Damaged, so nobody holds it: as a lock it is empty. Another one may have made it again by now.
      if (statSync(file, { throwIfNoEntry: false })?.size !== 0) rmSync(file, { force: true });
    } finally {
      lock.close();
    }
    return this.locked(work);
  }

  #changeIndex(change: (entries: Descriptor[]) => Descriptor[]): Promise<void> {
    return this.locked(() => this.#replaceIndex(change));
  }

  #replaceIndex(change: (entries: Descriptor[]) => Descriptor[]): void {
    const file = join(this.dir, "index.json");
    const index = parseIndex(readFileSync(file, "utf8")) ?? this.#renewIndex(file);
    const manifests = change(index.manifests);
    if (manifests.length === index.manifests.length && manifests.every((entry, at) => entry === index.manifests[at]))
      return;
    const temporary = join(this.dir, ".tmp", randomBytes(12).toString("hex"));
    replaceFile(file, temporary, JSON.stringify({ ...index, manifests }));
  }

  /** Puts a damaged index aside. Names are lost with it and given again by who makes or sends the images; their content stays. */
  #renewIndex(file: string): Index {
    mkdirSync(join(this.dir, "damaged"), { recursive: true });
    renameSync(file, join(this.dir, "damaged", `index-${randomBytes(6).toString("hex")}.json`));
    replaceFile(file, join(this.dir, ".tmp", randomBytes(12).toString("hex")), JSON.stringify(EMPTY));
    return EMPTY;
  }

  /** Makes the directories and the two files of an empty layout, once; sweeps up what killed processes left behind. */
  #prepare(): Promise<void> {
    this.#ready ??= prepare(this.dir).catch((error: unknown) => {
      this.#ready = undefined;
      throw diskError(error, this.dir);
    });
    return this.#ready;
  }
}

const EMPTY: Index = { schemaVersion: 2, mediaType: MediaType.index, manifests: [] };

/** Undefined for what is no image index (OCI image specification, "image-layout"), as after damage to the disk. */
function parseIndex(text: string): Index | undefined {
  try {
    const index: Index | undefined = JSON.parse(text);
    return Array.isArray(index?.manifests) && index.manifests.every(isDescriptor) ? index : undefined;
  } catch {
    return undefined;
  }
}

/** The name of an entry of the index, and what it names; nothing when it has no name. */
function namedBy({ mediaType, digest, size, annotations }: Descriptor): Reference[] {
  const reference = annotations?.[REF_NAME];
  return reference === undefined ? [] : [{ reference, descriptor: { mediaType, digest, size } }];
}

/** Reads `source` until it ends or has more than `limit` bytes. Then `source` gives all of it from the start. */
async function firstBytes(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  limit: number,
): Promise<{ source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>; whole?: Buffer }> {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const pieces: Uint8Array[] = [];
  for (let size = 0; size <= limit; ) {
    const { value, done } = await iterator.next();
    if (done) return { source: pieces, whole: Buffer.concat(pieces) };
    pieces.push(value);
    size += value.length;
  }
  async function* all() {
    yield* pieces;
    yield* { [Symbol.asyncIterator]: () => iterator as AsyncIterator<Uint8Array> };
  }
  return { source: all() };
}

async function prepare(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await mkdir(join(dir, "blobs", "sha256"), { recursive: true });
  const temporary = join(dir, ".tmp");
  await mkdir(temporary, { recursive: true });
  await createFile(join(dir, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }), temporary);
  await createFile(join(dir, "index.json"), JSON.stringify(EMPTY), temporary);
  await removeOld(temporary);
}

/** Creates a file with its whole content, or leaves the one that is there. */
async function createFile(path: string, text: string, temporaryDir: string): Promise<void> {
  const { link, writeFile } = await import("node:fs/promises");
  if ((await stat(path).catch((error: unknown) => ignoreMissing(error))) !== undefined) return;
  const temporary = join(temporaryDir, randomBytes(12).toString("hex"));
  try {
    await writeFile(temporary, text, { flag: "wx" });
    // A hard link, other than a rename, fails when another process was faster: its file may hold tags by now.
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(temporary, { force: true });
  }
}

function replaceFile(path: string, temporary: string, text: string): void {
  const file = openSync(temporary, "wx", 0o644);
  try {
    const bytes = Buffer.from(text, "utf8");
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

/** Turns "there is no such file", and none can be, into undefined; throws everything else. */
function ignoreMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}

const isMissing = (error: unknown) => ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");

function blobNotFound(digest: string, dir: string): AppctlError {
  return new AppctlError({
    code: "BLOB_NOT_FOUND",
    exit: ExitCode.notFound,
    message: `the image content ${digest} is not in ${dir}`,
  });
}

/** The error for a blob whose bytes do not have its digest. `file` is where it lies now. */
function blobDamaged(digest: string, file: string): AppctlError {
  return new AppctlError({
    code: "BLOB_DAMAGED",
    exit: ExitCode.failed,
    message: `the image content ${digest} is damaged on the disk; the damaged file is now ${file}`,
    hint: "deploy again: appctl builds or uploads it again",
  });
}

function blobTooLarge(maxBytes: number): AppctlError {
  return new AppctlError({
    code: "BLOB_TOO_LARGE",
    exit: ExitCode.usage,
    message: `the content has more than ${maxBytes} bytes`,
  });
}

function digestMismatch(expected: string, found: string): AppctlError {
  return new AppctlError({
    code: "DIGEST_MISMATCH",
    exit: ExitCode.usage,
    message: `the content has the digest ${found}, not ${expected}`,
    hint: "it was cut off or changed in transit; send it again",
  });
}
