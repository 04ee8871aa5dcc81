import type { IncomingMessage } from "node:http";
import { safeParse, type z } from "zod";
import { LIMITS } from "../../contract/limits.ts";
import { Names } from "../../contract/names.ts";
import type { AppRef, PlatformStatus } from "../../contract/types.ts";
import type { Fault } from "../../core/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { OciLayout } from "../../oci/layout.ts";
import type { Addresses } from "../addresses.ts";
import type { Deployer } from "../apps/deployer.ts";
import type { EventLog } from "../apps/event-log.ts";
import type { Builds } from "../builds/build-queue.ts";
import type { ConsoleSessions } from "../console/sessions.ts";
import type { Garbage } from "../images/image-garbage.ts";
import type { KeyStore, Principal } from "../keys/key-store.ts";
import { type ProblemCode, ProblemError } from "../problem.ts";
import type { Place, SecretStore } from "../secrets/secret-store.ts";
import type { AppStore } from "../store/app-store.ts";

/** What the handlers work with. */
export interface Services {
  store: AppStore;
  log: EventLog;
  deployer: Deployer;
  engine: Engine;
  secrets: SecretStore;
  keys: KeyStore;
  images: OciLayout;
  garbage: Garbage;
  builds: Builds;
  addresses: Addresses;
  sessions: ConsoleSessions;
  status(): PlatformStatus;
  /** Proof that this is the platform whose file the CLI read. */
  proof(nonce: string): string;
  /** Ends the platform gracefully, after the answer to this request. */
  stop(): void;
}

/** One request, as a handler sees it. `params` are the path's. */
export interface ApiRequest {
  request: Request;
  params: Record<string, string>;
  query: URLSearchParams;
  principal: Principal | undefined;
  /** The request as Node has it: for bodies that are streamed to disk. */
  incoming: IncomingMessage | undefined;
  services: Services;
}

/** What a handler answers with: a value (200, as JSON) or a whole response. */
export type Handler = (request: ApiRequest) => unknown | Promise<unknown>;

/** The request's JSON, checked. Throws one problem with every fault. */
export async function readBody<T extends z.core.$ZodType>(request: ApiRequest, schema: T): Promise<z.infer<T>> {
  return check(schema, await readJson(request, LIMITS.jsonBytes.value));
}

/** The request's JSON, of at most `maxBytes`. */
export async function readJson({ request }: ApiRequest, maxBytes: number): Promise<unknown> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new ProblemError("NOT_JSON", "the body must be JSON, with content-type: application/json");
  }
  try {
    return JSON.parse(await readText(request, maxBytes));
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    throw new ProblemError("MALFORMED_JSON", "the body is not valid JSON");
  }
}

async function readText(request: Request, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw new ProblemError("BODY_TOO_LARGE", `the body has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
}

/** Checks a value against a schema. Throws one problem with every fault, each with the path of its field. */
export function check<T extends z.core.$ZodType>(schema: T, value: unknown, at = ""): z.infer<T> {
  const { data, faults } = faultsOf(schema, value, at);
  if (faults.length > 0) throw invalidInput(faults);
  return data as z.infer<T>;
}

/** What a schema makes of a value; `data` is absent when there are faults. */
export function faultsOf<T extends z.core.$ZodType>(
  schema: T,
  value: unknown,
  at = "",
): { data?: z.infer<T>; faults: Fault[] } {
  const result = safeParse(schema, value);
  if (result.success) return { data: result.data, faults: [] };
  const { issues } = result.error;
  return { faults: issues.map((issue) => ({ path: pathOfIssue(issue.path, at), message: issue.message })) };
}

/** As many faults as anybody reads. */
const MOST_FAULTS = 100;

/** The problem of an input with faults. */
export function invalidInput(all: Fault[], code: ProblemCode = "INVALID_INPUT"): ProblemError {
  const more = all.length - MOST_FAULTS;
  const faults = all.slice(0, MOST_FAULTS);
  if (more > 0) faults.push({ path: "(body)", message: `${more} more values are not valid` });
  return new ProblemError(code, faults.map((f) => `${f.path}: ${f.message}`).join("; "), { faults });
}

function pathOfIssue(path: PropertyKey[], at: string): string {
  let text = at;
  for (const key of path) text += typeof key === "number" ? `[${key}]` : text ? `.${String(key)}` : String(key);
  return text || "(body)";
}

/** Project and domain of the path. */
export function placeOf({ params }: ApiRequest): Place {
  return {
    project: check(Names.scopeSegment, params["project"], "project"),
    domain: check(Names.scopeSegment, params["domain"], "domain"),
  };
}

/** The app that the path names. */
export function refOf(request: ApiRequest): AppRef {
  return { ...placeOf(request), name: check(Names.appName, request.params["name"], "name") };
}

/** A whole number from the query; absent: `fallback`. */
export function numberIn(query: URLSearchParams, name: string, fallback: number, max: number): number {
  const text = query.get(name);
  if (text === null) return fallback;
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value > max) {
    throw new ProblemError("INVALID_INPUT", `${name}: must be a whole number from 0 to ${max}`, {
      faults: [{ path: name, message: `must be a whole number from 0 to ${max}` }],
    });
  }
  return value;
}
