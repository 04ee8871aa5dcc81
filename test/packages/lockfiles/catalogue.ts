import type { TestPackage } from "../../support/npm-registry.ts";

/** The packages that the recorded lock files are about. A change here asks for new recordings: see record.ts. */
export const CATALOGUE: TestPackage[] = [
  { name: "leaf", version: "1.0.0" },
  { name: "leaf", version: "2.0.0" },
  {
    name: "tree",
    version: "1.0.0",
    manifest: { dependencies: { leaf: "^1.0.0" }, bin: { tree: "cli.js" } },
    files: {
      "cli.js": "#!/usr/bin/env node\nconsole.log(require('leaf'));\n",
      "index.js": "module.exports = require('leaf');\n",
    },
  },
  // Finds the leaf of who needs it.
  {
    name: "friend",
    version: "1.0.0",
    manifest: { peerDependencies: { leaf: "*" } },
    files: { "index.js": "module.exports = require('leaf');\n" },
  },
  // Needs the friend, but with an older leaf than the project has.
  {
    name: "@corp/host",
    version: "1.0.0",
    manifest: { dependencies: { friend: "1", leaf: "^1.0.0" } },
    files: { "index.js": "module.exports = [require('friend'), require('leaf')];\n" },
  },
  { name: "elsewhere", version: "1.0.0", manifest: { os: ["plan9"] } },
  {
    name: "binary",
    version: "1.0.0",
    manifest: {
      optionalDependencies: Object.fromEntries(
        ["linux-x64", "linux-arm64", "plan9-mips"].map((platform) => [`@binary/${platform}`, "1.0.0"]),
      ),
    },
  },
  { name: "@binary/linux-x64", version: "1.0.0", manifest: { os: ["linux"], cpu: ["x64"] } },
  { name: "@binary/linux-arm64", version: "1.0.0", manifest: { os: ["linux"], cpu: ["arm64"] } },
  { name: "@binary/plan9-mips", version: "1.0.0", manifest: { os: ["plan9"], cpu: ["mips"] } },
  {
    name: "scripted",
    version: "1.0.0",
    manifest: { scripts: { postinstall: "node -e \"require('fs').writeFileSync('ran','')\"" } },
  },
  { name: "tester", version: "1.0.0", manifest: { dependencies: { "for-tests": "1" } } },
  { name: "for-tests", version: "1.0.0" },
];

/** The project that every package manager was run in. */
export const MANIFEST = {
  name: "recorded",
  version: "1.0.0",
  dependencies: {
    "@corp/host": "^1.0.0",
    binary: "1",
    friend: "^1.0.0",
    leaf: "^2.0.0",
    other: "npm:leaf@1.0.0",
    scripted: "1.0.0",
    tree: "^1.0.0",
  },
  devDependencies: { tester: "1" },
  optionalDependencies: { elsewhere: "1" },
};

/** The same with what bun writes lock files of version 3 for, and with a package that is in two lists. */
export const BUN_MANIFEST = {
  ...MANIFEST,
  dependencies: { ...MANIFEST.dependencies, elsewhere: "1" },
  overrides: { tree: { leaf: "2.0.0" } },
};

/** The same with a version for all that ask for a package. Yarn 1 has two ways to say that. */
export const YARN_MANIFESTS = {
  name: { ...MANIFEST, resolutions: { leaf: "2.0.0" } },
  everywhere: { ...MANIFEST, resolutions: { "**/leaf": "2.0.0" } },
  path: { ...MANIFEST, resolutions: { "tree/leaf": "2.0.0" } },
};

/** Newer versions that would fit, published after the recordings were made. */
export const NEWER: TestPackage[] = [
  { name: "leaf", version: "1.5.0" },
  { name: "leaf", version: "2.5.0" },
  { name: "tree", version: "1.5.0", files: { "index.js": "module.exports = 'tree 1.5.0';\n" } },
];
