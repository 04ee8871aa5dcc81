import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AppStatus } from "../../src/contract/types.ts";
import { get, World } from "../e2e/harness.ts";
import { describeLong, itLong } from "../support/amount.ts";
import { contentFolders } from "./invariants.ts";
import { until } from "./world.ts";

// Bytes that turned over on the disk while nothing ran. What is hit is named; everything else goes on serving.
let world: World;
let one = "";
let two = "";
beforeEach(async () => {
  world = await World.create();
  one = await deployed("one");
  two = await deployed("two");
  await world.ok(["platform", "stop"]);
});
afterEach(() => world.close());

const database = () => join(world.state, "platform.db");

async function deployed(name: string, text = name): Promise<string> {
  world.folder(name, {
    "app.ts": `import { App } from "appctl";
      export default new App({ name: "${name}", requiresAuth: false, frameworkApp: { fetch: () => new Response("${text}") } });`,
  });
  return (await world.ok(["deploy", "apps", `${name}/app.ts`, name, "-o", "url"])).trim();
}

const serves = (url: string, text: string) =>
  until(async () => (await get(`${url}/`).catch(() => undefined))?.body === text);

/** Overwrites the first page of a table, or of an index. */
function damagePage(table: string): void {
  const db = new DatabaseSync(database());
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  const { rootpage } = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").get(table) as {
    rootpage: number;
  };
  const { page_size } = db.prepare("PRAGMA page_size").get() as { page_size: number };
  db.close();
  const file = openSync(database(), "r+");
  writeSync(file, Buffer.alloc(page_size, 0xa5), 0, page_size, (rootpage - 1) * page_size);
  closeSync(file);
}

describe("a damaged page of the database", () => {
  it("is told with its table when the platform starts, and the apps go on serving", async () => {
    damagePage("events");
    await world.ok(["get", "apps"]);
    await serves(one, "one");
    await serves(two, "two");
    expect(await world.ok(["platform", "logs"])).toContain(`the table events of ${database()} is damaged: `);
    // What needs that very table says so, and what to type.
    const { code, stderr } = await world.run(["attach", "one"]);
    expect(code).toBe(6);
    expect(stderr).toContain(
      `Error: the platform's database ${database()} is damaged: database disk image is malformed`,
    );
    expect(stderr).toContain("hint: restore a copy of it");
    await serves(one, "one");
  });

  itLong("of the table of secrets hits only what asks for secrets", async () => {
    await world.ok(["create", "secret", "--name", "S", "--value-file", "-"], { stdin: "a secret" });
    await world.ok(["platform", "stop"]);
    damagePage("secrets");
    const { code, stderr } = await world.run(["get", "secrets"]);
    expect([code, stderr]).toEqual([6, expect.stringContaining(`database ${database()} is damaged`)]);
    await serves(one, "one");
    expect(await world.ok(["platform", "logs"])).toContain(`the table secrets of ${database()} is damaged: `);
  });

  itLong.each(["apps", "api_keys"])(
    "of the table %s, without which there is no platform, ends the start with words",
    async (table) => {
      damagePage(table);
      const { code, stderr } = await world.run(["get", "apps"]);
      expect(code).toBe(6);
      expect(stderr).toContain(
        `Error: the platform's database ${database()} is damaged: database disk image is malformed`,
      );
      expect(stderr).toContain(
        "hint: restore a copy of it, or move it away and start empty: it has the apps, secrets and keys",
      );
      expect(stderr).toContain(`mv '${database()}' '${database()}.damaged'`);
      const log = await world.ok(["platform", "logs"]);
      expect(log).toContain(`the table ${table} of ${database()} is damaged: `);
      // No loop of starts: one for the command, and it has ended.
      expect(log.match(/is damaged: database disk image/g)?.length).toBeLessThanOrEqual(2);
    },
  );

  itLong("or a file that is no database at all", async () => {
    rmSync(`${database()}-wal`, { force: true });
    truncateSync(database(), 100);
    writeFileSync(
      database(),
      "this is no database, it is a text that is longer than a header of one hundred bytes, so that it is read",
      {
        flag: "r+",
      },
    );
    const { code, stderr } = await world.run(["get", "apps"]);
    expect([code, stderr]).toEqual([6, expect.stringContaining(`${database()} is damaged: file is not a database`)]);
  });
});

describeLong("a damaged blob", () => {
  const flip = (file: string) => {
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
    writeFileSync(file, bytes);
  };
  const blob = (digest: string) => join(world.state, "images", "blobs", ...digest.split(":"));
  const manifest = async (name: string) => {
    await world.ok(["get", "apps"]);
    const { digest } = await world.json<AppStatus>(["get", "apps", name]);
    await world.ok(["platform", "stop"]);
    return digest ?? "";
  };

  it.each(["manifest", "layer"])(
    "(%s) names its digest, lets the other app serve, and is repaired by the next deploy",
    async (part) => {
      const digest = await manifest("one");
      const layers: { digest: string }[] = JSON.parse(readFileSync(blob(digest), "utf8")).layers;
      const hit = part === "manifest" ? digest : (layers.at(-1)?.digest ?? "");
      flip(blob(hit));
      // An image that is unpacked needs its layers no more.
      for (const folder of contentFolders(world.env, world.state)) {
        rmSync(join(folder, digest.slice("sha256:".length)), { recursive: true, force: true });
      }
      await world.ok(["get", "apps"]);
      await serves(two, "two");
      let app = await world.json<AppStatus>(["get", "apps", "one"]);
      await until(async () => {
        app = await world.json<AppStatus>(["get", "apps", "one"]);
        return app.status === "Failed" || app.status === "Crashing";
      });
      expect(app.message).toContain(hit);
      expect((await get(`${one}/`)).status).toBe(503);
      expect(readdirSync(join(world.state, "images", "damaged"))).toEqual([hit.slice("sha256:".length)]);

      expect(await deployed("one")).toBe(one);
      await serves(one, "one");
      expect(statSync(blob(hit)).isFile()).toBe(true);
      expect((await world.json<AppStatus>(["get", "apps", "one"])).status).toBe("Running");
    },
  );
});

describeLong("the lost images of a platform", () => {
  beforeEach(() => {
    rmSync(join(world.state, "images"), { recursive: true });
  });

  it("keep no new revision from taking the place of one that they were of", async () => {
    await deployed("one", "new");
    await serves(one, "new");
  });

  it("are not the cause that is told of a new revision that fails", async () => {
    world.folder("one", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "one", args: ["node", "-e", "process.exit(3)"] });`,
    });
    const { code, stderr } = await world.run(["deploy", "apps", "one/app.ts", "one"]);
    expect(code).toBe(1);
    expect(stderr).toContain("exited with code 3");
    expect(stderr).not.toContain("is not whole");
  });
});

describeLong("the images of the command", () => {
  const images = () => join(world.cache, "images");

  it("are made again when a loss of power has left files without their bytes", async () => {
    await world.ok(["get", "apps"]);
    const blobs = join(images(), "blobs", "sha256");
    const names = readdirSync(blobs);
    expect(names.length).toBeGreaterThan(4);
    for (const name of names) truncateSync(join(blobs, name));
    expect(await deployed("one", "after")).toBe(one);
    await serves(one, "after");
  });

  it("are not kept when they cannot be named, which is told, and the app is deployed", async () => {
    await world.ok(["get", "apps"]);
    const lock = join(images(), ".lock");
    rmSync(lock);
    mkdirSync(lock);
    world.folder("one", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "one", requiresAuth: false, frameworkApp: { fetch: () => new Response("after") } });`,
    });
    const { code, stdout, stderr } = await world.run(["deploy", "apps", "one/app.ts", "one"]);
    expect(stderr).toContain("the image of one is not kept on this machine, nor its bill of materials: ");
    expect([code, stdout]).toEqual([0, expect.stringContaining("Deployed Endpoint")]);
    await serves(one, "after");
  });
});
