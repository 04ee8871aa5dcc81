/** The platform's side of `builder: "remote"`: real npm, a real worker, and requests as no command of ours would send them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { BuildRequest, ResolveRequest } from "../../src/contract/types.ts";
import { readCopied } from "../../src/image/copied-files.ts";
import { buildEnvironment, type EnvironmentSpec, planEnvironment } from "../../src/image/environment-image.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { digestOf } from "../../src/oci/model.ts";
import { requirementParts } from "../../src/packages/requirements.ts";
import { contextIn, failureOf, folder, npmEnv, run } from "../image/support.ts";
import { startPlatform, type TestPlatform } from "../support/in-process.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { resolveImage } from "../support/resolve-image.ts";

let registry: TestRegistry;
let test: TestPlatform;
/** A package that lies on the platform's machine, and that is nobody else's business. */
let hidden: string;
/** Where git would ask for a repository. */
let gitServer: TestRegistry;
beforeAll(async () => {
  gitServer = await startRegistry([]);
  hidden = await folder();
  writeFileSync(join(hidden, "package.json"), JSON.stringify({ name: "hidden", version: "1.0.0" }));
  registry = await startRegistry([
    { name: "leaf", version: "1.0.0" },
    { name: "leaf", version: "2.0.0" },
    { name: "tree", version: "1.0.0", manifest: { dependencies: { leaf: "^1.0.0" }, bin: { tree: "cli.js" } } },
    { name: "scripted", version: "1.0.0", manifest: { scripts: { postinstall: "echo ran > ran" } } },
    { name: "elsewhere", version: "1.0.0", manifest: { os: ["plan9"] } },
    { name: "gitty", version: "1.0.0", manifest: { dependencies: { own: `git+${gitServer.url}own.git` } } },
    { name: "sneaky", version: "1.0.0", manifest: { dependencies: { hidden: `file:${hidden}` } } },
  ]);
});
afterAll(async () => {
  await registry?.close();
  await gitServer?.close();
});
beforeEach(async () => {
  test = await platformWith(registry);
});
afterEach(() => test?.close());

function platformWith({ url }: TestRegistry, more: NodeJS.ProcessEnv = {}): Promise<TestPlatform> {
  return startPlatform({ env: { npm_config_registry: url, npm_config_fetch_retries: "0", ...more } });
}

const asked = (more: Partial<BuildRequest> = {}): BuildRequest => ({
  name: "x-image",
  packages: [],
  env: {},
  copy: [],
  ...more,
});
const build = (request: BuildRequest, signal?: AbortSignal) => test.client.buildImage(request, () => undefined, signal);
const resolve = (request: ResolveRequest) => test.client.resolvePackages(request, () => undefined);

/** The same image, as this machine makes it. */
async function local(spec: EnvironmentSpec) {
  const dir = await folder();
  const context = contextIn(dir, npmEnv(dir, { npm_config_registry: registry.url }));
  const plan = await planEnvironment(spec, context);
  const layout = new OciLayout(join(dir, "layout"));
  return { ...(await buildEnvironment(plan, layout, context)), plan, progress: context.progress };
}

/** A project whose lock file npm has written. */
async function project(manifest: Record<string, unknown>): Promise<{ dir: string; file: string }> {
  const dir = await folder();
  writeFileSync(join(dir, "package.json"), JSON.stringify(manifest));
  const env = npmEnv(dir, { npm_config_registry: registry.url });
  await run("npm", ["install", "--package-lock-only", "--ignore-scripts"], { cwd: dir, env });
  return { dir, file: join(dir, "package-lock.json") };
}

async function lockOf(file: string): Promise<NonNullable<ResolveRequest["requirements"]>> {
  const { lock, project } = await requirementParts({ file, written: file.split("/").at(-1) ?? "" });
  return { file: file.split("/").at(-1) ?? "", text: lock, project: project as Record<string, never> };
}

/** A request with any body. */
function requestTo(path: string, body: unknown): [url: string, init: RequestInit] {
  const key = readFileSync(join(test.dir, "state", "admin.key"), "utf8").trim();
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  const url = `http://127.0.0.1:${test.platform.port}/api/v1/images/${path}`;
  return [url, { method: "POST", headers, body: JSON.stringify(body) }];
}

/** The platform's answer to it, when that is no stream. */
async function post(path: string, body: unknown) {
  const response = await fetch(...requestTo(path, body));
  return { status: response.status, json: (await response.json()) as { code: string; faults?: { path: string }[] } };
}

/** Folders that builds work in. */
function workFolders(): string[] {
  const dir = join(test.dir, "state", "builds", "tmp");
  return existsSync(dir) ? readdirSync(dir) : [];
}

/** Processes that work below the platform's directory. */
function workers(): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(test.dir);
    } catch {
      return false; // it has just ended
    }
  });
}

async function until(look: () => boolean): Promise<void> {
  while (!look()) await new Promise((resolve) => setTimeout(resolve, 15));
}

describe("an image that the platform builds", () => {
  it("has the digest that this machine would have given it, and tells the same progress", async () => {
    const env = { A: "1", B: "two words" };
    const here = await local({ name: "x-image", packages: ["tree@1.0.0"], env, entrypoint: ["node", "x.js"] });
    const steps: unknown[] = [];
    const request = asked({ packages: ["tree@1.0.0"], env, entrypoint: ["node", "x.js"] });
    const built = await test.client.buildImage(request, (step) => steps.push(step));
    expect(built).toMatchObject({ type: "built", reference: here.reference, digest: here.descriptor.digest });
    expect(built.resolved).toEqual(here.plan.lock);
    expect(steps).toEqual(here.progress.map((step) => ({ ...step, by: "platform" })));
    expect(await resolveImage(test.client, here.reference)).toMatchObject({ digest: here.descriptor.digest });
    expect(await build(request)).toMatchObject({ type: "found", digest: here.descriptor.digest });
    expect(await build({ ...request, force: true })).toMatchObject({ type: "built", digest: here.descriptor.digest });
    expect(workFolders()).toEqual([]);
  });

  it("has it by a lock file of npm, too", async () => {
    const { file } = await project({
      dependencies: { tree: "1", leaf: "2.0.0" },
      optionalDependencies: { elsewhere: "1" },
    });
    const here = await local({ name: "x-image", requirements: { file, written: "package-lock.json" } });
    const built = await build(asked({ requirements: await lockOf(file) }));
    expect(built).toMatchObject({ reference: here.reference, digest: here.descriptor.digest });
  });

  it("has it by a lock file of pnpm", async () => {
    const dir = await folder();
    writeFileSync(join(dir, "package.json"), JSON.stringify({ dependencies: { leaf: "^1.0.0" } }));
    const { plan } = await local({ name: "x", packages: ["leaf@1.0.0"] });
    const { integrity } = plan.lock.lock.packages["node_modules/leaf"] ?? {};
    writeFileSync(
      join(dir, "pnpm-lock.yaml"),
      `lockfileVersion: '9.0'
importers:
  .:
    dependencies:
      leaf:
        specifier: ^1.0.0
        version: 1.0.0
packages:
  leaf@1.0.0:
    resolution: {integrity: ${integrity}}
snapshots:
  leaf@1.0.0: {}
`,
    );
    const file = join(dir, "pnpm-lock.yaml");
    const here = await local({ name: "x-image", requirements: { file, written: "pnpm-lock.yaml" } });
    const built = await build(asked({ requirements: await lockOf(file) }));
    expect(built).toMatchObject({ reference: here.reference, digest: here.descriptor.digest });
  });

  it("has the files that it copies, which were uploaded before", async () => {
    const dir = await folder();
    mkdirSync(join(dir, "assets"));
    writeFileSync(join(dir, "assets", "b.txt"), "b");
    writeFileSync(join(dir, "run.sh"), "#!/bin/sh\n");
    const copy = await readCopied([
      { path: "run.sh", absolute: join(dir, "run.sh"), mode: 0o755 },
      { path: "assets/b.txt", absolute: join(dir, "assets", "b.txt"), mode: 0o644 },
    ]);
    const here = await local({ name: "x-image", copy });
    const wanted = copy.map(({ path, digest, size, executable }) => ({ path, digest, size, executable }));
    const refused = await failureOf(build(asked({ copy: wanted })));
    expect(refused).toMatchObject({ code: "CONTENT_MISSING", exit: 2 });
    expect(refused.faults.map(({ message }) => message)).toEqual([
      "the content of assets/b.txt was not uploaded, or has another size",
      "the content of run.sh was not uploaded, or has another size",
    ]);
    for (const { digest, file, size } of copy) await test.client.putBlob(digest, file, size);
    const built = await build(asked({ copy: wanted.toReversed() }));
    expect(built).toMatchObject({ reference: here.reference, digest: here.descriptor.digest });
  });

  it("is made for another platform than the machine's", async () => {
    const musl = { os: "linux", cpu: "arm64", libc: "musl" } as const;
    const dir = await folder();
    const context = contextIn(dir, npmEnv(dir, { npm_config_registry: registry.url }));
    const plan = await planEnvironment({ name: "x-image", packages: ["tree"] }, { ...context, platform: musl });
    const built = await build(asked({ packages: ["tree"], platform: musl }));
    expect(built.reference).toBe(plan.reference);
  });

  it("has the versions that the user's own lock file gives to names, and says where it disagrees", async () => {
    const pins = { file: "package-lock.json", versions: { leaf: "1.0.0" } };
    expect((await resolve({ packages: ["leaf"], pins })).resolved.packages).toEqual([
      { name: "leaf", version: "1.0.0" },
    ]);
    const { warnings } = await resolve({ packages: ["leaf@2.0.0"], pins });
    expect(warnings).toEqual(["the image pins leaf@2.0.0, but package-lock.json has 1.0.0"]);
  });

  it("takes nothing of the projects and settings above the platform's own folder", async () => {
    writeFileSync(join(test.dir, "package.json"), "{}");
    writeFileSync(join(test.dir, "state", ".npmrc"), "registry=http://127.0.0.1:1/\n");
    writeFileSync(
      join(test.dir, "package-lock.json"),
      JSON.stringify({ lockfileVersion: 3, packages: { "node_modules/leaf": { version: "1.0.0" } } }),
    );
    expect((await resolve({ packages: ["leaf"] })).resolved.packages).toEqual([{ name: "leaf", version: "2.0.0" }]);
  });

  it("comes from a registry that only the platform's user may read, and nobody else hears how", async () => {
    const [good, bad] = ["npm_ThisOneOpensTheRegistry0123456789abcd", "npm_ThisOneDoesNotOpenIt000123456789abcd"];
    const closed = await startRegistry([{ name: "private", version: "1.0.0" }], { token: good });
    try {
      await test.close();
      test = await startPlatform({ env: { npm_config_registry: closed.url, npm_config_fetch_retries: "0" } });
      const write = (token: string) =>
        writeFileSync(join(test.dir, ".npmrc"), `//${new URL(closed.url).host}/:_authToken=${token}\n`);
      write(bad);
      const refused = await failureOf(build(asked({ packages: ["private"] })));
      expect([refused.code, refused.exit]).toEqual(["REGISTRY_REFUSED", 7]);
      expect(refused.next).toEqual([
        "npm whoami   # on the platform's machine",
        "npm login   # on the platform's machine",
      ]);
      write(good);
      const lines: unknown[] = [refused, refused.message, refused.details, refused.faults];
      lines.push(await test.client.buildImage(asked({ packages: ["private"] }), (step) => lines.push(step)));
      expect(JSON.stringify(lines)).toContain("node_modules/private");
      for (const token of [good, bad]) expect(JSON.stringify([lines, test.reports])).not.toContain(token);
    } finally {
      await closed.close();
    }
  });

  it("runs no install script", async () => {
    const built = await build(asked({ packages: ["scripted"] }));
    expect(built.warnings).toEqual(['install scripts are not run (builder "remote" runs none): scripted']);
    const plain = await local({ name: "x-image", packages: ["scripted"] });
    expect(built.digest).toBe(plain.descriptor.digest);
  });
});

describe("a request that is faulty", () => {
  it("has every fault in one answer", async () => {
    const { status, json } = await post("builds", {
      name: "Not/A Name",
      packages: ["ok", "x@file:/etc", "git+ssh://h/x.git", 5],
      env: { "A B": "x", OK: "\0" },
      baseImage: "$(id)",
      entrypoint: [],
      copy: [
        { path: "../x", digest: "sha256:1", size: -1, executable: "yes" },
        { path: "/abs", digest: digestOf(""), size: 0, executable: false },
        { path: "node_modules/x", digest: digestOf(""), size: 0, executable: false },
      ],
      platform: { os: "linux; id", cpu: "--x" },
      pins: { file: "p", versions: { x: "file:/etc" } },
      requirements: { file: "/etc/passwd", text: "", project: { scripts: {} } },
      force: "yes",
      allowScripts: true,
    });
    expect([status, json.code]).toEqual([422, "INVALID_INPUT"]);
    const paths = json.faults?.map(({ path }) => path) ?? [];
    expect([...new Set(paths)].sort()).toEqual(
      [
        ...["(body)", "name", "packages[3]", "env.A B", "env.OK", "baseImage", "entrypoint", "force"],
        ...["copy[0].path", "copy[0].digest", "copy[0].size", "copy[0].executable", "copy[1].path", "copy[2].path"],
        ...["platform.os", "platform.cpu", "pins.versions.x", "requirements.file", "requirements.project"],
      ].sort(),
    );
  });

  it("names packages that are no registry's, and paths that cannot be side by side, in one answer", async () => {
    const copied = (path: string) => ({ path, digest: digestOf(""), size: 0, executable: false });
    const { json } = await post("builds", {
      ...asked({ packages: ["ok", "x@file:/etc", "git+ssh://h/x.git", "y@link:../y"] }),
      copy: [copied("a"), copied("a/b"), copied("c"), copied("c")],
    });
    expect(json.faults?.map(({ path }) => path)).toEqual([
      ...["copy[1].path", "copy[3].path"],
      ...["packages[1]", "packages[2]", "packages[3]"],
    ]);
  });

  it("is refused when it is too large, or no JSON", async () => {
    const { status } = await post("resolutions", { packages: [], filler: "x".repeat(33 * 1024 * 1024) });
    expect(status).toBe(413);
  });
});

describe("a lock file that leads elsewhere than to a registry", () => {
  const request = (dependencies: Record<string, string>, packages: Record<string, unknown>, more = {}) => ({
    packages: [],
    requirements: {
      file: "package-lock.json",
      text: JSON.stringify({
        lockfileVersion: 3,
        packages: { "": { dependencies, ...more }, ...packages },
      }),
      project: { dependencies, ...more },
    },
  });

  it("is refused with every fault, and nothing of the machine is read", async () => {
    const dir = hidden;
    const cases: [string, ReturnType<typeof request>][] = [
      ["a link", request({ secret: "1" }, { "node_modules/secret": { resolved: dir, link: true } })],
      ["a file", request({ secret: "1" }, { "node_modules/secret": { version: "1.0.0", resolved: `file:${dir}` } })],
      ["a path", request({ secret: "1" }, { "node_modules/secret": { version: "1.0.0", resolved: dir } })],
      ["a version", request({ secret: "1" }, { "node_modules/secret": { version: `file:${dir}` } })],
      ["git", request({ secret: "1" }, { "node_modules/secret": { version: "1.0.0", resolved: `git+file://${dir}` } })],
      ["git", request({ x: "1" }, { "node_modules/x": { version: "1.0.0", resolved: "https://github.com/u/x.git" } })],
      ["asked", request({ secret: `file:${dir}` }, { "node_modules/secret": { version: "1.0.0" } })],
      [
        "below",
        request({ leaf: "1" }, { "node_modules/leaf": { version: "1.0.0", peerDependencies: { s: `file:${dir}` } } }),
      ],
      [
        "overrides",
        request({ leaf: "1" }, { "node_modules/leaf": { version: "1.0.0" } }, { overrides: { a: { b: dir } } }),
      ],
      ["a name", request({ leaf: "1" }, { "node_modules/leaf": { version: "1.0.0", name: "../x" } })],
      ["a list", request({ leaf: "1" }, { "node_modules/leaf": { version: "1.0.0", hasShrinkwrap: true } })],
    ];
    for (const [what, wanted] of cases) {
      const error = await failureOf(build(asked(wanted)));
      expect([what, error.code, error.exit]).toEqual([what, "INVALID_REQUIREMENTS", 2]);
      expect(error.faults.length, what).toBeGreaterThan(0);
    }
    const both = await failureOf(
      build(
        asked(
          request(
            { a: "1", b: "1" },
            {
              "node_modules/a": { version: "1.0.0", resolved: `git+file://${dir}` },
              "node_modules/b": { version: `file:${dir}` },
            },
          ),
        ),
      ),
    );
    expect(both.faults).toHaveLength(2);
    expect(workFolders()).toEqual([]);
  });

  it("is refused when it is a package of a registry that leads there", async () => {
    const error = await failureOf(build(asked({ packages: ["sneaky"] })));
    expect([error.code, error.exit, error.hint]).toEqual([
      "NPM_FAILED",
      7,
      expect.stringContaining("a git repository, a folder or a file, which appctl does not install"),
    ]);
    expect(await test.client.listImages()).toEqual([]);
  });

  it("is refused when that is a git repository, and git is never started", async () => {
    await test.close();
    test = await platformWith(registry, { NPM_CONFIG_ALLOW_GIT: "all" });
    for (const packages of [["gitty"], ["tree", "gitty"]]) {
      const error = await failureOf(build(asked({ packages })));
      expect([error.code, error.exit]).toEqual(["NPM_FAILED", 7]);
    }
    expect(gitServer.requests).toEqual([]);
  });

  it("has paths that stay inside", async () => {
    const text = `lockfileVersion: '9.0'
importers:
  .:
    dependencies:
      ../../../out:
        specifier: 1.0.0
        version: 1.0.0
packages:
  ../../../out@1.0.0:
    resolution: {integrity: sha512-AAAA}
snapshots:
  ../../../out@1.0.0: {}
`;
    const project = { dependencies: { "../../../out": "1.0.0" } };
    const error = await failureOf(build(asked({ requirements: { file: "pnpm-lock.yaml", text, project } })));
    expect([error.code, error.exit]).toEqual(["INVALID_REQUIREMENTS", 2]);
  });
});

describe("what goes wrong on the platform", () => {
  it("has the words, faults and exit code that it has here, and says whose npm it was", async () => {
    const packages = ["leaf@9", "no-such-package"];
    const here = await failureOf(local({ name: "x-image", packages }));
    const there = await failureOf(resolve({ packages }));
    expect({ ...there, message: there.message }).toMatchObject({ code: here.code, exit: 7, message: here.message });
    expect(there.faults).toEqual(here.faults);
    expect(there.hint).toBe(`${here.hint}; the platform installs with the npm configuration of the user that runs it`);
    expect(workFolders()).toEqual([]);
  });

  it("tells of a lock file that does not fit, as it is told here", async () => {
    const { dir, file } = await project({ dependencies: { leaf: "1" } });
    writeFileSync(join(dir, "package.json"), JSON.stringify({ dependencies: { leaf: "2", tree: "1" } }));
    const here = await failureOf(local({ name: "x", requirements: { file, written: "package-lock.json" } }));
    const there = await failureOf(resolve({ packages: [], requirements: await lockOf(file) }));
    expect(there).toMatchObject({ code: here.code, exit: here.exit, next: here.next, faults: here.faults });
  });
});

describe("a build under way", () => {
  let slow: TestRegistry;
  let held: string[];
  beforeEach(async () => {
    await test.close();
    held = [];
    slow = await startRegistry([], { hold: (path) => held.push(path) });
    test = await platformWith(slow);
  });
  afterEach(() => slow.close());

  it("is given up when its client goes, with npm and its folder", async () => {
    const leave = new AbortController();
    const building = build(asked({ packages: ["leaf"] }), leave.signal).catch((error: unknown) => error);
    await until(() => held.length > 0);
    expect([workers().length > 0, workFolders().length]).toEqual([true, 1]);
    leave.abort(new Error("gone"));
    await building;
    await until(() => workers().length === 0 && workFolders().length === 0);
  });

  it("goes on for another client who asks for the same", async () => {
    const leave = new AbortController();
    const first = build(asked({ packages: ["leaf"] }), leave.signal).catch((error: unknown) => error);
    await until(() => held.length > 0);
    const other = new AbortController();
    const joined = Promise.withResolvers<unknown>();
    const request = asked({ packages: ["leaf"] });
    const second = test.client.buildImage(request, joined.resolve, other.signal).catch((error: unknown) => error);
    await joined.promise;
    leave.abort(new Error("gone"));
    await first;
    expect(workers().length).toBeGreaterThan(0);
    other.abort(new Error("gone"));
    await second;
    await until(() => workers().length === 0);
  });

  it("is never silent for long: what stands between would take it for dead", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"], shouldAdvanceTime: true });
    onTestFinished(() => void vi.useRealTimers());
    const response = await fetch(...requestTo("resolutions", { packages: ["leaf"] }));
    const lines = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    const first = (await lines.read()).value;
    expect(first).toBe('{"type":"progress","step":"resolve","message":"resolving 1 package","total":1}\n');
    const second = lines.read();
    await vi.advanceTimersByTimeAsync(10_000);
    expect((await second).value).toBe("\n");
    await lines.cancel();
    await until(() => workers().length === 0);
  });

  it("is told to have failed when its process is killed, and the next one clears up", async () => {
    const failure = failureOf(build(asked({ packages: ["leaf"] })));
    await until(() => held.length > 0);
    const [left] = workFolders();
    process.kill(Number(left?.split("-")[0]), "SIGKILL");
    expect(await failure).toMatchObject({
      code: "BUILD_INTERRUPTED",
      exit: 6,
      message: expect.stringContaining("SIGKILL"),
    });
    // npm ends with the registry that it waits for.
    await slow.close();
    await until(() => workers().length === 0);
    await failureOf(build(asked({ packages: ["tree"] })));
    expect(workFolders()).toEqual([]);
  });

  it("ends with a platform that stops, and whoever waits is told", async () => {
    const failure = failureOf(build(asked({ packages: ["leaf"] })));
    await until(() => held.length > 0);
    const { dir } = test;
    await test.platform.close();
    expect(await failure).toMatchObject({ code: "BUILD_INTERRUPTED", exit: 6 });
    expect(workers()).toEqual([]);
    expect(readdirSync(join(dir, "state", "builds", "tmp"))).toEqual([]);
    test = await startPlatform({ dir });
  });
});
