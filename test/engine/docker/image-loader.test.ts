/** Loading and removing of images at the same time, on an engine whose answers the test holds back. */
import { createServer, type ServerResponse } from "node:http";
import { expect, it } from "vitest";
import { ImageLoader, imageTags } from "../../../src/engine/local/docker/image-loader.ts";
import { ref, until } from "../helpers.ts";
import { clientOf } from "./faulty-engine.ts";

/**
 * An engine that knows images by name alone. Removals wait in `removals` until the test answers them, loads in `loads`
 * when the test holds them.
 */
async function startEngine() {
  const tags = new Set<string>();
  const removals: { tag: string; response: ServerResponse }[] = [];
  const calls: string[] = [];
  /** Loads that were sent whole, and how many were broken off. */
  const loads = { held: false, waiting: [] as (() => void)[], broken: 0 };
  /** How many listings fail as Podman's do while an image is being removed. */
  const listings = { failing: 0 };
  const server = createServer((req, res) => {
    const path = (req.url ?? "").split("?")[0]?.replace(/^\/v[\d.]+/, "") ?? "";
    calls.push(`${req.method} ${path}`);
    const answer = (status: number, body: unknown) => {
      res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    const tag = /^\/images\/(.+?)(?:\/json)?$/.exec(path)?.[1] ?? "";
    if (path === "/version") answer(200, { ApiVersion: "1.41", Os: "linux", Arch: "amd64" });
    else if (path === "/images/json") {
      if (listings.failing-- > 0) answer(500, { message: 'locating image with ID "0": image not known' });
      else answer(200, [{ RepoTags: [...tags] }]);
    } else if (req.method === "DELETE") removals.push({ tag, response: res });
    else if (path === "/images/load") {
      let archive = "";
      req.setEncoding("utf8").on("data", (text) => {
        archive += text;
      });
      req.on("end", () => {
        const end = () => {
          tags.add(archive);
          answer(200, {});
        };
        if (!loads.held) return end();
        loads.waiting.push(end);
        res.once("close", () => {
          if (!res.writableEnded) loads.broken++;
        });
      });
    } else if (tags.has(tag)) answer(200, { RootFS: { Layers: ["a"] } });
    else answer(404, { message: `No such image: ${tag}` });
  });
  const api = await clientOf(server);
  const endRemoval = () => {
    const { tag, response } = removals.shift() ?? {};
    tags.delete(tag ?? "");
    response?.writeHead(200).end("[]");
  };
  return { api, tags, removals, calls, loads, listings, endRemoval };
}

/** An image whose archive is its reference. */
const image = async () => ({
  diffIds: ["a"],
  hasBase: true,
  async *archive(reference: string) {
    yield Buffer.from(reference);
  },
});
const never = new AbortController().signal;
const [one, two] = [`sha256:${"1".repeat(64)}`, `sha256:${"2".repeat(64)}`];

it("loads an image again that is wanted while it is removed", async () => {
  const { api, tags, removals, calls, endRemoval } = await startEngine();
  const images = new ImageLoader(api, "appctl-0123456789");
  const reference = images.referenceOf(ref, one);
  await images.load(reference, image, never);
  const retained = images.retain(ref, () => new Set([images.referenceOf(ref, two)]));
  await until(() => removals.length === 1);
  const before = calls.length;
  const loaded = images.load(reference, image, never);
  // Nothing is asked of the engine while it removes the image: its answer would be no longer true when it is used.
  expect(await Promise.race([loaded.then(() => "loaded"), imageTags(api).then(() => "listed")])).toBe("listed");
  expect(calls.slice(before)).toEqual(["GET /images/json"]);
  endRemoval();
  await Promise.all([retained, loaded]);
  expect([...tags]).toEqual([reference]);
});

const isLoad = (call: string) => call === "POST /images/load";

it("loads an image once for two who ask at once, and reads it once", async () => {
  const { api, calls } = await startEngine();
  const images = new ImageLoader(api, "appctl-0123456789");
  let reads = 0;
  const read = async () => {
    reads++;
    // The second has long asked when the first has read.
    await imageTags(api);
    return image();
  };
  const reference = images.referenceOf(ref, one);
  const both = await Promise.all([images.load(reference, read, never), images.load(reference, read, never)]);
  expect(both).toEqual([
    { layers: ["a"], entrypoint: [] },
    { layers: ["a"], entrypoint: [] },
  ]);
  expect(reads).toBe(1);
  expect(calls.filter(isLoad)).toHaveLength(1);
});

it("goes on with a load when who began it is aborted and another one waits", async () => {
  const { api, calls, loads } = await startEngine();
  const images = new ImageLoader(api, "appctl-0123456789");
  const reference = images.referenceOf(ref, one);
  const superseded = new AbortController();
  loads.held = true;
  const first = images.load(reference, image, superseded.signal);
  const second = images.load(reference, image, never);
  await until(() => loads.waiting.length === 1);
  superseded.abort(new Error("superseded"));
  await expect(first).rejects.toThrow("superseded");
  for (const end of loads.waiting) end();
  expect(await second).toMatchObject({ layers: ["a"] });
  expect(loads.broken).toBe(0);
  expect(calls.filter(isLoad)).toHaveLength(1);
});

it("breaks a load off when nobody waits for it, and begins again for who asks then", async () => {
  const { api, calls, loads } = await startEngine();
  const images = new ImageLoader(api, "appctl-0123456789");
  const reference = images.referenceOf(ref, one);
  const superseded = new AbortController();
  loads.held = true;
  const both = [1, 2].map(() => images.load(reference, image, superseded.signal));
  await until(() => loads.waiting.length === 1);
  loads.held = false;
  superseded.abort(new Error("superseded"));
  for (const each of both) await expect(each).rejects.toThrow("superseded");
  expect(await images.load(reference, image, never)).toMatchObject({ layers: ["a"] });
  await until(() => loads.broken === 1);
  expect(calls.filter(isLoad)).toHaveLength(2);
});

it("asks before each removal again what is needed", async () => {
  const { api, tags, removals, endRemoval } = await startEngine();
  const images = new ImageLoader(api, "appctl-0123456789");
  for (const digest of [one, two]) await images.load(images.referenceOf(ref, digest), image, never);
  let needed: Set<string> | undefined = new Set();
  const retained = images.retain(ref, () => needed);
  await until(() => removals.length === 1);
  needed = new Set([images.referenceOf(ref, two)]);
  endRemoval();
  await retained;
  expect([...tags]).toEqual([images.referenceOf(ref, two)]);
  needed = undefined;
  await images.retain(ref, () => needed);
  expect([...tags]).toEqual([images.referenceOf(ref, two)]);
});

it("removes an image once for two who ask at once", async () => {
  const { api, tags, removals, calls, endRemoval } = await startEngine();
  const images = new ImageLoader(api, "appctl-0123456789");
  await images.load(images.referenceOf(ref, one), image, never);
  const both = [images.retain(ref, () => new Set()), images.retain(ref, () => new Set())];
  await until(() => calls.filter((call) => call === "GET /images/json").length >= 3 && removals.length > 0);
  // The second's listing has been answered when another one is, that was asked for after it.
  await imageTags(api);
  endRemoval();
  await Promise.all(both);
  expect(calls.filter((call) => call.startsWith("DELETE"))).toHaveLength(1);
  expect([...tags]).toEqual([]);
});

it("touches no image of another app, platform or person", async () => {
  const { api, tags, removals } = await startEngine();
  const images = new ImageLoader(api, "appctl-0123456789");
  const others = [
    new ImageLoader(api, "appctl-9876543210").referenceOf(ref, one),
    images.referenceOf({ ...ref, name: "web2" }, one),
    images.referenceOf({ ...ref, project: "other" }, one),
    "localhost/web:1",
    "node:24-slim",
  ];
  for (const tag of others) tags.add(tag);
  await images.retain(ref, () => new Set());
  await images.forget({ ...ref, name: "we" });
  expect(removals).toEqual([]);
  expect([...tags]).toEqual(others);
});

it("lists again when an image was removed in the midst of a listing, and gives up on an engine that always says so", async () => {
  const { api, tags, listings } = await startEngine();
  tags.add("node:24-slim");
  listings.failing = 3;
  expect(await imageTags(api)).toEqual(["node:24-slim"]);
  listings.failing = Number.POSITIVE_INFINITY;
  await expect(imageTags(api)).rejects.toThrow("image not known");
});
