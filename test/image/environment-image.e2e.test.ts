import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readCopied } from "../../src/image/copied-files.ts";
import { buildEnvironment, environmentTag, planEnvironment } from "../../src/image/environment-image.ts";
import { unpackApp } from "../../src/image/unpack.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { parseReference } from "../../src/oci/model.ts";
import { emptyLock } from "../../src/packages/lockfiles/package-lock.ts";
import { hostTarget } from "../../src/packages/npm-target.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { buildAppImage } from "./build-app-image.ts";
import { contextIn, failureOf, folder, installed, npmEnv, run } from "./support.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry([
    { name: "leaf", version: "1.0.0", files: { "data/big.bin": "0123456789".repeat(300_000) } },
    {
      name: "tree",
      version: "1.0.0",
      manifest: { dependencies: { leaf: "1" }, bin: { tree: "cli.js" } },
      files: { "cli.js": "#!/usr/bin/env node\n" },
    },
    { name: "locked", version: "1.0.0" },
    { name: "locked", version: "2.0.0" },
  ]);
});
afterAll(() => registry.close());

const spec = { name: "team/app-image", packages: ["tree"], env: { B: "2", A: "1=1" } };

async function setUp() {
  const dir = await folder();
  const context = contextIn(dir, npmEnv(dir, { npm_config_registry: registry.url }));
  return { dir, context, layout: new OciLayout(join(dir, "layout")) };
}

const files = [{ path: "serve.mjs", bytes: Buffer.from('await import("./app.mjs");\n') }];
const config = { entrypoint: ["node"], cmd: ["serve.mjs"], port: 8080 };

/** Builds both images in a process of its own, as another user's machine would: other umask, time zone, number of threads. */
async function buildElsewhere(umask: string, threads: string, clock: string) {
  const dir = await folder();
  const src = pathToFileURL(`${join(import.meta.dirname, "../../src")}/`).href;
  const script = `
    process.umask(0o${umask});
    Date.now = () => ${Date.parse(clock)};
    const { planEnvironment, buildEnvironment } = await import("${src}image/environment-image.ts");
    const { buildAppImage } = await import("${src}../test/image/build-app-image.ts");
    const { OciLayout } = await import("${src}oci/layout.ts");
    const dir = ${JSON.stringify(dir)};
    const layout = new OciLayout(dir + "/l");
    const context = { appDir: dir, cacheDir: dir + "/c", cwd: dir, env: process.env, signal: new AbortController().signal };
    const environment = await buildEnvironment(await planEnvironment(${JSON.stringify(spec)}, context), layout, context);
    const files = [{ path: "serve.mjs", bytes: Buffer.from('await import("./app.mjs");\\n') }];
    const app = await buildAppImage({ environment, files, config: ${JSON.stringify(config)}, layout });
    console.log(JSON.stringify([environment.reference, environment.descriptor, app.reference, app.digest, app.layers]));`;
  const env = {
    ...npmEnv(dir, { npm_config_registry: registry.url }),
    UV_THREADPOOL_SIZE: threads,
    TZ: umask === "077" ? "Asia/Tokyo" : "UTC",
  };
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => {
    output += chunk;
  });
  expect((await once(child, "close"))[0]).toBe(0);
  const blobs = await readdir(join(dir, "l", "blobs", "sha256"));
  const contents = await Promise.all(blobs.sort().map((name) => readFile(join(dir, "l", "blobs", "sha256", name))));
  return {
    dir,
    output,
    blobs,
    bytes: Buffer.concat(contents),
    index: await readFile(join(dir, "l", "index.json"), "utf8"),
  };
}

describe("images", () => {
  it("are the same to the byte in other directories, at other times, with another umask and number of threads", async () => {
    const one = await buildElsewhere("022", "1", "2001-02-03T04:05:06Z");
    const two = await buildElsewhere("077", "4", "2031-02-03T04:05:06Z");
    expect(two.output).toBe(one.output);
    expect(two.blobs).toEqual(one.blobs);
    expect(two.bytes.equals(one.bytes)).toBe(true);
    expect(two.index).toBe(one.index);
    const [reference, , app] = JSON.parse(one.output);
    expect(reference).toMatch(/^team\/app-image:[\w-]{22}$/);
    expect(app).toMatch(/^team\/app-image:[\w-]{22}-[0-9a-f]{12}$/);
    for (const file of await readdir(join(one.dir, "l", "blobs", "sha256"))) {
      const text = await readFile(join(one.dir, "l", "blobs", "sha256", file));
      const plain =
        text[0] === 0x1f
          ? (
              await run("gzip", ["-dc", join(one.dir, "l", "blobs", "sha256", file)], {
                encoding: "buffer",
                maxBuffer: 1 << 26,
              })
            ).stdout
          : text;
      expect(plain.includes(one.dir), `${file} has a path of the machine in it`).toBe(false);
      expect(plain.includes("127.0.0.1"), `${file} has the registry's address in it`).toBe(false);
    }
  });

  it("are accepted by skopeo and umoci, with packages and without", async ({ skip }) => {
    if (!installed("skopeo") || !installed("umoci")) skip();
    for (const packages of [["tree"], []]) {
      const { dir, layout, context } = await setUp();
      const environment = await buildEnvironment(
        await planEnvironment({ ...spec, packages }, context),
        layout,
        context,
      );
      const app = await buildAppImage({ environment, files, config, layout });
      const of = async (reference: string) =>
        JSON.parse((await run("skopeo", ["inspect", `oci:${layout.dir}:${reference}`])).stdout);
      expect(await of(environment.reference)).toMatchObject({
        Created: "1970-01-01T00:00:00Z",
        Env: ["A=1=1", "B=2"],
        Layers: environment.manifest.layers.map(({ digest }) => digest),
      });
      expect(await of(app.reference)).toMatchObject({
        Digest: app.digest,
        Env: ["A=1=1", "B=2"],
        Layers: app.layers.map(({ digest }) => digest),
      });

      const bundle = join(dir, "bundle");
      const rootless = process.getuid?.() === 0 ? [] : ["--rootless"];
      await run("umoci", ["unpack", ...rootless, "--image", `${layout.dir}:${app.reference}`, bundle]);
      const root = join(bundle, "rootfs", "app");
      expect((await readdir(root)).sort()).toEqual(
        packages.length === 0 ? ["serve.mjs"] : ["node_modules", "serve.mjs"],
      );
      if (packages.length > 0) {
        expect((await readdir(join(root, "node_modules"))).sort()).toEqual([".bin", "leaf", "tree"]);
        expect((await stat(join(root, "node_modules/.bin/tree"))).mode & 0o777).toBe(0o755);
      }
      const { process: runtime } = JSON.parse(await readFile(join(bundle, "config.json"), "utf8"));
      expect(runtime).toMatchObject({ cwd: "/app", args: ["node", "serve.mjs"] });
      await run("umoci", [
        "unpack",
        ...rootless,
        "--image",
        `${layout.dir}:${environment.reference}`,
        join(dir, "environment"),
      ]);
    }
  });

  it("are copied whole by skopeo, which checks every digest", async ({ skip }) => {
    if (!installed("skopeo")) skip();
    const { dir, layout, context } = await setUp();
    const environment = await buildEnvironment(await planEnvironment(spec, context), layout, context);
    const app = await buildAppImage({ environment, files, config, layout });
    const copy = join(dir, "copy");
    await run("skopeo", ["copy", "--insecure-policy", `oci:${layout.dir}:${app.reference}`, `oci:${copy}:x:y`]);
    expect(await new OciLayout(copy).missing(app.blobs.map(({ digest }) => digest))).toEqual([]);
  });
});

describe("planEnvironment", () => {
  it("installs nothing, and needs neither npm nor the network the second time", async () => {
    const { dir, context } = await setUp();
    const plan = await planEnvironment(spec, context);
    expect(plan).toMatchObject({
      name: spec.name,
      reference: `${spec.name}:${plan.tag}`,
      packages: [{ name: "tree", version: "1.0.0" }],
    });
    const offline = { ...context, env: { HOME: dir, PATH: join(dir, "nothing"), npm_config_registry: registry.url } };
    expect(await planEnvironment(spec, offline)).toEqual(plan);
    expect(await readdir(context.cacheDir)).toEqual(expect.arrayContaining(["locks"]));
    expect(context.progress.map(({ step }) => step)).toEqual(["resolve"]);
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });

  it("takes the version of the project's lockfile for a package without one", async () => {
    const { context } = await setUp();
    const lock = { lockfileVersion: 3, packages: { "node_modules/locked": { version: "1.0.0" } } };
    await writeFile(join(context.appDir, "package.json"), "{}");
    await writeFile(join(context.appDir, "package-lock.json"), JSON.stringify(lock));
    const { packages } = await planEnvironment({ name: "x", packages: ["locked"] }, context);
    expect(packages).toEqual([{ name: "locked", version: "1.0.0" }]);
  });

  it("refuses a name that no image can have", async () => {
    const { context } = await setUp();
    expect((await failureOf(planEnvironment({ name: "a b" }, context))).code).toBe("INVALID_REFERENCE");
  });
});

describe("copied files", () => {
  const write = async (dir: string, texts: Record<string, string>) => {
    for (const [path, text] of Object.entries(texts)) await writeFile(join(dir, path), text);
    return readCopied(Object.keys(texts).map((path) => ({ path, absolute: join(dir, path), mode: 0o644 })));
  };

  it("are a layer of their own and part of the tag, by name, content and mode, wherever they lie", async () => {
    const { dir, layout, context } = await setUp();
    const tagOf = async (copy: Awaited<ReturnType<typeof write>>) =>
      (await planEnvironment({ name: "x", copy }, context)).tag;
    const copy = await write(dir, { "b.txt": "b", "a.txt": "a" });
    const elsewhere = await write(await folder(), { "a.txt": "a", "b.txt": "b" });
    expect(await tagOf(elsewhere)).toBe(await tagOf(copy));
    const tags = await Promise.all([
      tagOf([]),
      tagOf(copy),
      tagOf(copy.slice(1)),
      tagOf(copy.map((file) => ({ ...file, executable: true }))),
      tagOf(await write(dir, { "a.txt": "A", "b.txt": "b" })),
    ]);
    expect(new Set(tags).size).toBe(5);

    const environment = await buildEnvironment(
      await planEnvironment({ ...spec, copy: elsewhere }, context),
      layout,
      context,
    );
    expect(environment.manifest.layers.map(({ annotations }) => annotations?.["appctl.layer"])).toEqual([
      "packages",
      "copy",
    ]);
    const app = await buildAppImage({ environment, files, config, layout });
    const unpacked = await unpackApp(layout, app.digest, join(dir, "content"));
    expect((await readdir(unpacked.dir)).sort()).toEqual(["a.txt", "b.txt", "node_modules", "serve.mjs"]);
    expect(await readFile(join(unpacked.dir, "b.txt"), "utf8")).toBe("b");
  });

  it("cannot change between the reading and the packing, and cannot stand where the packages do", async () => {
    const { dir, layout, context } = await setUp();
    const plan = await planEnvironment({ name: "x", copy: await write(dir, { "a.txt": "one" }) }, context);
    await writeFile(join(dir, "a.txt"), "two");
    await expect(buildEnvironment(plan, layout, context)).rejects.toThrow(
      "app/a.txt changed while the image was built",
    );
    const file = { path: "node_modules/x.js", absolute: join(dir, "a.txt"), mode: 0o644 };
    expect((await failureOf(readCopied([file]))).code).toBe("RESERVED_PATH");
  });
});

it("an entry point is part of the tag and of the configuration, and an app's arguments come after it", async () => {
  const { layout, context, dir } = await setUp();
  const plain = await planEnvironment({ name: "x" }, context);
  const plan = await planEnvironment({ name: "x", entrypoint: ["node", "cli.js"] }, context);
  expect(plan.tag).not.toBe(plain.tag);
  const environment = await buildEnvironment(plan, layout, context);
  const app = await buildAppImage({ environment, files, config: { cmd: ["serve"] }, layout });
  const unpacked = await unpackApp(layout, app.digest, join(dir, "content"));
  expect(unpacked.entrypoint).toEqual(["node", "cli.js"]);
  expect(unpacked.config.config).toMatchObject({ Entrypoint: ["node", "cli.js"], Cmd: ["serve"] });
});

describe("environmentTag", () => {
  const env = { A: "1", B: "2" };
  const tagFor = (content: Parameters<typeof environmentTag>[0], platform = hostTarget()) =>
    environmentTag(content, { lock: emptyLock(), scripts: [] }, platform);

  it("depends on what decides the content and on nothing else", async () => {
    const { context } = await setUp();
    const tag = tagFor({ env });
    expect(tagFor({ env: { B: "2", A: "1" } })).toBe(tag);
    const tags = [
      tagFor({ env: { A: "1" } }),
      tagFor({ env, baseImage: "node:24" }),
      tagFor({ env }, { os: "linux", cpu: "s390x", libc: "glibc" }),
      (await planEnvironment({ name: "x", packages: ["leaf"], env }, context)).tag,
    ];
    expect(new Set([tag, ...tags]).size).toBe(5);
    expect((await planEnvironment({ name: "other", packages: ["leaf@1.0.0"], env }, context)).tag).toBe(tags[3]);
  });

  it("is always something that every OCI tool takes", () => {
    for (let index = 0; index < 500; index++) {
      const tag = tagFor({ env: { N: String(index) } });
      expect(tag).toHaveLength(22);
      expect(parseReference(`n:${tag}-0123456789ab`)).toEqual({ name: "n", tag: `${tag}-0123456789ab` });
    }
  });
});

describe("buildEnvironment", () => {
  it("takes what the layout has, mends what is missing from it, and builds again when forced", async () => {
    const { layout, context } = await setUp();
    const plan = await planEnvironment(spec, context);
    const first = await buildEnvironment(plan, layout, context);
    const offline = { ...context, env: { PATH: join(context.appDir, "nothing") } };
    expect(await buildEnvironment(plan, layout, offline)).toEqual({ ...first, built: false });
    await rm(layout.blobPath(first.manifest.layers[0]?.digest ?? ""));
    expect(await buildEnvironment(plan, layout, context)).toEqual(first);
    await writeFile(layout.blobPath(first.manifest.layers[0]?.digest ?? ""), "short");
    expect(await buildEnvironment(plan, layout, context)).toEqual(first);
    expect((await buildEnvironment(plan, layout, { ...context, force: true })).built).toBe(true);
    expect(context.progress.map(({ step }) => step)).toContain("layer");
  });
});

describe("buildAppImage", () => {
  it("needs only manifest and configuration of the environment", async () => {
    const { dir, layout, context } = await setUp();
    const {
      manifest,
      config: base,
      reference,
    } = await buildEnvironment(await planEnvironment(spec, context), layout, context);
    const elsewhere = new OciLayout(join(dir, "elsewhere"));
    const app = await buildAppImage({
      environment: { manifest, config: base, reference },
      files,
      config,
      layout: elsewhere,
    });
    expect(app.digest).toBe(
      (await buildAppImage({ environment: { manifest, config: base, reference }, files, config, layout })).digest,
    );
    expect(await elsewhere.missing(app.layers.map(({ digest }) => digest))).toEqual([manifest.layers[0]?.digest]);
    expect(app.size).toBe(app.blobs.reduce((sum, { size }) => sum + size, 0));
    expect(await elsewhere.resolve(app.reference)).toEqual(app.descriptor);
  });

  it("has another tag for other files, and refuses files in the place of the packages", async () => {
    const { layout, context } = await setUp();
    const environment = await buildEnvironment(await planEnvironment({ name: "x" }, context), layout, context);
    const build = (path: string, text: string) =>
      buildAppImage({ environment, files: [{ path, bytes: Buffer.from(text) }], config, layout });
    expect((await build("a.mjs", "1")).tag).not.toBe((await build("a.mjs", "2")).tag);
    expect((await failureOf(build("node_modules/x/index.js", ""))).code).toBe("RESERVED_PATH");
  });
});
