import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

let root: string | undefined;

/** Absolute path of the installed package: the nearest folder above this file with appctl's package.json. */
export function packageRoot(): string {
  if (root === undefined) {
    let dir = dirname(fileURLToPath(import.meta.url));
    while (!existsSync(join(dir, "package.json"))) {
      const parent = dirname(dir);
      if (parent === dir) throw new Error("appctl: package.json not found above its own code");
      dir = parent;
    }
    root = dir;
  }
  return root;
}

/** Absolute path of a file or folder of the build (`npm run build`), for what is given it by name. */
export function builtFile(
  name:
    | "sdk/index.js"
    | "sdk-modules"
    | "serve.js"
    | "describe-worker.js"
    | "build-worker.js"
    | "supervisor.js"
    | "gateway.js"
    | "deflate-worker.js"
    | "main.js",
): string {
  return join(packageRoot(), "dist", name);
}

/** appctl's own version. */
export function version(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
  return manifest.version;
}
