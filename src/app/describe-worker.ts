/**
 * Runs in a thread of its own: imports a bundle and posts what Apps it exports. The thread has none of the caller's
 * environment and is ended from outside as soon as it has spoken, so a file that listens or sets timers holds up nobody.
 */

import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { parentPort } from "node:worker_threads";
import type { RawError, WorkerMessage, WorkerRequest } from "./description.ts";
import { describeModule } from "./to-raw.ts";

if (!parentPort) throw new Error("describe-worker runs as a worker thread");
const port = parentPort;
/** Most errors that are shown of an AggregateError or a chain of causes. */
const MOST_PARTS = 8;
const post = (message: WorkerMessage) => port.postMessage(message);

// A thread cannot change directory and Node throws when it tries; where the file really runs it may.
process.chdir = () => undefined;

const exit = process.exit.bind(process);
process.exit = (code) => {
  post({ type: "exited", code: Number(code ?? process.exitCode ?? 0), frames: framesOf(new Error().stack) });
  return exit(code);
};

// Once: without a listener the port no longer keeps the thread alive, so a top-level await that nothing will ever settle
// ends the thread at once instead of waiting for the time limit.
port.once("message", async ({ file }: WorkerRequest) => {
  try {
    const namespace: Record<string, unknown> = await import(pathToFileURL(file).href);
    post({ type: "described", file: describeModule(namespace) });
  } catch (error) {
    await tellThrown(error);
  }
});

// Node would end the thread by process.exit(), which looks as if the file had called it.
process.on("uncaughtException", (error) => {
  if (process.listenerCount("uncaughtException") === 1) void tellThrown(error);
});

async function tellThrown(error: unknown): Promise<void> {
  const raw = rawError(error);
  // What the file printed before it failed goes another way than messages do: let it arrive first.
  await Promise.all([process.stdout, process.stderr].map(flush));
  post({ type: "threw", error: raw });
}

function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}

function rawError(error: unknown): RawError {
  if (!(error instanceof Error)) return { name: "", message: inspect(error, { depth: 1 }), frames: [] };
  const { code } = error as { code?: unknown };
  return {
    name: String(error.name),
    message: [String(error.message), ...partsOf(error)].join("\n"),
    frames: framesOf(error.stack),
    ...(typeof code === "string" ? { code } : {}),
  };
}

/** A line for each error that caused `error`, or that it is made of. */
function partsOf(error: Error, depth = 0): string[] {
  const text = (part: unknown) =>
    part instanceof Error ? `${part.name}: ${part.message}` : inspect(part, { depth: 1 });
  const errors = error instanceof AggregateError ? error.errors.slice(0, MOST_PARTS) : [];
  const parts = errors.map((part) => `  ${text(part)}`);
  const { cause } = error;
  if (cause === undefined || depth >= MOST_PARTS) return parts;
  return [...parts, `  caused by ${text(cause)}`, ...(cause instanceof Error ? partsOf(cause, depth + 1) : [])];
}

/** Only the frames: an error at link time has the whole line of code in its stack, and a bundle is one line. */
function framesOf(stack: unknown): string[] {
  return typeof stack === "string" ? stack.split("\n").filter((line) => /^\s+at /.test(line)) : [];
}
