// Builds dist/ from src/: the CLI and the build worker as a few files, the SDK, the server shim and other programs as one file each.
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { noticesOf } from "./notices.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const esbuild = createRequire(import.meta.url)("esbuild");
const out = (name) => join(root, "dist", name);
const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

// Bundled CommonJS packages call require() for Node's own modules; an ES module has none unless it makes one.
const requireBanner = {
  js: 'const require=process.getBuiltinModule("node:module").createRequire(import.meta.url);',
};
/**
 * Takes Node's own modules from `process.getBuiltinModule`. An `import` of one reads each of its exports, also those that
 * load something when they are read: `import "node:http"` brings the whole of fetch with it and costs more than Node itself.
 */
const builtins = {
  name: "builtins",
  setup(build) {
    // undici asks for HTTP/2 before it is needed, and does without where Node has none; Hono's server asks of each request
    // whether it came by it. The CLI and the shim speak HTTP/1.1, and what Node loads for the other takes a tenth of their start.
    build.onResolve({ filter: /^node:http2$/ }, ({ importer }) =>
      /\/(?:undici|@hono\/node-server)\//.test(importer) ? { path: "none", namespace: "builtin" } : undefined,
    );
    build.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === "require-call" ? undefined : { path, namespace: "builtin" },
    );
    build.onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => {
      if (path === "none") return { contents: "module.exports = { constants: {}, Http2ServerRequest: class {} };" };
      const plain = Object.entries(Object.getOwnPropertyDescriptors(process.getBuiltinModule(path)));
      const names = plain.filter(([name, { get }]) => get === undefined && /^[a-z_$][\w$]*$/i.test(name));
      // One by one and only those that are used: some of them load more when they are read.
      const exported = names
        .filter(([name]) => name !== "default")
        .map(
          ([name]) =>
            `const value_${name} = /* @__PURE__ */ (() => builtin.${name})(); export { value_${name} as ${name} };`,
        );
      return {
        contents: `const builtin = process.getBuiltinModule(${JSON.stringify(path)});
          export default builtin; ${exported.join("\n")}`,
      };
    });
  },
};
/**
 * What the CLI loads only when it is asked for: a file each, by what imports it dynamically. Everything else that is imported
 * dynamically stays in the file of who imports it, and runs when it is asked for: opening thirty small files takes longer
 * than reading one of their size.
 */
const parts = {
  program: "src/program.ts",
  deploy: "src/deploy/deploy.ts",
  platform: "src/platform/run.ts",
  supervise: "src/supervisor/supervisor.ts",
  undici: "src/http/undici.ts",
  "cache-garbage": "src/image/cache-garbage.ts",
  ora: "ora",
  yaml: "src/core/yaml.ts",
  versions: "src/core/versions.ts",
  "trace-mapping": "@jridgewell/trace-mapping",
};
const apart = {
  name: "apart",
  setup(build) {
    build.onResolve({ filter: /./ }, ({ path, kind, resolveDir }) => {
      if (kind !== "dynamic-import") return undefined;
      const target = path.startsWith(".") ? relative(root, join(resolveDir, path)) : path;
      const part = Object.keys(parts).find((name) => parts[name] === target);
      return part && { path: `./${part}.js`, external: true };
    });
  },
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
  minifyWhitespace: true,
  // undici then has only llhttp, as inside Node: its experimental second parser is 150 kB that nothing here switches on.
  define: { esbuildDetection: "1" },
  banner: requireBanner,
  plugins: [builtins],
};
const single = (entry, name, more = {}) => ({ ...common, ...more, entryPoints: [entry], outfile: out(name) });
const ofCli = (entry, name) => ({
  ...common,
  entryPoints: [entry],
  outfile: out(`${name}.js`),
  external: Object.keys(dependencies),
  plugins: [builtins, apart],
});

const shim = single("src/serve/serve.ts", "serve.js");
/** What esbuild is asked for: each file of dist/. */
export const builds = [
  ofCli("src/main.ts", "main"),
  ...Object.entries(parts).map(([name, entry]) => ofCli(entry, name)),
  // It goes into every user's bundle: no require, and no import.meta, which would be taken for the user's own.
  single("src/sdk/index.ts", "sdk/index.js", { banner: {} }),
  shim,
  single("src/app/describe-worker.ts", "describe-worker.js"),
  ofCli("src/platform/builds/build-worker.ts", "build-worker"),
  single("src/oci/archive/deflate-worker.ts", "deflate-worker.js"),
  single("src/supervisor/supervisor-main.ts", "supervisor.js"),
  single("src/gateway/gateway-main.ts", "gateway.js"),
];

if (import.meta.main ?? process.argv[1] === fileURLToPath(import.meta.url)) await build();

async function build() {
  rmSync(join(root, "dist"), { recursive: true, force: true });
  // The SDK as a package that esbuild finds by NODE_PATH, and nothing else with it.
  mkdirSync(out("sdk-modules/appctl"), { recursive: true });
  writeFileSync(out("sdk-modules/appctl/package.json"), '{ "name": "appctl", "main": "../../sdk/index.js" }\n');
  const results = await Promise.all(builds.map((options) => esbuild.build({ ...options, metafile: true })));
  const metafiles = new Map(results.map(({ metafile }, index) => [builds[index], metafile]));
  writeFileSync(join(root, "THIRD-PARTY-NOTICES"), noticesOf(root, [...metafiles.values()]));
  // The shim is copied into the images of users, where no other file of this package is.
  const notices = noticesOf(root, [metafiles.get(shim)]).replaceAll("*/", "* /");
  appendFileSync(shim.outfile, `/*!\n${notices}*/\n`);

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
}
