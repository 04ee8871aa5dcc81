import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppStatus, ImageReference } from "../../src/contract/types.ts";
import { isLong, itLong } from "../support/amount.ts";
import { programSpec, refOf } from "../support/in-process.ts";
import { expectInvariants } from "./invariants.ts";
import { answer, KillWorld } from "./world.ts";

// Nothing is killed here: everything comes at the same time.

/** How many apps are deployed at the same time. */
const MANY = isLong ? 50 : 10;

let kill: KillWorld;
beforeAll(async () => {
  kill = await KillWorld.create();
});
afterAll(() => kill.close());

const revisionsOf = (name: string) => kill.use((client) => client.listRevisions(refOf(name)));
const invariants = () =>
  kill.use((client) => {
    const { env, state, cache, port } = kill.world;
    return expectInvariants({ env, state, cache, port, client });
  });

describe("at once", () => {
  itLong("two deploys of one app: both get their verdict, and the one that was accepted later serves", async () => {
    const { world, steps } = kill;
    const texts = ["left", "right"];
    const commands = texts.map((text) => {
      world.folder(text, { "app.ts": steps.app("web", text) });
      return world.start(["deploy", "apps", `${text}/app.ts`, "web", "-o", "json"]);
    });
    const results = await Promise.all(commands.map(({ result }) => result));
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    const made: string[] = results.map(({ stdout }) => JSON.parse(stdout).revision);
    expect([...made].sort()).toEqual(["web-00002", "web-00003"]);
    const last = texts[made.indexOf("web-00003")] ?? "";
    await kill.serves(
      last,
      texts.find((text) => text !== last),
    );
    const active = (await revisionsOf("web")).filter((revision) => revision.active);
    expect(active.map(({ name }) => name)).toEqual(["web-00003"]);
    await kill.settled();
    await invariants();
  });

  it("the same deploy from ten commands: one revision, and ten good ends", async () => {
    const { world, steps } = kill;
    world.folder("ten", { "app.ts": steps.app("ten", "ten") });
    const commands = Array.from({ length: 10 }, () =>
      world.start(["deploy", "apps", "ten/app.ts", "ten", "-o", "json"]),
    );
    const results = await Promise.all(commands.map(({ result }) => result));
    expect(results.map(({ code, stderr }) => (code === 0 ? "" : stderr))).toEqual(results.map(() => ""));
    const endpoints = new Set(results.map(({ stdout }) => JSON.parse(stdout).endpoint));
    expect(endpoints.size).toBe(1);
    expect(new Set(results.map(({ stdout }) => JSON.parse(stdout).revision))).toEqual(new Set(["ten-00001"]));
    expect(await answer([...endpoints][0])).toBe("ten");
    expect((await revisionsOf("ten")).map(({ name, state }) => [name, state])).toEqual([["ten-00001", "Ready"]]);
    await kill.settled();
    await invariants();
  });

  it(`${MANY} deploys of ${MANY} apps: each gets its own verdict, and answers for itself`, async () => {
    const plain = await kill.world.json<AppStatus>(["get", "apps", "plain"]);
    const image: ImageReference = { reference: plain.image ?? "", digest: plain.digest ?? "" };
    const names = Array.from({ length: MANY }, (_, index) => `many-${index}`);
    await kill.use(async (client) => {
      const ends = await Promise.all(
        names.map(async (name) => {
          const { id, endpoint } = await client.applyApp(refOf(name), programSpec(name), image, name);
          const events = [];
          for await (const event of client.follow(refOf(name), id, 0)) events.push(event);
          expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
          return { end: events.at(-1), endpoint, text: await answer(endpoint) };
        }),
      );
      expect(ends.map(({ end }) => end?.type)).toEqual(names.map(() => "succeeded"));
      expect(ends.map(({ text }) => text)).toEqual(names.map(() => "plain"));
      expect(new Set(ends.map(({ endpoint }) => endpoint)).size).toBe(MANY);
      await kill.settled();
      await invariants();
      await Promise.all(names.map((name) => client.deleteApp(refOf(name))));
    });
    await kill.settled();
    await invariants();
  });
});
