/** Lockfiles that the `requirements` of an ImageSpec can name, with the commands of the package managers that write them. */
export const LOCKFILES = {
  "package-lock.json": { install: "npm install", add: "npm install" },
  "pnpm-lock.yaml": { install: "pnpm install", add: "pnpm add" },
  "yarn.lock": { install: "yarn install", add: "yarn add" },
  "bun.lock": { install: "bun install", add: "bun add" },
} as const;

/** Name of a lockfile. */
export type LockfileName = keyof typeof LOCKFILES;

/** The names, in the order in which a folder is searched for them. */
export const LOCKFILE_NAMES = Object.keys(LOCKFILES) as LockfileName[];

/** The names for a message: `package-lock.json, pnpm-lock.yaml, yarn.lock or bun.lock`. */
export const LOCKFILE_LIST = LOCKFILE_NAMES.join(", ").replace(/, ([^,]+)$/, " or $1");

/** The names as the source of a regular expression. */
export const LOCKFILE_PATTERN = LOCKFILE_NAMES.join("|").replaceAll(".", "\\.");

/** The name at the end of `path`; undefined when it is not that of a lockfile. */
export function lockfileNameOf(path: string): LockfileName | undefined {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return LOCKFILE_NAMES.find((known) => known === name);
}
