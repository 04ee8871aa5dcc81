import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { createGunzip } from "node:zlib";
import { AppctlError, ExitCode, isAppctlError, messageOf } from "../core/errors.ts";
import { isDirectory } from "../core/is-directory.ts";
import { removeOld } from "../core/remove-old.ts";
import { type ExtractedKinds, type ExtractLimits, extractTar } from "../oci/archive/extract.ts";
import type { TarEntry } from "../oci/archive/tar.ts";
import { readConfig, readManifest } from "../oci/documents.ts";
import type { OciLayout } from "../oci/layout.ts";
import { type Descriptor, hexOf, type ImageConfig, type Manifest, MediaType } from "../oci/model.ts";
import { LAYER_ROLE, treeEntries } from "./layer.ts";

/** An app on disk. Paths are absolute when `contentDir` is. */
export interface UnpackedApp {
  /** Working directory of the app: its files, and `node_modules` when the image has packages. Read only by agreement. */
  dir: string;
  /** The folder that `node_modules` leads to, shared between apps; what a permission model has to allow besides `dir`. */
  packagesDir: string | undefined;
  /** The image's entry point: what a process starts as, before its own arguments. */
  entrypoint: string[] | undefined;
  config: ImageConfig;
}

const LIMITS: ExtractLimits = { maxBytes: 16 * 1024 ** 3, maxEntries: 2_000_000 };

/**
 * Unpacks the image with the manifest `manifestDigest` for the process runtime: its app layer, and the files that
 * its ImageSpec copies, to `<contentDir>/<hex>/app`, its packages layer to `<layersDir>/<hex of the layer>`, each once. A folder appears by a rename when it is
 * complete, so any number of processes may do this at the same time, and one that is killed leaves nothing that counts.
 * Folders are 0755 and files 0644 or 0755, whatever the umask is: another user may run the app.
 * Throws BLOB_NOT_FOUND, BLOB_DAMAGED, and UNSUPPORTED_IMAGE for an image or layer that appctl did not make.
 */
export async function unpackApp(
  layout: OciLayout,
  manifestDigest: string,
  contentDir: string,
  layersDir = join(contentDir, "layers"),
): Promise<UnpackedApp> {
  const manifest = await readManifest(layout, manifestDigest);
  const config = await readConfig(layout, manifest.config.digest);
  const { app, copy, packages } = layersOf(manifest, config, manifestDigest);

  const home = join(contentDir, hexOf(manifestDigest));
  await makeShared(contentDir);
  const packagesDir = packages && (await unpackShared(layout, packages, layersDir));
  await once(home, async (dir) => {
    const kinds: ExtractedKinds = new Map();
    if (copy !== undefined) await unpackLayer(layout, copy, dir, kinds);
    await unpackLayer(layout, app, dir, kinds);
    const inside = await readdir(join(dir, "app")).catch(() => undefined);
    if (inside === undefined || (packages !== undefined && inside.includes("node_modules"))) {
      throw unsupportedImage(`the layer ${app.layer.digest} has no app folder, or one with node_modules in it`);
    }
    if (packagesDir !== undefined) {
      // Relative, so that the whole content directory can be moved or mounted elsewhere.
      await symlink(relative(join(home, "app"), packagesDir), join(dir, "app", "node_modules"));
    }
  });
  return { dir: join(home, "app"), packagesDir, entrypoint: config.config.Entrypoint, config };
}

/**
 * Unpacks the packages layer alone, as {@link unpackApp} does; returns its `node_modules`, or undefined when the image has
 * no such layer.
 */
export async function unpackPackages(
  layout: OciLayout,
  { manifest, config }: { manifest: Manifest; config: ImageConfig },
  contentDir: string,
): Promise<string | undefined> {
  const index = manifest.layers.findIndex((layer) => layer.annotations?.[LAYER_ROLE] === "packages");
  const layer = manifest.layers[index];
  if (layer === undefined) return undefined;
  await makeShared(contentDir);
  return unpackShared(layout, { layer, diffId: config.rootfs.diff_ids[index] ?? "" }, join(contentDir, "layers"));
}

/** Unpacks a packages layer to `<layersDir>/<hex of the layer>`; returns its `node_modules`. */
async function unpackShared(layout: OciLayout, packages: LayerToUnpack, layersDir: string): Promise<string> {
  const home = join(layersDir, hexOf(packages.layer.digest));
  if (!(await layout.use(home))) {
    await makeShared(layersDir);
    await once(home, (dir) => unpackLayer(layout, packages, dir));
  }
  return join(home, "app", "node_modules");
}

/** An app layer on disk. */
export interface UnpackedLayer {
  /** Where each file lies on this machine, and where in the image. Both are absolute. */
  files: { source: string; target: string }[];
  /** Everything in the layer, its files without their bytes. */
  outline: TarEntry[];
}

/** Files and folders of an app layer that is unpacked alone, at most: one with more is of no use to who asks for that. */
const MOST_ENTRIES = 256;

/**
 * Unpacks the app layer alone, to `<contentDir>/<hex of the layer>`, as {@link unpackApp} does. Throws UNSUPPORTED_IMAGE for one
 * with more than {@link MOST_ENTRIES}, too.
 */
export async function unpackAppLayer(
  layout: OciLayout,
  manifestDigest: string,
  contentDir: string,
): Promise<UnpackedLayer> {
  const manifest = await readManifest(layout, manifestDigest);
  const config = await readConfig(layout, manifest.config.digest);
  const { app } = layersOf(manifest, config, manifestDigest);
  const home = join(contentDir, hexOf(app.layer.digest));
  await makeShared(contentDir);
  const limits = { ...LIMITS, maxEntries: MOST_ENTRIES };
  await once(home, (dir) => unpackLayer(layout, app, dir, new Map(), limits));
  const entries = await treeEntries(home, "", () => false);
  const files = entries.filter(({ type }) => type === "file");
  return {
    files: files.map(({ path }) => ({ source: join(home, path), target: path })),
    outline: entries.map((entry) => {
      const inside = { ...entry, path: entry.path.slice(1) };
      return inside.type === "file" ? { ...inside, content: new Uint8Array() } : inside;
    }),
  };
}

interface LayerToUnpack {
  layer: Descriptor;
  diffId: string;
}

function layersOf(
  manifest: Manifest,
  config: ImageConfig,
  digest: string,
): { app: LayerToUnpack; copy: LayerToUnpack | undefined; packages: LayerToUnpack | undefined } {
  const unsupported = (why: string) => unsupportedImage(`the image ${digest} ${why}`);
  const diffIds = config.rootfs?.diff_ids;
  if (!Array.isArray(manifest.layers) || manifest.layers.length !== diffIds?.length) {
    throw unsupported("has a different number of layers than its configuration");
  }
  const roles = new Map<string, LayerToUnpack>();
  for (const [index, layer] of manifest.layers.entries()) {
    const role = layer.annotations?.[LAYER_ROLE];
    if (role === undefined) continue; // a base layer: a process has the machine itself instead
    if (layer.mediaType !== MediaType.layer) throw unsupported(`has a layer of the type ${layer.mediaType}`);
    if (roles.has(role)) throw unsupported(`has more than one ${role} layer`);
    roles.set(role, { layer, diffId: diffIds[index] ?? "" });
  }
  const app = roles.get("app");
  if (app === undefined) throw unsupported("has no app layer");
  return { app, copy: roles.get("copy"), packages: roles.get("packages") };
}

/** Makes `target` with what `fill` puts into a temporary folder, unless it is there. */
async function once(target: string, fill: (dir: string) => Promise<void>): Promise<void> {
  if (await isDirectory(target)) return;
  const temporary = join(dirname(target), ".tmp");
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  await removeOld(temporary);
  const dir = await mkdtemp(join(temporary, "unpack-"));
  try {
    await fill(dir);
    await chmod(dir, 0o755);
    await rename(dir, target);
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    // Another one was faster; what it made has the same digest.
    const lost = ["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "");
    if (!(lost && (await isDirectory(target)))) throw error;
  }
}

/** Writes a layer below `dir`. Both digests are checked before it returns. */
async function unpackLayer(
  layout: OciLayout,
  { layer, diffId }: LayerToUnpack,
  dir: string,
  kinds?: ExtractedKinds,
  limits = LIMITS,
): Promise<void> {
  if (!(await layout.hasBlob(layer.digest))) await layout.readBlob(layer.digest); // for its error
  const file = layout.blobPath(layer.digest);
  const compressed = createHash("sha256");
  const plain = createHash("sha256");
  const unzipped = createGunzip({ chunkSize: 1 << 18 });
  const source = createReadStream(file, { highWaterMark: 1 << 18 });
  source.on("data", (chunk) => compressed.update(chunk));
  source.once("error", (error) => unzipped.destroy(error));
  source.pipe(unzipped);
  async function* hashed() {
    for await (const chunk of unzipped as AsyncIterable<Buffer>) {
      plain.update(chunk);
      yield chunk;
    }
  }
  try {
    await extractTar(hashed(), dir, limits, kinds);
  } catch (error) {
    // A damaged blob shows in many ways; only when its bytes are right is the archive itself to blame.
    await layout.readBlob(layer.digest);
    throw isAppctlError(error) || (error as NodeJS.ErrnoException).syscall !== undefined
      ? error
      : unsupportedImage(`the layer ${layer.digest} cannot be unpacked: ${messageOf(error)}`, error);
  } finally {
    source.destroy();
    unzipped.destroy();
  }
  if (`sha256:${compressed.digest("hex")}` !== layer.digest) throw await layout.setAside(layer.digest);
  if (`sha256:${plain.digest("hex")}` !== diffId) {
    throw unsupportedImage(`the layer ${layer.digest} is not the one that the image's configuration names`);
  }
}

/** A folder that other users may pass through, but not list. One that is there keeps its mode. */
async function makeShared(dir: string): Promise<void> {
  if ((await mkdir(dir, { recursive: true })) !== undefined) await chmod(dir, 0o711);
}

function unsupportedImage(message: string, cause?: unknown): AppctlError {
  return new AppctlError({
    code: "UNSUPPORTED_IMAGE",
    exit: ExitCode.failed,
    message,
    hint: "only images that appctl built can run as a process",
    cause,
  });
}
