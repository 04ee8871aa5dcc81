import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { isAppctlError } from "../../src/core/errors.ts";
import { buildEnvironment, planEnvironment } from "../../src/image/environment-image.ts";
import { treeEntries } from "../../src/image/layer.ts";
import { unpackApp } from "../../src/image/unpack.ts";
import { type TarEntry, tar } from "../../src/oci/archive/tar.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { installPackages } from "../../src/packages/install-packages.ts";
import { cachedPackages } from "../../src/packages/npm-cache/cached-packages.ts";
import { hostTarget } from "../../src/packages/npm-target.ts";
import { buildAppImage } from "./build-app-image.ts";
import { contextIn, folder } from "./support.ts";

const app = `
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { z } from "zod";
const hono = new Hono().get("/", (c) => c.json(z.object({ n: z.coerce.number() }).parse(c.req.query())));
const server = serve({ fetch: hono.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => console.log(port));
process.once("SIGTERM", () => server.close());
`;

it("an app with real packages of the machine's own registry is built, unpacked and answers", async ({ skip }) => {
  const dir = await folder();
  // The machine's npm configuration, certificates included: it is what a user's build runs under.
  const context = contextIn(dir, process.env);
  const packages = ["hono@4.13.19", "@hono/node-server", "zod@^4"];
  const plan = await planEnvironment({ name: "real", packages }, context).catch((error: unknown) => {
    if (!isAppctlError(error) || error.code !== "REGISTRY_UNAVAILABLE") throw error;
    return skip(error.message);
  });
  expect(plan.packages.map(({ name }) => name)).toEqual(["@hono/node-server", "hono", "zod"]);
  const layout = new OciLayout(`${dir}/layout`);
  const environment = await buildEnvironment(plan, layout, context);
  const files = [
    { path: "serve.mjs", bytes: Buffer.from('await import("./app.mjs");') },
    { path: "app.mjs", bytes: Buffer.from(app) },
  ];
  const built = await buildAppImage({ environment, files, config: { entrypoint: ["node", "serve.mjs"] }, layout });
  const unpacked = await unpackApp(layout, built.digest, `${dir}/content`);
  expect(await readdir(unpacked.packagesDir ?? "")).not.toContain(".package-lock.json");

  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const child = spawn(process.execPath, ["serve.mjs"], {
    cwd: unpacked.dir,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  try {
    const [port] = await once(createInterface({ input: child.stdout }), "line");
    const response = await fetch(`http://127.0.0.1:${port}/?n=7`, { headers: { connection: "close" } });
    expect(await response.json()).toEqual({ n: 7 });
  } finally {
    child.kill("SIGTERM");
  }
  expect(await exit).toEqual([0, null]);
}, 180_000);

it("real packages from npm's cache are, byte for byte, what npm installs", async ({ skip }) => {
  const dir = await folder();
  const context = { ...contextIn(dir, process.env), platform: hostTarget() };
  // Commands, files for other platforms, scopes, several versions of one package, and odd modes and names.
  const packages = ["esbuild@0.25.12", "sharp@0.34.4", "express@4.21.2", "@hono/node-server@1.14.0", "mkdirp@0.5.6"];
  const plan = await planEnvironment({ name: "real", packages }, context).catch((error: unknown) => {
    if (!isAppctlError(error) || error.code !== "REGISTRY_UNAVAILABLE") throw error;
    return skip(error.message);
  });
  const installed = await installPackages(plan.lock, context);
  const skipped = (path: string) => path === ".package-lock.json";
  const tree = await treeEntries(installed.nodeModules ?? "", "app/node_modules", skipped);
  const cached = await cachedPackages(plan.lock, context);
  if (!("entries" in cached)) {
    if (!/setting|lines|version|started|run by/.test(cached.why)) throw new Error(cached.why);
    return skip(`the machine's npm is not one to compare with: ${cached.why}`);
  }
  const archiveOf = async (entries: TarEntry[]) => {
    const chunks: Buffer[] = [];
    for await (const chunk of tar(entries)) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  // Some npms leave empty folders of packages that do not fit, which an image does not have.
  const files = tree.filter(({ type }) => type !== "directory");
  expect((await archiveOf(cached.entries)).equals(await archiveOf(files))).toBe(true);
  expect(files.length).toBeGreaterThan(300);
  await installed.dispose();
  await cached.dispose();
}, 180_000);
