/** What the builder docker makes of an engine that fails in ways that no real one does on demand. */
import { describe, expect, it } from "vitest";
import { builtBase } from "../../../src/image/builder/docker-builder.ts";
import { OciLayout } from "../../../src/oci/layout.ts";
import { hostTarget } from "../../../src/packages/npm-target.ts";
import { failureOf } from "../../image/support.ts";
import { temporaryDirectory } from "../helpers.ts";
import { type Fault, refuse, startFaultyEngine } from "./faulty-engine.ts";

async function failureAt(fault: Fault) {
  const { socketPath } = await startFaultyEngine((call, res) => {
    if (fault(call, res)) return true;
    if (call !== "POST /build") return false;
    res.end(`${JSON.stringify({ stream: "Step 1/2 : FROM base" })}\n`);
    return true;
  });
  const home = temporaryDirectory();
  return failureOf(
    builtBase({
      base: "localhost/base:1",
      programs: { aptPackages: [], commands: ["true"] },
      platform: hostTarget(),
      layout: new OciLayout(temporaryDirectory()),
      env: { DOCKER_HOST: `unix://${socketPath}`, HOME: home },
      signal: new AbortController().signal,
    }),
  );
}

describe("an image that cannot be built", () => {
  it("has the engine's reason in the first line, and what to do about a full disk", async () => {
    const full = await failureAt(
      (call, res) => call === "POST /build" && refuse(res, 500, "write /x: no space left on device"),
    );
    expect(full).toMatchObject({
      code: "IMAGE_BUILD_FAILED",
      exit: 7,
      message: "the image could not be built: write /x: no space left on device",
      hint: expect.stringContaining("docker system prune"),
    });
  });
});

describe("an image that was built and cannot be taken out of the engine", () => {
  const isGet = (call: string) => /^GET \/images\/.*\/get$/.test(call);
  it.each<[string, Fault]>([
    ["since the engine goes away", (call, res) => isGet(call) && res.destroy() !== undefined],
    [
      "since the engine goes away half-way",
      (call, res) => isGet(call) && res.writeHead(200).write("x".repeat(100), () => res.destroy()) !== undefined,
    ],
    ["since the engine has it no more", (call, res) => isGet(call) && refuse(res, 404, "No such image")],
  ])("%s is told as that", async (_, fault) => {
    expect(await failureAt(fault)).toMatchObject({
      code: "IMAGE_BUILD_FAILED",
      exit: 7,
      message: expect.stringContaining("could not be taken out of the engine"),
      hint: expect.stringContaining("do the same again"),
    });
  });
});
