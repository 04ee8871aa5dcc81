/** Which platforms an app's image is made for. */
import type { LoadedApp } from "../app/validate.ts";
import { usageError } from "../core/errors.ts";
import { parsePlatformName } from "../oci/target.ts";
import type { Platform } from "../packages/npm-target.ts";
import { hostPlatform, npmPlatform, platformName } from "../packages/npm-target.ts";

/** `ImageSpec.platform` in npm's words. OCI's have no libc: bases of Alpine have musl, and all others are taken for glibc. */
export function writtenPlatforms(names: readonly string[] | undefined, baseImage = ""): Platform[] | undefined {
  const libc = /\b(?:alpine|musl)/.test(baseImage) ? "musl" : "glibc";
  return names?.map((name) => {
    const parsed = parsePlatformName(name);
    if (parsed === undefined) throw new Error(`${name} is not a platform`); // validated before
    return npmPlatform(parsed, libc);
  });
}

/** An image, and what its ImageSpec says it is for, if it says so. */
interface Meant {
  app: LoadedApp;
  platforms: readonly Platform[] | undefined;
}

/**
 * What the image has to be for the platform that runs it: `said` is what that runs, `linux/amd64`, when it has said so. One
 * with processes runs what it can, whatever containers elsewhere are to get. Throws WRONG_PLATFORM.
 */
export function platformOf(said: string | undefined, { platforms, app }: Meant, containers: boolean): Platform {
  const host = hostPlatform();
  const name = said ?? platformName(host);
  const written = platforms?.find((platform) => platformName(platform) === name);
  if (containers && platforms && !written) {
    const meant = platforms.map(platformName).join(", ");
    throw usageError(`the image of ${app.spec.name} is for ${meant}, and the platform runs ${name}`, {
      code: "WRONG_PLATFORM",
      hint: `add it: new ImageSpec({ …, platform: ${JSON.stringify([...platforms.map(platformName), name])} })`,
    });
  }
  if (containers && written) return written;
  const parsed = parsePlatformName(name);
  return name === platformName(host) || !parsed ? host : npmPlatform(parsed, "glibc");
}

/** What a registry gets: what the ImageSpec says, else what runs in containers on machines like the one of `own`. */
export function pushedPlatforms({ platforms }: Pick<Meant, "platforms">, own: Platform): Platform[] {
  if (platforms) return platforms.map((platform) => (samePlatform(platform, own) ? own : platform));
  return [own.os === "linux" ? own : { os: "linux", cpu: own.cpu, libc: "glibc" }];
}

/** True when an image for one is an image for the other. */
export function samePlatform(a: Platform, b: Platform): boolean {
  return a.os === b.os && a.cpu === b.cpu && a.libc === b.libc;
}
