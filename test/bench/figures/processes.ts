import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { AppStatus } from "../../../src/contract/types.ts";
import { cli, World } from "../../e2e/harness.ts";
import type { Figure } from "../figure.ts";
import { clientOf } from "../fleet.ts";
import { plainEnvironment } from "../process-time.ts";
import { median } from "../statistics.ts";

/** Asks an app every 5 ms on one kept connection, in a process of its own; prints the longest time at the end of its input. */
const PINGER = `
const http = require("node:http");
const [port, host] = process.argv.slice(1);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let longest = 0, stop = false;
process.stdin.on("end", () => { stop = true; }).resume();
const ask = () => {
  const began = performance.now();
  http.get({ host: "127.0.0.1", port, headers: { host }, agent }, (response) => {
    response.resume().on("end", () => {
      if (response.statusCode !== 200) throw new Error("the app answered " + response.statusCode);
      longest = Math.max(longest, performance.now() - began);
      if (stop) { console.log(longest); process.exit(); }
      setTimeout(ask, 5);
    });
  });
};
ask();`;

/** Floods the API: lists of apps on 16 connections, and bodies of 4 MB on one, until the end of its input. */
const FLOOD = `
const http = require("node:http");
const [port, key] = process.argv.slice(1);
const agent = new http.Agent({ keepAlive: true });
const headers = { host: "localhost", authorization: "Bearer " + key };
const path = "/api/v1/projects/default/domains/development/apps";
let answers = 0, stop = false;
process.stdin.on("end", () => { stop = true; }).resume();
const send = (options, body) => new Promise((resolve) => {
  const request = http.request({ host: "127.0.0.1", port, agent, ...options }, (response) => response.resume().on("end", resolve));
  request.on("error", resolve).end(body);
});
const body = JSON.stringify({ spec: { name: "web", env: Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => ["V" + i, "x".repeat(80)])) } });
const lists = Array.from({ length: 16 }, async () => { while (!stop) { await send({ path, headers }); answers++; } });
const bodies = (async () => { while (!stop) await send({ method: "POST", path: path + "/web/check", headers: { ...headers, "content-type": "application/json" } }, body); })();
Promise.all([...lists, bodies]).then(() => { console.log(answers); process.exit(); });`;

/** A program that runs until its input ends, and then prints a number. */
function running(script: string, ...args: string[]) {
  const child = spawn(process.execPath, ["-e", script, ...args], {
    env: plainEnvironment(),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const line = once(createInterface(child.stdout), "line") as Promise<[string]>;
  return async () => {
    child.stdin.end();
    return Number((await line)[0]);
  };
}

/** What three processes are for: an app does not wait for the platform. And what they cost: the first command starts them. */
export const processes: Figure = {
  name: "processes",
  rows: {
    stall: {
      what: "longest time to the answer of an app while the API is flooded, with bodies of 4 MB among the requests",
      unit: "ms",
      target: { of: "value", atMost: 50 },
      missed: "flood, platform, gateway and app share two cores here",
    },
    calm: { what: "the same without a flood, for information", unit: "ms" },
    first: { what: "the first command: `appctl get apps`, with the start of its platform", unit: "ms" },
  },
  async measure({ quick, rounds }) {
    const world = await World.create();
    try {
      const dir = world.folder("web", {
        "app.ts": `import { App } from "appctl";
          export default new App({ name: "web", requiresAuth: false, frameworkApp: { fetch: () => new Response("web") } });`,
      });
      await world.ok(["deploy", "app.ts", "web"], { cwd: dir });
      const { endpoint } = await world.json<AppStatus>(["get", "apps", "web"]);
      const client = clientOf(world);
      const { key } = await client.createApiKey({ name: "BENCH", kind: "admin" });
      const { port, host } = new URL(endpoint);
      const seconds = quick ? 1 : 10;
      const measure = async (flooded: boolean) => {
        const endFlood = flooded ? running(FLOOD, port, key) : undefined;
        const endPings = running(PINGER, port, host);
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
        const longest = await endPings();
        await endFlood?.();
        return longest;
      };
      await measure(false);
      const [calm, stall] = [await measure(false), await measure(true)];
      await client.close();

      const times: number[] = [];
      for (let round = 0; round < rounds(7); round++) {
        const fresh = await World.create();
        const began = performance.now();
        await promisify(execFile)(process.execPath, [cli, "get", "apps"], { env: fresh.env });
        times.push(performance.now() - began);
        await fresh.close();
      }
      return { rows: { stall: { value: stall }, calm: { value: calm }, first: { value: median(times) } } };
    } finally {
      await world.close();
    }
  },
};
