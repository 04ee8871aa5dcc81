/** Looking for an engine where some have a fault: one that takes connections, and says nothing. */
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { findEngine } from "../../../src/engine/local/docker/find-engine.ts";
import { timeOuts } from "../../support/clock.ts";
import { temporaryDirectory } from "../helpers.ts";
import { startFaultyEngine } from "./faulty-engine.ts";

/** Where somebody takes connections and never answers. */
async function startSilence(onConnection: () => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    onConnection();
  });
  const path = join(temporaryDirectory(), "silent.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return path;
}

it("passes over one that takes connections and says nothing, and asks the next", async () => {
  const { lengths, end } = timeOuts();
  const silent = await startSilence(end);
  const hung = await startFaultyEngine((call) => {
    if (call !== "GET /networks") return false;
    end(); // it never says which it has
    return true;
  });
  const good = await startFaultyEngine();
  const { api, hasBridge } = await findEngine([silent, hung.socketPath, good.socketPath]);
  onTestFinished(() => api.close());
  expect(api.socketPath).toBe(good.socketPath);
  expect(hasBridge).toBe(true);
  expect(hung.calls).toEqual(["GET /version", "GET /networks"]);
  expect(new Set(lengths)).toEqual(new Set([10_000]));
});

it("says how long it waited when no other is there", async () => {
  const { end } = timeOuts();
  const silent = await startSilence(end);
  await expect(findEngine([silent])).rejects.toMatchObject({
    code: "RUNTIME_UNAVAILABLE",
    exit: 6,
    message: expect.stringContaining(`${silent} (no answer within 10 s)`),
  });
});
