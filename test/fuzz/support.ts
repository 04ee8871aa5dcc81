/**
 * What the fuzz tests share: how much each generates, from which seed, and a count of what really ran. The tier `long` generates
 * everything, `STRESS=1` ten times as much, and the tier `unit` a sample. Each run has a seed of its own, which is printed;
 * `FUZZ_SEED` repeats it. fast-check prints the smallest failing case.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { isLong, stress } from "../support/amount.ts";

/** The number of generated cases that each test file has to run at the least, in the tier `long`. */
export const SHARES = {
  "api-requests": 48_000,
  "app-specs": 36_000,
  images: 12_000,
  "registry-requests": 4_000,
  "request-heads": 12_000,
  // Not malformed input to us, but the oracle's: counted apart from the 100,000 of the others.
  upstream: 32_000,
  "forwarded-requests": 4_000,
} as const;

/** Name of a file of fuzz tests, without `.test.ts`. */
export type Share = keyof typeof SHARES;

const scale = isLong ? stress : 0.02;
const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 1_000_000);
if (!Number.isSafeInteger(seed)) throw new Error("FUZZ_SEED must be a whole number");
console.log(`FUZZ_SEED=${seed}`);

/** Parameters of `fc.assert` for `count` cases. */
export function runs(count: number): { numRuns: number; seed: number; endOnFailure: boolean; maxSkipsPerRun: number } {
  return { numRuns: Math.ceil(count * scale), seed, endOnFailure: false, maxSkipsPerRun: 20 };
}

/** Counts cases; see {@link expectShare}. */
export class Tally {
  count = 0;

  /** Counts one case, or as many as are said. */
  add(cases = 1): void {
    this.count += cases;
  }
}

/** The last test of a file: what was counted reaches its share. */
export function expectShare(share: Share, tally: Tally): void {
  const least = Math.floor(SHARES[share] * scale);
  it(`ran at least ${least} cases`, () => {
    expect(tally.count).toBeGreaterThanOrEqual(least);
  });
}

/** Values that belong nowhere: each is a trap for somebody. Only what JSON can hold. */
export const oddJson: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    ...[null, true, false, 0, -0, -1, 1, 0.5, 65536, 2 ** 31, 2 ** 53, -(2 ** 53), 1e21, 1e308, 5e-324],
    ...["", " ", "a", "web", "KEY", "\0", "a\0b", "\ud800", "x\udfff", "\u2028", "\ufeff", "..", "../../etc/passwd"],
    ...["__proto__", "constructor", "toString", "$ref", "true", "1", "1e999", "-1", "0x10", "é", "🔑".repeat(40)],
    ...[
      "a".repeat(64),
      "a".repeat(600),
      "a\nb",
      "a\r\nb: c",
      "' OR 1=1 --",
      "<script>",
      "%s%n",
      `sha256:${"0".repeat(64)}`,
    ],
    ...[[], {}, [[]], [null], [{}], { a: 1 }, { length: 3 }, { toString: 1 }, { valueOf: 1 }, [1, "a", null, {}]],
  ),
  fc.constantFrom(
    JSON.parse('{"__proto__":{"polluted":true}}'),
    JSON.parse('{"constructor":{"prototype":{"polluted":true}}}'),
    JSON.parse(`${"[".repeat(200)}${"]".repeat(200)}`),
  ),
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.double(),
  fc.jsonValue({ maxDepth: 2 }),
);

type Path = (string | number)[];

/** One change to a JSON value, at a place that `at` picks. */
export interface Mutation {
  at: number;
  kind: "replace" | "remove" | "add" | "wrap" | "repeat";
  key: string;
  value: unknown;
}

/** Changes for {@link mutated}. */
export const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(),
  kind: fc.constantFrom("replace", "replace", "replace", "remove", "add", "wrap", "repeat"),
  key: fc.constantFrom("__proto__", "constructor", "extra", "", "name", "\0", "length", "kind", "0"),
  value: oddJson,
});

/** `value` with one change. The value itself stays as it is. */
export function mutated(value: unknown, { at, kind, key, value: odd }: Mutation): unknown {
  const copy = structuredClone(value);
  const paths = placesOf(copy);
  const path = paths[at % paths.length] as Path;
  const last = path.at(-1);
  if (last === undefined) return kind === "wrap" ? [copy] : odd;
  let owner = copy as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) owner = owner[step] as typeof owner;
  const before = owner[last];
  if (kind === "remove") {
    if (Array.isArray(owner)) owner.splice(Number(last), 1);
    else delete owner[last];
  } else if (kind === "add" && Array.isArray(before)) before.push(odd);
  else if (kind === "add" && typeof before === "object" && before !== null) set(before as object, key, odd);
  else if (kind === "add" && !Array.isArray(owner)) set(owner, key, odd);
  else if (kind === "wrap") set(owner, String(last), [before]);
  else if (kind === "repeat")
    set(owner, String(last), Array.isArray(before) ? [...before, ...before] : [before, before]);
  else set(owner, String(last), odd);
  return copy;
}

/** Sets an own property, `__proto__` too. */
function set(owner: object, key: string, value: unknown): void {
  Object.defineProperty(owner, key, { value, enumerable: true, configurable: true, writable: true });
}

function placesOf(value: unknown, path: Path = []): Path[] {
  const children: [string | number, unknown][] = Array.isArray(value)
    ? value.map((item, index) => [index, item])
    : typeof value === "object" && value !== null
      ? Object.entries(value)
      : [];
  return [path, ...children.flatMap(([key, child]) => placesOf(child, [...path, key]))];
}

/** Indices at which to cut `length` bytes into pieces. */
export function piecesOf<T extends { length: number; subarray(from: number, to?: number): T }>(
  bytes: T,
  cuts: readonly number[],
): T[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].filter((cut) => cut > 0).sort((a, b) => a - b);
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index])).filter((piece) => piece.length > 0);
}
