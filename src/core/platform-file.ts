/** How a running local platform tells the CLI of the same user where it is. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeDurably } from "./write-durably.ts";

/**
 * Version of the messages between a platform and its supervisor. A supervisor that speaks another one is replaced when the platform
 * is stopped.
 */
export const SUPERVISOR_PROTOCOL = 1;

/** Content of `platform.json` in the state directory (0600). */
export interface PlatformFile {
  pid: number;
  /** Address for people and links: `http://localhost:7654`. */
  url: string;
  /** Address that the CLI connects to: never depends on name resolution. */
  address: string;
  version: string;
  /** Arguments of `platform run` that start an equal platform. Absent in files of versions before there were any. */
  args?: string[];
  /** Where its master key lies, when that is not the usual place; null: there. Absent as {@link args}. */
  masterKeyFile?: string | null;
  startedAt: string;
  /** The process above it, which starts it again; absent when it runs by itself. `startTime` is as in `startTimeOf`. */
  supervisor?: { pid: number; startTime: number; protocol: number };
  /** Key of the proof in `GET /api/v1/health?nonce=`: shows that the listener is this platform and not another program. */
  proofKey: string;
}

/** Reads `platform.json`; undefined when there is none. */
export function readPlatformFile(state: string): PlatformFile | undefined {
  try {
    return JSON.parse(readFileSync(join(state, "platform.json"), "utf8"));
  } catch {
    return undefined; // none yet, or one that a crash cut short: both mean that no platform is known
  }
}

/** The runtime that a platform was started with; undefined for one of an appctl that had but one. */
export function runtimeOf(file: PlatformFile): string | undefined {
  return argumentOf(file, "--runtime");
}

function argumentOf({ args = [] }: PlatformFile, name: string): string | undefined {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args[at + 1];
}

/** The runtime that the platform of a state directory runs with, or ran with when it was there last. */
export function lastRuntime(state: string): string | undefined {
  const file = readPlatformFile(state);
  return file && runtimeOf(file);
}

/** Where a platform is reached, other than by its port. */
export interface PlatformPlace {
  /** Address that it listens on. */
  host?: string | undefined;
  baseDomain?: string | undefined;
  /** Public address of the API and the console. */
  url?: string | undefined;
}

/** Where the platform of a state directory was reached when it ran last on that port. */
export function lastPlace(state: string, port: number): PlatformPlace {
  const file = readPlatformFile(state);
  if (!file || argumentOf(file, "--port") !== String(port)) return {};
  const [host, baseDomain, url] = ["--host", "--base-domain", "--url"].map((name) => argumentOf(file, name));
  return { host, baseDomain, url };
}

/** Writes `platform.json` atomically. */
export function writePlatformFile(state: string, content: PlatformFile): void {
  writeDurably(join(state, "platform.json"), `${JSON.stringify(content, null, 2)}\n`);
}

/** File with the local platform's own admin key (0600). */
export function adminKeyFile(state: string): string {
  return join(state, "admin.key");
}

/** The proof that a listener knows `proofKey`: HMAC-SHA-256 of the nonce, in hex. */
export function proofOf(proofKey: string, nonce: string): string {
  return createHmac("sha256", proofKey).update(nonce).digest("hex");
}

/** Compares two proofs in constant time. */
export function sameProof(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
