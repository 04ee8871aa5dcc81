import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { get } from "../e2e/harness.ts";
import { sampleOf } from "../support/amount.ts";
import { replicaPoints } from "./platform-points.ts";
import { answer, KillWorld, until } from "./world.ts";

// A replica is killed at each point of its life. A new revision that was not live yet has failed, and the old one serves; one
// that serves is started again; and the verdict of a deploy is what its public address shows.
let kill: KillWorld;
beforeAll(async () => {
  kill = await KillWorld.create();
});
afterAll(() => kill.close());

/** Checks a verdict against the public address, then deploys again what may have failed. */
async function verdict(command: ReturnType<KillWorld["deploy"]>, text: string, ends: "good" | "bad" | "either") {
  const { code, stdout, stderr } = await command.result;
  const shown = stdout + stderr;
  if (ends !== "either") expect(code, shown).toBe(ends === "good" ? 0 : 1);
  else expect([0, 1], shown).toContain(code);
  if (code === 1)
    expect(shown).toMatch(/\[Status\] Failed: RevisionFailed: [\s\S]*Error: web failed: .*(?:SIGKILL|crashed|exited)/);
  await kill.serves(code === 0 ? text : kill.text, kill.text);
  expect((await kill.deployAgain(text)).unchanged).toBe(code === 0);
}

describe("a replica is killed when", () => {
  it.each(sampleOf(Object.entries(replicaPoints), 1))("%s", async (name, point) => {
    await kill.startArmable();
    const made = await kill.nextRevision();
    const { killed } = await kill.arm(name, point.of === "new" ? made : kill.revision);
    const text = kill.write();
    const command = kill.deploy();
    expect(await killed).toHaveLength(1);
    await verdict(command, text, point.ends);
  });

  it("it loads", async () => {
    const text = kill.write();
    const { arrived, release } = kill.steps.hold(`load/${text}`);
    const command = kill.deploy();
    process.kill(await arrived, "SIGKILL");
    release();
    await verdict(command, text, "bad");
  });

  it("it is asked for the proof of live", async () => {
    const text = kill.write();
    const { arrived, release } = kill.steps.hold(`proof/${text}`);
    const command = kill.deploy();
    process.kill(await arrived, "SIGKILL");
    release();
    await verdict(command, text, "either");
  });

  it("it is live: it comes again at once", async () => {
    const client = kill.client();
    const { replicas } = await client.getApp({ project: "default", domain: "development", name: "web" });
    await client.close();
    process.kill(replicas[0]?.pid ?? 0, "SIGKILL");
    await until(async () => (await answer(kill.web)) === undefined);
    await kill.serves(kill.text);
    expect((await kill.deployAgain(kill.text)).unchanged).toBe(true);
  });

  it("it drains, with a request under way: only that one breaks", async () => {
    const { arrived, release } = kill.steps.hold(`slow/${kill.text}`);
    const slow = get(`${kill.web}/slow`);
    const pid = await arrived;
    const text = kill.write();
    const { code, stderr } = await kill.deploy().result;
    expect(code, stderr).toBe(0);
    await kill.serves(text);
    process.kill(pid, "SIGKILL");
    expect((await slow).status).toBe(502);
    release();
    expect((await kill.deployAgain(text)).unchanged).toBe(true);
  });
});
