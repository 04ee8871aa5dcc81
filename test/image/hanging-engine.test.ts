/** An engine that hangs when the built image is to be taken out of it; real ones do so with a disk that does not answer. */
import { createServer } from "node:http";
import { join } from "node:path";
import { expect, it } from "vitest";
import { builtBase } from "../../src/image/builder/docker-builder.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { hostTarget } from "../../src/packages/npm-target.ts";
import { timeOuts } from "../support/clock.ts";
import { folder } from "./support.ts";

/** Where the engine of a test listens. */
const socketIn = (dir: string) => join(dir, "engine.sock");

/** A build on that engine, with nobody's credentials. */
const buildWith = (dir: string, signal: AbortSignal) =>
  builtBase({
    base: "registry.invalid/base:1",
    programs: { aptPackages: [], commands: ["true"] },
    platform: hostTarget(),
    layout: new OciLayout(join(dir, "layout")),
    env: { DOCKER_HOST: `unix://${socketIn(dir)}`, DOCKER_CONFIG: dir },
    signal,
  });

it("does not keep a build that is given up from its end", async () => {
  const dir = await folder();
  const stop = new AbortController();
  const asked: string[] = [];
  const { lengths, end } = timeOuts();
  const engine = createServer((request, response) => {
    const { method, url = "" } = request;
    const path = url.replace(/^\/v[\d.]+/, "").replace(/\?.*/, "");
    asked.push(`${method} ${path.replace(/localhost\/[^/]*/, "NAME")}`);
    request.resume();
    if (path === "/version") response.end(JSON.stringify({ ApiVersion: "1.44", Os: "linux", Arch: "amd64" }));
    else if (path === "/networks") response.end("[]");
    else if (path === "/build") request.on("end", () => response.end('{"stream":"done"}\n'));
    else if (method === "GET") stop.abort(new Error("interrupted"));
    else end(); // the engine never answers: the client's patience is over
  });
  await new Promise<void>((resolve) => engine.listen(socketIn(dir), resolve));
  try {
    const build = buildWith(dir, stop.signal);
    await expect(build).rejects.toThrow("interrupted");
    expect(asked.slice(-2)).toEqual(["GET /images/NAME/get", "DELETE /images/NAME"]);
    expect(lengths.at(-1)).toBe(10_000);
  } finally {
    engine.closeAllConnections();
    engine.close();
  }
});

it("does not keep one that is given up before the engine has said who it is", async () => {
  const dir = await folder();
  const stop = new AbortController();
  const engine = createServer(() => stop.abort(new Error("interrupted")));
  await new Promise<void>((resolve) => engine.listen(socketIn(dir), resolve));
  try {
    const build = buildWith(dir, stop.signal);
    // Without that it would say after ten seconds that no engine answers.
    await expect(build).rejects.toThrow("interrupted");
  } finally {
    engine.closeAllConnections();
    engine.close();
  }
});
