import { readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { itLong } from "../support/amount.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { get, World } from "./harness.ts";

/** What `prune cache -o json` gives. */
interface Pruned {
  images: string[];
  files: number;
  folders: number;
  bytes: number;
  directory: string;
  dryRun: boolean;
}

const HOUR = 3600_000;
const DAY = 24 * HOUR;

describe("the cache of this machine", () => {
  let world: World;
  let npm: TestRegistry;
  beforeAll(async () => {
    world = await World.create();
    npm = await startRegistry([{ name: "greeting", version: "1.0.0" }]);
  });
  afterAll(async () => {
    await world?.close();
    await npm?.close();
  });

  const env = () => ({ npm_config_registry: npm.url });
  /** A folder with an app that says `text`; its image has one package, which is not installed beside it. */
  const app = (text: string) =>
    world.folder("web", {
      "app.ts": `import { App, ImageSpec } from "appctl";
        import greeting from "greeting";
        export default new App({ name: "web", requiresAuth: false,
          containerImage: new ImageSpec({ packages: ["greeting@1.0.0"] }),
          frameworkApp: { fetch: () => new Response("${text} " + greeting) } });`,
    });
  const deploy = async (text: string) => {
    const { endpoint } = await world.json<{ endpoint: string }>(["deploy", "apps", "app.ts"], {
      cwd: app(text),
      env: env(),
    });
    expect((await get(`${endpoint}/`)).body).toBe(`${text} 1.0.0`);
  };
  const prune = (...args: string[]) => world.json<Pruned>(["prune", "cache", ...args]);
  const names = async () => (await prune("--dry-run")).images;

  /** Makes everything in it older, but for the note of when it was cleared up. */
  function age(ms: number): void {
    const old = new Date(Date.now() - ms);
    for (const { name, parentPath } of readdirSync(world.cache, { recursive: true, withFileTypes: true })) {
      if (name !== "tidied") utimesSync(join(parentPath, name), old, old);
    }
  }

  it("keeps what was just used, loses what was not, and what is needed again is made again", async () => {
    await deploy("one");
    expect(await prune("--dry-run")).toEqual({
      images: [],
      files: 0,
      folders: 0,
      bytes: 0,
      directory: world.cache,
      dryRun: true,
    });
    age(2 * HOUR);
    const dry = await prune("--dry-run");
    expect(dry.images).toContainEqual(expect.stringMatching(/^web-image:[\w-]{22}-[0-9a-f]{12}$/));
    expect([dry.folders, dry.files > 5, dry.bytes > 1000]).toEqual([1, true, true]);
    const text = await world.ok(["prune", "cache"]);
    expect(text).toContain(`Removed ${dry.images[0]}\n`);
    expect(text).toMatch(/^Freed [\d.]+ (?:bytes|KiB) in .*\/cache\/appctl\.$/m);
    expect((await prune()).files).toBe(0);
    await deploy("two");
  });

  itLong("may be cleared from several processes while others deploy", async () => {
    for (const round of [1, 2, 3]) {
      age(2 * HOUR);
      const pruned = Promise.all([1, 2, 3].map(() => world.run(["prune", "cache", "-o", "json"])));
      await deploy(`round ${round}`);
      for (const { code, stderr } of await pruned) expect([code, stderr]).toEqual([0, ""]);
    }
  });

  itLong("is cleared of what was not used for a week by a deploy, and by a build, once a day", async () => {
    const stamp = join(world.cache, "tidied");
    const yesterday = () => utimesSync(stamp, new Date(Date.now() - 25 * HOUR), new Date(Date.now() - 25 * HOUR));
    for (const command of [["deploy", "apps"], ["build"]]) {
      age(8 * DAY);
      const before = await names();
      expect(before.length).toBeGreaterThan(1);
      const run = (text: string) => world.ok([...command, "app.ts"], { cwd: app(text), env: env() });
      await run(`${command[0]} today`);
      // It was cleared today.
      age(8 * DAY);
      expect(await names()).toEqual(expect.arrayContaining(before));
      yesterday();
      await run(`${command[0]} tomorrow`);
      expect(statSync(stamp).mtimeMs).toBeGreaterThan(Date.now() - HOUR);
      age(8 * DAY);
      const after = await names();
      expect(after).not.toEqual(expect.arrayContaining(before));
      expect(after.length).toBeGreaterThan(0);
    }
  });
});
