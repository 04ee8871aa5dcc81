/** The tree of packages that npm makes of their tarballs, as entries of a layer. */
import { posix } from "node:path";
import type { TarEntry } from "../../oci/archive/tar.ts";
import { fits, type LockEntry, packageName, type Unsaid } from "../lockfiles/package-lock.ts";
import type { NpmTarget } from "../npm-target.ts";
import type { Archive } from "./archives.ts";
import { binFolder, binsOf, withoutCarriageReturn } from "./bins.ts";
import type { PlannedPackage } from "./install-plan.ts";
import { ensure, LeaveToNpm } from "./leave-to-npm.ts";
import type { PackageFile } from "./tarball.ts";

/** A tarball and what npm makes of it. */
export interface Unpacked {
  archive: Archive;
  files: Map<string, PackageFile>;
}

/**
 * Files and links of commands, at the paths at which they stand in an image. `unpacked` is by integrity; `unsaid` is what the
 * lock file does not say. Throws LeaveToNpm.
 */
export function treeOf(
  planned: readonly PlannedPackage[],
  unpacked: ReadonlyMap<string, Unpacked>,
  { unsaid, platform }: { unsaid: readonly Unsaid[]; platform: NpmTarget },
): TarEntry[] {
  const entries: TarEntry[] = [];
  const links = new Map<string, TarEntry | undefined>();
  const foreign: string[] = [];
  const looksInside = unsaid.includes("bins") || unsaid.includes("platforms");
  // Made only here: it takes 7 ms.
  const inEnglish = new Intl.Collator("en");
  // Of two packages that have the same command, the first in npm's order gets it.
  for (const { path, entry } of [...planned].sort((a, b) => inEnglish.compare(a.path, b.path))) {
    const { archive, files } = unpacked.get(entry.integrity as string) as Unpacked;
    // The package says what the lockfile does not.
    const inside = looksInside ? manifestOf(archive, files) : undefined;
    const isForeign = unsaid.includes("platforms") && entry.optional === true && !fits(inside ?? {}, platform);
    if (isForeign) foreign.push(`app/${path}/`);
    // Commands that the lock names are linked before it is known that the package is for another platform.
    const { bin, name: owner } = unsaid.includes("bins")
      ? { bin: isForeign ? undefined : inside?.bin, name: inside?.name }
      : { bin: entry["bin"], name: packageName(path, entry) };
    const commands = new Set<string>();
    for (const [name, target] of binsOf(bin, owner ?? "")) {
      const folder = binFolder(path);
      const link = `app/${folder}/${name}`;
      const isPresent = isThere(target, files);
      if (links.has(link)) {
        // Whether it is executable then depends on where npm has the package from.
        ensure(files.get(target)?.executable ?? true, `two packages have a command ${name}`);
        continue;
      }
      const relative = posix.relative(folder, `${path}/${target}`);
      links.set(link, isPresent ? { type: "symlink", path: link, target: relative } : undefined);
      if (isPresent) commands.add(target);
    }
    for (const { path: inner, start, size, executable } of files.values()) {
      const command = commands.has(inner);
      const content = (command && withoutCarriageReturn(archive.read(start, size))) || archive.content(start, size);
      entries.push({ type: "file", path: `app/${path}/${inner}`, executable: executable || command, content });
    }
  }
  const names = [...links.keys()];
  ensure(new Set(names.map((name) => name.toLowerCase())).size === names.length, "commands differ only in case");
  for (const link of links.values()) if (link !== undefined) entries.push(link);
  return entries.filter(({ path }) => !foreign.some((folder) => path.startsWith(folder)));
}

interface Manifest extends Pick<LockEntry, "os" | "cpu" | "libc"> {
  name?: string | undefined;
  bin?: unknown;
}

/** The package.json of a package. */
function manifestOf(archive: Archive, files: Unpacked["files"]): Manifest {
  const file = files.get("package.json");
  ensure(file !== undefined, "a package without package.json");
  try {
    const manifest = JSON.parse(archive.read(file.start, file.size).toString("utf8"));
    // The registry can have made commands of that folder.
    ensure(manifest.directories?.bin === undefined && typeof manifest.name === "string", "an unusual package.json");
    return manifest;
  } catch (error) {
    throw error instanceof LeaveToNpm ? error : new LeaveToNpm(`a package.json that cannot be read: ${error}`);
  }
}

function isThere(target: string, files: Unpacked["files"]): boolean {
  ensure(target !== "node_modules" && !target.startsWith("node_modules/"), "a command of another package");
  if (files.has(target)) return true;
  for (const path of files.keys()) {
    if (path.startsWith(`${target}/`)) return true;
    ensure(!target.startsWith(`${path}/`), "a command that is in a file");
  }
  return false;
}
