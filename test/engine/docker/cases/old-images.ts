/** Images that revisions of before have brought into the engine. */
import { expect, onTestFinished } from "vitest";
import type { RunnableRevision } from "../../../../src/engine/engine.ts";
import { call, collect, ref, until } from "../../helpers.ts";
import type { ContainerCases } from "../container-cases.ts";
import type { ContainerGround } from "../container-ground.ts";

/** A revision that answers its own name. Each has an image of its own, below the app layer, too. */
const answers = (on: ContainerGround, name: string) => on.program(`"${name}"`, {}, name, [`NAME=${name}`]);

/** Revisions whose images the engine has, by name: whole, or with an outline of the app layer. */
async function imagesOf(on: ContainerGround, ...revisions: RunnableRevision[]): Promise<string[]> {
  const tags = await on.tagsOf(await on.platform());
  const named = revisions.map(async ({ digest, name }) => {
    const outlined = await on.options.outline?.(digest);
    return { name, ends: [digest.slice(7, 39), `outline-${outlined?.id.slice(0, 32)}`] };
  });
  const known = await Promise.all(named);
  return tags.map((tag) => known.find(({ ends }) => ends.some((end) => tag.endsWith(end)))?.name ?? tag).sort();
}

/** Resolves when the engine has the images of those alone. */
async function untilImages(on: ContainerGround, revisions: RunnableRevision[], ...names: string[]): Promise<void> {
  while ((await imagesOf(on, ...revisions)).join() !== names.join()) await new Promise((done) => setTimeout(done, 20));
}

export const oldImages: ContainerCases = {
  async "after an update, and a rollback loads it again"(on) {
    await on.open();
    const [one, two] = [await answers(on, "web-00001"), await answers(on, "web-00002")];
    await on.deploy(one);
    await on.engine.apply({ ref, revisions: [two, one], traffic: two.name });
    await until(() => on.engine.serving(ref) === two.name);
    expect(await imagesOf(on, one, two)).toEqual([one.name, two.name]);
    expect(await on.deploy(two)).toMatchObject({ ready: "True" });
    await untilImages(on, [one, two], two.name);
    expect(await on.deploy(one)).toMatchObject({ ready: "True" });
    expect(await on.ask()).toBe(one.name);
    await untilImages(on, [one, two], one.name);
  },

  async "after a failed update"(on) {
    await on.open();
    const one = await answers(on, "web-00001");
    const two = await on.program("1", { spec: { args: ["node", "nothing.mjs"] } }, "web-00002", ["NAME=two"]);
    await on.deploy(one);
    await on.engine.apply({ ref, revisions: [two, one], traffic: two.name });
    await collect(on.engine.observe(ref, two.name, new AbortController().signal));
    await on.deploy(one);
    await untilImages(on, [one, two], one.name);
    expect(await on.ask()).toBe(one.name);
  },

  async "after a restart of the platform, which finds what the one before had left"(on) {
    await on.open();
    const [one, two] = [await answers(on, "web-00001"), await answers(on, "web-00002")];
    await on.engine.apply({ ref, revisions: [one, two], traffic: one.name });
    await until(() => on.engine.replicas(ref).every(({ state }) => state === "Ready"));
    expect(await imagesOf(on, one, two)).toEqual([one.name, two.name]);
    await on.reopen();
    expect(await on.deploy(two)).toMatchObject({ ready: "True" });
    await untilImages(on, [one, two], two.name);
    expect(await on.ask()).toBe(two.name);
  },

  async "and keeps that of a stopped app, for its next start"(on) {
    await on.open();
    const one = await answers(on, "web-00001");
    await on.deploy(one);
    const platform = await on.platform();
    await on.engine.apply({ ref, revisions: [], traffic: null });
    await until(() => on.engine.replicas(ref).length === 0);
    await on.reopen();
    await on.engine.apply({ ref, revisions: [], traffic: null });
    expect(await on.tagsOf(platform)).toHaveLength(1);
  },

  async "and touches nothing of anybody else, not even the same image under another name"(on) {
    await on.open();
    const other = { ...ref, name: "other" };
    const [one, two] = [await answers(on, "web-00001"), await answers(on, "web-00002")];
    await on.engine.apply({ ref: other, revisions: [one], traffic: one.name });
    await collect(on.engine.observe(other, one.name, new AbortController().signal));
    await on.deploy(one);
    const { Image } = await on.container();
    await on.api.json("POST", `/images/${Image}/tag`, { query: { repo: "localhost/somebodys", tag: "own" } });
    onTestFinished(async () => void (await on.api.json("DELETE", "/images/localhost/somebodys:own")));
    await on.deploy(two);
    const platform = await on.platform();
    const tags = async () => (await on.tagsOf(platform)).filter((tag) => tag.includes("/web:"));
    while ((await tags()).length > 1) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await imagesOf(on, one, two)).toEqual([one.name, two.name]); // the first is the other app's
    expect((await on.tagsOf("localhost/somebodys:own")).length).toBe(1);
    expect((await on.tagsOf(`${platform}/default/development/other:`)).length).toBe(1);
    expect((await call(on.engine.lease(other))).body).toBe(one.name);
  },

  async "even if it is wanted again while it is removed"(on) {
    await on.open();
    const [one, two] = [await answers(on, "web-00001"), await answers(on, "web-00002")];
    await on.deploy(one);
    for (const revision of [two, one, two, one, two]) {
      expect(await on.deploy(revision)).toMatchObject({ ready: "True" });
      expect(await on.ask()).toBe(revision.name);
    }
    await untilImages(on, [one, two], two.name);
  },
};
