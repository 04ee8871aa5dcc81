/**
 * `node gateway.js <pipe> <listener>`: a gateway in a process of its own. The numbers are inherited descriptors: the pipe to the
 * supervisor, which passes messages on from and to the platform, and the socket that clients connect to.
 */
import { Socket } from "node:net";
import { Wire } from "../core/wire.ts";
import { Gateway } from "./gateway.ts";
import { Listener } from "./listener.ts";
import { platformAway } from "./refusal.ts";
import type { Route } from "./route.ts";
import { type FromGateway, GatewayTable, type ToGateway } from "./route-table.ts";

/** The platform's own answers take as long as they take: a build, a long poll. */
const PLATFORM_TIMEOUT_MS = 24 * 60 * 60 * 1000;

/** Without a table by then, in milliseconds, the gateway answers 503 PLATFORM_RESTARTING. */
const LATE_MS = 3_000;

const [pipeFd = Number.NaN, listenerFd = Number.NaN] = process.argv.slice(2).map(Number);
// The platform ends it, by way of the supervisor: a signal to the group is for others.
for (const signal of ["SIGINT", "SIGUSR1"] as const) process.on(signal, () => undefined);

// A fault in one connection must not break those of all other clients.
process.on("uncaughtException", (error) => {
  process.stderr.write(`${new Date().toISOString()} gateway: ${error.stack ?? error.message}\n`);
});

let config: Extract<ToGateway, { type: "config" }> | undefined;
const wire = new Wire<FromGateway, ToGateway>(
  new Socket({ fd: pipeFd, readable: true, writable: true }),
  received,
  // Without its supervisor nobody holds the socket that clients connect to.
  () => process.exit(0),
);
const table = new GatewayTable((message) => wire.send(message));
const gateway = new Gateway({
  route: (host) => table.route(host.slice(0, -(config?.suffix.length ?? 0))),
  authorize: (authorization) => table.authorize(authorization),
  redeemProbe: (token, host) => table.redeemProbe(token, host),
  publicProto: () => config?.publicProto ?? "http",
});
const listener = new Listener({
  gateway,
  isApp: (host) => config !== undefined && host.endsWith(config.suffix),
  other: (request, response, host) => gateway.forward(request, response, host, toPlatform),
});
const toPlatform: Route = {
  app: "appctl",
  requiresAuth: false,
  requestTimeoutMs: PLATFORM_TIMEOUT_MS,
  stopped: false,
  away: platformAway,
  lease: () =>
    config
      ? {
          revision: "",
          replica: "",
          address: { socketPath: config.platform.socketPath },
          token: config.platform.token,
          release: () => undefined,
        }
      : null,
};
wire.send({ type: "hello" });
// Clients wait in the socket's queue until the table is there: a gateway without one would refuse them.
const isLate = setTimeout(listen, LATE_MS);
let isListening = false;

function listen(): void {
  clearTimeout(isLate);
  if (isListening) return;
  isListening = true;
  listener.server.listen({ fd: listenerFd });
}

function received(message: ToGateway): void {
  switch (message.type) {
    case "config":
      config = message;
      return;
    case "table":
      table.apply(message);
      if (message.isWhole) listen();
      return;
    case "drain":
      void end(message.graceMs, (graceMs) => listener.close(graceMs));
      return;
    case "retire":
      void end(message.graceMs, () => listener.retire());
  }
}

/** Ends when nothing is under way any more, or `graceMs` is over. */
async function end(graceMs: number, close: (graceMs: number) => Promise<void>): Promise<void> {
  const impatient = setTimeout(() => {
    gateway.close();
    listener.server.closeAllConnections();
  }, graceMs);
  await close(graceMs);
  clearTimeout(impatient);
  gateway.close();
  await wire.flush();
  process.exit(0);
}
