/**
 * What the describe worker tells about a user's file: plain data only, because it crosses a thread. Nothing in it was
 * checked; `validate.ts` does that.
 */
import type { BrandName } from "../sdk/brand.ts";
import type { FrameworkKind } from "../sdk/framework.ts";

/** JSON, and in it two kinds of marked objects: {@link RawSdk} and {@link RawOdd}. */
export type Raw = null | boolean | number | string | Raw[] | { [key: string]: Raw };

/** An SDK object: its options under `value`. An App inside of another's options has `{ index, name }` there. */
export type RawSdk = { $sdk: BrandName; value: { [key: string]: Raw } };

/** Something that no option can be, in words: `"a function"`. */
export type RawOdd = { $odd: string };

/** One exported App. Its place in the list is its identity. */
export interface RawApp {
  /** The names that it is exported under. */
  exports: string[];
  /** The options that were given, without `frameworkApp`. */
  options: { [key: string]: Raw };
  /** What `frameworkApp` is, when it was given. */
  framework?: { kind: FrameworkKind; hint?: string };
}

/** A whole file. `others` are exports that could be a `frameworkApp` but are in no exported App. */
export interface RawFile {
  apps: RawApp[];
  others: { name: string; kind: FrameworkKind }[];
}

/** An error as the worker saw it. `frames` are the lines of its stack that name a place. */
export interface RawError {
  name: string;
  message: string;
  frames: string[];
  code?: string;
}

/** From the worker. Exactly one of these comes, unless the thread ends without one. */
export type WorkerMessage =
  | { type: "described"; file: RawFile }
  | { type: "threw"; error: RawError }
  | { type: "exited"; code: number; frames: string[] };

/** To the worker: the bundle to load, absolute. */
export interface WorkerRequest {
  file: string;
}

/** True for a marked SDK object, of the kind `name` if that is given. */
export function isRawSdk(value: unknown, name?: BrandName): value is RawSdk {
  const { $sdk: kind, value: options } = (value ?? {}) as Partial<RawSdk>;
  if (typeof options !== "object" || options === null) return false; // somebody's own object that looks like a mark
  return typeof kind === "string" && (name === undefined || kind === name);
}

/** True for a marked value that no option can be. */
export function isRawOdd(value: unknown): value is RawOdd {
  return typeof (value as Partial<RawOdd> | null | undefined)?.$odd === "string";
}
