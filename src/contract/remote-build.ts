/**
 * The wire shapes of what the platform does for `builder: "remote"`: it gives the packages of an image one version each, and
 * builds the environment image. Paths of faults are those of the fields here.
 */
import * as z from "zod";
import { LOCKFILE_LIST, LOCKFILE_PATTERN } from "./lockfiles.ts";
import { Names } from "./names.ts";

const { digest, envName } = Names;
const noNul = (text: string) => !text.includes("\0");
const NUL = "must not contain a NUL character";
const words = z.string().min(1).max(4096).refine(noNul, NUL);
const version = z
  .string()
  .max(300)
  .regex(/^\d+\.\d+\.\d+[\w.+-]*$/, "must be a version such as 1.2.3");
const ranges = z.record(z.string().max(300), z.string().max(1000));

/** A name of a repository after the OCI distribution specification, and of what OCI layouts take. */
const imageName = z
  .string()
  .max(128)
  .regex(
    /^[a-z0-9]+(?:(?:[-._]|--)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[-._]|--)[a-z0-9]+)*)*$/,
    "must be lower-case letters and digits with single '-', '_', '.' or '/' between",
  );

/** What of a package.json decides which packages a lock file is for. */
const Project = z.strictObject({
  dependencies: ranges.optional(),
  devDependencies: ranges.optional(),
  optionalDependencies: ranges.optional(),
  peerDependencies: ranges.optional(),
  peerDependenciesMeta: z.record(z.string(), z.object({ optional: z.boolean().optional() })).optional(),
  overrides: z
    .record(z.string(), z.unknown())
    .refine((value) => isOverrides(value, 20), "must be texts, and objects of texts")
    .optional(),
  resolutions: ranges.optional(),
});

/** npm's overrides: versions by name, also below other packages. */
function isOverrides(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return typeof value === "string";
  return depth > 0 && Object.values(value).every((inner) => isOverrides(inner, depth - 1));
}

/** A lock file. `file` is how the ImageSpec names it; the name at its end says whose it is. */
const LockFile = z.strictObject({
  file: z
    .string()
    .max(1000)
    .regex(new RegExp(`(?:^|/)(?:${LOCKFILE_PATTERN})$`), `must end with ${LOCKFILE_LIST}`),
  text: z.string(),
  project: Project,
});

const packages = {
  /** As npm writes them: `hono`, `hono@4.13.19`. With `requirements` they are those that have to be in it. */
  packages: z.array(z.string().max(500)).max(2000),
  /** Versions that a lock file of the user's has of packages that are named without one. */
  pins: z
    .strictObject({ file: z.string().min(1).max(1000), versions: z.record(z.string().max(300), version) })
    .optional(),
  requirements: LockFile.optional(),
};

/** `refresh`: ask the registry again for what is not pinned. */
export const ResolveRequest = z.strictObject({ ...packages, refresh: z.boolean().optional() });

/** A platform in npm's words. */
const BuildPlatform = z.strictObject({
  os: z.enum(["linux", "darwin", "win32", "freebsd", "openbsd", "sunos", "aix", "android"]),
  cpu: z.string().regex(/^[a-z0-9]{2,12}$/, "must be a processor as Node names it, such as x64"),
  libc: z.enum(["glibc", "musl"]).optional(),
});

const copyPath = words.refine(
  (path) => path.split("/").every((part) => part !== "" && part !== "." && part !== "..") && !path.includes("\\"),
  "must be a path below the app's folder, with / between its parts",
);

/** A file of the image, whose content was uploaded as a blob. */
const CopiedFile = z.strictObject({
  path: copyPath.refine(
    (path) => path !== "node_modules" && !path.startsWith("node_modules/"),
    "must not be at node_modules, which is the place of the packages",
  ),
  digest,
  /** Bytes. */
  size: z.number().int().nonnegative(),
  executable: z.boolean(),
});

/** An environment image. `platform` is the one that it is for; absent: the one of the platform's machine. */
export const BuildRequest = z.strictObject({
  ...packages,
  name: imageName,
  env: z.record(envName, z.string().refine(noNul, NUL)),
  baseImage: z
    .string()
    .max(512)
    .regex(/^[\w.:/@[\]-]+$/, "must be the name of an image")
    .optional(),
  entrypoint: z.array(words).min(1).max(100).optional(),
  copy: z.array(CopiedFile).max(20_000).superRefine(distinct),
  platform: BuildPlatform.optional(),
  /** Build even when it is there. */
  force: z.boolean().optional(),
});

/** No path may be there twice, or be a file and a folder. In order, so that many long paths take no longer than to read them. */
function distinct(files: { path: string }[], context: z.RefinementCtx): void {
  // With what no path has for the slash, what is below a file comes right after it.
  const sorted = files.map(({ path }, index) => ({ path, index, key: path.split("/").join("\0") }));
  sorted.sort((one, other) => (one.key < other.key ? -1 : one.key > other.key ? 1 : one.index - other.index));
  const issues: { index: number; message: string }[] = [];
  let file = sorted[0];
  for (const next of sorted.slice(1)) {
    const { path, index, key } = next;
    if (key === file?.key) issues.push({ index, message: `has ${path} again` });
    else if (key.startsWith(`${file?.key}\0`))
      issues.push({ index, message: `is below ${file?.path}, which is a file` });
    else file = next;
  }
  issues.sort((one, other) => one.index - other.index);
  for (const { index, message } of issues) context.addIssue({ code: "custom", path: [index, "path"], message });
}

/** Every package at one version. `lock` is a package-lock.json of version 3. */
export const ResolvedPackages = z.object({
  packages: z.array(z.object({ name: z.string(), version: z.string() })),
  lock: z.object({
    name: z.string(),
    lockfileVersion: z.literal(3),
    requires: z.literal(true),
    packages: z.record(z.string(), z.looseObject({})),
  }),
  /** What a lock file of another package manager does not say of its packages. */
  unsaid: z.array(z.enum(["platforms", "bins", "scripts"])).optional(),
});

const progress = z.object({
  type: z.literal("progress"),
  step: z.enum(["resolve", "install", "layer", "upload"]),
  message: z.string(),
  done: z.number().int().optional(),
  total: z.number().int().optional(),
  unit: z.literal("bytes").optional(),
});

/** `exit` is the exit code that a command ends with; `next` are commands to type, `details` further lines for a person. */
const failed = z.object({
  type: z.literal("failed"),
  code: z.string(),
  message: z.string(),
  exit: z.number().int(),
  hint: z.string().optional(),
  next: z.array(z.string()),
  details: z.array(z.string()),
  faults: z.array(z.object({ path: z.string(), message: z.string(), hint: z.string().optional() })),
});

/** Lines of the answer to a {@link ResolveRequest}: `resolved` or `failed` is the last one. */
export const ResolveEvent = z.discriminatedUnion("type", [
  progress,
  z.object({
    type: z.literal("resolved"),
    resolved: ResolvedPackages,
    warnings: z.array(z.string()),
    /** Of the platform's machine. */
    platform: BuildPlatform,
  }),
  failed,
]);

/** Lines of the answer to a {@link BuildRequest}: `built`, `found` (it was there) or `failed` is the last one. */
export const BuildEvent = z.discriminatedUnion("type", [
  progress,
  z.object({
    type: z.enum(["built", "found"]),
    /** `<name>:<tag>`. */
    reference: z.string(),
    /** Of the manifest. */
    digest,
    resolved: ResolvedPackages,
    warnings: z.array(z.string()),
    platform: BuildPlatform,
  }),
  failed,
]);
