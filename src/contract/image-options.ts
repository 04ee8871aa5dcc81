/** The options of ImageSpec (after a change: `npm run generate`). They stay on the user's machine; what a remote build needs of them is in `remote-build.ts`. */
import type { OptionTable } from "./option.ts";

const text = { type: "text" } as const;

/** Options of an ImageSpec. */
export const IMAGE_OPTIONS = {
  name: {
    type: "text",
    format: "image-name",
    max: 128,
    doc: "Name of the image: lower-case letters, digits and `-`, `_`, `.`, `/`. Default: `<app name>-image`.",
  },
  builder: {
    type: "choice",
    values: ["default", "remote", "docker"],
    default: "default",
    doc: 'What builds the image. `"default"`: appctl itself. `"remote"`: the platform, which fetches the packages itself. `"docker"`: a container engine runs `commands` and `aptPackages` on the base image.',
  },
  packages: {
    type: "list",
    of: { type: "text", format: "package", expected: 'a package such as "hono" or "hono@4.13.19"' },
    expected: 'a list of packages such as ["hono@4.13.19"]',
    doc: 'npm packages, with pins as npm writes them: `"hono@4.13.19"`. They stay outside the bundle, in a layer of their own.',
  },
  requirements: {
    type: "text",
    format: "lockfile",
    doc: "Lockfile to install from (package-lock.json, pnpm-lock.yaml, yarn.lock or bun.lock), as a path relative to the file that declares the app. The packages layer then has exactly the locked packages that running the project needs. The bundle has none of them. Cannot be combined with `packages`.",
  },
  baseImage: {
    type: "text",
    format: "base-image",
    expected: 'the name of an image such as "node:22-slim"',
    doc: 'Name of the base image, such as `"node:22-slim"` or with a digest. It is put below the image in a registry and in containers. `"scratch"` is none. Default: Debian with Node, `"node:24-slim"`.',
  },
  nodeVersion: {
    type: "text",
    format: "node-version",
    expected: 'text such as "24" or "24.11.1"',
    doc: 'Version of Node in the default base image, such as `"24"` or `"24.11.1"`; 22.19 or newer. Apps that run as processes get the platform\'s Node. Cannot be combined with `baseImage`. Default: `"24"`.',
  },
  registry: {
    type: "text",
    format: "registry",
    doc: 'Registry and prefix that the image goes to, such as `"ghcr.io/my-org"`. Default: the platform itself.',
  },
  env: { type: "env", doc: "Environment variables of every app that runs in the image." },
  commands: {
    type: "list",
    of: text,
    expected: "a list of shell commands",
    doc: 'Shell commands to run while building. They need `builder: "docker"`, a base image and an app that runs in containers.',
  },
  aptPackages: {
    type: "list",
    of: { type: "text", format: "apt-package" },
    expected: 'a list of names such as ["curl"]',
    doc: 'Debian packages to install. They need `builder: "docker"`, a base image and an app that runs in containers.',
  },
  platform: {
    type: "list",
    of: { type: "text", format: "target" },
    min: 1,
    orOne: true,
    doc: 'Targets of the image, such as `["linux/amd64", "linux/arm64"]`. A registry gets an image for each, without emulation, and an index of them. The platform that runs it gets its own. Default: the target of the platform.',
  },
  copy: {
    type: "list",
    of: text,
    expected: 'a list of globs such as ["assets/**"]',
    doc: "Files to copy into the environment image, as globs relative to the file that declares the app. The app finds them at the same relative path. `.dockerignore` next to that file excludes files. A change of these files builds the image again; for files that change often, use `include` of the App.",
  },
  entrypoint: {
    type: "list",
    of: text,
    min: 1,
    expected: 'a list of texts such as ["node", "cli.js"]',
    doc: 'Program that gets the `args` of the App, such as `["node", "cli.js"]`: the entry point for container engines. The process runtime puts it before `args`. Cannot be combined with `frameworkApp` or `command`.',
  },
  force: {
    type: "boolean",
    doc: "Build even if the image exists, and ask the registry again for versions that are not pinned.",
  },
} as const satisfies OptionTable;
