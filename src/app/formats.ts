/** The checks of texts that need more than a pattern. */
import { isAbsolute, posix } from "node:path";
import { LOCKFILE_LIST, lockfileNameOf } from "../contract/lockfiles.ts";
import type { OptionFault, TextFormat } from "../contract/option.ts";
import { isAppctlError } from "../core/errors.ts";
import { parseRegistryAddress, REGISTRY_ADDRESS_RULE } from "../core/registry-address.ts";
import { credentialsHint } from "../core/without-credentials.ts";
import { isRepositoryName, parseImageName } from "../oci/registry/image-name.ts";
import { parseTarget, TARGETS } from "../oci/target.ts";
import { parseSpec } from "../packages/package-spec.ts";
import { describeValue } from "./readable.ts";

type FormatFault = Omit<OptionFault, "path"> | undefined;

/** What is wrong with a text of this format; undefined when nothing is. */
export function formatFault(format: TextFormat, text: string): FormatFault {
  return FORMATS[format](text);
}

const FORMATS: Record<TextFormat, (text: string) => FormatFault> = {
  "apt-package": (name) =>
    APT_PACKAGE.test(name)
      ? undefined
      : {
          message: `must be the name of a Debian package, not ${describeValue(name)}`,
          hint: 'a version follows "=": "curl=7.88.1-10"',
        },
  "base-image": (name) => {
    try {
      parseImageName(name);
      return undefined;
    } catch (error) {
      if (!isAppctlError(error)) throw error;
      const { message, hint } = error;
      return { message, ...(hint ? { hint } : {}) };
    }
  },
  "image-name": (name) =>
    isRepositoryName(name) && name.length <= 128
      ? undefined
      : {
          message: `must be lower-case letters and digits with single '-', '_', '.' or '/' between, at most 128 of them, not ${describeValue(name)}`,
        },
  lockfile: (path) => {
    if (lockfileNameOf(path) !== undefined) {
      if (!isAbsolute(path)) return undefined;
      return { message: "must be relative to the file that has the App", hint: "other machines have no such path" };
    }
    if (posix.basename(path) === "bun.lockb") {
      const hint = "bun install --save-text-lockfile writes a bun.lock";
      return { message: "names a binary lockfile, which only bun can read", hint };
    }
    return { message: `must be the path of a ${LOCKFILE_LIST}, not ${describeValue(path)}` };
  },
  "node-version": (version) => {
    const [, major, minor] = /^(\d+)(?:\.(\d+)(?:\.\d+)?)?$/.exec(version) ?? [];
    if (major === undefined)
      return { message: `must be text such as "24" or "24.11.1", not ${describeValue(version)}` };
    const [oldest, least] = OLDEST_NODE;
    const isOld = Number(major) < oldest || (Number(major) === oldest && minor !== undefined && Number(minor) < least);
    return isOld ? { message: `must be ${oldest}.${least} or newer, which apps need, not ${version}` } : undefined;
  },
  package: (spec) =>
    parseSpec(spec)
      ? undefined
      : {
          message: `must be a package such as "hono" or "hono@4.13.19", not ${describeValue(spec)}`,
          hint: pythonHint(spec) ?? "paths, URLs and git repositories cannot be listed here",
        },
  registry: (address) => {
    if (parseRegistryAddress(address)) return undefined;
    const hint = credentialsHint(address);
    return { message: `${REGISTRY_ADDRESS_RULE}, not ${describeValue(address)}`, ...(hint ? { hint } : {}) };
  },
  target: (name) =>
    parseTarget(name) ? undefined : { message: `must be one of ${TARGETS.join(", ")}, not ${describeValue(name)}` },
};

/** A name as Debian policy has it, with an architecture and a version. */
const APT_PACKAGE = /^[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?(?:=[\w.+:~-]+)?$/;

/** The oldest Node that bundles run on. */
const OLDEST_NODE = [22, 19] as const;

/** People who come from Union write pins as pip does. */
function pythonHint(spec: string): string | undefined {
  const match = /^([\w.@/-]+)\s*(?:[=~!<>]=)\s*([\w.]+)$/.exec(spec);
  return match ? `npm writes a pin as "${match[1]}@${match[2]}"` : undefined;
}
