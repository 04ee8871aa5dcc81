import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { PlatformStatus } from "../../src/contract/types.ts";
import { appGate } from "../support/app-gate.ts";
import { get, World } from "./harness.ts";

// What waits for a deploy may go away; the deploy does not.
let world: World;
beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world.close());

/** An app that answers only after the test has let it. */
async function held(name: string): Promise<{ dir: string; release: () => void }> {
  const gate = await appGate();
  onTestFinished(() => gate.close());
  const dir = world.folder(name, {
    "app.ts": `import { App } from "appctl";
      ${gate.wait}
      export default new App({ name: "${name}", requiresAuth: false, frameworkApp: { fetch: () => new Response("${name}") } });`,
  });
  return { dir, release: () => gate.open() };
}

describe("waiting for a deploy", () => {
  it("ends with Ctrl-C: the deploy goes on, the attach command is printed and works", async () => {
    const { dir, release } = await held("ctrl-c");
    const running = world.start(["deploy", "apps", "app.ts", "ctrl-c"], { cwd: dir });
    await running.until("RevisionMissing");
    running.process.kill("SIGINT");
    const { code, stderr } = await running.result;
    expect(code).toBe(130);
    expect(stderr).toContain("appctl attach ctrl-c");
    release();
    const stdout = await world.ok(["attach", "ctrl-c"]);
    expect(stdout).toContain("[Status] Started: Service is ready");
    expect(stdout).toContain("🚀 Deployed Endpoint: ");
  });

  it("ends at --wait-timeout with exit code 8 and the attach command", async () => {
    const { dir, release } = await held("slow");
    const { code, stderr } = await world.run(["deploy", "apps", "app.ts", "slow", "--wait-timeout", "2s"], {
      cwd: dir,
    });
    expect([code, stderr]).toEqual([8, expect.stringContaining("appctl attach slow")]);
    release();
    await world.ok(["attach", "slow"]);
  });

  it("is left out with --no-wait", async () => {
    const { dir, release } = await held("detached");
    const stdout = await world.ok(["deploy", "apps", "app.ts", "detached", "--no-wait"], { cwd: dir });
    expect(stdout).toContain("✨ Deploying Application: detached");
    expect(stdout).not.toContain("Started");
    release();
    await world.ok(["attach", "detached"]);
  });

  it("survives the death of the platform: the CLI starts it again and gets its verdict", async () => {
    const { dir, release } = await held("survivor");
    const running = world.start(["deploy", "apps", "app.ts", "survivor"], { cwd: dir });
    await running.until("RevisionMissing");
    const { pid } = await world.json<PlatformStatus>(["platform", "status"]);
    process.kill(pid, "SIGKILL");
    release();
    const { code, stdout, stderr } = await running.result;
    expect(code, stdout + stderr).toBe(0);
    expect(stdout.match(/RevisionMissing/g)).toHaveLength(1);
    const [, endpoint] = /Deployed Endpoint: (\S+)/.exec(stdout) ?? [];
    expect((await get(`${endpoint}/`)).body).toBe("survivor");
    expect((await world.json<PlatformStatus>(["platform", "status"])).pid).not.toBe(pid);
  });

  it("is over when the CLI is killed, and the deploy is not", async () => {
    const { dir, release } = await held("orphan");
    const running = world.start(["deploy", "apps", "app.ts", "orphan"], { cwd: dir });
    await running.until("RevisionMissing");
    running.process.kill("SIGKILL");
    await running.result;
    release();
    const again = await world.json<{ revision: string }>(["deploy", "apps", "app.ts", "orphan"], { cwd: dir });
    expect(again.revision).toBe("orphan-00001");
  });
});
