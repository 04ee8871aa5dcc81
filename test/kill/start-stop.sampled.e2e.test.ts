import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleOf } from "../support/amount.ts";
import { startPoints, stopPoints } from "./platform-points.ts";
import { KillWorld } from "./world.ts";

// The platform kills itself while it starts, and while it ends. The next command brings everything back.
let kill: KillWorld;
beforeAll(async () => {
  kill = await KillWorld.create();
});
afterAll(() => kill.close());

async function everythingIsBack(): Promise<void> {
  await kill.world.ok(["get", "apps"]);
  await kill.serves(kill.text);
  expect(await kill.deployAgain(kill.text)).toMatchObject({ revision: kill.revision, unchanged: true });
}

describe("the platform is killed while it starts, when", () => {
  it.each(sampleOf(Object.keys(startPoints), 1))("%s", async (point) => {
    expect(await kill.startAndDie(point)).toBe("SIGKILL");
    await everythingIsBack();
  });
});

describe("the platform is killed while it ends, when", () => {
  it.each(sampleOf(Object.keys(stopPoints), 1))("%s", async (point) => {
    await kill.startArmable();
    const { died } = await kill.arm(point);
    const { code, stderr } = await kill.world.run(["platform", "stop"]);
    expect(await died).toBe("SIGKILL");
    // It was asked to end, and it has.
    expect(code, stderr).toBe(0);
    await everythingIsBack();
  });
});

it("the platform is killed when a deploy has created its secret, and the answer is not sent: the deploy gets its verdict", async () => {
  await kill.startArmable();
  const { died } = await kill.arm("a secret is committed");
  const { world } = kill;
  world.folder("secretive", {
    "app.ts": `import { App, Secret } from "appctl";
      export default new App({ name: "secretive", requiresAuth: false, secrets: [new Secret({ key: "FRESH" })],
        frameworkApp: { fetch: () => new Response(process.env.FRESH) } });`,
  });
  const command = ["deploy", "apps", "secretive/app.ts", "secretive", "--secret", "FRESH=-", "-o", "json"];
  const { code, stdout, stderr } = await world.run(command, { stdin: "its value" });
  expect(await died).toBe("SIGKILL");
  expect(code, stdout + stderr).toBe(0);
  await world.ok(["delete", "apps", "secretive", "--yes"]);
  await world.ok(["delete", "secret", "--name", "FRESH"]);
  await everythingIsBack();
});
