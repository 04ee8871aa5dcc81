/** `builder: "remote"`: the platform resolves an image's packages and builds its environment image. */
import { relative } from "node:path";
import type { Client } from "../../client/client.ts";
import type { BuildRequest, ResolvedPackages, ResolveRequest } from "../../contract/types.ts";
import { isAppctlError } from "../../core/errors.ts";
import type { BuildProgress } from "../../core/events.ts";
import { inParallel } from "../../core/in-parallel.ts";
import { fileChangedError } from "../../oci/archive/tar.ts";
import { parseReference } from "../../oci/model.ts";
import type { ResolvedLock } from "../../packages/lockfiles/package-lock.ts";
import { npmConfig } from "../../packages/npm-config.ts";
import { findNpmProject, type NpmProject } from "../../packages/npm-project.ts";
import { type NpmTarget, ociTarget } from "../../packages/npm-target.ts";
import { parsePackages } from "../../packages/package-spec.ts";
import { requirementParts } from "../../packages/requirements.ts";
import type { CopiedFile } from "../copied-files.ts";
import { copyImage } from "../copy-image.ts";
import type { EnvironmentPlan, EnvironmentSpec } from "../environment-image.ts";
import { LayoutStore } from "../layout-store.ts";
import { platformStore } from "../platform-store.ts";
import type { EnvironmentBuilder } from "./environment-builder.ts";

/** What {@link remoteBuilder} needs. */
export interface RemoteBuilderOptions {
  client: Client;
  /** Folder of the user's app file. */
  appDir: string;
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Ask the registry again, and build what is there already. */
  force: boolean | undefined;
  signal: AbortSignal;
  onProgress(step: BuildProgress): void;
}

/** Digests that one question may have. */
const MOST_DIGESTS = 1000;

/** The builder that has the platform do both. */
export function remoteBuilder(options: RemoteBuilderOptions): EnvironmentBuilder {
  const { client, appDir, force, signal, onProgress } = options;
  /** What the platform was asked when it resolved the packages. */
  let packages: PackageRequest = { packages: [] };
  return {
    async resolve(spec) {
      const project = await findNpmProject(appDir);
      packages = await packageRequest(spec, project, appDir);
      const request = { ...packages, ...(force ? { refresh: true } : {}) };
      const { resolved, warnings, platform } = await client.resolvePackages(request, onProgress, signal);
      return {
        spec,
        lock: lockOf(resolved),
        scripts: [],
        warnings: [...project.warnings, ...(await registryWarnings(project, options)), ...warnings],
        host: platform as NpmTarget,
      };
    },
    async build(plan, { layout, whole }) {
      await upload(plan.copy, options);
      const { name, env, baseImage, entrypoint, copy, platform } = plan;
      const request: BuildRequest = {
        ...packages,
        ...{ name, env, platform: platform as NonNullable<BuildRequest["platform"]> },
        copy: copy.map(({ path, digest, size, executable }) => ({ path, digest, size, executable })),
        ...(baseImage === undefined ? {} : { baseImage }),
        ...(entrypoint === undefined ? {} : { entrypoint }),
        ...(force ? { force } : {}),
      };
      const built = await client.buildImage(request, onProgress, signal);
      const { reference, digest } = built;
      const images = platformStore(client, { address: "", signal });
      const environment = { reference, ...(await images.read(reference, digest, layout, ociTarget(platform))) };
      if (whole) {
        const step = { step: "layer" as const, message: "fetching the image", unit: "bytes" as const };
        await copyImage(environment, { layout, others: [images] }, new LayoutStore(layout), {
          onProgress: (done, total) => onProgress({ ...step, done, total }),
        });
      }
      return { plan: planOf(plan, built), environment };
    },
  };
}

/** What a platform is asked about the packages of an image. */
type PackageRequest = Pick<ResolveRequest, "packages" | "pins" | "requirements">;

/** The files that the image copies, as content that the platform can take for its layer. */
async function upload(
  files: readonly CopiedFile[],
  { client, signal, onProgress }: RemoteBuilderOptions,
): Promise<void> {
  const byDigest = new Map(files.map((file) => [file.digest, file]));
  const digests = [...byDigest.keys()];
  const missing: string[] = [];
  for (let at = 0; at < digests.length; at += MOST_DIGESTS)
    missing.push(...(await client.missingBlobs(digests.slice(at, at + MOST_DIGESTS), signal)));
  let done = 0;
  await inParallel(missing, async (digest) => {
    const message = "uploading the files that the image copies";
    onProgress({ step: "upload", message, done, total: missing.length });
    const { file, size, path } = byDigest.get(digest) as CopiedFile;
    await client.putBlob(digest, file, size, signal).catch((error: unknown) => {
      throw isAppctlError(error) && error.code === "DIGEST_MISMATCH" ? fileChangedError(path, error) : error;
    });
    done++;
  });
}

/** The platform's configuration names the registries, so a warning says when the project's does. */
async function registryWarnings({ npmrc }: NpmProject, { env, cwd }: RemoteBuilderOptions): Promise<string[]> {
  if (npmrc === undefined) return [];
  const [withProject, withoutProject] = await Promise.all([npmConfig(env, cwd, npmrc), npmConfig(env, cwd, undefined)]);
  if (JSON.stringify(withProject.registries) === JSON.stringify(withoutProject.registries)) return [];
  const file = relative(cwd, npmrc);
  return [`builder "remote" does not look into ${file}: the platform's own npm configuration names the registries`];
}

/** What the platform has to know to give the packages the versions that they would get here. */
async function packageRequest(
  { packages = [], requirements }: EnvironmentSpec,
  project: NpmProject,
  appDir: string,
): Promise<PackageRequest> {
  if (requirements) {
    const { lock: text, project } = await requirementParts(requirements);
    const file = requirements.written;
    return { packages: [...packages], requirements: { file, text, project: project as Record<string, never> } };
  }
  const { lock } = project;
  const versions = parsePackages(packages).flatMap(({ name }): [string, string][] => {
    const version = lock?.versions.get(name);
    return version === undefined ? [] : [[name, version]];
  });
  if (!lock || versions.length === 0) return { packages: [...packages] };
  // Its place on this machine is nobody else's business.
  return {
    packages: [...packages],
    pins: { file: relative(appDir, lock.file), versions: Object.fromEntries(versions) },
  };
}

/** The plan after what the platform has made; another one when it gave the packages other versions meanwhile. */
function planOf(
  plan: EnvironmentPlan,
  { reference, resolved }: { reference: string; resolved: ResolvedPackages },
): EnvironmentPlan {
  if (reference === plan.reference) return plan;
  const lock = lockOf(resolved);
  return { ...plan, ...parseReference(reference), reference, lock, packages: lock.packages };
}

const lockOf = (resolved: ResolvedPackages) => resolved as ResolvedLock;
