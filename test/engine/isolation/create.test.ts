import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createIsolation } from "../../../src/engine/local/process/isolation/create-isolation.ts";
import { adoptNode, makeTree } from "../../../src/engine/local/process/isolation/shared-tree.ts";
import { temporaryDirectory } from "../helpers.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot)
  console.warn("SKIPPED parts of test/engine/isolation/create.test.ts: only root can run apps as other users");
const ref = { project: "default", domain: "development", name: "web" };

/** A folder that other users can pass through. */
function passable(): string {
  const dir = mkdtempSync("/var/tmp/ai-");
  chmodSync(dir, 0o711);
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Whether the user can pass through or execute `path`. */
const canReach = (path: string, user: { uid: number; gid: number } | undefined) =>
  spawnSync("/bin/sh", ["-c", 'test -x "$0"', path], { ...user, cwd: "/", env: {} }).status === 0;

describe.skipIf(!isRoot)("isolation as root", () => {
  it("gives each app a user of its own, whose content no other app can reach", async () => {
    const stateDir = temporaryDirectory();
    const messages: string[] = [];
    const options = {
      stateDir,
      sharedDir: join(passable(), "tree"),
      node: "/bin/sh",
      log: (m: string) => messages.push(m),
    };
    const isolation = createIsolation(options);
    expect(messages).toEqual([]);
    expect(isolation).toMatchObject({ ownUsers: true, node: "/bin/sh" });
    expect(isolation.words).toContain("a separate user for each app");
    const [mine, other] = [isolation.userOf(ref), isolation.userOf({ ...ref, name: "other" })];
    expect(mine).not.toEqual(other);
    const { contentDir, layersDir } = isolation.placesOf(ref);
    expect(canReach(contentDir, mine)).toBe(true);
    expect(canReach(contentDir, other)).toBe(false);
    expect([canReach(layersDir, mine), canReach(layersDir, other)]).toEqual([true, true]);
    expect(canReach(stateDir, mine)).toBe(false);
    // The same after a restart, until the app is deleted.
    expect(createIsolation(options).userOf(ref)).toEqual(mine);
    await isolation.forget(ref);
    expect(existsSync(contentDir)).toBe(false);
    expect(isolation.userOf(ref)).not.toEqual(mine);
  });

  it("brings a Node that apps cannot reach to where they can", () => {
    const hidden = join(temporaryDirectory(), "node");
    copyFileSync("/bin/true", hidden);
    const sharedDir = join(passable(), "tree");
    const isolation = createIsolation({
      stateDir: temporaryDirectory(),
      sharedDir,
      node: hidden,
      log: () => undefined,
    });
    expect(isolation.node).toMatch(new RegExp(`^${sharedDir}/node-[0-9-]+/node$`));
    expect(canReach(isolation.node, isolation.userOf(ref))).toBe(true);
  });

  it("says why it cannot be had, and does without", () => {
    const sharedDir = join(temporaryDirectory(), "tree"); // below a folder that only root can pass
    const isolation = createIsolation({
      stateDir: temporaryDirectory(),
      sharedDir,
      node: "/bin/sh",
      log: () => undefined,
    });
    expect(isolation.ownUsers).toBe(false);
    expect(isolation.words).toMatch(/^the platform's user for every app \(another user cannot execute .*\)/);
    expect(isolation.userOf(ref)).toBeUndefined();
    const file = join(temporaryDirectory(), "file");
    writeFileSync(file, "");
    const messages: string[] = [];
    createIsolation({ stateDir: file, sharedDir: join(file, "tree"), node: "/bin/sh", log: (m) => messages.push(m) });
    expect(messages.join()).toContain("apps get no separate users: E");
  });

  it("removes the trees of platforms whose state is gone, and no others", async () => {
    const base = passable();
    const [alive, gone] = [temporaryDirectory(), join(temporaryDirectory(), "gone")];
    makeTree(join(base, "alive"), alive);
    makeTree(join(base, "gone"), gone);
    mkdirSync(join(base, "foreign"));
    createIsolation({
      stateDir: temporaryDirectory(),
      sharedDir: join(base, "mine"),
      node: "/bin/sh",
      log: () => undefined,
    });
    await vi.waitUntil(() => !existsSync(join(base, "gone")), { timeout: 30_000 });
    expect(["alive", "foreign", "mine"].map((name) => existsSync(join(base, name)))).toEqual([true, true, true]);
  });
});

describe.skipIf(!isRoot)("isolation that was had before", () => {
  it("is not given up for a passing fault: apps must not become root's", () => {
    const stateDir = temporaryDirectory();
    const options = { stateDir, sharedDir: join(passable(), "tree"), node: "/bin/sh", log: () => undefined };
    createIsolation(options).userOf(ref);
    writeFileSync(join(stateDir, "app-users.json"), "{");
    expect(() => createIsolation(options)).toThrow("apps ran as separate users, which is not possible now");
  });

  it("ends what has escaped an app that is deleted", async () => {
    const isolation = createIsolation({
      stateDir: temporaryDirectory(),
      sharedDir: join(passable(), "tree"),
      node: "/bin/sh",
      log: () => undefined,
    });
    const escaped = spawn("/bin/sleep", ["1000"], { ...isolation.userOf(ref), cwd: "/", env: {}, detached: true });
    const ended = once(escaped, "exit");
    await isolation.forget(ref);
    expect((await ended)[1]).toBe("SIGKILL");
  });
});

describe("isolation without root", () => {
  it("is Node's permission model alone", () => {
    const stateDir = temporaryDirectory();
    const isolation = createIsolation({ stateDir, sharedDir: undefined, node: "/bin/sh", log: () => undefined });
    expect(isolation).toMatchObject({ ownUsers: false, node: "/bin/sh" });
    expect(isolation.placesOf(ref)).toEqual({
      contentDir: join(stateDir, "content"),
      layersDir: join(stateDir, "content", "layers"),
    });
  });

  it("copies a program once, executable for everybody", () => {
    const [dir, from] = [temporaryDirectory(), join(temporaryDirectory(), "node")];
    writeFileSync(from, "#!/bin/sh\n", { mode: 0o700 });
    const copy = adoptNode(dir, from);
    expect(statSync(copy).mode & 0o777).toBe(0o755);
    expect(adoptNode(dir, from)).toBe(copy);
  });
});
