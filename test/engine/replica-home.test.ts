import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { makeHome, removeHome, SOCKET, sealHome } from "../../src/engine/local/process/replica-home.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("SKIPPED parts of test/engine/replica-home.test.ts: only root can act for another user");
const app = { uid: 64_999, gid: 64_999 };

/** A directory that other users can pass through. */
function base(): string {
  const dir = mkdtempSync("/var/tmp/ah-");
  chmodSync(dir, 0o711);
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Runs a script as the app does. */
const as = (user: typeof app | undefined, script: string, dir: string) =>
  execFileSync("/bin/sh", ["-c", script], {
    ...user,
    cwd: join(dir, "tmp"),
    env: { PATH: process.env["PATH"] },
    stdio: "ignore",
  });

/** What no plain removal takes: closed against itself, and deeper than a path may be long. */
const STUBBORN = `mkdir -p closed/inner && touch closed/inner/file && chmod 500 closed/inner && chmod 500 closed
i=0; while [ $i -lt 60 ]; do mkdir -p ${"d".repeat(200)} && cd -P ${"d".repeat(200)} || exit 1; i=$((i+1)); done; touch end`;

describe.each([
  ["the platform's own user", undefined],
  ["a user of its own", app],
] as const)("the directory of a replica of %s", (_, user) => {
  it.skipIf(user !== undefined && !isRoot)("goes whole, whatever the app has made in it", async () => {
    const home = join(base(), "r1");
    makeHome(home, user, false);
    expect(statSync(home).mode & 0o777).toBe(user ? 0o710 : 0o700);
    as(user, STUBBORN, home);
    await removeHome(home, user);
    expect(existsSync(home)).toBe(false);
    await removeHome(home, user); // and once more is no fault
  });
});

describe.skipIf(!isRoot)("as root", () => {
  it("takes the directory from the app when its socket is there, and nothing but its own socket", async () => {
    const dir = base();
    const home = join(dir, "r1");
    makeHome(home, app, true);
    expect(lstatSync(home).uid).toBe(app.uid);
    expect(() => sealHome(home, app)).toThrow("ENOENT");
    // A server that a stranger, here root, has put there.
    const strange = createServer().listen(join(home, SOCKET));
    await new Promise((resolve) => strange.once("listening", resolve));
    expect(() => sealHome(home, app)).toThrow("another file is at the path of its socket");
    await new Promise((resolve) => strange.close(resolve));
    symlinkSync("/run/other.sock", join(home, SOCKET));
    expect(() => sealHome(home, app)).toThrow("another file is at the path of its socket");
    expect(lstatSync(home)).toMatchObject({ uid: 0, gid: app.gid });
    await removeHome(home, app);
    expect(existsSync(home)).toBe(false);
  });

  it("follows no link that leads out", async () => {
    const dir = base();
    const outside = join(dir, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "kept"), "");
    const home = join(dir, "r1");
    makeHome(home, app, true);
    symlinkSync(outside, join(home, "tmp", "link"));
    symlinkSync(outside, join(home, "link"));
    await removeHome(home, app);
    expect([existsSync(home), existsSync(join(outside, "kept"))]).toEqual([false, true]);
  });
});
