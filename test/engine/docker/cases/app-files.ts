/** How the files of the app layer come into a container: mounted one by one, on what the engine has of the image below them. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { Redacted } from "../../../../src/core/redacted.ts";
import type { RunnableRevision } from "../../../../src/engine/engine.ts";
import { writeImage } from "../../../../src/image/environment-image.ts";
import { writeLayer } from "../../../../src/image/layer.ts";
import type { TarEntry } from "../../../../src/oci/archive/tar.ts";
import { EPOCH } from "../../../../src/oci/model.ts";
import { hostTarget, ociTarget } from "../../../../src/packages/npm-target.ts";
import { call, ref, revisionOf } from "../../helpers.ts";
import type { ContainerCases } from "../container-cases.ts";
import type { ContainerGround } from "../container-ground.ts";

const SERVER = `import { createServer } from "node:http"; import fs from "node:fs"; import { execFileSync } from "node:child_process";
  const attempt = (run) => { try { return String(run()); } catch (error) { return error.code; } };
  createServer((req, res) => res.end(attempt(() => eval(decodeURIComponent(req.url.slice(1)))))).listen(process.env.PORT, process.env.HOST);`;

/** A revision that answers with what an expression of the path gives. `entries` stand in its app layer besides, `below` in one under it. */
async function evaluator(
  on: ContainerGround,
  entries: TarEntry[],
  below: TarEntry[] = [],
  name = "web-00001",
): Promise<RunnableRevision> {
  const server = { type: "file" as const, path: "app/main.mjs", content: Buffer.from(SERVER) };
  const app = await writeLayer(on.layout, [server, ...entries], { role: "app", level: 1 });
  const packages = below.length > 0 ? [await writeLayer(on.layout, below, { role: "packages", level: 1 })] : [];
  const layers = [on.ground.base, ...packages, app];
  const { descriptor } = await writeImage(
    on.layout,
    {
      created: EPOCH,
      ...ociTarget(hostTarget()),
      config: { Env: [], WorkingDir: "/app" },
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map(() => ({ created: EPOCH, created_by: "test" })),
    },
    layers.map((layer) => layer.descriptor),
  );
  return revisionOf(name, descriptor.digest, { spec: { kind: "args", args: ["node", "main.mjs"] } });
}

const file = (path: string, content: string, executable = false): TarEntry => ({
  type: "file",
  path,
  content: Buffer.from(content),
  executable,
});

async function evaluated(on: ContainerGround, expression: string): Promise<string> {
  return (await call(on.engine.lease(ref), `/${encodeURIComponent(expression)}`)).body;
}

/** What the engine knows the replica's image by, and how many files were mounted. */
async function madeFrom(on: ContainerGround): Promise<{ image: string; files: number }> {
  const { container } = (await on.inspected()) as {
    container: { Config: { Image: string }; Mounts: { Destination: string; RW: boolean }[] };
  };
  expect(container.Mounts.filter(({ RW, Destination }) => RW && !Destination.startsWith("/tmp"))).toEqual([]);
  const files = container.Mounts.filter(
    ({ Destination }) => !Destination.startsWith("/run/appctl") && Destination !== "/tmp",
  );
  return { image: container.Config.Image.replace(/^.*:/, ""), files: files.length };
}

/** What the runtime has logged of an engine that has not this machine's files. */
function toldOf(on: ContainerGround): string {
  return on.messages.filter((message) => message.includes("no files of this machine")).join("\n");
}

export const appFiles: ContainerCases = {
  async "one by one, each as the image has it, on what two revisions share below"(on) {
    await on.open();
    const entries = [file("app/data/deep/text", "one"), file("app/run.sh", "#!/bin/sh\necho ran\n", true)];
    const below = [file("app/node_modules/x/index.js", "module.exports = 'package';"), file("app/data/low", "low")];
    expect(await on.deploy(await evaluator(on, entries, below))).toMatchObject({ ready: "True" });
    expect(toldOf(on)).toBe("");
    const { image, files } = await madeFrom(on);
    expect(image).toMatch(/^outline-[0-9a-f]{32}$/);
    expect(files).toBe(3);
    expect(await evaluated(on, "fs.readFileSync('data/deep/text')")).toBe("one");
    expect(await evaluated(on, "fs.readFileSync('data/low')")).toBe("low");
    expect(await evaluated(on, "process.getBuiltinModule('module').createRequire('/app/')('x')")).toBe("package");
    expect(
      await evaluated(
        on,
        "[fs.statSync('run.sh'), fs.statSync('data/deep/text')].map(s => (s.mode & 0o7777).toString(8))",
      ),
    ).toBe("755,644");
    expect(await evaluated(on, "fs.readdirSync('/app').sort()")).toBe("data,main.mjs,node_modules,run.sh");
    expect(await evaluated(on, "fs.writeFileSync('data/deep/text', 'two')")).toMatch(/^(?:EROFS|EACCES)$/);
    expect(await evaluated(on, "fs.unlinkSync('data/deep/text')")).toMatch(/^(?:EROFS|EACCES|EBUSY)$/);
    const other = [file("app/data/deep/text", "two"), file("app/run.sh", "#!/bin/sh\n", true)];
    expect(await on.deploy(await evaluator(on, other, below, "web-00002"))).toMatchObject({ ready: "True" });
    expect(await madeFrom(on)).toEqual({ image, files: 3 });
    expect(await evaluated(on, "fs.readFileSync('data/deep/text')")).toBe("two");
    expect(await on.tagsOf(await on.platform())).toHaveLength(1);
  },

  async "over what is below, as a layer does: files of the base, links, folders that are none any more"(on) {
    await on.open();
    const below: TarEntry[] = [
      { type: "symlink", path: "app/data", target: "/other" },
      file("other", "low"),
      file("app/folder/inside", "low"),
      { type: "symlink", path: "app/place", target: "/somewhere" },
      file("somewhere/low", "low"),
    ];
    const entries: TarEntry[] = [
      file("etc/passwd", "nobody"),
      file("app/data", "own"),
      file("app/folder", "own"),
      { type: "directory", path: "app/place" },
      file("app/place/own", "own"),
      { type: "symlink", path: "app/link", target: "data" },
      { type: "directory", path: "app/nothing" },
    ];
    expect(await on.deploy(await evaluator(on, entries, below))).toMatchObject({ ready: "True" });
    expect(await madeFrom(on)).toMatchObject({ files: 5 });
    expect(await evaluated(on, "fs.readFileSync('/etc/passwd')")).toBe("nobody");
    expect(await evaluated(on, "['data', '/other', 'folder', 'link', 'place/own'].map(f => fs.readFileSync(f))")).toBe(
      "own,low,own,own,own",
    );
    expect(await evaluated(on, "[fs.readdirSync('place'), fs.readdirSync('nothing'), fs.readlinkSync('link')]")).toBe(
      "own,,data",
    );
  },

  async "with the whole image when files do not say all of the layer, or are many"(on) {
    await on.open();
    const many = Array.from({ length: 64 }, (_, at) => file(`app/many/${at}`, `${at}`));
    const layers: Record<string, TarEntry[]> = {
      "of an unknown kind": [file("app/.wh.gone", "")],
      "many files": many,
    };
    for (const [name, entries] of Object.entries(layers)) {
      const revision = await evaluator(on, entries, [], `web-${name.length}`);
      expect(await on.deploy(revision), name).toMatchObject({ ready: "True" });
      expect(await madeFrom(on), name).toEqual({ image: revision.digest.slice(7, 39), files: 0 });
    }
    expect(await evaluated(on, "fs.readFileSync('many/63')")).toBe("63");
  },

  async "with the whole image on an engine that has no files of this machine, which is told once"(on) {
    // A path that only the process has that asks for it.
    const own = `/proc/self/task/${process.pid}/root`;
    await on.open({
      async outline(digest) {
        const image = await on.options.outline?.(digest);
        return image && { ...image, files: image.files.map((each) => ({ ...each, source: `${own}${each.source}` })) };
      },
    });
    for (const name of ["web-00001", "web-00002"]) {
      const revision = await evaluator(on, [file("app/name", name)], [], name);
      expect(await on.deploy(revision)).toMatchObject({ ready: "True" });
      expect(await evaluated(on, "fs.readFileSync('name')")).toBe(name);
      expect(await madeFrom(on)).toEqual({ image: revision.digest.slice(7, 39), files: 0 });
    }
    // Podman looks at what it is to mount in no order.
    expect(toldOf(on)).toMatch(/^the container engine has .*, so .*\/app\/(main\.mjs|name)\b.*$/);
  },

  async "with the whole image when they vanish in the last moment, of which Podman makes folders"(on) {
    await on.open({
      async readSecret() {
        // The container is created next.
        rmSync(join(on.options.stateDir, "content"), { recursive: true, force: true });
        return new Redacted(Buffer.from("value"));
      },
    });
    const revision = await evaluator(on, []);
    expect(await on.deploy({ ...revision, secrets: [on.pin("value", "VALUE", "env")] })).toMatchObject({
      ready: "True",
    });
    expect(await evaluated(on, "process.env.VALUE")).toBe("value");
    expect(await madeFrom(on)).toEqual({ image: revision.digest.slice(7, 39), files: 0 });
    expect(toldOf(on)).toBe("");
  },

  async "again after somebody has removed them from this machine"(on) {
    await on.open();
    const revision = await evaluator(on, []);
    expect(await on.deploy(revision)).toMatchObject({ ready: "True" });
    rmSync(join(on.options.stateDir, "content"), { recursive: true });
    const { Id } = await on.container();
    await on.api.json("POST", `/containers/${Id}/kill`, { query: { signal: "SIGKILL" } });
    await on.restarted();
    expect(await evaluated(on, "'up'")).toBe("up");
    expect(await madeFrom(on)).toEqual({ image: revision.digest.slice(7, 39), files: 0 });
    expect(toldOf(on)).toBe("");
    // The next one is unpacked again.
    const next = await evaluator(on, [file("app/next", "next")], [], "web-00002");
    expect(await on.deploy(next)).toMatchObject({ ready: "True" });
    expect(await madeFrom(on)).toMatchObject({ image: expect.stringMatching(/^outline-/), files: 2 });
  },
};
