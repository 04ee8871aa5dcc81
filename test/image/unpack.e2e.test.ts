import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildEnvironment, planEnvironment, writeImage } from "../../src/image/environment-image.ts";
import { LAYER_ROLE } from "../../src/image/layer.ts";
import { unpackApp, unpackAppLayer, unpackPackages } from "../../src/image/unpack.ts";
import { gzip } from "../../src/oci/archive/gzip.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { digestOf, hexOf, type ImageConfig, type Manifest, MediaType } from "../../src/oci/model.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { buildAppImage } from "./build-app-image.ts";
import { contextIn, failureOf, folder, npmEnv, run } from "./support.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry([
    { name: "leaf", version: "1.0.0" },
    {
      name: "tree",
      version: "1.0.0",
      manifest: { dependencies: { leaf: "1" } },
      files: { "index.js": 'module.exports = "tree of leaf " + require("leaf");' },
    },
  ]);
});
afterAll(() => registry.close());

async function image(files: Record<string, string>, packages: string[] = ["tree"]) {
  const dir = await folder();
  const layout = new OciLayout(join(dir, "layout"));
  const context = contextIn(dir, npmEnv(dir, { npm_config_registry: registry.url }));
  const environment = await buildEnvironment(await planEnvironment({ name: "i", packages }, context), layout, context);
  const build = (named: Record<string, string>) =>
    buildAppImage({
      environment,
      files: Object.entries(named).map(([path, text]) => ({
        path,
        bytes: Buffer.from(text),
        executable: text.startsWith("#!"),
      })),
      config: { entrypoint: ["node", "serve.mjs"] },
      layout,
    });
  return { dir, layout, build, app: await build(files), content: join(dir, "content") };
}

const program = {
  "serve.mjs": 'await import("./app.mjs");',
  "app.mjs": 'import tree from "tree"; console.log(tree);',
  "bin/run": "#!/bin/sh\n",
};

/** An image whose app layer is the file `tarFile`, compressed by us. */
async function imageOf(layout: OciLayout, archive: Buffer, diffId = digestOf(archive)) {
  async function* once() {
    yield archive;
  }
  const blob = await layout.writeBlobStream(gzip(once(), 1));
  const config = {
    created: "1970-01-01T00:00:00Z",
    architecture: "amd64",
    os: "linux",
    config: { Env: [], WorkingDir: "/app" },
    rootfs: { type: "layers" as const, diff_ids: [diffId] },
    history: [],
  };
  const layer = { mediaType: MediaType.layer, ...blob, annotations: { [LAYER_ROLE]: "app" } };
  return (await writeImage(layout, config, [layer])).descriptor.digest;
}

describe("unpackApp", () => {
  it("makes a folder that runs as it is, with packages shared between apps", async () => {
    const { layout, build, app, content } = await image(program);
    const first = await unpackApp(layout, app.digest, content);
    const second = await unpackApp(layout, (await build({ ...program, "extra.txt": "x" })).digest, content);
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    for (const { dir } of [first, second]) {
      expect((await run(process.execPath, ["serve.mjs"], { cwd: dir, env })).stdout).toBe("tree of leaf 1.0.0\n");
    }
    expect(first.dir).not.toBe(second.dir);
    expect(first.packagesDir).toBe(second.packagesDir);
    expect((await readdir(join(content, "layers"))).filter((name) => name !== ".tmp")).toHaveLength(1);
    expect(await readdir(join(content, ".tmp"))).toEqual([]);
    expect(await readdir(join(content, "layers", ".tmp"))).toEqual([]);
    expect(await readlink(join(first.dir, "node_modules"))).toMatch(
      /^\.\.\/\.\.\/layers\/[0-9a-f]{64}\/app\/node_modules$/,
    );
    expect(first.config.config.Entrypoint).toEqual(["node", "serve.mjs"]);
  });

  it("can be read by another user, whatever the umask is", async ({ skip }) => {
    const { layout, app, content, dir } = await image(program);
    const script = `
      process.umask(0o077);
      const { OciLayout } = await import(${JSON.stringify(moduleUrl("oci/layout.ts"))});
      const { unpackApp } = await import(${JSON.stringify(moduleUrl("image/unpack.ts"))});
      await unpackApp(new OciLayout(${JSON.stringify(layout.dir)}), ${JSON.stringify(app.digest)}, ${JSON.stringify(content)});`;
    expect((await once(node(script), "exit"))[0]).toBe(0);
    const home = join(content, app.digest.slice(7));
    const mode = async (path: string) => ((await lstat(path)).mode & 0o777).toString(8);
    expect(
      await Promise.all(
        [
          content,
          join(content, "layers"),
          home,
          join(home, "app"),
          join(home, "app/bin/run"),
          join(home, "app/app.mjs"),
        ].map(mode),
      ),
    ).toEqual(["711", "711", "755", "755", "755", "644"]);
    if (process.getuid?.() !== 0) return skip("only root can try it as another user");
    await chmod(dir, 0o755);
    const { stdout } = await run("setpriv", [
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      "cat",
      join(home, "app/app.mjs"),
      join(home, "app/node_modules/leaf/package.json"),
    ]);
    expect(stdout).toContain('"leaf"');
  });

  it("does without node_modules when there are no packages", async () => {
    const { layout, app, content } = await image({ "serve.mjs": "" }, []);
    const { dir, packagesDir } = await unpackApp(layout, app.digest, content);
    expect(await readdir(dir)).toEqual(["serve.mjs"]);
    expect(packagesDir).toBeUndefined();
  });

  it("shares the packages with what unpacks them alone", async () => {
    const { layout, app, content } = await image(program);
    const manifest = await layout.readJson<Manifest>(app.digest);
    const config = await layout.readJson<ImageConfig>(manifest.config.digest);
    const packages = await unpackPackages(layout, { manifest, config }, content);
    expect(await readdir(content)).not.toContain(app.digest.slice(7));
    expect((await unpackApp(layout, app.digest, content)).packagesDir).toBe(packages);
    expect(await readdir(packages ?? "")).toEqual(["leaf", "tree"]);
    const none = { manifest: { ...manifest, layers: [] }, config };
    expect(await unpackPackages(layout, none, content)).toBeUndefined();
  });

  it("unpacks the app layer alone, and says where each of its files belongs", async () => {
    const { layout, app, content } = await image({ "serve.mjs": "", "public/a/b.txt": "b", "run.sh": "#!/bin/sh" });
    const unpacked = await unpackAppLayer(layout, app.digest, content);
    const { files, outline } = unpacked;
    expect(files.map(({ target }) => target).sort()).toEqual(["/app/public/a/b.txt", "/app/run.sh", "/app/serve.mjs"]);
    const empty = { type: "file", content: new Uint8Array() };
    expect(outline.sort((a, b) => (a.path < b.path ? -1 : 1))).toEqual([
      { type: "directory", path: "app" },
      { type: "directory", path: "app/public" },
      { type: "directory", path: "app/public/a" },
      { ...empty, path: "app/public/a/b.txt", executable: false },
      { ...empty, path: "app/run.sh", executable: true },
      { ...empty, path: "app/serve.mjs", executable: false },
    ]);
    const b = files.find(({ target }) => target.endsWith("b.txt"))?.source ?? "";
    expect(b).toBe(join(content, hexOf(app.layers.at(-1)?.digest ?? ""), "app/public/a/b.txt"));
    expect(await readFile(b, "utf8")).toBe("b");
    expect((await unpackAppLayer(layout, app.digest, content)).files).toEqual(files);
  });

  it("leaves an app layer of many files alone, and nothing of it behind", async () => {
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`public/${at}.txt`, `${at}`]));
    const { layout, app, content } = await image({ "serve.mjs": "", ...many });
    expect(await failureOf(unpackAppLayer(layout, app.digest, content))).toMatchObject({
      code: "UNSUPPORTED_IMAGE",
      message: expect.stringContaining("more than 256 entries"),
    });
    expect(await readdir(content)).toEqual([".tmp"]);
    expect(await readdir(join(content, ".tmp"))).toEqual([]);
    expect((await readdir(join((await unpackApp(layout, app.digest, content)).dir, "public"))).length).toBe(300);
  });

  it("may be done by several at once", async () => {
    const { layout, app, content } = await image(program);
    const results = await Promise.all(Array.from({ length: 6 }, () => unpackApp(layout, app.digest, content)));
    expect(new Set(results.map(({ dir }) => dir)).size).toBe(1);
    expect((await readdir(content)).sort()).toEqual([".tmp", app.digest.slice(7), "layers"].sort());
    expect(await readdir(join(content, ".tmp"))).toEqual([]);
  });

  it("takes nothing for whole that a killed process left, and removes it when it is a day old", async () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f/${i}`, `${i}`]));
    const { layout, app, content } = await image({ ...program, ...many });
    const script = `
      const { OciLayout } = await import(${JSON.stringify(moduleUrl("oci/layout.ts"))});
      const { unpackApp } = await import(${JSON.stringify(moduleUrl("image/unpack.ts"))});
      const { watch, mkdirSync } = await import("node:fs");
      mkdirSync(${JSON.stringify(join(content, ".tmp"))}, { recursive: true });
      // The first thing that appears in there is the folder that is being filled.
      setImmediate(function look() {
        const { readdirSync, existsSync } = process.getBuiltinModule("node:fs");
        const dir = ${JSON.stringify(join(content, ".tmp"))};
        if (readdirSync(dir).some((name) => existsSync(dir + "/" + name + "/app/f/100"))) process.kill(process.pid, "SIGKILL");
        setImmediate(look);
      });
      await unpackApp(new OciLayout(${JSON.stringify(layout.dir)}), ${JSON.stringify(app.digest)}, ${JSON.stringify(content)});`;
    expect((await once(node(script), "exit"))[1]).toBe("SIGKILL");
    await expect(stat(join(content, app.digest.slice(7)))).rejects.toThrow("ENOENT");
    const [left] = await readdir(join(content, ".tmp"));
    const { dir } = await unpackApp(layout, app.digest, content);
    expect(await readdir(join(dir, "f"))).toHaveLength(1000);
    await utimes(join(content, ".tmp", left ?? ""), new Date(0), new Date(0));
    await rm(join(content, app.digest.slice(7)), { recursive: true });
    await unpackApp(layout, app.digest, content);
    expect(await readdir(join(content, ".tmp"))).toEqual([]);
  });

  it("notices a damaged layer, whichever way it is damaged, and leaves nothing", async () => {
    const { layout, app, content } = await image(program, []);
    const file = layout.blobPath(app.layers[0]?.digest ?? "");
    const good = await readFile(file);
    const flipped = Buffer.from(good);
    flipped[20] = (flipped[20] ?? 0) ^ 0xff;
    for (const bad of [
      flipped,
      good.subarray(0, -20),
      Buffer.concat([good, good]),
      Buffer.from("no gzip"),
      Buffer.alloc(0),
    ]) {
      await writeFile(file, bad);
      const error = await failureOf(unpackApp(layout, app.digest, content));
      expect(error.code).toBe("BLOB_DAMAGED");
      expect(error.message).toContain(app.layers[0]?.digest);
    }
    // The damaged one was taken aside.
    expect((await failureOf(unpackApp(layout, app.digest, content))).code).toBe("BLOB_NOT_FOUND");
    expect(await readdir(content)).toEqual([".tmp"]);
    expect(await readdir(join(content, ".tmp"))).toEqual([]);
  });

  it("refuses an image that is not one of appctl's", async () => {
    const { layout, dir } = await image({}, []);
    const archive = await archiveOf(dir, async (root) => writeFile(join(root, "app/x"), ""));
    const wrong = await imageOf(layout, archive, digestOf("something else"));
    const error = await failureOf(unpackApp(layout, wrong, join(dir, "c")));
    expect(error.code).toBe("UNSUPPORTED_IMAGE");
    expect(await readdir(join(dir, "c"))).toEqual([".tmp"]);
  });
});

describe("an archive from elsewhere", () => {
  const make: Record<string, [(root: string) => Promise<unknown>, tarOptions?: string[]]> = {
    "a path that leads out": [(root) => writeFile(join(root, "app/x"), ""), ["-P", "--transform=s,app/x,../../x,"]],
    "an absolute path": [(root) => writeFile(join(root, "app/x"), ""), ["-P", "--transform=s,app/x,/tmp/x,"]],
    "an absolute link": [(root) => symlink("/etc", join(root, "app/l"))],
    "a link that leads out": [(root) => symlink("../../x", join(root, "app/l"))],
    "a link that goes up after it went down": [(root) => symlink("a/../../x", join(root, "app/l"))],
    "a file below a link": [
      async (root) => {
        await symlink("b", join(root, "app/a"));
        await writeFile(join(root, "app/x"), "");
      },
      ["--transform=s,app/x,app/a/x,"],
    ],
    "a path twice": [
      async (root) => {
        await writeFile(join(root, "app/x"), "");
        await writeFile(join(root, "app/y"), "");
      },
      ["--transform=s,app/y,app/x,"],
    ],
    "a hard link": [
      async (root) => {
        await writeFile(join(root, "app/x"), "");
        await run("ln", [join(root, "app/x"), join(root, "app/y")]);
      },
    ],
    "a pipe": [(root) => run("mkfifo", [join(root, "app/p")])],
    "a whiteout": [(root) => writeFile(join(root, "app/.wh.x"), "")],
  };

  it.each(Object.entries(make))(
    "is refused for %s, and nothing is written outside",
    async (_, [fill, options = []]) => {
      const { layout, dir } = await image({}, []);
      const manifest = await imageOf(layout, await archiveOf(dir, fill, options));
      const error = await failureOf(unpackApp(layout, manifest, join(dir, "c")));
      expect(error.code).toBe("UNSUPPORTED_IMAGE");
      expect(error.message).toMatch(/the archive has/);
      expect(await readdir(join(dir, "c"))).toEqual([".tmp"]);
      expect(await readdir(join(dir, "c", ".tmp"))).toEqual([]);
    },
  );

  it("is taken for links that stay inside", async () => {
    const { layout, dir } = await image({}, []);
    const archive = await archiveOf(dir, async (root) => {
      await mkdir(join(root, "app/d"));
      await symlink("../x", join(root, "app/d/l"));
      await writeFile(join(root, "app/x"), "through the link");
    });
    const unpacked = await unpackApp(layout, await imageOf(layout, archive), join(dir, "c"));
    expect(await readFile(join(unpacked.dir, "d/l"), "utf8")).toBe("through the link");
  });
});

/** What the system's tar makes of a folder with `app` in it. */
async function archiveOf(
  dir: string,
  fill: (root: string) => Promise<unknown>,
  options: string[] = [],
): Promise<Buffer> {
  const root = join(dir, "root");
  await mkdir(join(root, "app"), { recursive: true });
  await fill(root);
  const args = ["--format=ustar", "--sort=name", "-cf", "-", ...options, "app"];
  return (await run("tar", args, { cwd: root, encoding: "buffer" })).stdout;
}

function moduleUrl(name: string): string {
  return pathToFileURL(join(import.meta.dirname, "../../src", name)).href;
}

function node(script: string) {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  return spawn(process.execPath, ["--input-type=module", "-e", script], {
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
}
