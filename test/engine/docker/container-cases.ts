/**
 * What a replica is held to that is a container, beyond the contract of every engine: who it is, what it may use, where it may
 * write, what nobody reads in the engine, images that cannot be run, and what is left of it. The same cases run on Docker and on Podman;
 * where Podman differs, the case says how, and asserts that.
 */
import { existsSync, readdirSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { EngineApi } from "../../../src/core/engine-api.ts";
import { Redacted } from "../../../src/core/redacted.ts";
import type { Condition, Engine, PinnedSecret, RunnableRevision } from "../../../src/engine/engine.ts";
import { secretFilesRoot } from "../../../src/engine/local/process/secret-values.ts";
import { OciLayout } from "../../../src/image/layout.ts";
import type { DockerGround } from "../contract/subjects/docker.ts";
import { builtPrograms, startDoomed } from "../contract/subjects/process.ts";
import { call, collect, ref, revisionOf, temporaryDirectory, until } from "../helpers.ts";
import { createDockerEngine, type DockerEngineOptions, dockerOptions } from "./docker-engine.ts";
import { writeProgramImage } from "./images.ts";

type Details = Parameters<typeof revisionOf>[2];

interface FoundContainer {
  Id: string;
  Image: string;
  ImageID: string;
  Labels: Record<string, string>;
}

/** Runs the cases on the engine of a ground. `networks`: it has a bridge, so that projects have networks. */
export function holdContainers(
  engineName: "docker" | "podman",
  { networks }: { networks: boolean },
  groundOf: () => DockerGround,
): void {
  const isPodman = engineName === "podman";

  describe(`a container of ${engineName}`, () => {
    let ground: DockerGround;
    let layout: OciLayout;
    let api: EngineApi;
    let options: DockerEngineOptions;
    let engine: Engine;
    const messages: string[] = [];
    const secrets = new Map<string, Buffer>();

    beforeAll(async () => {
      ground = groundOf();
      layout = new OciLayout(ground.layoutDir);
      api = await EngineApi.connect((ground.env["DOCKER_HOST"] ?? "").replace("unix://", ""));
    });
    afterAll(() => api?.close());

    async function open(changes: Partial<DockerEngineOptions> = {}): Promise<void> {
      messages.length = 0;
      options = {
        ...dockerOptions(temporaryDirectory(), ground.layoutDir, ground.env),
        readSecret: async (id) => new Redacted(secrets.get(id) ?? Buffer.alloc(0)),
        log: (message) => messages.push(message),
        ...changes,
      };
      engine = await createDockerEngine(options);
      onTestFinished(() => engine.close());
    }
    /** A program of one file that serves on `$PORT`. Its answer is `body`, an expression, or the code of its error. */
    async function program(body: string, details: Details = {}): Promise<RunnableRevision> {
      const text = `import { createServer } from "node:http"; import fs from "node:fs"; import { spawn, execFileSync } from "node:child_process";
        const attempt = (run) => { try { return run() ?? "done"; } catch (error) { return error.code ?? error.message; } };
        createServer(async (req, res) => { try { res.end(String(await (${body}))); } catch (error) { res.end(error.code); } })
          .listen(process.env.PORT, process.env.HOST);`;
      const digest = await writeProgramImage(layout, ground.base, { "main.mjs": text });
      return revisionOf("web-00001", digest, {
        ...details,
        spec: { kind: "args", args: ["node", "main.mjs"], ...details?.spec },
      });
    }
    async function deploy(revision: RunnableRevision): Promise<Condition | undefined> {
      await engine.apply({ ref, revisions: [revision], traffic: revision.name });
      return (await collect(engine.observe(ref, revision.name, new AbortController().signal))).at(-1);
    }
    /** Opens an engine, serves the program, and gives its answer. */
    async function answerOf(body: string, details: Details = {}): Promise<string> {
      await open();
      expect(await deploy(await program(body, details))).toMatchObject({ ready: "True" });
      return ask();
    }
    const ask = async (path = "/") => (await call(engine.lease(ref), path)).body;
    const restarted = () =>
      until(() => (engine.replicas(ref)[0]?.restarts ?? 0) > 0 && engine.replicas(ref)[0]?.state === "Ready");
    const pin = (id: string, envVar: string, mount: PinnedSecret["mount"]): PinnedSecret => ({
      ...{ key: "k", version: 1, id, envVar, mount },
    });

    const containers = () => api.json<FoundContainer[]>("GET", "/containers/json", { query: { all: "1" } });
    /** The container of the app's one replica. */
    async function container(): Promise<FoundContainer> {
      const name = engine.replicas(ref)[0]?.name;
      const found = (await containers()).find(({ Labels }) => Labels["appctl.replica"] === name);
      if (!found) throw new Error(`no container of ${name}`);
      return found;
    }
    async function inspected(): Promise<{ container: { HostConfig: object }; image: object }> {
      const { Id, ImageID } = await container();
      return {
        container: await api.json("GET", `/containers/${Id}/json`),
        image: await api.json("GET", `/images/${ImageID}/json`),
      };
    }
    /** What the engine says when it is asked for the container's output. */
    const keptOutput = (id: string) =>
      new Promise<string>((resolve, reject) => {
        const path = `/v1.41/containers/${id}/logs?stdout=1&stderr=1`;
        request({ socketPath: api.socketPath, path, headers: { host: "engine" } }, (answer) => {
          let text = "";
          answer.setEncoding("utf8").on("data", (part) => (text += part));
          answer.on("end", () => resolve(text)).on("error", reject);
        })
          .on("error", reject)
          .end();
      });
    const tagsOf = async (platform: string) =>
      (await api.json<{ RepoTags: string[] | null }[]>("GET", "/images/json"))
        .flatMap(({ RepoTags }) => RepoTags ?? [])
        .filter((tag) => tag.includes(platform));
    const networksOf = async (platform: string) =>
      (await api.json<{ Name: string }[]>("GET", "/networks")).filter(({ Name }) => Name.startsWith(`${platform}-`));

    describe("is confined:", () => {
      it("it is nobody, in no other group", async () => {
        const status = await answerOf('fs.readFileSync("/proc/self/status", "utf8")');
        expect(status).toMatch(/^Uid:\t65532\t65532\t65532\t65532$/m);
        expect(status).toMatch(/^Gid:\t65532\t65532\t65532\t65532$/m);
        expect(status).toMatch(/^Groups:\s*(?:65532)?\s*$/m);
      });

      it("it has no capabilities, and none can be had", async () => {
        const status = await answerOf('fs.readFileSync("/proc/self/status", "utf8")');
        for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"])
          expect(status).toMatch(new RegExp(`^Cap${set}:\\t0+$`, "m"));
      });

      it("it can get no new privileges", async () => {
        expect(await answerOf('fs.readFileSync("/proc/self/status", "utf8")')).toMatch(/^NoNewPrivs:\t1$/m);
      });

      it("a filter of system calls is on, and what only root does is refused", async () => {
        const body =
          '/^Seccomp:\\t(\\d)$/m.exec(fs.readFileSync("/proc/self/status", "utf8"))[1] + attempt(() => process.setuid(0)) + attempt(() => fs.chownSync("/tmp", 0, 0))';
        expect(await answerOf(body)).toBe("2EPERMEPERM");
      });

      it("it sees its own processes alone", async () => {
        const pids = (await answerOf('fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name))')).split(",");
        expect(pids.length).toBeLessThan(4);
      });

      it("its root is read only, the app's files, too", async () => {
        const body = '["/x", "/app/x", "/etc/passwd"].map((path) => attempt(() => fs.writeFileSync(path, "x")))';
        expect(await answerOf(body)).toBe("EROFS,EROFS,EROFS");
      });

      it("it writes to /tmp up to its limit", async () => {
        const body = `attempt(() => fs.writeFileSync("/tmp/x", Buffer.alloc(3e6))) + " " + fs.statfsSync("/tmp").blocks * fs.statfsSync("/tmp").bsize`;
        expect(await answerOf(body, { spec: { limits: { ephemeralStorage: "2Mi" } } })).toBe("ENOSPC 2097152");
      });

      it("/tmp is memory of 256Mi when its App says nothing, and nothing in it can be run", async () => {
        const body = `fs.statfsSync("/tmp").type.toString(16) + " " + fs.statfsSync("/tmp").blocks * fs.statfsSync("/tmp").bsize + " "
          + attempt(() => { fs.writeFileSync("/tmp/run", "#!/bin/sh\\n", { mode: 0o755 }); execFileSync("/tmp/run"); })`;
        expect(await answerOf(body)).toBe(`1021994 ${256 * 1024 ** 2} EACCES`);
      });

      it("what it wrote is gone when it is started again", async () => {
        const body = `({ "/exit": () => process.exit(3), "/write": () => fs.writeFileSync("/tmp/kept", "x"),
          "/there": () => fs.existsSync("/tmp/kept") })[req.url]?.()`;
        await answerOf(body);
        await ask("/write");
        expect(await ask("/there")).toBe("true");
        await expect(ask("/exit")).rejects.toThrow();
        await restarted();
        expect(await ask("/there")).toBe("false");
      });

      it("it finds no socket of the engine, and no other container's secrets", async () => {
        secrets.set("value", Buffer.from("confidential"));
        const body =
          '["/var/run/docker.sock", "/run/podman", "/dev/shm"].map((path) => attempt(() => fs.statSync(path).isDirectory() ? fs.readdirSync(path).length : "there"))';
        expect(await answerOf(body, { secrets: [pin("value", "VALUE", "env")] })).toBe("ENOENT,ENOENT,0");
      });
    });

    describe("has limits:", () => {
      /** A file of its control group, of version 1 or 2. */
      const cgroup = (v1: string, v2: string) =>
        `(fs.existsSync("/sys/fs/cgroup/cgroup.controllers") ? fs.readFileSync("/sys/fs/cgroup/${v2}", "utf8") : fs.readFileSync("/sys/fs/cgroup/${v1}", "utf8")).trim()`;

      it("memory, which it knows", async () => {
        const details = { spec: { limits: { mem: "256Mi" } } };
        expect(await answerOf("process.constrainedMemory()", details)).toBe(String(256 * 1024 ** 2));
      });

      it("CPU", async () => {
        const body = `${cgroup("cpu/cpu.cfs_quota_us", "cpu.max")} + " " + ${cgroup("cpu/cpu.cfs_period_us", "cpu.max")}`;
        const [quota, period] = (await answerOf(body, { spec: { limits: { cpu: "500m" } } })).split(" ").map(Number);
        expect((quota ?? 0) / (period ?? 0)).toBe(0.5);
      });

      it("processes", async () => {
        expect(await answerOf(cgroup("pids/pids.max", "pids.max"))).toBe("1024");
      });

      it("a program that starts processes without end gets an error, and goes on", async () => {
        const body = `new Promise((resolve) => { const children = []; const more = () => {
            const child = spawn("/bin/sleep", ["1000"], { stdio: "ignore" });
            child.once("error", (error) => { for (const { pid } of children) process.kill(pid, "SIGKILL"); resolve(error.code); });
            child.once("spawn", () => { children.push(child); more(); }); }; more(); })`;
        expect(await answerOf(body)).toBe("EAGAIN");
        expect(engine.replicas(ref)).toMatchObject([{ restarts: 0, state: "Ready" }]);
      });

      it("shared memory, as much as its App says", async () => {
        const body = 'fs.statfsSync("/dev/shm").blocks * fs.statfsSync("/dev/shm").bsize';
        expect(await answerOf(body, { spec: { sharedMemory: "16Mi" } })).toBe(String(16 * 1024 ** 2));
      });

      it("what it writes to /tmp counts to its memory", async () => {
        const body =
          'req.url === "/fill" ? fs.writeFileSync("/tmp/x", Buffer.alloc(16 * 1024 ** 2)) || Array.from({ length: 20 }, (_, at) => fs.copyFileSync("/tmp/x", "/tmp/x" + at)) : "up"';
        expect(await answerOf(body, { spec: { limits: { mem: "200Mi", ephemeralStorage: "1Gi" } } })).toBe("up");
        await expect(ask("/fill")).rejects.toThrow();
        await restarted();
        expect(engine.replicas(ref)).toMatchObject([
          { lastExit: "out of memory: it used more than its limit of 200Mi" },
        ]);
      });

      it(
        isPodman
          ? "a kill by somebody else counts as too much memory where there is a limit, since Podman can lose its note of the cause"
          : "a kill by somebody else is no end for too much memory",
        async () => {
          expect(await answerOf('"up"', { spec: { limits: { mem: "200Mi" } } })).toBe("up");
          const { Id } = await container();
          await api.json("POST", `/containers/${Id}/kill`, { query: { signal: "SIGKILL" } });
          await restarted();
          const words = isPodman ? "out of memory: it used more than its limit of 200Mi" : "it was killed by SIGKILL";
          expect(engine.replicas(ref)).toMatchObject([{ lastExit: words }]);
        },
      );
    });

    describe("ends:", () => {
      it("at SIGTERM, without a handler for it; not where the engine has no init program, as Podman may have none", async () => {
        await open();
        expect(await deploy(await program("(globalThis.life ??= Math.random())"))).toMatchObject({ ready: "True" });
        const before = await ask();
        const withoutInit = messages.some((message) => message.includes("no init program"));
        if (!isPodman) expect(withoutInit).toBe(false);
        await api.json("POST", `/containers/${(await container()).Id}/kill`, { query: { signal: "SIGTERM" } });
        if (withoutInit) {
          expect(await ask()).toBe(before);
          expect(engine.replicas(ref)).toMatchObject([{ restarts: 0, state: "Ready" }]);
          // Its grace period ends it all the same.
          await engine.apply({ ref, revisions: [], traffic: null });
          await until(() => engine.replicas(ref).length === 0);
        } else {
          await restarted();
          expect(engine.replicas(ref)).toMatchObject([{ lastExit: "it exited with code 143" }]);
          expect(await ask()).not.toBe(before);
        }
      });
    });

    describe("keeps secrets:", () => {
      it("it has its values and files, which nobody reads in the engine, and the files where no disk is", async () => {
        secrets.set("value", Buffer.from("confidential-value")).set("file", Buffer.from("confidential-file"));
        const body = 'process.env.VALUE + fs.readFileSync(process.env.FILE) + fs.readFileSync("/proc/mounts")';
        const pins = [pin("value", "VALUE", "env"), pin("file", "FILE", "file")];
        const answer = await answerOf(body, { secrets: pins });
        expect(answer).toContain("confidential-valueconfidential-file");
        expect(answer).toMatch(/^tmpfs \/run\/appctl tmpfs ro\b/m);
        const found = JSON.stringify(await inspected());
        expect(found).toContain("/run/appctl");
        expect(found).not.toContain("confidential");
        expect(Buffer.from(found).includes(Buffer.from("confidential-value").toString("base64"))).toBe(false);
      });

      it("it cannot change them", async () => {
        secrets.set("file", Buffer.from("confidential"));
        const body =
          'attempt(() => fs.writeFileSync(process.env.FILE, "x")) + attempt(() => fs.unlinkSync(process.env.FILE))';
        expect(await answerOf(body, { secrets: [pin("file", "FILE", "file")] })).toBe("EROFSEROFS");
      });

      it("a shell has to carry them to a command, too", async () => {
        secrets.set("value", Buffer.from('it\'s "a" $HOME'));
        const answer = await answerOf("process.env.VALUE", {
          spec: { kind: "command", command: "echo started | cat >&2; exec node main.mjs" },
          secrets: [pin("value", "VALUE", "env")],
        });
        expect(answer).toBe('it\'s "a" $HOME');
      });

      it("the engine keeps nothing of what it prints", async () => {
        expect(await answerOf('console.log("printed-words") ?? "up"')).toBe("up");
        for await (const { line } of engine.logs(ref, { follow: true, signal: new AbortController().signal })) {
          if (line === "printed-words") break;
        }
        expect(await keptOutput((await container()).Id)).not.toContain("printed-words");
      });
    });
    describe("is made from an image:", () => {
      const nodeSpec = { kind: "args" as const, args: ["node", "main.mjs"] };

      it("one without a base is refused, with where to name one", async () => {
        await open();
        const digest = await writeProgramImage(layout, undefined, { "main.mjs": "" });
        expect(await deploy(revisionOf("web-00001", digest, { spec: nodeSpec }))).toMatchObject({
          ready: "False",
          cause: { code: "NO_BASE_IMAGE", hint: expect.stringContaining("baseImage") },
        });
      });

      it("one whose layers are not those of its configuration is not taken", async () => {
        await open();
        const wrong = { ...ground.base, diffId: `sha256:${"1".repeat(64)}` };
        const digest = await writeProgramImage(layout, wrong, { "main.mjs": "" });
        expect(await deploy(revisionOf("web-00001", digest, { spec: nodeSpec }))).toMatchObject({
          cause: { code: "IMAGE_NOT_LOADED", message: expect.stringContaining(digest) },
        });
      });

      it("one that is not in the platform's store fails the revision, with its digest", async () => {
        await open();
        const digest = `sha256:${"0".repeat(64)}`;
        expect(await deploy(revisionOf("web-00001", digest, { spec: nodeSpec }))).toMatchObject({
          cause: { code: "IMAGE_UNREADABLE", message: expect.stringContaining(digest) },
        });
      });

      it("one that somebody removed from the engine is loaded again for the next start", async () => {
        expect(await answerOf('"up"')).toBe("up");
        const { Id, Image } = await container();
        await api.json("DELETE", `/images/${Image}`, { query: { force: "1" } });
        await api.json("POST", `/containers/${Id}/kill`, { query: { signal: "SIGKILL" } });
        await restarted();
        expect(await ask()).toBe("up");
      });

      it("a program that is not in it is named", async () => {
        await open();
        expect(await deploy(await program("1", { spec: { args: ["nothing", "-x"] } }))).toMatchObject({
          cause: { code: "NO_SUCH_PROGRAM", message: 'the program "nothing" was not found' },
        });
      });

      it("a file of it that cannot be run is named", async () => {
        await open();
        expect(await deploy(await program("1", { spec: { args: ["/app/main.mjs"] } }))).toMatchObject({
          cause: {
            code: "NO_SUCH_PROGRAM",
            message: expect.stringMatching(/^the program "\/app\/main\.mjs" cannot be executed/),
          },
        });
      });

      it("a program that listens on another port than its own is told so", async () => {
        await open({ otherPortMs: 500 });
        const digest = await writeProgramImage(layout, ground.base, {
          "main.mjs": 'import { createServer } from "node:http"; createServer().listen(0, "127.0.0.1");',
        });
        expect(await deploy(revisionOf("web-00001", digest, { spec: nodeSpec }))).toMatchObject({
          cause: { code: "OTHER_PORT" },
        });
      });
    });

    describe("leaves nothing:", () => {
      it("not in the engine and not on the machine when its app is deleted", async () => {
        secrets.set("value", Buffer.from("confidential"));
        expect(await answerOf("process.env.VALUE", { secrets: [pin("value", "VALUE", "env")] })).toBe("confidential");
        const platform = (await container()).Labels["appctl.platform"] ?? "";
        const secretDir = secretFilesRoot(platform, options.runtimeDir);
        expect(readdirSync(secretDir)).toHaveLength(1);
        expect(await tagsOf(platform)).toHaveLength(1);
        await engine.delete(ref);
        expect(await containers()).toEqual([]);
        expect(await tagsOf(platform)).toEqual([]);
        expect(readdirSync(secretDir)).toEqual([]);
        await engine.close();
        expect(await networksOf(platform)).toEqual([]);
        expect(existsSync(secretDir)).toBe(false);
      });

      it("what a killed platform left is gone when the next one has started", async () => {
        const base = temporaryDirectory();
        const first = await program("process.env.VALUE", { secrets: [pin("value", "VALUE", "env")] });
        const built = await builtPrograms();
        const wanted = { ref, revisions: [first], traffic: first.name };
        const argument = { base, layout: ground.layoutDir, env: ground.env, wanted };
        const doomed = await startDoomed(join(built, "doomed-docker-main.mjs"), argument);
        const [left] = await containers();
        const platform = left?.Labels["appctl.platform"] ?? "";
        const secretDir = secretFilesRoot(platform, join(base, "run"));
        await doomed.kill();
        expect(await containers()).toHaveLength(1);
        expect(await networksOf(platform)).toHaveLength(networks ? 1 : 0);
        expect(readdirSync(secretDir)).toHaveLength(1);
        messages.length = 0;
        engine = await createDockerEngine({
          ...dockerOptions(base, ground.layoutDir, ground.env),
          log: (message) => messages.push(message),
        });
        onTestFinished(() => engine.close());
        expect(messages).toEqual(["ended 1 replica(s) that an earlier platform left running"]);
        expect(await containers()).toEqual([]);
        expect(await networksOf(platform)).toEqual([]);
        expect(existsSync(secretDir)).toBe(false);
      });

      it("another platform on the same engine keeps what is its own", async () => {
        expect(await answerOf('"first"')).toBe("first");
        const [first, platform] = [engine, (await container()).Labels["appctl.platform"] ?? ""];
        expect(await answerOf('"second"')).toBe("second");
        await engine.delete(ref);
        await engine.close();
        engine = first;
        expect(await ask()).toBe("first");
        expect(await tagsOf(platform)).toHaveLength(1);
        expect(await networksOf(platform)).toHaveLength(networks ? 1 : 0);
      });
    });
  });
}
