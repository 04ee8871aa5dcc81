/** A thread that compresses parts of a layer; see deflate-threads.ts. */
import { parentPort } from "node:worker_threads";
import { deflate } from "./deflate.ts";
import type { DeflatePart, DeflateResult } from "./deflate-threads.ts";

const port = parentPort;
if (!port) throw new Error("deflate-worker runs as a worker thread");
port.on("message", ({ data, start, last, depth }: DeflatePart) => {
  const packed = deflate(data, start, last, depth) as DeflateResult["packed"];
  port.postMessage({ packed, data } satisfies DeflateResult, [packed.buffer, data.buffer]);
});
