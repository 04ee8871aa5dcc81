/** Bases that a container engine makes for the builder `docker`. The same cases run on Docker and on Podman. */
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { EngineApi } from "../../../src/container-engine/docker-api.ts";
import { imageTags } from "../../../src/engine/local/docker/image-loader.ts";
import { builtBase, type DockerBuild } from "../../../src/image/builder/docker-builder.ts";
import { loadableImage } from "../../../src/image/docker-archive.ts";
import { readTar } from "../../../src/oci/archive/tar-reader.ts";
import { OciLayout } from "../../../src/oci/layout.ts";
import type { FetchedImage } from "../../../src/oci/registry/fetch-image.ts";
import { hostTarget } from "../../../src/packages/npm-target.ts";
import type { DockerGround } from "../contract/subjects/docker.ts";
import { temporaryDirectory } from "../helpers.ts";
import { SHELL_ALONE, writeBaseLayer } from "./base-layer.ts";
import { writeProgramImage } from "./images.ts";

const BASE = "localhost/base-of-builds:1";
/** Makes another layer each time it runs. */
const RANDOM = 'read -r id </proc/sys/kernel/random/uuid; echo "$id" >/made';

/** Runs the cases on the engine of a ground. */
export function holdBuilder(name: string, ground: () => DockerGround): void {
  describe(`the builder docker with ${name}`, () => {
    /** Gives the engine the base, which no registry has. */
    beforeAll(async () => {
      const layout = new OciLayout(ground().layoutDir);
      const shell = await writeBaseLayer(layout, SHELL_ALONE);
      const image = await loadableImage(layout, await writeProgramImage(layout, shell, { file: "of the base" }));
      const api = await connect();
      await api.upload("/images/load", image.archive(BASE, 0));
      api.close();
    });

    const connect = () => EngineApi.connect((ground().env["DOCKER_HOST"] ?? "").replace("unix://", ""));
    const build = (layout: OciLayout, commands: string[], more: Partial<DockerBuild> = {}) =>
      builtBase({
        base: BASE,
        programs: { aptPackages: [], commands },
        platform: hostTarget(),
        layout,
        env: ground().env,
        signal: new AbortController().signal,
        ...more,
      });

    it("leaves no image in the engine, and its cache; with force nothing is taken from it", async () => {
      const layout = new OciLayout(temporaryDirectory());
      const before = await namesAt(await connect());
      const one = await build(layout, [RANDOM]);
      const two = await build(layout, [RANDOM, "echo more >/more"]);
      const forced = await build(layout, [RANDOM], { force: true });
      const [, , first] = one.config.rootfs.diff_ids;
      expect(two.config.rootfs.diff_ids.slice(0, 3)).toEqual(one.config.rootfs.diff_ids);
      expect(two.config.rootfs.diff_ids).toHaveLength(4);
      expect(forced.config.rootfs.diff_ids).toHaveLength(3);
      expect(forced.config.rootfs.diff_ids[2]).not.toBe(first);
      expect(await namesAt(await connect())).toEqual(before);
      // What force made stands for the one before, and no engine is needed for it.
      const again = await build(layout, [RANDOM], { env: { DOCKER_HOST: "unix:///nowhere.sock" } });
      expect(again.descriptor).toEqual(forced.descriptor);
    });

    it("has this machine's proxy in its commands, and nowhere in the image", async () => {
      const proxy = "http://ann:of-the-proxy@proxy.example.com:3128";
      const commands = ['test "$http_proxy" = "$HTTP_PROXY" && echo "$http_proxy" >/proxy'];
      const layout = new OciLayout(temporaryDirectory());
      const image = await build(layout, commands, { env: { ...ground().env, HTTP_PROXY: proxy } });
      expect(JSON.stringify(image.config)).not.toContain("proxy.example.com");
      expect(await addedFiles(image, layout)).toMatchObject({ proxy: `${proxy}\n` });
    });

    it("removes what a build has left that was killed a day ago, and not what one is at", async () => {
      const api = await connect();
      const [repo, hash] = ["localhost/appctl-built-base", "0".repeat(32)];
      const names = [Date.now() - 25 * 3600_000, Date.now() - 3600_000].map(
        (began) => `${hash}-${began.toString(36)}-01234567`,
      );
      for (const tag of names) await api.json("POST", `/images/${BASE}/tag`, { query: { repo, tag } });
      await build(new OciLayout(temporaryDirectory()), ["echo once >/more"]);
      const left = (await imageTags(api)).filter((name) => name.startsWith(`${repo}:`));
      expect(left).toEqual([`${repo}:${names[1]}`]);
      await api.json("DELETE", `/images/${left[0]}`);
      api.close();
    });

    it("leaves nothing under a name when a command fails", async () => {
      const before = await namesAt(await connect());
      const failed = build(new OciLayout(temporaryDirectory()), ["exit 7"]);
      await expect(failed).rejects.toMatchObject({ code: "IMAGE_BUILD_FAILED" });
      expect(await namesAt(await connect())).toEqual(before);
    });
  });
}

/** What the last layer that is not empty holds, by path. */
async function addedFiles({ manifest }: FetchedImage, layout: OciLayout): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const blob = await layout.readBlob(manifest.layers[2]?.digest ?? "");
  for await (const { header, body } of readTar(Readable.from([gunzipSync(blob)]))) {
    const pieces: Buffer[] = [];
    for await (const piece of body) pieces.push(piece);
    if (header.typeflag === "0") files[header.path] = Buffer.concat(pieces).toString("utf8");
  }
  return files;
}

/** Images by name; what the cache keeps has none. */
async function namesAt(api: EngineApi): Promise<string[]> {
  const names = (await imageTags(api)).filter((name) => name !== "<none>:<none>");
  api.close();
  return names.sort();
}
