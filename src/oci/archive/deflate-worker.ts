/** A thread that compresses parts of a layer; see deflate-threads.ts. */
import { parentPort } from "node:worker_threads";
import { deflate } from "./deflate.ts";
import type { Done, Part } from "./deflate-threads.ts";

const port = parentPort;
if (!port) throw new Error("deflate-worker runs as a worker thread");
port.on("message", ({ data, start, last, depth }: Part) => {
  const packed = deflate(data, start, last, depth) as Done["packed"];
  port.postMessage({ packed, data } satisfies Done, [packed.buffer, data.buffer]);
});
