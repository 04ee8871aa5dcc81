/**
 * The environment image: what an ImageSpec describes. Its tag is made of what decides its content, so that one that exists
 * under its reference never has to be built again.
 */
import { createHash } from "node:crypto";
import { isDirectory } from "../core/is-directory.ts";
import type { TarEntry } from "../oci/archive/tar.ts";
import { readConfig, readManifest } from "../oci/documents.ts";
import type { OciLayout } from "../oci/layout.ts";
import {
  canonicalJson,
  type Descriptor,
  EPOCH,
  type ImageConfig,
  jsonBytes,
  type Manifest,
  MediaType,
  parseReference,
} from "../oci/model.ts";
import type { FetchedImage } from "../oci/registry/fetch-image.ts";
import { type InstalledPackages, installPackages } from "../packages/install-packages.ts";
import { packagesWithScripts, scriptWarnings } from "../packages/install-scripts.ts";
import { lockIdentity, type ResolvedLock } from "../packages/lockfiles/package-lock.ts";
import { cachedPackages } from "../packages/npm-cache/cached-packages.ts";
import { hostTarget, type NpmTarget, ociTarget } from "../packages/npm-target.ts";
import type { PackageContext } from "../packages/package-context.ts";
import { type Requirements, readRequirements } from "../packages/requirements.ts";
import { resolvePackages } from "../packages/resolve-packages.ts";
import type { Programs } from "./builder/dockerfile.ts";
import { type CopiedFile, copiedEntries, copiedIdentity } from "./copied-files.ts";
import { LAYER_ROLE, type Layer, treeEntries, writeLayer } from "./layer.ts";

/** The fields of an ImageSpec that decide what the environment image holds, and its name. */
export interface EnvironmentSpec {
  /** Repository name: `fastapi-with-auth-image`. */
  name: string;
  packages?: readonly string[] | undefined;
  /** A lock file that the packages come from; `packages` are then those that have to be in it. */
  requirements?: Requirements | undefined;
  env?: Readonly<Record<string, string>> | undefined;
  /** Reference of the base as written; part of the tag. */
  baseImage?: string | undefined;
  /** What runs on the base when it is built; part of the tag. */
  programs?: Programs | undefined;
  /** Files for a layer of their own, apart from the app. */
  copy?: readonly CopiedFile[] | undefined;
  /** What a container engine hands an app's arguments to. */
  entrypoint?: readonly string[] | undefined;
}

/** What {@link planEnvironment} and {@link buildEnvironment} need to know of the world. `platform` defaults to the host's. */
export interface EnvironmentContext extends Omit<PackageContext, "platform"> {
  platform?: NpmTarget | undefined;
}

/** What an environment image will be, before anything is installed. Plain data. */
export interface EnvironmentPlan {
  name: string;
  /** 22 characters of base64url. */
  tag: string;
  /** `<name>:<tag>`. */
  reference: string;
  lock: ResolvedLock;
  /** The packages asked for, with the versions that they got. */
  packages: { name: string; version: string }[];
  env: Record<string, string>;
  /** Reference of the base as written. It is put below the image where that is pushed. */
  baseImage?: string | undefined;
  platform: NpmTarget;
  /** What its own layers are for, lowest first. Of packages that do not fit the platform there is none. */
  layers: ("packages" | "copy")[];
  copy: CopiedFile[];
  entrypoint?: string[];
  /** For the user: disagreements with the lock file, install scripts that are not run. */
  warnings: string[];
}

/** An environment image whose manifest and configuration are in a layout; its layers may be elsewhere. */
export interface EnvironmentImage extends FetchedImage {
  /** `<name>:<tag>`, which the names of app images start with. */
  reference: string;
}

/** An environment image in a layout. `built` is false when the layout had it already. */
export interface BuiltEnvironment extends EnvironmentImage {
  built: boolean;
}

/** What an environment image will be on any platform: every package at one version, for all of them. */
export interface ResolvedEnvironment {
  spec: EnvironmentSpec;
  lock: ResolvedLock;
  /** Packages whose install scripts will run. */
  scripts: string[];
  warnings: string[];
}

/**
 * Says which image `spec` describes. Nothing is installed; npm is asked only when the lock is not in the cache, or when
 * `refresh` says so (ImageSpec.force). Throws as `resolvePackages` and `readRequirements`.
 */
export async function planEnvironment(
  spec: EnvironmentSpec,
  context: EnvironmentContext & { refresh?: boolean | undefined },
): Promise<EnvironmentPlan> {
  return planFor(await resolveEnvironment(spec, context), context.platform ?? hostTarget());
}

/** The part of {@link planEnvironment} that takes time; it is the same for every platform. */
export async function resolveEnvironment(
  spec: EnvironmentSpec,
  context: EnvironmentContext & { refresh?: boolean | undefined },
): Promise<ResolvedEnvironment> {
  const { requirements, packages = [] } = spec;
  const place = { ...context, platform: context.platform ?? hostTarget() };
  const read = async (lockfile: Requirements) => {
    const lock = await readRequirements(lockfile, packages);
    return { lock, warnings: scriptWarnings(lock, place) };
  };
  const { lock, warnings } = await (requirements ? read(requirements) : resolvePackages({ ...place, packages }));
  return { spec, lock, warnings, scripts: context.allowScripts ? packagesWithScripts(lock) : [] };
}

/** The image for one platform. */
export function planFor(resolved: ResolvedEnvironment, platform: NpmTarget): EnvironmentPlan {
  const { spec, lock, warnings } = resolved;
  const env = { ...spec.env };
  const copy = [...(spec.copy ?? [])];
  const entrypoint = spec.entrypoint && [...spec.entrypoint];
  const tag = environmentTag(spec, resolved, platform);
  const reference = `${spec.name}:${tag}`;
  parseReference(reference);
  const { name, baseImage } = spec;
  const { packages } = lock;
  const layers = [...(packages.length > 0 ? ["packages" as const] : []), ...(copy.length > 0 ? ["copy" as const] : [])];
  return {
    ...{ name, tag, reference, lock, packages, env, baseImage, platform, layers, copy, warnings },
    ...(entrypoint ? { entrypoint } : {}),
  };
}

/**
 * The tag: 22 characters of base64url (132 bits) of the hash of everything that decides the image's content. Not in it: the
 * name, and how a package was asked for, since `hono` and `hono@4.13.19` can mean the same image.
 */
export function environmentTag(
  { copy = [], entrypoint, programs, baseImage, env = {} }: Omit<EnvironmentSpec, "name">,
  { lock, scripts }: Pick<ResolvedEnvironment, "lock" | "scripts">,
  platform: NpmTarget,
): string {
  const identity = canonicalJson({
    v: 1,
    base: baseImage ?? null,
    env,
    packages: lockIdentity(lock.lock),
    platform,
    // What install scripts leave is content, too.
    ...(scripts.length > 0 ? { scripts } : {}),
    ...(copy.length > 0 ? { copy: copiedIdentity(copy) } : {}),
    ...(entrypoint ? { entrypoint } : {}),
    ...(programs ? { programs } : {}),
  });
  return tagOf(identity);
}

/** 22 characters of base64url that stand for `identity`. */
export function tagOf(identity: string): string {
  for (let counter = 0; ; counter++) {
    const hash = createHash("sha256").update(`${identity}\n${counter}`);
    const tag = hash.digest("base64url").slice(0, 22);
    // OCI's grammar for reference names has no "--" inside a run of separators and none at an end; about 1 hash in 10 fails.
    if (/^[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*$/.test(tag)) return tag;
  }
}

/**
 * Makes the planned image in `layout`: installs the packages, packs them below `app/node_modules`, writes configuration and
 * manifest, and tags it. An image that the layout already has whole is taken as it is, unless `force`.
 */
export async function buildEnvironment(
  plan: EnvironmentPlan,
  layout: OciLayout,
  context: EnvironmentContext & { force?: boolean | undefined },
): Promise<BuiltEnvironment> {
  const present = context.force ? undefined : await loadEnvironment(layout, plan.reference);
  if (present !== undefined && (await isWhole(layout, present.manifest))) return { ...present, built: false };

  const layers: Layer[] = [];
  for (const role of plan.layers) {
    const copy = () => writeLayer(layout, copiedEntries(plan.copy), { role, level: 6, signal: context.signal });
    const layer = await (role === "copy"
      ? copy()
      : packagesLayer(plan, layout, { ...context, platform: plan.platform }));
    if (layer) layers.push(layer);
  }
  return { ...(await writeEnvironment(plan, layers, layout)), built: true };
}

/** Writes the planned image on top of its layers, which are known already, and tags it. */
export async function writeEnvironment(
  plan: Pick<EnvironmentPlan, "reference" | "platform" | "env" | "entrypoint">,
  layers: readonly Layer[],
  layout: OciLayout,
): Promise<EnvironmentImage> {
  const { entrypoint } = plan;
  const config: ImageConfig = {
    created: EPOCH,
    ...ociTarget(plan.platform),
    config: {
      Env: envList(plan.env),
      ...(entrypoint ? { Entrypoint: entrypoint } : {}),
      WorkingDir: "/app",
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ descriptor }) => ({
      created: EPOCH,
      created_by: `appctl: ${descriptor.annotations?.[LAYER_ROLE]}`,
    })),
  };
  const descriptors = layers.map(({ descriptor }) => descriptor);
  const image = await writeImage(layout, config, descriptors);
  await layout.tag(plan.reference, image.descriptor);
  return { reference: plan.reference, ...image };
}

/** The image that `layout` has under `reference`, or undefined when it has none or lacks its manifest or configuration. */
export async function loadEnvironment(layout: OciLayout, reference: string): Promise<EnvironmentImage | undefined> {
  const descriptor = await layout.resolve(reference);
  if (descriptor === undefined || !(await layout.hasBlob(descriptor.digest, descriptor.size))) return undefined;
  const manifest = await readManifest(layout, descriptor.digest);
  if (!(await layout.hasBlob(manifest.config.digest, manifest.config.size))) return undefined;
  return { reference, manifest, config: await readConfig(layout, manifest.config.digest), descriptor };
}

/** True when every layer is in the layout. */
export async function isWhole(layout: OciLayout, manifest: Manifest): Promise<boolean> {
  const present = await Promise.all(manifest.layers.map(({ digest, size }) => layout.hasBlob(digest, size)));
  return present.every(Boolean);
}

async function packagesLayer(
  plan: EnvironmentPlan,
  layout: OciLayout,
  context: PackageContext,
): Promise<Layer | undefined> {
  const cached = await cachedPackages(plan.lock, context);
  const packages = "entries" in cached ? cached : await installPackages(plan.lock, context);
  try {
    const entries = "entries" in packages ? packages.entries : await installedEntries(packages, plan.lock, context);
    if (entries.length === 0) return undefined;
    context.onProgress?.({ step: "layer", message: "packing the packages" });
    return await writeLayer(layout, entries, { role: "packages", level: 6, signal: context.signal });
  } finally {
    await packages.dispose();
  }
}

/** The packages as npm has installed them. */
async function installedEntries(
  { nodeModules }: InstalledPackages,
  lock: ResolvedLock,
  context: PackageContext,
): Promise<TarEntry[]> {
  // npm makes no folder when nothing fits the platform.
  if (nodeModules === undefined || !(await isDirectory(nodeModules))) return [];
  // npm's own notes on the tree; they hold its times and are of no use in an image.
  const skip = (path: string) => path === ".package-lock.json";
  const entries = await treeEntries(nodeModules, "app/node_modules", skip);
  const hasScripts = context.allowScripts && packagesWithScripts(lock).length > 0;
  // Packages have no empty folders. What npm leaves of those that it does not install differs from version to version.
  return hasScripts ? entries : entries.filter(({ type }) => type !== "directory");
}

/** `NAME=value` of every variable, in order of the names. */
export function envList(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`);
}

/** Stores configuration and manifest of an image. */
export async function writeImage(layout: OciLayout, config: ImageConfig, layers: Descriptor[]): Promise<FetchedImage> {
  const stored = await layout.writeBlob(jsonBytes(config));
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MediaType.manifest,
    config: { mediaType: MediaType.config, ...stored },
    layers,
  };
  const descriptor = { mediaType: MediaType.manifest, ...(await layout.writeBlob(jsonBytes(manifest))) };
  return { descriptor, manifest, config };
}
