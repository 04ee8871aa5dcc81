import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { buildEnvironment, planEnvironment } from "../../../src/image/environment-image.ts";
import { treeEntries } from "../../../src/image/layer.ts";
import { type TarEntry, tar } from "../../../src/oci/archive/tar.ts";
import { OciLayout } from "../../../src/oci/layout.ts";
import { digestOf } from "../../../src/oci/model.ts";
import { installPackages } from "../../../src/packages/install-packages.ts";
import type { ResolvedLock, Unsaid } from "../../../src/packages/lockfiles/package-lock.ts";
import { cachedPackages } from "../../../src/packages/npm-cache/cached-packages.ts";
import { hostTarget } from "../../../src/packages/npm-target.ts";
import { resolvePackages } from "../../../src/packages/resolve-packages.ts";
import { contextIn, failureOf, folder, npmEnv, run } from "../../image/support.ts";
import { startRegistry, type TestPackage, type TestRegistry } from "../../support/npm-registry.ts";
import { type RawEntry, rawTar } from "./raw-tar.ts";

const open: TestRegistry[] = [];
afterAll(async () => {
  for (const registry of open) await registry.close();
});

const host = hostTarget();
const manifestOf = (name: string, more: object = {}) => ({ name, version: "1.0.0", ...more });

/** A package whose tarball is written as given. */
function raw(name: string, entries: RawEntry[], manifest: object = {}): TestPackage {
  const json = JSON.stringify(manifestOf(name, manifest));
  const tarball = gzipSync(rawTar([{ path: "package/package.json", body: json }, ...entries]));
  return { name, version: "1.0.0", manifest: { ...manifest }, tarball };
}

const catalogue: TestPackage[] = [
  { name: "leaf", version: "1.0.0", files: { LICENSE: "free", "lib/deep/er.js": "1" } },
  { name: "leaf", version: "2.0.0" },
  { name: "@corp/tool", version: "1.0.0", manifest: { bin: "./cli.js" }, files: { "cli.js": "#!/usr/bin/env node\n" } },
  raw(
    "bins",
    [
      { path: "package/bin/unix", body: "#!/usr/bin/env node\n1\n" },
      { path: "package/bin/windows", body: "#!/usr/bin/env node\r\n'\u00e4'\r\n" },
      {
        path: "package/bin/latin",
        body: Buffer.concat([Buffer.from("#!/bin/sh\r\n"), Buffer.from([0xe4, 0x0d, 0x0a])]),
      },
      { path: "package/bin/none", body: "no line\r\n" },
      { path: "package/.gitignore", body: "x" },
      { path: "package/run", body: "", mode: 0o755 },
      { path: "package/link", type: "2", target: "bin/unix" },
    ],
    {
      bin: {
        unix: "bin/unix",
        "../evil": "../../bin/windows",
        latin: "/bin/latin",
        none: "./bin//none",
        gone: "not/there.js",
        dir: "bin",
        odd: 7,
      },
      dependencies: { leaf: "^1.0.0", nested: "1" },
    },
  ),
  {
    name: "nested",
    version: "1.0.0",
    manifest: { dependencies: { leaf: "2", "@corp/tool": "*" }, bin: { n: "index.js" } },
  },
  {
    name: "native",
    version: "1.0.0",
    manifest: {
      optionalDependencies: { "@native/here": "1.0.0", "@native/mac": "1.0.0", "@wasm/any": "1.0.0" },
      peerDependencies: { leaf: ">=1" },
    },
  },
  {
    name: "@native/here",
    version: "1.0.0",
    manifest: { os: [host.os], cpu: [host.cpu], engines: { node: ">=18" } },
    files: { "lib.node": "\0binary" },
  },
  { name: "@native/mac", version: "1.0.0", manifest: { os: ["sunos"], cpu: ["s390x"] } },
  { name: "foreign", version: "1.0.0", manifest: { optionalDependencies: { "bin-mac": "1" } } },
  raw("bin-mac", [{ path: "package/a", body: "#!" }], { os: ["sunos"], bin: { solaris: "a" } }),
  { name: "@wasm/any", version: "1.0.0", manifest: { cpu: ["wasm32"], dependencies: { "@wasm/runtime": "1" } } },
  { name: "@wasm/runtime", version: "1.0.0" },
  raw("same", [{ path: "package/a", body: "1", mode: 0o755 }], { bin: { same: "a", other: "a" } }),
  raw("same-too", [{ path: "package/b", body: "2", mode: 0o755 }], { bin: { same: "b", other: "c" } }),
  raw("@same/three", [{ path: "package/c", body: "#!3\r\n", mode: 0o755 }], { bin: { other: "c", same: "c" } }),
  raw("plain", [{ path: "package/a", body: "" }], { bin: { same: "a" } }),
  raw("twice", [
    { path: "package/a", body: "1" },
    { path: "package/a", body: "2" },
  ]),
  raw("climber", [{ path: "package/../../climbed", body: "1" }]),
  { name: "large", version: "1.0.0", files: { "noise.bin": randomBytes(150_000).toString("hex") } },
  { name: "early", version: "1.0.0-rc.2" },
  { name: "early-user", version: "1.0.0", manifest: { dependencies: { early: "^1.0.0-rc.1" } } },
  { name: "early-fan", version: "1.0.0", manifest: { dependencies: { early: "*" } } },
  raw("bomb", [{ path: "package/zeros", body: Buffer.alloc(2_000_000) }]),
];

async function setUp(packages: string[], env: NodeJS.ProcessEnv = {}) {
  const dir = await folder();
  const registry = await startRegistry(catalogue);
  open.push(registry);
  await writeFile(join(dir, "package.json"), "{}");
  const context = {
    ...contextIn(dir, npmEnv(dir, { npm_config_registry: registry.url, ...env })),
    platform: host,
  };
  const { lock } = await resolvePackages({ ...context, packages });
  return { dir, registry, context, lock };
}

type SetUp = Awaited<ReturnType<typeof setUp>>;

/** The archive of what npm installs, which has it all in its cache then. */
async function byNpm(lock: ResolvedLock, context: SetUp["context"]): Promise<Buffer> {
  const tree = await installPackages(lock, context);
  const entries = await treeEntries(
    tree.nodeModules ?? "",
    "app/node_modules",
    (path) => path === ".package-lock.json",
  );
  // What npm leaves of packages that it does not install differs between its versions, and is not in an image.
  const archive = await archiveOf(entries.filter(({ type }) => type !== "directory"));
  await tree.dispose();
  return archive;
}

async function archiveOf(entries: TarEntry[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of tar(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const everything = ["bins", "native", "leaf@1.0.0", "@corp/tool", "same", "same-too", "@same/three"];

describe("packages from npm's cache", () => {
  it("are, byte for byte, what npm installs, without npm, the registry or a file", async () => {
    const { dir, registry, context, lock } = await setUp(everything);
    const expected = await byNpm(lock, context);
    const asked = registry.requests.length;
    await registry.close();
    context.progress.length = 0;
    const cached = await cachedPackages(lock, context);
    if (!("entries" in cached)) throw new Error(cached.why);
    expect(cached.entries.map(({ path }) => path.replace("app/node_modules/", "")).sort()).toEqual([
      ".bin/dir",
      ".bin/evil",
      ".bin/latin",
      ".bin/n",
      ".bin/none",
      ".bin/other",
      ".bin/same",
      ".bin/tool",
      ".bin/unix",
      "@corp/tool/cli.js",
      "@corp/tool/index.js",
      "@corp/tool/package.json",
      "@native/here/index.js",
      "@native/here/lib.node",
      "@native/here/package.json",
      "@same/three/c",
      "@same/three/package.json",
      "bins/.npmignore",
      "bins/bin/latin",
      "bins/bin/none",
      "bins/bin/unix",
      "bins/bin/windows",
      "bins/package.json",
      "bins/run",
      "leaf/LICENSE",
      "leaf/index.js",
      "leaf/lib/deep/er.js",
      "leaf/package.json",
      "native/index.js",
      "native/package.json",
      "nested/index.js",
      "nested/node_modules/leaf/index.js",
      "nested/node_modules/leaf/package.json",
      "nested/package.json",
      "same-too/b",
      "same-too/package.json",
      "same/a",
      "same/package.json",
    ]);
    const archive = await archiveOf(cached.entries);
    expect(archive.equals(expected)).toBe(true);
    await cached.dispose();
    expect(registry.requests.length).toBe(asked);
    expect(await readdir(join(dir, "cache", "tmp"))).toEqual([]);
    const { progress } = context;
    const total = progress[0]?.total ?? 0;
    expect(progress[0]).toEqual({ step: "install", message: `installing ${total} packages`, done: 0, total });
    expect(progress.at(-1)).toMatchObject({ done: total, total });
    expect(progress.every(({ done = 0 }, index) => index === 0 || done >= (progress[index - 1]?.done ?? 0))).toBe(true);
  });

  it("are what npm installs of pre-releases, too", async () => {
    const { context, lock } = await setUp(["early-user", "early-fan"]);
    const expected = await byNpm(lock, context);
    const cached = await cachedPackages(lock, context);
    if (!("entries" in cached)) throw new Error(cached.why);
    expect(cached.entries.map(({ path }) => path)).toContain("app/node_modules/early/package.json");
    expect((await archiveOf(cached.entries)).equals(expected)).toBe(true);
    await cached.dispose();
  });

  it("give the layer that the packages of npm give", async () => {
    const { dir, context } = await setUp(["bins", "native"]);
    const plan = await planEnvironment({ name: "x", packages: ["bins", "native"] }, context);
    const digests = [];
    // The first finds nothing in the cache; the last may not take it from there.
    for (const setting of ["", "", "legacy-bundling=false\n"]) {
      await writeFile(join(dir, ".npmrc"), setting);
      const layout = new OciLayout(join(dir, `layout${digests.length}`));
      const { manifest } = await buildEnvironment(plan, layout, context);
      digests.push(manifest.layers.map(({ digest }) => digest));
      expect(await readdir(join(dir, "cache", "tmp"))).toEqual([]);
    }
    expect(digests).toEqual([digests[0], digests[0], digests[0]]);
    expect(digests[0]).toHaveLength(1);
  });

  it("are the same from files as from memory", async () => {
    const { dir, context, lock } = await setUp(everything);
    const expected = await byNpm(lock, context);
    const cached = await cachedPackages(lock, context, { inMemory: 0 });
    if (!("entries" in cached)) throw new Error(cached.why);
    expect(await readdir(join(dir, "cache", "tmp"))).toHaveLength(1);
    expect((await archiveOf(cached.entries)).equals(expected)).toBe(true);
    await cached.dispose();
    expect(await readdir(join(dir, "cache", "tmp"))).toEqual([]);
  });

  it.each<[what: string, unsaid: Unsaid[], hidden: string[]]>([
    ["commands", ["bins", "scripts"], ["bin"]],
    ["platforms", ["platforms", "scripts"], ["os", "cpu", "libc", "engines"]],
    ["both", ["platforms", "bins", "scripts"], ["bin", "os", "cpu", "libc", "engines"]],
  ])("are the same where the lock file does not speak of %s", async (_, unsaid, hidden) => {
    const { context, lock } = await setUp([...everything, "foreign"]);
    const spoken = await byNpm(lock, context);
    for (const entry of Object.values(lock.lock.packages)) for (const key of hidden) delete entry[key];
    const silent = { ...lock, unsaid };
    const expected = await byNpm(silent, context);
    const cached = await cachedPackages(silent, context);
    if (!("entries" in cached)) throw new Error(cached.why);
    expect((await archiveOf(cached.entries)).equals(expected)).toBe(true);
    expect(expected.length > spoken.length || unsaid[0] === "bins").toBe(true);
    expect(cached.entries.map(({ path }) => path).filter((path) => path.includes("mac"))).toEqual([]);
  });

  it("are found where npm's configuration has its cache", async () => {
    const { dir, context, lock } = await setUp(["leaf"], { npm_config_cache: "" });
    await writeFile(join(dir, ".npmrc"), `cache = $${"{ELSEWHERE}"}/other\n`);
    const elsewhere = { ...context, env: { ...context.env, ELSEWHERE: dir } };
    await byNpm(lock, elsewhere);
    expect(await readdir(join(dir, "other"))).toContain("_cacache");
    expect(await cachedPackages(lock, elsewhere)).toHaveProperty("entries");
  });
});

/** What is said of packages that are left to npm. */
async function whyNot(lock: ResolvedLock, context: SetUp["context"]): Promise<string> {
  const cached = await cachedPackages(lock, context);
  return "why" in cached ? cached.why : "they are taken from the cache";
}

describe("packages are left to npm", () => {
  it("when some are not in its cache, or damaged there", async () => {
    const { dir, context, lock } = await setUp(["leaf", "@corp/tool"]);
    expect(await whyNot(lock, context)).toContain("does not have");
    expect(context.progress.filter(({ step }) => step === "install")).toEqual([]);
    const expected = await byNpm(lock, context);
    const { stdout } = await run("find", [join(dir, "npm-cache/_cacache/content-v2"), "-type", "f"]);
    for (const file of stdout.trim().split("\n")) {
      const bytes = await readFile(file);
      if (bytes[0] !== 0x1f) continue;
      bytes[bytes.length >> 1]! ^= 1;
      await writeFile(file, bytes);
    }
    expect(await whyNot(lock, context)).toContain("damaged");
    await rm(join(dir, "npm-cache"), { recursive: true });
    expect(digestOf(await byNpm(lock, context))).toBe(digestOf(expected));
    expect(await cachedPackages(lock, context)).toHaveProperty("entries");
  });

  it.each([
    ["twice", "twice"],
    ["climber", "the path"],
    ["bomb", "very small"],
  ])("when the tarball is odd: %s", async (name, why) => {
    const { context, lock } = await setUp([name]);
    await byNpm(lock, context);
    expect(await whyNot(lock, context)).toContain(why);
  });

  it("when two have one command, and it is not the same whose it is", async () => {
    const { context, lock } = await setUp(["plain", "@same/three"]);
    await byNpm(lock, context);
    expect(await whyNot(lock, context)).toContain("command same");
  });

  it("when npm is set up to make another tree, or by lines that are not understood", async () => {
    const { dir, context, lock } = await setUp(["leaf"]);
    await byNpm(lock, context);
    for (const line of [
      "legacy-peer-deps=true",
      "umask=077",
      "omit[]=optional",
      "force",
      "install-strategy = nested",
    ]) {
      await writeFile(join(dir, ".npmrc"), `${line}\n`);
      expect(await whyNot(lock, context), line).toMatch(/setting|lines/);
    }
    await writeFile(join(dir, ".npmrc"), "; nothing\nfund = false\n//example.com/:_authToken=a==\n");
    expect(await cachedPackages(lock, context)).toHaveProperty("entries");
    const env = { ...context.env, NPM_CONFIG_ENGINE_STRICT: "true" };
    expect(await whyNot(lock, { ...context, env })).toContain("engine-strict");
  });

  it("when their scripts are to be run", async () => {
    const { context, lock } = await setUp(["leaf"]);
    await byNpm(lock, context);
    const scripted = structuredClone(lock);
    Object.assign(scripted.lock.packages["node_modules/leaf"] ?? {}, { hasInstallScript: true });
    expect(await whyNot(scripted, { ...context, allowScripts: true } as SetUp["context"])).toContain("scripts");
    expect(await cachedPackages(scripted, context)).toHaveProperty("entries");
  });
});

it("an abort ends the reading, with its reason and without a trace", async () => {
  const { dir, context, lock } = await setUp(everything);
  await byNpm(lock, context);
  const abort = new AbortController();
  const onProgress = ({ done }: { done?: number | undefined }) => {
    if (done === 1) abort.abort(new Error("enough"));
  };
  const aborted = { ...context, signal: abort.signal, onProgress };
  await expect(cachedPackages(lock, aborted, { inMemory: 0 })).rejects.toThrow("enough");
  expect(await readdir(join(dir, "cache", "tmp"))).toEqual([]);
});

it("a full disk is told in words", async ({ skip }) => {
  const { dir, context, lock } = await setUp(["large"]);
  await byNpm(lock, context);
  const small = join(dir, "small");
  await mkdir(small);
  const mounted = await run("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", small]).catch((error: Error) => error);
  if (mounted instanceof Error) {
    return skip(`a small file system cannot be mounted: ${mounted.message}`);
  }
  try {
    const failure = await failureOf(cachedPackages(lock, { ...context, cacheDir: small }, { inMemory: 0 }));
    expect(failure).toMatchObject({ code: "DISK_FULL", message: expect.stringContaining(small) });
    expect(await readdir(join(small, "tmp"))).toEqual([]);
  } finally {
    await run("umount", ["-l", small]);
  }
});

it("a machine without npm is told so", async () => {
  const { dir, context, lock } = await setUp(["leaf"]);
  await rm(join(dir, "npm-cache"), { recursive: true });
  const env = { ...context.env, PATH: join(dir, "nothing") };
  expect((await failureOf(cachedPackages(lock, { ...context, env }))).code).toBe("NPM_MISSING");
});
