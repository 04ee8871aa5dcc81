/** What an engine is given of an image, and what of that stays. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type EngineApi, EngineApiError } from "../../../src/container-engine/docker-api.ts";
import { AppImages, type ImageToMount } from "../../../src/engine/local/docker/app-images.ts";
import type { ImageLoader } from "../../../src/engine/local/docker/image-loader.ts";
import { type TarEntry, tar } from "../../../src/oci/archive/tar.ts";
import { ref, temporaryDirectory } from "../helpers.ts";

const never = new AbortController().signal;
const digestOf = (digit: string) => `sha256:${digit.repeat(64)}`;
const [one, two] = [digestOf("1"), digestOf("2")];

/** With images whose app layers have these files. */
function imagesWith(files: string[]) {
  const dir = temporaryDirectory();
  for (const name of files) writeFileSync(join(dir, name), name);
  const log: string[] = [];
  const kept: (ReadonlySet<string> | undefined)[] = [];
  const hooks = { beforeOutline: async () => {}, duringRetain: async () => {} };
  const loader = {
    referenceOf: (_: unknown, digest: string) => `whole-${digest.at(-1)}`,
    referenceOfOutline: (_: unknown, id: string) => `outline-${id}`,
    load: async () => ({ layers: [], entrypoint: [] }),
    async retain(_: unknown, needed: () => ReadonlySet<string> | undefined) {
      await hooks.duringRetain();
      kept.push(needed());
    },
  } as unknown as ImageLoader;
  const stack = { diffIds: [], hasBase: true, async *archive() {} };
  const images = new AppImages({
    loader,
    image: async () => stack,
    async outline(digest): Promise<ImageToMount> {
      await hooks.beforeOutline();
      const all = files.map((name) => ({ source: join(dir, name), target: `/app/${name}` }));
      return { ...stack, id: digest.at(-1) ?? "", files: all };
    },
    log: (message) => log.push(message),
  });
  return { images, dir, log, kept, hooks };
}

it("mounts files until the engine says that it has not one that is here", async () => {
  const { images, dir, log } = imagesWith(["a"]);
  const { files = [], reference } = await images.prepare(ref, one, never);
  expect(reference).toBe("outline-1");
  const [a] = files;
  const failed = (message: string) => images.cannotMount(new EngineApiError(500, message), files);
  // Of something else that was to be mounted, and no failure of a mount at all.
  expect(failed('error mounting "proc" to rootfs at "/proc": permission denied')).toBe(true);
  expect(failed('invalid mount config for type "bind": bind source path does not exist: /run/launch')).toBe(true);
  expect(failed('exec: "node": executable file not found in $PATH')).toBe(false);
  expect(images.cannotMount(new Error("mounting"), files)).toBe(false);
  expect([images.canMount(files), log]).toEqual([true, []]);
  // One that is gone here as well says nothing of the engine.
  rmSync(join(dir, "a"));
  mkdirSync(join(dir, "a"));
  expect(failed(`statfs ${a?.source}: no such file or directory`)).toBe(true);
  expect([images.canMount(files), log]).toEqual([false, []]);
  rmSync(join(dir, "a"), { recursive: true });
  writeFileSync(join(dir, "a"), "a");
  expect(images.canMount(files)).toBe(true);
  expect(failed(`invalid mount config for type "bind": bind source path does not exist: ${a?.source}`)).toBe(true);
  expect(images.canMount(files)).toBe(false);
  expect(log).toEqual([expect.stringContaining("has no files of this machine")]);
  expect(await images.prepare(ref, two, never)).toMatchObject({ reference: "whole-2", files: undefined });
});

it("takes for no file what Podman says is a folder, and asks until it has said what it is", async () => {
  const { images, dir } = imagesWith(["a"]);
  const { files = [] } = await images.prepare(ref, one, never);
  let asked = 0;
  const prove = (answer: () => AsyncIterable<Uint8Array>) => {
    const download = async () => {
      asked++;
      return answer();
    };
    return images.provePodman({ isPodman: true, download } as unknown as EngineApi, "container", files);
  };
  const fails = (message: string) => () => {
    throw new EngineApiError(500, message);
  };
  async function* inPieces(entry: TarEntry) {
    for await (const bytes of tar([entry]))
      for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
  }
  // What its process for that says when it is hurried tells nothing.
  await prove(fails("error in copier subprocess: EOF"));
  await prove(async function* () {});
  await expect(prove(() => inPieces({ type: "directory", path: "a" }))).rejects.toMatchObject({
    message: `mounting ${join(dir, "a")}: it is no file there`,
  });
  await prove(() => inPieces({ type: "file", path: "a", content: Buffer.from("content") }));
  expect(asked).toBe(4);
  await prove(() => inPieces({ type: "directory", path: "a" }));
  expect(asked).toBe(4);

  const again = imagesWith(["a"]);
  const told = await again.images.prepare(ref, one, never);
  const download = async () => fails('error in copier subprocess: chdir "/a": not a directory')();
  const api = { isPodman: true, download } as unknown as EngineApi;
  await again.images.provePodman(api, "container", told.files ?? []);
  const silent = { isPodman: true, download: () => expect.unreachable() } as unknown as EngineApi;
  await again.images.provePodman(silent, "container", told.files ?? []);
});

it("loads one with many files whole, and keeps both forms of what is needed", async () => {
  const { images, kept } = imagesWith(Array.from({ length: 65 }, (_, at) => `f${at}`));
  expect(await images.prepare(ref, one, never)).toMatchObject({ reference: "whole-1", files: undefined });
  await images.retain(ref, () => new Set([one, two]));
  expect(kept).toEqual([new Set(["whole-1", "outline-1", "whole-2", "outline-2"])]);
});

it("keeps what is made ready while it looks what an earlier platform has left", async () => {
  const { images, kept, hooks } = imagesWith(["a"]);
  const looking = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  hooks.beforeOutline = async () => {
    looking.resolve();
    await goOn.promise;
  };
  const retained = images.retain(ref, () => new Set([one]));
  await looking.promise;
  expect(await images.prepareWhole(ref, one, never)).toMatchObject({ reference: "whole-1" });
  goOn.resolve();
  await retained;
  expect(kept).toEqual([new Set(["whole-1", "outline-1"])]);
  await images.retain(ref, () => undefined);
  expect(kept.at(-1)).toBeUndefined();
});
