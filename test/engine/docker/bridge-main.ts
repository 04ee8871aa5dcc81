/**
 * A network of a program's own, to be run as `unshare --net`: a Docker engine with a bridge and firewall rules changes nothing
 * on the machine there. Its first argument names a layout, the base layer in it, and the network backend of Podman, if that is to be the engine. It serves two apps of one project and one of another, and prints what they see, as JSON.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineApi } from "../../../src/container-engine/docker-api.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { OciLayout } from "../../../src/oci/layout.ts";
import { call } from "../platform-process.ts";
import { createDockerEngine, dockerOptions } from "./docker-engine.ts";
import { startDockerd } from "./dockerd.ts";
import { writeProgramImage } from "./images.ts";
import { startPodman } from "./podman.ts";

/** Answers with its addresses, and fetches what the path says. */
const PROGRAM = `
import { createServer } from "node:http";
import { networkInterfaces } from "node:os";
createServer(async (req, res) => {
  const { searchParams } = new URL(req.url, "http://x");
  const url = searchParams.get("url") ?? (searchParams.has("platform") ? process.env.APPCTL_ENDPOINT : undefined);
  if (searchParams.has("hoard")) { const kept = []; for (;;) kept.push(Buffer.alloc(16 * 1024 ** 2, 1)); }
  if (url === undefined) return res.end(JSON.stringify({ port: process.env.PORT, ip: networkInterfaces().eth0?.[0]?.address }));
  const answer = await fetch(url, { signal: AbortSignal.timeout(1500) }).then((r) => r.text(), (error) => error.name);
  res.end(JSON.stringify(answer));
}).listen(process.env.PORT, process.env.HOST);
`;

execFileSync("ip", ["link", "set", "lo", "up"]);
const dir = mkdtempSync(join(tmpdir(), "ae-bridge-"));
const platform = createServer((_, res) => res.end("the platform")).listen(0, "127.0.0.1");
await new Promise((resolve) => platform.once("listening", resolve));
const { port } = platform.address() as { port: number };
const { layoutDir, base, podman } = JSON.parse(process.argv[2] ?? "");
const dockerd = podman ? await startPodman(podman) : await startDockerd([]);
const digest = await writeProgramImage(new OciLayout(layoutDir), base, { "main.mjs": PROGRAM });
const engine = await createDockerEngine({
  ...dockerOptions(dir, layoutDir, dockerd.env),
  platformUrl: `http://127.0.0.1:${port}`,
});

const first = await serve(engine, "default", "first");
const second = await serve(engine, "default", "second");
const other = await serve(engine, "other", "third");
const one = await first("/");
const two = await second("/");
const three = await other("/");
const api = await EngineApi.connect(dockerd.socketPath);
const networks = async () => (await api.json<{ Name: string }[]>("GET", "/networks")).map(({ Name }) => Name).sort();
const found = {
  facts: engine.facts().isolation,
  one,
  networks: await networks(),
  platform: await first("/?platform"),
  neighbour: await first(`/?url=http://${two.ip}:${two.port}/`),
  otherProject: await first(`/?url=http://${three.ip}:${three.port}/`),
};
const third = { project: "other", domain: "development", name: "third" };
await engine.apply({ ref: third, revisions: [], traffic: null });
while (engine.replicas(third).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
await api.json("POST", "/networks/prune");
const pruned = (await networks()).filter((network) => network.endsWith("-other"));
const again = await serve(engine, "other", "fourth");
const afterPrune = { pruned, port: (await again("/")).port };
await first("/?hoard").catch(() => {});
const hoarder = { project: "default", domain: "development", name: "first" };
while (!engine.replicas(hoarder)[0]?.lastExit) await new Promise((resolve) => setTimeout(resolve, 20));
const lastExit = engine.replicas(hoarder)[0]?.lastExit;
await engine.close();
const left = {
  networks: await networks(),
  containers: await api.json("GET", "/containers/json", { query: { all: "1" } }),
};
api.close();
await dockerd.stop();
platform.close();
rmSync(dir, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify({ ...found, afterPrune, lastExit, left })}\n`);
process.exit();

async function serve(engine: Engine, project: string, name: string) {
  const ref = { project, domain: "development", name };
  const revision = {
    name: `${name}-00001`,
    digest,
    env: {},
    secrets: [],
    spec: {
      ...{
        name,
        kind: "args" as const,
        args: ["node", "main.mjs"],
        port: 3000,
        requiresAuth: false,
        env: {},
        secrets: [],
      },
      ...{ limits: { mem: "200Mi" }, minReplicas: 0, maxReplicas: 1, requestTimeout: 300, startTimeout: 60, links: [] },
    },
  };
  await engine.apply({ ref, revisions: [revision], traffic: revision.name });
  for await (const { ready, cause } of engine.observe(ref, revision.name, new AbortController().signal)) {
    if (ready === "False") throw new Error(JSON.stringify(cause));
  }
  return async (path: string) => {
    const lease = engine.lease(ref);
    if (!lease) throw new Error(`${name} is not ready`);
    return JSON.parse(await call(lease, path).finally(() => lease.release()));
  };
}
