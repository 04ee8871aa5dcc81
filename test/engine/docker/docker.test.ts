/** The runtime `docker` on a real engine: the contract, and what is a container's alone. One engine serves the whole file. */
import { execFile } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { EngineApi } from "../../../src/core/engine-api.ts";
import { Redacted } from "../../../src/core/redacted.ts";
import type { Engine, RunnableRevision } from "../../../src/engine/engine.ts";
import { createDockerRuntime } from "../../../src/engine/local/docker/docker-runtime.ts";
import { secretFilesRoot } from "../../../src/engine/local/process/secret-values.ts";
import { loadableImage } from "../../../src/image/docker-archive.ts";
import { OciLayout } from "../../../src/image/layout.ts";
import { get } from "../../e2e/harness.ts";
import { programSpec, refOf, server, startPlatform } from "../../support/in-process.ts";
import { type DockerGround, dockerSubject } from "../contract/subjects/docker.ts";
import { holdToContract } from "../contract/suite.ts";
import { call, collect, ref, revisionOf, temporaryDirectory } from "../helpers.ts";
import { writeBaseLayer } from "./base-layer.ts";
import { createDockerEngine, type DockerEngineOptions, dockerOptions } from "./docker-engine.ts";
import { type Dockerd, noDockerd, startDockerd } from "./dockerd.ts";
import { writeProgramImage } from "./images.ts";
import { noPodman } from "./podman.ts";

/** The program that serves apps on an engine with networks, bundled. */
async function bridgeMain(): Promise<string> {
  const outfile = join(temporaryDirectory(), "bridge.mjs");
  await build({
    entryPoints: [join(import.meta.dirname, "bridge-main.ts")],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    banner: {
      js: 'import{createRequire as __makeRequire}from"node:module";const require=__makeRequire(import.meta.url);',
    },
  });
  return outfile;
}

const reason = noDockerd();
if (reason !== undefined) console.warn(`SKIPPED the runtime docker: ${reason}`);

describe.skipIf(reason !== undefined)("the runtime docker", () => {
  let dockerd: Dockerd;
  let ground: DockerGround;
  let layout: OciLayout;
  let layoutDir: string;

  beforeAll(async () => {
    layoutDir = mkdtempSync(join(tmpdir(), "ae-images-"));
    dockerd = await startDockerd();
    layout = new OciLayout(layoutDir);
    ground = { env: dockerd.env, layoutDir, base: await writeBaseLayer(layout) };
  });
  afterAll(async () => {
    await dockerd?.stop();
    rmSync(layoutDir, { recursive: true, force: true });
  });

  holdToContract(dockerSubject("docker", "framework", () => ground));

  describe("a container", () => {
    let options: DockerEngineOptions;
    let engine: Engine;
    const secrets = new Map<string, Buffer>();

    async function open(changes: Partial<DockerEngineOptions> = {}): Promise<void> {
      options = {
        ...dockerOptions(temporaryDirectory(), layoutDir, dockerd.env),
        readSecret: async (id) => new Redacted(secrets.get(id) ?? Buffer.alloc(0)),
        ...changes,
      };
      engine = await createDockerEngine(options);
      onTestFinished(() => engine.close());
    }
    /** Serves a program of one file on `$PORT`, whose answer is `body`, an expression. */
    async function program(body: string, details: Parameters<typeof revisionOf>[2] = {}): Promise<RunnableRevision> {
      const text = `import { createServer } from "node:http"; import fs from "node:fs";
        createServer((req, res) => { try { res.end(String(${body})); } catch (error) { res.end(error.code); } })
          .listen(process.env.PORT, process.env.HOST);`;
      const digest = await writeProgramImage(layout, ground.base, { "main.mjs": text });
      return revisionOf("web-00001", digest, {
        ...details,
        spec: { kind: "args", args: ["node", "main.mjs"], ...details.spec },
      });
    }
    async function deploy(revision: RunnableRevision) {
      await engine.apply({ ref, revisions: [revision], traffic: revision.name });
      return (await collect(engine.observe(ref, revision.name, new AbortController().signal))).at(-1);
    }
    async function answerOf(body: string, details: Parameters<typeof revisionOf>[2] = {}): Promise<string> {
      await open();
      expect(await deploy(await program(body, details))).toMatchObject({ ready: "True" });
      return (await call(engine.lease(ref))).body;
    }
    async function inspected(): Promise<string> {
      const api = await EngineApi.connect(dockerd.socketPath);
      onTestFinished(() => api.close());
      const containers = await api.json<{ Id: string }[]>("GET", "/containers/json", { query: { all: "1" } });
      expect(containers.length).toBeGreaterThan(0);
      const all = await Promise.all(
        containers.map(async ({ Id }) => [
          await api.json("GET", `/containers/${Id}/json`),
          await api.json(
            "GET",
            `/images/${(await api.json<{ Image: string }>("GET", `/containers/${Id}/json`)).Image}/json`,
          ),
        ]),
      );
      return JSON.stringify(all);
    }

    it("is nobody, has no capabilities and can get no privileges", async () => {
      const status = await answerOf('fs.readFileSync("/proc/self/status", "utf8")');
      expect(status).toMatch(/^Uid:\t65532\t65532\t65532\t65532$/m);
      expect(status).toMatch(/^Gid:\t65532\t65532\t65532\t65532$/m);
      expect(status).toMatch(/^CapEff:\t0+$/m);
      expect(status).toMatch(/^CapBnd:\t0+$/m);
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    });

    it("writes to /tmp up to its limit, and nowhere else", async () => {
      const body = `["/app/x", "/tmp/x"].map((path) => {
        try { fs.writeFileSync(path, Buffer.alloc(path === "/tmp/x" ? 3e6 : 1)); return "written"; }
        catch (error) { return error.code; } }) + " " + fs.statfsSync("/tmp").blocks * fs.statfsSync("/tmp").bsize`;
      expect(await answerOf(body, { spec: { limits: { ephemeralStorage: "2Mi" } } })).toBe("EROFS,ENOSPC 2097152");
    });

    it("has the limits that its App says, and knows them", async () => {
      const details = { spec: { limits: { mem: "256Mi", cpu: "500m" } } };
      expect(await answerOf("process.constrainedMemory()", details)).toBe(String(256 * 1024 ** 2));
      expect(JSON.parse(await inspected())[0][0].HostConfig).toMatchObject({ NanoCpus: 500_000_000, PidsLimit: 1024 });
    });

    it("has its secrets, which nobody reads in docker inspect, and the file where no disk is", async () => {
      secrets.set("value", Buffer.from("confidential-value")).set("file", Buffer.from("confidential-file"));
      const pin = { key: "k", version: 1 };
      const body = 'process.env.VALUE + fs.readFileSync(process.env.FILE) + fs.readFileSync("/proc/mounts")';
      const answer = await answerOf(body, {
        secrets: [
          { ...pin, id: "value", envVar: "VALUE", mount: "env" },
          { ...pin, id: "file", envVar: "FILE", mount: "file" },
        ],
      });
      expect(answer).toContain("confidential-valueconfidential-file");
      expect(answer).toMatch(/^tmpfs \/run\/appctl tmpfs ro\b/m);
      expect(await inspected()).not.toContain("confidential");
    });

    it("gets what a shell has to carry to a command, too", async () => {
      secrets.set("value", Buffer.from('it\'s "a" $HOME'));
      const answer = await answerOf("process.env.VALUE", {
        spec: { kind: "command", command: "echo started | cat >&2; exec node main.mjs" },
        secrets: [{ key: "k", version: 1, id: "value", envVar: "VALUE", mount: "env" }],
      });
      expect(answer).toBe('it\'s "a" $HOME');
    });

    it("leaves nothing of an app in the engine or on the machine when that is deleted", async () => {
      secrets.set("value", Buffer.from("confidential"));
      const pin = { key: "k", version: 1, id: "value", envVar: "VALUE", mount: "env" } as const;
      expect(await answerOf("process.env.VALUE", { secrets: [pin] })).toBe("confidential");
      const api = await EngineApi.connect(dockerd.socketPath);
      onTestFinished(() => api.close());
      const [container] = await api.json<{ Image: string; Labels: Record<string, string> }[]>(
        "GET",
        "/containers/json",
      );
      const platform = container?.Labels["appctl.platform"] ?? "";
      const secretDir = secretFilesRoot(platform, options.runtimeDir);
      expect(readdirSync(secretDir)).toHaveLength(1);
      await engine.delete(ref);
      expect(await api.json("GET", "/containers/json", { query: { all: "1" } })).toEqual([]);
      const images = await api.json<{ RepoTags: string[] | null }[]>("GET", "/images/json");
      expect(images.flatMap(({ RepoTags }) => RepoTags ?? []).filter((tag) => tag.includes(platform))).toEqual([]);
      expect(readdirSync(secretDir)).toEqual([]);
      await engine.close();
      expect(existsSync(secretDir)).toBe(false);
    });

    it("needs an image with a base, and says where to name one", async () => {
      await open();
      const digest = await writeProgramImage(layout, undefined, { "main.mjs": "" });
      expect(
        await deploy(revisionOf("web-00001", digest, { spec: { kind: "args", args: ["node", "main.mjs"] } })),
      ).toMatchObject({
        ready: "False",
        cause: { code: "NO_BASE_IMAGE", hint: expect.stringContaining("baseImage") },
      });
    });

    it("tells that the engine did not take an image whose layers are not those of its configuration", async () => {
      await open();
      const wrong = { ...ground.base, diffId: `sha256:${"1".repeat(64)}` };
      const digest = await writeProgramImage(layout, wrong, { "main.mjs": "" });
      const revision = revisionOf("web-00001", digest, { spec: { kind: "args", args: ["node", "main.mjs"] } });
      expect(await deploy(revision)).toMatchObject({
        cause: { code: "IMAGE_NOT_LOADED", message: expect.stringContaining(digest) },
      });
    });

    it("tells that its program is not in the image", async () => {
      await open();
      const revision = await program("1", { spec: { args: ["nothing", "-x"] } });
      expect(await deploy(revision)).toMatchObject({
        cause: { code: "NO_SUCH_PROGRAM", message: 'the program "nothing" was not found' },
      });
    });

    it("tells which port an app listens on that does not take the one it was given", async () => {
      await open({ otherPortMs: 500 });
      const digest = await writeProgramImage(layout, ground.base, {
        "main.mjs": 'import { createServer } from "node:http"; createServer().listen(0, "127.0.0.1");',
      });
      const revision = revisionOf("web-00001", digest, { spec: { kind: "args", args: ["node", "main.mjs"] } });
      expect(await deploy(revision)).toMatchObject({ cause: { code: "OTHER_PORT" } });
    });
  });

  for (const podman of [false, true]) {
    const without = podman ? noPodman() : undefined;
    if (podman && without !== undefined) console.warn(`SKIPPED the runtime docker on Podman: ${without}`);
    it.skipIf(without !== undefined)(
      `keeps projects apart in networks, where the platform can be reached, with ${podman ? "Podman" : "Docker"}`,
      async () => {
        const argument = JSON.stringify({ ...ground, podman });
        const { stdout } = await promisify(execFile)("unshare", [
          "--net",
          process.execPath,
          await bridgeMain(),
          argument,
        ]);
        const seen = JSON.parse(stdout);
        const platform = /^appctl-[0-9a-f]{10}/.exec(seen.networks[0])?.[0];
        const own = podman ? ["bridge"] : ["bridge", "host", "none"];
        expect(seen).toEqual({
          facts: expect.stringContaining("a network for each project"),
          one: { port: "3000", ip: expect.stringMatching(/^1[07]/) },
          networks: [`${platform}-default`, `${platform}-other`, ...own],
          platform: "the platform",
          // Podman has no way to keep the containers of one network apart.
          neighbour: podman ? expect.stringContaining("3000") : "TimeoutError",
          otherProject: "TimeoutError",
          lastExit: "out of memory: it used more than its limit of 200Mi",
          left: { networks: own, containers: [] },
        });
      },
    );
  }

  it("serves an app through a whole platform, from its image to the proof that it is live", async () => {
    const test = await startPlatform({
      makeEngine: ({ stateDir, images, readSecret }) =>
        createDockerEngine({
          ...dockerOptions(temporaryDirectory(), layoutDir, dockerd.env),
          stateDir,
          image: (digest) => loadableImage(images, digest),
          readSecret,
        }),
    });
    try {
      const { images } = test.platform.services;
      await images.writeBlobStream(createReadStream(layout.blobPath(ground.base.descriptor.digest)));
      const text = server("from a container").replace('"127.0.0.1"', "process.env.HOST");
      const digest = await writeProgramImage(images, ground.base, { "server.mjs": text });
      const image = { reference: "program:1", digest };
      const { id, endpoint } = await test.client.applyApp(refOf("web"), programSpec("web"), image, "1");
      await collect(test.client.follow(refOf("web"), id, 0));
      expect((await test.client.getApp(refOf("web"))).status).toBe("Running");
      const answer = await get(endpoint.replace(/:\d+$/, `:${test.platform.port}`));
      expect([answer.status, answer.body]).toEqual([200, "from a container"]);
      expect(answer.headers["appctl-revision"]).toBe("web-00001");
      expect((await test.client.platform()).runtime).toBe("docker");
    } finally {
      await test.close();
    }
  });

  it("says which sockets were tried when no engine answers", async () => {
    const socket = join(temporaryDirectory(), "none.sock");
    const options = dockerOptions(temporaryDirectory(), layoutDir, { DOCKER_HOST: `unix://${socket}` });
    await expect(createDockerRuntime(options)).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining(`${socket} (ENOENT)`),
    });
  });
});
