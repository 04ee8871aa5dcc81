import { spawnSync } from "node:child_process";
import { expect, it, onTestFinished } from "vitest";
import type { AppStatus } from "../../src/contract/types.ts";
import { get, World } from "../e2e/harness.ts";

const hasFaketime = spawnSync("faketime", ["--version"]).status === 0;
if (!hasFaketime) console.log("faketime is not installed: the command under a clock that was set back is skipped.");

it.skipIf(!hasFaketime)(
  "a command and a platform two days behind deploy, find what is there, and sweep nothing of it",
  async () => {
    const world = await World.create();
    onTestFinished(() => world.close());
    const write = (text: string) =>
      world.folder("web", {
        "app.ts": `import { App } from "appctl";
        export default new App({ name: "web", requiresAuth: false, frameworkApp: { fetch: () => new Response("${text}") } });`,
      });
    write("now");
    await world.ok(["deploy", "apps", "web/app.ts", "web"]);
    await world.ok(["platform", "stop"]);
    write("then");
    const behind = { faketime: "-2d" };
    const platform = world.start(["platform", "start", "--foreground"], behind);
    await platform.until("listens on");
    const stdout = await world.ok(["deploy", "apps", "web/app.ts", "web"], behind);
    expect(stdout).toContain("found. Skip building.");
    const app = await world.json<AppStatus>(["get", "apps", "web"], behind);
    expect(app).toMatchObject({ status: "Running", revision: "web-00002" });
    expect(Date.parse(app.updatedAt)).toBeLessThan(Date.now() - 24 * 3_600_000);
    expect((await get(`${app.endpoint}/`)).body).toBe("then");
    expect((await world.ok(["get", "apps"], behind)).split("\n")[1]).toContain("web");
    await world.ok(["rollback", "web"], behind);
    expect((await get(`${app.endpoint}/`)).body).toBe("now");
  },
);
