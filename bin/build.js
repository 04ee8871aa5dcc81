// Builds dist/ from src/: the CLI as code-split chunks, the SDK, the server shim and the describe worker as single files.
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const esbuild = createRequire(import.meta.url)("esbuild");
const out = (name) => join(root, "dist", name);
const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

// Bundled CommonJS packages call require() for Node's own modules; an ES module has none unless it makes one.
const requireBanner = {
  js: 'import{createRequire as __appctlRequire}from"node:module";const require=__appctlRequire(import.meta.url);',
};
const common = {
  absWorkingDir: root,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node22.19",
  legalComments: "none",
  logLevel: "warning",
  minifySyntax: true,
};

rmSync(join(root, "dist"), { recursive: true, force: true });
await Promise.all([
  esbuild.build({
    ...common,
    entryPoints: { main: join(root, "src/main.ts") },
    outdir: out(""),
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
    external: Object.keys(dependencies),
    banner: requireBanner,
  }),
  esbuild.build({ ...common, entryPoints: [join(root, "src/sdk/index.ts")], outfile: out("sdk/index.js") }),
  ...["serve", "describe-worker"].map((name) =>
    esbuild.build({
      ...common,
      entryPoints: [join(root, name === "serve" ? "src/serve/serve.ts" : "src/app/describe-worker.ts")],
      outfile: out(`${name}.js`),
      banner: requireBanner,
    }),
  ),
]);

// The type declarations of what a user's file imports.
execFileSync(
  process.execPath,
  [
    join(root, "node_modules/typescript/bin/tsc"),
    join(root, "src/sdk/index.ts"),
    ...["--ignoreConfig", "--declaration", "--emitDeclarationOnly", "--outDir", out("types")],
    ...["--rootDir", join(root, "src"), "--module", "nodenext", "--target", "es2024", "--types", "node"],
    ...["--rewriteRelativeImportExtensions", "--skipLibCheck"],
  ],
  { stdio: "inherit" },
);
