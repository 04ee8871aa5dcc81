import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { get, type Result, World } from "../e2e/harness.ts";
import { itLong } from "../support/amount.ts";
import { appGate } from "../support/app-gate.ts";
import { expectNoLeftovers, expectWholeImages } from "./invariants.ts";

// Disks that cannot be written: full ones are small file systems in memory, which only root can mount.
const isRoot = process.getuid?.() === 0;
const mounts = isRoot && canMount();
if (!isRoot) console.log("Not root: the tests with small file systems and other users are skipped.");
else if (!mounts) console.log("This machine lets root mount nothing: the tests with small file systems are skipped.");

let world: World;
const mounted: string[] = [];
afterEach(async () => {
  await world.close().catch(() => undefined);
  for (const dir of mounted.splice(0)) execFileSync("umount", ["-l", dir]);
  rmSync(world.home, { recursive: true, force: true });
});

function canMount(): boolean {
  const dir = mkdtempSync(join(tmpdir(), "appctl-mount-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", dir], { stdio: "ignore" });
    execFileSync("umount", [dir]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(dir);
  }
}

/** A file system of `kib` KiB below the world's home. */
function small(name: string, kib: number): string {
  const dir = world.folder(name);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kib}k,mode=0700`, "tmpfs", dir]);
  mounted.push(dir);
  return dir;
}

/** Fills the file system of `dir` to the last byte; the returned function frees the space again. */
function fill(dir: string): () => void {
  const file = join(dir, "filling");
  const block = Buffer.alloc(4096);
  writeFileSync(file, "");
  for (let full = false; !full; ) {
    try {
      writeFileSync(file, block, { flag: "a" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      full = true;
    }
  }
  return () => rmSync(file);
}

function app(text: string): void {
  world.folder("web", {
    "app.ts": `import { App } from "appctl";
      export default new App({ name: "web", requiresAuth: false, frameworkApp: { fetch: () => new Response("${text}") } });`,
  });
}
const deploy = () => world.run(["deploy", "apps", "web/app.ts", "web"]);
const url = ({ stdout }: Result) => /Deployed Endpoint: (\S+)/.exec(stdout)?.[1] ?? "";

describe.skipIf(!mounts)("a full disk", () => {
  it("of the command's cache: the path and the reason are told, nothing half is there, and later it works", async () => {
    world = await World.create();
    const cache = small("cache", 2048);
    app("one");
    const free = fill(cache);
    const { code, stderr } = await deploy();
    expect([code, stderr]).toEqual([
      6,
      expect.stringContaining(`Error: there is no space left on the disk of ${cache}/appctl`),
    ]);
    expect(stderr).toContain("hint: free some space, then repeat the command");
    free();
    const again = await deploy();
    expect(again.code, again.stderr).toBe(0);
    expectWholeImages(join(world.cache, "images"));
    expect(readdirSync(join(world.cache, "images", ".tmp"))).toEqual([]);
  });

  itLong(
    "of the platform's state: what serves goes on serving, the platform lives, and the same command works later",
    async () => {
      world = await World.create();
      const state = small("state", 16_384);
      app("one");
      const first = await deploy();
      expect(first.code, first.stderr).toBe(0);
      const pid = (await world.json<{ pid: number }>(["platform", "status"])).pid;

      const free = fill(state);
      app("two");
      const { code, stderr } = await deploy();
      expect([code, stderr]).toEqual([6, expect.stringContaining("Error: there is no space left")]);
      expect(stderr).toContain(`${state}/appctl/`);
      expect((await get(`${url(first)}/`)).body).toBe("one");
      const secret = await world.run(["create", "secret", "--name", "S", "--value-file", "-"], {
        stdin: "x".repeat(100_000),
      });
      expect([secret.code, secret.stderr]).toEqual([
        6,
        expect.stringContaining(`there is no space left for ${state}/appctl/platform.db`),
      ]);
      expect((await world.run(["get", "apps"])).code).toBe(0);
      expect((await get(`${url(first)}/`)).body).toBe("one");

      free();
      const again = await deploy();
      expect(again.code, again.stderr).toBe(0);
      expect((await get(`${url(again)}/`)).body).toBe("two");
      expect((await world.json<{ pid: number }>(["platform", "status"])).pid).toBe(pid);
      expect(await world.json<{ secrets: unknown[] }>(["get", "secrets"])).toMatchObject({ secrets: [] });
      expectWholeImages(join(world.state, "images"));
      expectNoLeftovers(world.env, world.state);
    },
  );

  itLong(
    "in the middle of a deploy: the deploy stands still, and goes on to its verdict when there is space",
    async () => {
      world = await World.create();
      const state = small("state", 16_384);
      app("one");
      expect((await deploy()).code).toBe(0);
      const gate = await appGate();
      onTestFinished(() => gate.close());
      writeFileSync(
        join(world.folder("held"), "app.ts"),
        `import { App } from "appctl";
      ${gate.wait}
      export default new App({ name: "held", requiresAuth: false, frameworkApp: { fetch: () => new Response("held") } });`,
      );
      const command = world.start(["deploy", "apps", "held/app.ts", "held"]);
      await gate.asked; // the replica runs: all that its start has to write is written
      const free = fill(state);
      // The log of the database has room left over from what was written before: it is used up, too.
      for (let full = false; !full; ) {
        const secret = await world.run(["create", "secret", "--name", "S", "--value-file", "-"], {
          stdin: "x".repeat(200),
        });
        full = secret.code === 6;
        if (!full) await world.run(["delete", "secret", "--name", "S"]);
      }
      gate.open();
      await expect
        .poll(async () => (await world.run(["platform", "logs"])).stdout, { timeout: 60_000 })
        .toMatch(/deployment 1 waits: there is no space left for .*platform\.db/);
      expect(command.process.exitCode).toBeNull();
      free();
      const { code, stdout, stderr } = await command.result;
      expect(code, stdout + stderr).toBe(0);
      expect((await get(`${url({ stdout } as Result)}/`)).body).toBe("held");
    },
  );
});

describe("a directory that cannot be written", () => {
  it.skipIf(!isRoot)("is named, for the state and for the cache", async () => {
    world = await World.create();
    app("one");
    // Somebody else's home: everything in it can be read, nothing can be written.
    chmodSync(world.home, 0o755);
    const asNobody = (env: Record<string, string>) => runAs(65_534, ["deploy", "apps", "web/app.ts", "web"], env);
    const own = world.folder("own");
    chmodSync(own, 0o777);
    const state = await asNobody({ XDG_CACHE_HOME: own });
    expect([state.code, state.stderr]).toEqual([
      6,
      expect.stringContaining(`Error: ${world.state} cannot be written: permission denied`),
    ]);
    expect(state.stderr).toContain("hint: set XDG_STATE_HOME, or HOME, to a folder that you can write");
    const cache = await asNobody({ XDG_STATE_HOME: own });
    expect([cache.code, cache.stderr]).toEqual([
      6,
      expect.stringContaining(`Error: ${world.cache} cannot be written: permission denied`),
    ]);
    expect(cache.stderr).toContain("hint: set XDG_CACHE_HOME, or HOME, to a folder that you can write");
  });
});

/** Runs the command as another user. */
function runAs(uid: number, args: string[], env: Record<string, string>): Promise<Result> {
  return world.run(args, { env, uid });
}
