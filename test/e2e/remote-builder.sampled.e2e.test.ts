/** `builder: "remote"` as a user has it: the platform resolves packages and builds, and the command has no npm at all. */
import { existsSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readPlatformFile } from "../../src/core/platform-file.ts";
import type { BillOfMaterials } from "../../src/image/bill-of-materials.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import type { Manifest } from "../../src/oci/model.ts";
import { run } from "../image/support.ts";
import { expectWholeImages } from "../kill/invariants.ts";
import { isRunning, until } from "../kill/world.ts";
import { describeLong, isLong, itLong } from "../support/amount.ts";
import { register } from "../support/canary.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../support/docker-registry.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { get, type Running, World } from "./harness.ts";

interface Built {
  reference: string;
  digest: string;
  layers: { digest: string; role?: string }[];
  referrers: { digest: string }[];
}

let world: World;
let npm: TestRegistry;
/** Answers nothing from some point on: a build stands still at it. */
let silent: TestRegistry;
let isSilent: (path: string) => boolean = () => true;
let asked: string[] = [];
beforeAll(async () => {
  world = await World.create();
  npm = await startRegistry([
    { name: "greeting", version: "1.0.0" },
    { name: "greeting", version: "2.0.0" },
    { name: "late", version: "1.0.0" },
  ]);
  silent = await startRegistry([{ name: "late", version: "1.0.0" }], {
    hold: (path) => isSilent(path) && asked.push(path),
  });
  registryIs(npm);
  await world.ok(["platform", "start"]);
});
afterAll(async () => {
  await world?.close();
  await silent?.close();
  await npm?.close();
});
beforeEach(() => {
  asked = [];
  registryIs(npm);
});

/** What npm finds as the platform's user. */
function registryIs({ url }: TestRegistry): void {
  writeFileSync(join(world.home, ".npmrc"), `registry=${url}\nfetch-retries=0\ncache=${join(world.home, "npm")}\n`);
}

/** A folder with an app that says `text`, with the package beside it for the file to be loaded. */
function app(text: string, options = `packages: ["greeting@1.0.0"]`, files: Record<string, string> = {}): string {
  return world.folder(text, {
    "node_modules/greeting/package.json": JSON.stringify({ name: "greeting", version: "1.0.0", main: "index.js" }),
    "node_modules/greeting/index.js": `module.exports = "of this machine";`,
    "app.ts": `import { App, ImageSpec } from "appctl";
      import { existsSync, readFileSync } from "node:fs";
      import greeting from "greeting";
      const extra = () => existsSync("extra.txt") ? " " + readFileSync("extra.txt", "utf8") : "";
      export default new App({ name: "web", requiresAuth: false,
        containerImage: new ImageSpec({ builder: "remote", ${options} }),
        frameworkApp: { fetch: () => new Response("${text} " + greeting + extra()) } });`,
    ...files,
  });
}

/** A PATH with Node and no npm. */
function withoutNpm(): string {
  const dir = join(world.home, "node-alone");
  mkdirSync(dir, { recursive: true });
  if (!existsSync(join(dir, "node"))) symlinkSync(process.execPath, join(dir, "node"));
  return dir;
}

const deploy = ["deploy", "apps", "app.ts", "web"];
const options = (cwd: string, env: Record<string, string> = {}) => ({ cwd, env: { PATH: withoutNpm(), ...env } });
const otherMachine = (name: string) => ({ XDG_CACHE_HOME: join(world.home, name) });

/** Processes of builds: those that work in the platform's folders for them. */
function builders(): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(join(world.state, "builds"));
    } catch {
      return false; // it has just ended
    }
  });
}

function workFolders(): string[] {
  const dir = join(world.state, "builds", "tmp");
  return existsSync(dir) ? readdirSync(dir) : [];
}

describe("an image that the platform builds", () => {
  it("is built there, with its progress here, found by the next deploy, and what was deployed serves", async () => {
    const first = await world.run(deploy, options(app("first")));
    expect([first.code, first.stderr]).toEqual([0, expect.stringContaining("resolving 1 package on the platform\n")]);
    expect(first.stdout).toMatch(/^Image localhost:\d+\/web-image:[\w-]{22} not found\. Building…$/m);
    expect(first.stderr).toContain("installing 1 package on the platform\npacking the packages on the platform\n");
    expect(first.stderr).toMatch(/^Image localhost:\d+\/web-image:[\w-]{22} built\.$/m);
    const { endpoint } = await world.json<{ endpoint: string }>(deploy, options(app("first")));
    expect((await get(`${endpoint}/`)).body).toBe("first 1.0.0");

    const changed = await world.run(deploy, options(app("second"), otherMachine("other")));
    expect(changed.stdout).toMatch(/^Image localhost:\d+\/web-image:[\w-]{22} found\. Skip building\.$/m);
    expect(changed.stderr).not.toContain("installing");
    expect((await get(`${endpoint}/`)).body).toBe("second 1.0.0");
  });

  itLong("tells the same events as a local build, and that it is the platform's work", async () => {
    const cwd = app("events", `packages: ["greeting@1.0.0"], force: true`);
    const { stdout, code } = await world.run([...deploy, "-o", "ndjson"], options(cwd));
    expect(code).toBe(0);
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.filter(({ type }) => type === "image").map(({ state }) => state)).toEqual(["forced", "built"]);
    const steps = events.filter(({ type, step }) => type === "build" && step !== "upload");
    expect(steps[0]).toMatchObject({ step: "resolve", message: "resolving 1 package", total: 1, by: "platform" });
    expect(steps.every(({ by }) => by === "platform")).toBe(true);
  });

  it("is the very image that a local build makes, and has its bill of materials", async () => {
    const cwd = app("same", `packages: ["greeting@2.0.0"], env: { A: "1" }, copy: ["extra.txt"]`, {
      "extra.txt": "extra",
    });
    const here = { npm_config_registry: npm.url };
    const remote = await world.json<Built>(["build", "app.ts"], options(cwd, otherMachine("built-there")));
    const text = await run("sed", ["-i", 's/builder: "remote", //', join(cwd, "app.ts")]);
    expect(text.stderr).toBe("");
    const local = await world.json<Built>(["build", "app.ts"], {
      cwd,
      env: { ...here, ...otherMachine("built-here") },
    });
    expect(remote.layers.map(({ role }) => role)).toEqual(["packages", "copy", "app"]);
    expect(remote.layers.slice(0, 2)).toEqual(local.layers.slice(0, 2));
    const tag = ({ reference }: Built) => reference.slice(0, "web-image:".length + 22);
    expect(tag(remote)).toBe(tag(local));
    expectWholeImages(join(world.home, "built-there", "appctl", "images"));
    const bill = async ({ referrers: [about] }: Built, cache: string) => {
      const layout = new OciLayout(join(world.home, cache, "appctl", "images"));
      const { layers } = await layout.readJson<Manifest>(about?.digest ?? "");
      return layout.readJson<BillOfMaterials>(layers[0]?.digest ?? "");
    };
    expect(await bill(remote, "built-there")).toEqual(await bill(local, "built-here"));
    expect((await bill(remote, "built-there")).components.map(({ purl }) => purl)).toContain("pkg:npm/greeting@2.0.0");
  });

  itLong("has the packages of a lock file, and the files that are copied", async () => {
    const cwd = app("locked", `requirements: "package-lock.json", copy: ["extra.txt"]`, {
      "package.json": JSON.stringify({ dependencies: { greeting: "1" }, scripts: { postinstall: "exit 1" } }),
      "extra.txt": "and more",
    });
    const env = { ...process.env, npm_config_registry: npm.url };
    await run("npm", ["install", "--package-lock-only", "--ignore-scripts"], { cwd, env });
    const { endpoint } = await world.json<{ endpoint: string }>(deploy, options(cwd));
    expect((await get(`${endpoint}/`)).body).toBe("locked 1.0.0 and more");
  });

  itLong("is made once for two who want it at the same time", async () => {
    const cwd = app("twice", `packages: ["greeting@1.0.0"], env: { TWICE: "yes" }`);
    const build = (name: string) => world.json<Built>(["build", "app.ts"], options(cwd, otherMachine(name)));
    const [one, two] = await Promise.all([build("one"), build("two")]);
    expect(one.digest).toBe(two.digest);
    expect(workFolders()).toEqual([]);
  });

  it("has no package that does not exist, in the words of a local build", async () => {
    const cwd = app("wrong", `packages: ["greeting@1.0.0", "no-such-package", "greeting-2@1"]`);
    const { code, stdout, stderr } = await world.run([...deploy, "-o", "json"], options(cwd));
    expect([code, stderr]).toEqual([7, expect.any(String)]);
    const { error } = JSON.parse(stdout);
    expect(error.code).toBe("PACKAGE_NOT_FOUND");
    expect(error.faults.map(({ message }: { message: string }) => message)).toEqual([
      "the npm package greeting-2 does not exist, or may not be read",
      "the npm package no-such-package does not exist, or may not be read",
    ]);
  });

  itLong(
    "says that a project's .npmrc does not hold when that names a registry, and keeps what is in it here",
    async () => {
      const token = register("the token of a project's .npmrc", "npm_0123456789abcdefghijklmnopqrstuvwxyzAB");
      const { host } = new URL(npm.url);
      const settings = [
        "registry=http://127.0.0.1:1/",
        `//${host}/:_authToken=npm_0123456789abcdefghijklmnopqrstuvwxyzAB`,
      ];
      const cwd = app("npmrc", `packages: ["greeting@1.0.0"], force: true`, { ".npmrc": settings.join("\n") });
      world.allow(join(cwd, ".npmrc"), token);
      const { code, stderr } = await world.run(deploy, options(cwd));
      expect([code, stderr]).toEqual([0, expect.stringContaining('builder "remote" does not look into .npmrc')]);
      expect(npm.requests.length).toBeGreaterThan(0);
      expect(npm.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
    },
  );

  it("is refused with install scripts, before anything is asked", async () => {
    for (const args of [deploy, ["build", "app.ts"]]) {
      const { code, stderr } = await world.run([...args, "--allow-scripts"], options(app("scripts")));
      expect([code, stderr]).toEqual([2, expect.stringContaining("the platform runs no install scripts")]);
    }
  });
});

describe("a build that is cut off", () => {
  /** A deploy whose packages do not come: what is known of them, or their archives. */
  async function hanging(text: string, at: "resolving" | "installing", env = {}): Promise<Running> {
    isSilent = at === "resolving" ? () => true : (path) => path.endsWith(".tgz");
    registryIs(silent);
    const cwd = app(text, `packages: ["late@1"], env: { TEXT: "${text}" }, force: true`);
    const running = world.start(deploy, options(cwd, env));
    await until(() => asked.length > 0);
    expect([builders().length > 0, workFolders().length]).toEqual([true, 1]);
    return running;
  }

  itLong.each(["resolving", "installing"] as const)(
    "by a command that is killed leaves no npm and no folder, when it is %s",
    async (at) => {
      const running = await hanging("killed", at);
      running.process.kill("SIGKILL");
      await until(() => builders().length === 0 && workFolders().length === 0);
      registryIs(npm);
      expect(await world.ok(deploy, { cwd: join(world.home, "killed"), env: { PATH: withoutNpm() } })).toContain(
        "Started",
      );
    },
  );

  it("by Ctrl-C ends, too", async () => {
    const running = await hanging("interrupted", "installing");
    running.process.kill("SIGINT");
    expect((await running.result).code).toBe(130);
    await until(() => builders().length === 0 && workFolders().length === 0);
  });

  itLong(
    "by a platform that is killed leaves nothing, and goes on with the platform that takes its place",
    async () => {
      const running = await hanging("orphaned", "installing", { PATH: world.env["PATH"] });
      const { pid = 0 } = readPlatformFile(world.state) ?? {};
      const [left = ""] = workFolders();
      // What was left in earlier days, when a machine lost its power: no process of this number has ended.
      mkdirSync(join(world.state, "builds", "tmp", "1-left"));
      registryIs(npm);
      process.kill(pid, "SIGKILL");
      const { code, stdout, stderr } = await running.result;
      expect(code, stderr).toBe(0);
      expect(readPlatformFile(world.state)?.pid).not.toBe(pid);
      expect(stdout).toContain("Started: Service is ready");
      expect(isRunning(pid)).toBe(false);
      // The process that built has ended npm, and itself, though nobody told it to.
      await until(() => builders().length === 0 && !isRunning(Number(left.split("-")[0])));
      expect(workFolders()).toEqual([]);
      expectWholeImages(join(world.state, "images"));
    },
  );
});

describeLong.skipIf(isLong && !hasDockerRegistry())("an image that the platform builds for a registry", () => {
  let registry: DockerRegistry;
  beforeAll(async () => {
    registry = await startDockerRegistry({ dir: world.folder("registry") });
  });
  afterAll(() => registry?.close());

  const set = (cwd: string, more = {}) => options(cwd, { APPCTL_BASE_IMAGE: "scratch", ...more });

  it("is fetched from the platform, pushed, and found there by the next", async () => {
    const cwd = app("pushed", `packages: ["greeting@1.0.0"], registry: "${registry.host}/team"`);
    const first = await world.json<{ image: string; digest: string; endpoint: string }>(
      deploy,
      set(cwd, otherMachine("pusher")),
    );
    const { stdout } = await run("skopeo", ["inspect", "--tls-verify=false", `docker://${first.image}`]);
    expect(JSON.parse(stdout).Digest).toBe(first.digest);
    expect((await get(`${first.endpoint}/`)).body).toBe("pushed 1.0.0");
    const again = await world.ok(deploy, set(cwd, otherMachine("somebody-else")));
    expect(again).toMatch(new RegExp(`^Image ${registry.host}/team/web-image:[\\w-]{22} found. Skip building.$`, "m"));
  });

  it("is built for every platform that it is for", async () => {
    const platforms = `platform: ["linux/amd64", "linux/arm64"]`;
    const cwd = app("many", `packages: ["greeting@1.0.0"], ${platforms}`);
    const args = ["build", "app.ts", "--registry", registry.host, "--push"];
    const { platforms: pushed } = await world.json<{ platforms: { platform: string }[] }>(
      args,
      set(cwd, otherMachine("many-cache")),
    );
    expect(pushed.map(({ platform }) => platform)).toEqual(["linux/amd64", "linux/arm64"]);
  });
});

it("appctl build says what to type when the platform that it names has no key", async () => {
  const { code, stderr } = await world.run(["build", "app.ts"], {
    ...options(app("keyless"), { APPCTL_ENDPOINT: "http://far.example:7654" }),
  });
  expect([code, stderr]).toEqual([3, expect.stringContaining("APPCTL_API_KEY")]);
});
