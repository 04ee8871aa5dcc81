/** How esbuild bundles a user's file: by its JavaScript interface, or by its program alone. Both make the same bytes. */
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { dirname, join } from "node:path";
import type * as esbuild from "esbuild";

/** Name of the bundle wherever it lies; the map is next to it, with `.map` at its end. */
export const BUNDLE_FILE = "app.mjs";

/** Bundled CommonJS packages call `require` for Node's own modules; an ES module has none unless it makes one. */
const BANNER =
  'import{createRequire as __appctlRequire}from"node:module";const require=__appctlRequire(import.meta.url);';

const TEXT_FILES = [".txt", ".md", ".html", ".css", ".sql", ".graphql"];

/** What is asked of esbuild, other than where things lie. */
export const BUNDLE_OPTIONS = {
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node22.19",
  minify: true,
  keepNames: true,
  legalComments: "none",
  sourcemap: "linked",
  sourcesContent: false,
  banner: { js: BANNER },
  define: { __dirname: "import.meta.dirname", __filename: "import.meta.filename" },
  loader: Object.fromEntries(TEXT_FILES.map((ext) => [ext, "text" as const])),
} as const satisfies esbuild.BuildOptions;

const require = createRequire(import.meta.url);

/** esbuild, by `require`: a third of the time that an `import` of this package takes. */
export function requireEsbuild(): typeof esbuild {
  return require("esbuild");
}

/** esbuild's program; undefined where it is no program of this machine's own, or another one is asked for. */
export function esbuildProgram(): string | undefined {
  if (process.env["ESBUILD_BINARY_PATH"] !== undefined || platform() === "win32") return undefined;
  try {
    const packageDir = dirname(require.resolve("esbuild/package.json"));
    return createRequire(join(packageDir, "package.json")).resolve(`@esbuild/${platform()}-${arch()}/bin/esbuild`);
  } catch {
    return undefined; // the caller that needs it reports what is missing
  }
}

/** Options as arguments of the program (esbuild's "Using the CLI"). */
export function programArguments(options: esbuild.BuildOptions): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (typeof value !== "object") return value === true ? [flag] : [`${flag}=${value}`];
    return Object.entries(value as object).map(([key, part]) => `${flag}:${key}=${part}`);
  });
}
