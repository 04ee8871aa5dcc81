import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleOf } from "../support/amount.ts";
import { LIVE_FROM, platformPoints } from "./platform-points.ts";
import { KillWorld } from "./world.ts";

// The platform kills itself at each point of an update. The command that waits starts the real one again and gets its verdict.
let kill: KillWorld;
beforeAll(async () => {
  kill = await KillWorld.create();
});
afterAll(() => kill.close());

const points = Object.keys(platformPoints);
const isLive = (point: string) => points.indexOf(point) >= points.indexOf(LIVE_FROM);

describe("the platform is killed when", () => {
  it.each(sampleOf(points, 2))("%s", async (point) => {
    await kill.startArmable();
    const { world, steps } = kill;
    const before = kill.text;
    const made = await kill.nextRevision();
    const { died } = await kill.arm(point);
    const text = kill.write();
    const command = kill.deploy();
    expect(await died).toBe("SIGKILL");

    if (!isLive(point)) {
      // The new revision cannot come up until the test lets it; what serves after the restart is the old one.
      const hold = steps.hold(`load/${text}`);
      await kill.serves(before);
      hold.release();
    }
    const { code, stdout, stderr } = await command.result;
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain("[Status] Started: Service is ready");
    expect(stdout.match(/Deployed Endpoint/g)).toHaveLength(1);
    if (!isLive(point)) expect(stderr).toContain("Started the local platform again at");
    // A command that had its verdict before the kill has started nothing.
    await world.ok(["get", "apps"]);
    await kill.serves(text);

    expect(await kill.deployAgain(text)).toMatchObject({ revision: made, unchanged: true });
  });
});
