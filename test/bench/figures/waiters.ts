import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { Client } from "../../../src/client/client.ts";
import { pathOf } from "../../../src/contract/endpoints.ts";
import type { EventPage } from "../../../src/contract/types.ts";
import { get, World } from "../../e2e/harness.ts";
import { type AppGate, appGate } from "../../support/app-gate.ts";
import { programSpec, refOf } from "../../support/in-process.ts";
import type { Figure } from "../figure.ts";
import { clientOf, imageOf } from "../fleet.ts";
import { median } from "../statistics.ts";

const WAITERS = 500;
const app = refOf("gated");

/** Listens when the gate of its environment is open: the deploy stands still until then. */
const SERVER = `import { createServer } from "node:http";
while (!(await fetch(process.env.GATE)).ok) await new Promise((resolve) => setTimeout(resolve, 5));
createServer((req, res) => res.end("gated")).listen(process.env.PORT, process.env.HOST);
`;

/**
 * Many clients that wait for the next status of one deploy, each with an HTTP long poll of its own. The time is from the
 * append, which the event carries, to the last byte of the last waiter; both are read from the machine's one clock.
 */
export const waiters: Figure = {
  name: "waiters",
  rows: {
    median: {
      what: `a status reaches all of ${WAITERS} waiters, median`,
      unit: "ms",
      target: { of: "value", atMost: 100 },
      missed: "each answer costs the platform a query and a whole HTTP response",
    },
    worst: {
      what: "the same, worst round",
      unit: "ms",
      target: { of: "value", atMost: 100 },
      missed: "each answer costs the platform a query and a whole HTTP response",
    },
  },
  async measure({ quick, rounds }) {
    const world = await World.create();
    const gates: AppGate[] = [];
    const closedGate = async () => {
      const gate = await appGate();
      gates.push(gate);
      return gate;
    };
    try {
      const first = await closedGate();
      first.open();
      const dir = world.folder("gated", {
        "server.mjs": SERVER,
        "app.ts": `import { App } from "appctl";
export const gated = new App({ name: "gated", args: ["node", "server.mjs"], include: ["server.mjs"], requiresAuth: false,
  env: { GATE: ${JSON.stringify(first.url)} } });`,
      });
      await world.ok(["deploy", "apps", "app.ts", "gated"], { cwd: dir });
      const client = clientOf(world);
      const image = await imageOf(client, "gated");
      const times: number[] = [];
      // The first does not count: the code gets compiled.
      for (let round = 1; round <= rounds(11) + 1; round++) {
        const gate = await closedGate();
        const spec = programSpec("gated", { env: { GATE: gate.url } });
        const { id } = await client.applyApp(app, spec, image, randomUUID());
        const seen = await standsStill(client, id);
        const waiting = await longPolls(world, id, seen, quick ? 50 : WAITERS);
        gate.open();
        const time = await waiting.done;
        if (round > 1) times.push(time);
        for await (const event of client.follow(app, id, 0)) {
          if (event.type === "failed") throw new Error(event.cause.message);
        }
      }
      await client.close();
      return { rows: { median: { value: median(times) }, worst: { value: Math.max(...times) } } };
    } finally {
      await world.close();
      await Promise.all(gates.map((gate) => gate.close()));
    }
  },
};

/** Number of the last event before the app is ready. */
async function standsStill(client: Client, deployment: number): Promise<number> {
  for await (const event of client.follow(app, deployment, 0)) {
    if (event.type === "status" && event.reason === "TrafficNotMigrated") return event.seq;
  }
  throw new Error("the deploy did not stand still");
}

/** Long polls that the platform has read; `done` gives the milliseconds from the append to the last byte of all. */
async function longPolls(
  world: World,
  deployment: number,
  after: number,
  count: number,
): Promise<{ done: Promise<number> }> {
  const path = `${pathOf("deploymentEvents", { ...app, deployment })}?after=${after}&wait=60`;
  const key = readFileSync(join(world.state, "admin.key"), "utf8").trim();
  const head = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${key}\r\nconnection: close\r\n\r\n`;
  const sockets = Array.from({ length: count }, () => connect({ port: world.port, host: "127.0.0.1", noDelay: true }));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  const answers = sockets.map(async (socket) => {
    const parts: string[] = [];
    let last = 0;
    socket.setEncoding("utf8").on("data", (part: string) => {
      last = Date.now();
      parts.push(part);
    });
    socket.write(head);
    await once(socket, "end");
    return { last, text: parts.join("") };
  });
  // The platform reads its connections in turns: these are answered after the others have been read.
  for (let turn = 0; turn < 20; turn++) await get(`http://127.0.0.1:${world.port}/api/v1/health`);
  return { done: Promise.all(answers).then((all) => Math.max(...all.map(delay))) };
}

/** Milliseconds from the append of the event that an answer brings to the answer's last byte. */
function delay({ last, text }: { last: number; text: string }): number {
  if (!text.startsWith("HTTP/1.1 200 ")) throw new Error(text);
  const page = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1)) as EventPage;
  const [event] = page.events;
  if (event?.type !== "status" || event.reason !== "IngressNotConfigured") throw new Error(text);
  return last - Date.parse(event.time);
}
