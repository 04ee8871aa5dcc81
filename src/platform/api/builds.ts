import type { z } from "zod";
import { LIMITS } from "../../contract/limits.ts";
import * as schemas from "../../contract/schemas.ts";
import { type Fault, isAppctlError, messageOf } from "../../core/errors.ts";
import { parsePackages } from "../../packages/package-spec.ts";
import { type BuildTask, brokenOff, type TaskEvent } from "../builds/task.ts";
import { wholeImage } from "../images/whole-image.ts";
import { type ApiRequest, faultsOf, invalidInput, readJson } from "./context.ts";

/** How long an answer may be silent, in milliseconds: a proxy in between would take it for dead. */
const HEARTBEAT_MS = 10_000;

/** Gives every package of an image one version. Nothing is installed. */
export async function resolvePackages(request: ApiRequest): Promise<Response> {
  return answer(request, { type: "resolve", request: await read(request, schemas.ResolveRequest) });
}

/** Builds an environment image into the platform's store, where it has its name then. */
export async function buildImage(request: ApiRequest): Promise<Response> {
  const wanted = await read(request, schemas.BuildRequest);
  const { images } = request.services;
  const presence = await Promise.all(wanted.copy.map(({ digest, size }) => images.hasBlob(digest, size)));
  const faults = wanted.copy.flatMap(({ path }, index) =>
    presence[index]
      ? []
      : [{ path: `copy[${index}]`, message: `the content of ${path} was not uploaded, or has another size` }],
  );
  if (faults.length > 0) throw invalidInput(faults, "CONTENT_MISSING");
  return answer(request, { type: "build", request: wanted });
}

/** The body, checked: its shape, and what its packages are, in one answer. */
async function read<T extends z.core.$ZodType>(request: ApiRequest, schema: T): Promise<z.infer<T>> {
  const value = await readJson(request, LIMITS.buildRequestBytes.value);
  const { data, faults } = faultsOf(schema, value);
  const packages = (value as { packages?: unknown } | null)?.packages;
  const all = [...faults, ...packageFaults(packages)];
  if (all.length > 0) throw invalidInput(all);
  return data as z.infer<T>;
}

function packageFaults(packages: unknown): Fault[] {
  if (!Array.isArray(packages) || !packages.every((item) => typeof item === "string")) return [];
  try {
    parsePackages(packages);
    return [];
  } catch (error) {
    if (!isAppctlError(error)) throw error;
    return error.faults.map(({ path, ...fault }) => ({ ...fault, path: path.replace(/^containerImage\./, "") }));
  }
}

function answer({ request, services }: ApiRequest, task: BuildTask): Response {
  const leave = new AbortController();
  const signal = AbortSignal.any([request.signal, leave.signal]);
  const events = services.builds.follow(task, signal);
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<TaskEvent, void>> | undefined;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      next ??= events.next();
      const { value, done } = (await within(HEARTBEAT_MS, next)) ?? {};
      if (value !== undefined) {
        next = undefined;
        const line = value.type === "built" || value.type === "found" ? await whole(value, services.images) : value;
        controller.enqueue(encoder.encode(`${JSON.stringify(line)}\n`));
      } else if (done) controller.close();
      else controller.enqueue(encoder.encode("\n"));
    },
    async cancel() {
      leave.abort();
      // A client that read slowly may have left before the next line was asked for: nothing would come to its end then.
      await events.return();
    },
  });
  // A proxy that collects an answer before it passes it on would keep the progress from whom it is for.
  const headers = { "content-type": "application/x-ndjson", "cache-control": "no-store", "x-accel-buffering": "no" };
  return new Response(body, { headers });
}

/** What another process has built is whole, and noted as used, before anybody hears of it. */
async function whole(event: Extract<TaskEvent, { reference: string }>, images: ApiRequest["services"]["images"]) {
  try {
    await wholeImage(images)(event.digest);
    return event;
  } catch (error) {
    return brokenOff(messageOf(error));
  }
}

/** What `work` comes to, or undefined when that takes longer. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
