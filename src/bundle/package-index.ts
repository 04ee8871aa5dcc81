import { type Dirent, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

/** An installed package, as its package.json describes it. `dir` is its real path. */
export interface InstalledPackage {
  name: string;
  version: string;
  dir: string;
  /** It carries machine code, so it can only run from its own directory. */
  native: boolean;
}

interface Manifest {
  version?: string;
  gypfile?: boolean;
  binary?: unknown;
  napi?: unknown;
  cpu?: unknown;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

/** Packages that exist only to find, download or compile machine code. */
const NATIVE_HELPERS = new Set([
  "bindings",
  "cmake-js",
  "nan",
  "node-addon-api",
  "node-gyp-build",
  "node-gyp-build-optional-packages",
  "node-pre-gyp",
  "@mapbox/node-pre-gyp",
  "node-pre-gyp-install",
  "pkg-prebuilds",
  "prebuild-install",
]);

/** Names such as `@esbuild/linux-x64` or `lightningcss-darwin-arm64`: a build for one platform. */
const PLATFORM_NAME =
  /(?:^|[-_/.])(?:linux|linuxmusl|darwin|win32|freebsd|android)[-_.](?:x64|arm64|arm|ia32|riscv64)\b/;

/** Finds installed packages the way Node does, upwards through `node_modules`, and reads each package.json once. */
export class PackageIndex {
  readonly #byManifest = new Map<string, InstalledPackage | undefined>();
  readonly #found = new Map<string, InstalledPackage | undefined>();

  /** The package `name` as a file in `fromDir` (absolute) would get it; undefined when it is not installed. */
  find(fromDir: string, name: string): InstalledPackage | undefined {
    const key = `${fromDir}\0${name}`;
    if (this.#found.has(key)) return this.#found.get(key);
    const here = fromDir.endsWith("node_modules") ? undefined : this.#read(join(fromDir, "node_modules", name), name);
    const parent = dirname(fromDir);
    const found = here ?? (parent === fromDir ? undefined : this.find(parent, name));
    this.#found.set(key, found);
    return found;
  }

  /** The package whose own directory is `dir`, or undefined when there is no package.json. */
  at(dir: string, name: string): InstalledPackage | undefined {
    return this.#read(dir, name);
  }

  #read(dir: string, name: string): InstalledPackage | undefined {
    if (this.#byManifest.has(dir)) return this.#byManifest.get(dir);
    let found: InstalledPackage | undefined;
    try {
      const manifest: Manifest = JSON.parse(readFileSync(join(dir, "package.json"), "utf8"));
      const real = realpathSync(dir);
      found = { name, version: String(manifest.version ?? "0.0.0"), dir: real, native: isNative(manifest, real) };
    } catch {
      // No such package here, or one whose package.json nobody can read: esbuild says so, at the line that imports it.
    }
    this.#byManifest.set(dir, found);
    return found;
  }
}

/** True when the package cannot run from inside a bundle because it loads machine code from its own folder. */
function isNative(manifest: Manifest, dir: string): boolean {
  if (manifest.gypfile === true || isObject(manifest.binary) || isObject(manifest.napi)) return true;
  if (Array.isArray(manifest.cpu) && manifest.cpu.length > 0) return true;
  if (Object.keys(manifest.dependencies ?? {}).some((name) => NATIVE_HELPERS.has(name))) return true;
  if (Object.keys(manifest.optionalDependencies ?? {}).some((name) => PLATFORM_NAME.test(name))) return true;
  const entries = list(dir);
  if (entries.some(({ name }) => name === "binding.gyp" || name.endsWith(".node"))) return true;
  const hasDir = (name: string) => entries.some((entry) => entry.name === name);
  return hasDir("prebuilds") || (hasDir("build") && isDirectory(join(dir, "build", "Release")));
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function list(dir: string): Dirent[] {
  return readdirSync(dir, { withFileTypes: true });
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** The package that owns `file`, by its path: what follows the last `node_modules/`. Undefined for first-party files. */
export function owningPackage(file: string): { name: string; dir: string } | undefined {
  const match = /^(.*[\\/]node_modules[\\/])((?:@[^\\/]+[\\/])?[^\\/]+)/.exec(file);
  if (!match?.[1] || !match[2]) return undefined;
  return { name: match[2].replaceAll("\\", "/"), dir: match[1] + match[2] };
}
