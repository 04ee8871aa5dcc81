/** What is cleared of this machine's cache, and that nothing goes that another process counts on. */
import { Buffer } from "node:buffer";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { CACHE_RECENT_MS, collectCache } from "../../src/image/cache-garbage.ts";
import { isWhole, loadEnvironment, writeEnvironment } from "../../src/image/environment-image.ts";
import { ImageCache } from "../../src/image/image-cache.ts";
import { writeLayer } from "../../src/image/layer.ts";
import { unpackPackages } from "../../src/image/unpack.ts";
import { digestOf } from "../../src/oci/model.ts";
import { emptyLock, LockCache } from "../../src/packages/lockfiles/package-lock.ts";
import { hostTarget } from "../../src/packages/npm-target.ts";
import { buildAppImage } from "./build-app-image.ts";
import { folder } from "./support.ts";

const HOUR = 3600_000;
const DAY = 24 * HOUR;

async function setUp() {
  const dir = await folder();
  const cache = new ImageCache(join(dir, "images"));
  const content = [
    { type: "directory" as const, path: "app" },
    { type: "directory" as const, path: "app/node_modules" },
    { type: "file" as const, path: "app/node_modules/f", content: Buffer.from("packages") },
  ];
  const packages = await writeLayer(cache, content, { role: "packages", level: 6 });
  const plan = { reference: "web:env", platform: hostTarget(), env: {} };
  const environment = await writeEnvironment(plan, [packages], cache);
  const app = (text: string) =>
    buildAppImage({ environment, files: [{ path: "app.mjs", bytes: Buffer.from(text) }], config: {}, layout: cache });
  const collect = (more: Partial<Parameters<typeof collectCache>[1]> = {}) =>
    collectCache(dir, { keptMs: CACHE_RECENT_MS, now: Date.now(), ...more });
  return { dir, cache, environment, packages, app, collect };
}

/** Makes all files and folders with a content of their own older. */
function age(dir: string, ms = 2 * HOUR): void {
  const old = new Date(Date.now() - ms);
  for (const { name, parentPath } of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    utimesSync(join(parentPath, name), old, old);
  }
}

describe("the cache", () => {
  it("loses what was not used, names and content, and keeps what was, with all that it names", async () => {
    const { dir, cache, environment, packages, app, collect } = await setUp();
    const [kept, gone] = [await app("kept"), await app("gone")];
    const root = await unpackPackages(cache, environment, join(dir, "content"));
    age(dir);
    expect(await cache.hasBlob(kept.digest)).toBe(true); // what a command asks before it counts on it
    const dry = await collect({ dryRun: true });
    // The layer of the app, its configuration and its manifest; the environment's own manifest and configuration.
    expect(dry).toMatchObject({ images: [gone.reference, "web:env"].sort(), files: 5, folders: 1 });
    expect([existsSync(root as string), existsSync(cache.blobPath(gone.digest))]).toEqual([true, true]);
    expect(await collect()).toEqual(dry);
    expect(dry.bytes).toBeGreaterThan(0);
    expect([existsSync(root as string), existsSync(cache.blobPath(gone.digest))]).toEqual([false, false]);
    expect(await cache.missing([...kept.blobs, packages.descriptor].map(({ digest }) => digest))).toEqual([]);
    expect((await cache.references()).map(({ reference }) => reference)).toEqual([kept.reference]);
    expect(await collect()).toEqual({ images: [], files: 0, folders: 0, bytes: 0 });
  });

  it("gives what is gone again: nothing that is left counts on it", async () => {
    const { dir, cache, app, collect } = await setUp();
    const first = await app("text");
    const notes = () => readdirSync(join(dir, "images", "compressed"), { recursive: true, encoding: "utf8" });
    expect(notes().some((name) => /[0-9a-f]{64}$/.test(name))).toBe(true);
    age(dir);
    await collect();
    expect(notes().filter((name) => /[0-9a-f]{64}$/.test(name))).toEqual([]);
    expect(await loadEnvironment(cache, "web:env")).toBeUndefined();
    expect((await app("text")).digest).toBe(first.digest);
  });

  it("keeps unpacked packages that are used, and takes the others away in one step", async () => {
    const { dir, cache, environment, collect } = await setUp();
    const content = join(dir, "content");
    const root = (await unpackPackages(cache, environment, content)) as string;
    age(dir);
    expect(await unpackPackages(cache, environment, content)).toBe(root);
    expect((await collect()).folders).toBe(0);
    expect(existsSync(join(root, "f"))).toBe(true);
    age(dir);
    expect((await collect()).folders).toBe(1);
    expect(readdirSync(join(content, "layers")).filter((name) => name !== ".tmp")).toEqual([]);
    expect(readdirSync(join(content, "layers", ".tmp"))).toEqual([]);
  });

  it("takes packages away wherever they are unpacked: after each start of the machine that is another place", async () => {
    const { dir, cache, environment, collect } = await setUp();
    for (const place of ["content", "content/before", "content/now"]) {
      await unpackPackages(cache, environment, join(dir, place));
    }
    age(dir);
    await unpackPackages(cache, environment, join(dir, "content/now"));
    expect((await collect()).folders).toBe(2);
    const left = (place: string) => readdirSync(join(dir, place, "layers")).filter((name) => name !== ".tmp").length;
    expect(["content", "content/before", "content/now"].map(left)).toEqual([0, 0, 1]);
  });

  it("keeps lists of packages for longer, and what is damaged or left behind only as long as the rest", async () => {
    const { dir, collect } = await setUp();
    const locks = new LockCache(join(dir, "locks"));
    for (const name of ["used", "unused"]) await locks.write(name, emptyLock());
    mkdirSync(join(dir, "images", "damaged"));
    writeFileSync(join(dir, "images", "damaged", "f"), "x");
    mkdirSync(join(dir, "tmp", "999999999-x"), { recursive: true });
    mkdirSync(join(dir, "tmp", `${process.pid}-x`));
    age(dir, 80 * DAY);
    await collect();
    expect(readdirSync(join(dir, "locks"))).toHaveLength(2);
    expect(readdirSync(join(dir, "images", "damaged"))).toEqual([]);
    expect(readdirSync(join(dir, "tmp"))).toEqual([`${process.pid}-x`]);
    age(dir, 91 * DAY);
    expect(await locks.read("used")).toEqual(emptyLock());
    await collect();
    expect(readdirSync(join(dir, "locks"))).toHaveLength(1);
    expect([await locks.read("used"), await locks.read("unused")]).toEqual([emptyLock(), undefined]);
  });

  it("that was never made has nothing to clear, and is not made for that", async () => {
    const dir = join(await folder(), "none");
    const options = { keptMs: 0, now: Date.now() };
    expect(await collectCache(dir, { ...options, dryRun: true })).toEqual({
      images: [],
      files: 0,
      folders: 0,
      bytes: 0,
    });
    expect((await collectCache(dir, options)).files).toBe(0);
    expect(existsSync(dir)).toBe(false);
  });

  it("stops between two steps when it is told to, and what is left is whole", async () => {
    const { dir, cache, app, collect } = await setUp();
    await app("one");
    age(dir);
    const stopped = collect({ signal: AbortSignal.abort(new Error("stopped by hand")) });
    await expect(stopped).rejects.toThrow("stopped by hand");
    for (const { reference, descriptor } of await cache.references()) {
      const { manifest } = (await loadEnvironment(cache, reference)) as { manifest: Parameters<typeof isWhole>[1] };
      expect(await isWhole(cache, manifest), descriptor.digest).toBe(true);
    }
  });

  it("notes that something is used, and how old it is stays", async () => {
    const { dir, cache, packages } = await setUp();
    const path = cache.blobPath(packages.descriptor.digest);
    age(dir);
    const before = statSync(path);
    expect(await cache.hasBlob(packages.descriptor.digest, packages.descriptor.size + 1)).toBe(false);
    expect(statSync(path).atimeMs).toBe(before.atimeMs);
    expect(await cache.hasBlob(packages.descriptor.digest, packages.descriptor.size)).toBe(true);
    expect(statSync(path).atimeMs).toBeGreaterThan(Date.now() - HOUR);
    expect(statSync(path).mtimeMs).toBeCloseTo(before.mtimeMs, -1);
  });
});

describe("two processes at once", () => {
  /** Runs a program that has a cache of its own kind, `cache`; its lines come one by one. */
  function other(dir: string, program: string): ChildProcess & { lines: string[]; line(): Promise<string> } {
    const source = `
      import { ImageCache } from ${JSON.stringify(join(import.meta.dirname, "../../src/image/image-cache.ts"))};
      import { collectCache } from ${JSON.stringify(join(import.meta.dirname, "../../src/image/cache-garbage.ts"))};
      import fs from "node:fs";
      const dir = ${JSON.stringify(dir)};
      const cache = new ImageCache(dir + "/images");
      const say = (line) => fs.writeSync(1, line + "\\n");
      ${program}`;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", source], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const lines: string[] = [];
    let wake = () => {};
    let rest = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const all = (rest + text).split("\n");
      rest = all.pop() ?? "";
      lines.push(...all);
      wake();
    });
    const line = async () => {
      while (lines.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return lines.shift() as string;
    };
    return Object.assign(child, { lines, line });
  }

  it("what the other is just taking away is not there, and what this one uses the other leaves", async () => {
    const { dir, cache } = await setUp();
    const { digest } = await cache.writeBlob(Buffer.from("wanted by both"));
    age(dir);
    // It has looked, has the lock, and goes on when it reads a line.
    const taker = other(
      dir,
      `await cache.locked(() => {
        say("holding");
        fs.readSync(0, Buffer.alloc(1));
        fs.unlinkSync(cache.blobPath("${digest}"));
      });
      say("done");`,
    );
    expect(await taker.line()).toBe("holding");
    // Asked while it is still there: the answer waits for the lock, and is the truth then.
    const asked = other(dir, `say("asking"); say(String(await cache.hasBlob("${digest}")));`);
    expect(await asked.line()).toBe("asking");
    taker.stdin?.write("x");
    expect(await asked.line()).toBe("false");
    expect(await taker.line()).toBe("done");
  });

  it("whatever one was told is there is there, however often the other clears up", async () => {
    const { dir, cache } = await setUp();
    const texts = Array.from({ length: 150 }, (_, index) => `content ${index}`);
    const collector = other(
      dir,
      `process.stdin.resume().on("end", () => process.exit());
      for (let files = 0; ; ) {
        files += (await collectCache(dir, { keptMs: ${CACHE_RECENT_MS}, now: Date.now() })).files;
        say(String(files));
      }`,
    );
    let told = 0;
    await collector.line(); // it is at work
    // Until both have had their way often enough: which of them is faster is the machine's to say.
    for (let round = 0; told < 100 || !(Number(collector.lines.at(-1)) > 0); round++) {
      for (const text of texts) await cache.writeBlob(Buffer.from(text));
      const old = new Date(Date.now() - 2 * HOUR);
      for (const path of texts.map((text) => cache.blobPath(digestOf(text)))) {
        if (existsSync(path)) utimesSync(path, old, old);
      }
      for (const text of texts) {
        const isThere = await cache.hasBlob(digestOf(text));
        if (isThere) told++;
        // It has every chance to go before it is read.
        if (isThere && round % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
        if (isThere) expect((await cache.readBlob(digestOf(text))).toString()).toBe(text);
      }
    }
    collector.stdin?.end();
    await once(collector, "close");
  }, 120_000);

  it("two that clear up take each thing once", async () => {
    const { dir, app } = await setUp();
    for (let index = 0; index < 40; index++) await app(`text ${index}`);
    age(dir);
    const program = `const { images, files } = await collectCache(dir, { keptMs: ${CACHE_RECENT_MS}, now: Date.now() });
      say(JSON.stringify({ files }));`;
    const both = [other(dir, program), other(dir, program)];
    const counts = await Promise.all(both.map(async (each) => JSON.parse(await each.line()).files as number));
    // Of each app its layer, configuration and manifest; the environment's three; nothing twice.
    expect((counts[0] as number) + (counts[1] as number)).toBe(40 * 3 + 3);
    rmSync(dir, { recursive: true });
  });
});
