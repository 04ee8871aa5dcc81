/** Which targets an app's image is made for. */
import type { LoadedApp } from "../app/validate.ts";
import { usageError } from "../core/errors.ts";
import { parseTarget } from "../oci/target.ts";
import { hostTarget, type NpmTarget, npmTarget, targetName } from "../packages/npm-target.ts";

/** `ImageSpec.platform` in npm's words. OCI's have no libc: bases of Alpine have musl, and all others are taken for glibc. */
export function writtenTargets(names: readonly string[] | undefined, baseImage = ""): NpmTarget[] | undefined {
  const libc = /\b(?:alpine|musl)/.test(baseImage) ? "musl" : "glibc";
  return names?.map((name) => {
    const parsed = parseTarget(name);
    if (parsed === undefined) throw new Error(`${name} is not a platform`); // validated before
    return npmTarget(parsed, libc);
  });
}

/** An image, and what its ImageSpec says it is for, if it says so. */
interface ImageTargets {
  app: LoadedApp;
  platforms: readonly NpmTarget[] | undefined;
}

/**
 * What the image has to be for the platform that runs it: `runs` is what that runs, `linux/amd64`, if it is known. One
 * with processes runs what it can, whatever containers elsewhere are to get. Throws WRONG_PLATFORM.
 */
export function targetOf(runs: string | undefined, { platforms, app }: ImageTargets, containers: boolean): NpmTarget {
  const host = hostTarget();
  const name = runs ?? targetName(host);
  const written = platforms?.find((platform) => targetName(platform) === name);
  if (containers && platforms && !written) {
    const names = platforms.map(targetName);
    throw usageError(`the image of ${app.spec.name} is for ${names.join(", ")}, and the platform runs ${name}`, {
      code: "WRONG_PLATFORM",
      hint: `add it: new ImageSpec({ …, platform: ${JSON.stringify([...names, name])} })`,
    });
  }
  if (containers && written) return written;
  const parsed = parseTarget(name);
  return name === targetName(host) || !parsed ? host : npmTarget(parsed, "glibc");
}

/** What a registry gets: what the ImageSpec says, else what runs in containers on machines like the one of `own`. */
export function pushedTargets({ platforms }: Pick<ImageTargets, "platforms">, own: NpmTarget): NpmTarget[] {
  if (platforms) return platforms.map((platform) => (isSameTarget(platform, own) ? own : platform));
  return [own.os === "linux" ? own : { os: "linux", cpu: own.cpu, libc: "glibc" }];
}

/** True when an image for one is an image for the other. */
export function isSameTarget(a: NpmTarget, b: NpmTarget): boolean {
  return a.os === b.os && a.cpu === b.cpu && a.libc === b.libc;
}
