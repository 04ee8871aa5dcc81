import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, it } from "vitest";
import { canary, register } from "./canary.ts";
import { expectNoSecrets, LEDGER } from "./secret-search.ts";

// The search has to find what it is there for. These finds are no leaks, so they stay out of the ledger.
const ledger = process.env[LEDGER];
let dir: string;
beforeEach(() => {
  delete process.env[LEDGER];
  dir = mkdtempSync(join(tmpdir(), "cs-"));
});
afterEach(() => {
  if (ledger !== undefined) process.env[LEDGER] = ledger;
  rmSync(dir, { recursive: true });
});

const odd = register("odd", 'a "quoted" välue \\ with\nlines & 100 % of it');
const value = canary("test");
const search = () => expectNoSecrets({ what: "this test", dirs: [dir] });

it.each<[string, (text: string) => string | Buffer]>([
  ["plain", (text) => text],
  ["in base64", (text) => Buffer.from(text).toString("base64")],
  ["in base64, one byte further", (text) => Buffer.from(`:${text}:`).toString("base64")],
  ["in base64url, two bytes further", (text) => Buffer.from(`u:${text}.`).toString("base64url")],
  ["in hex", (text) => Buffer.from(text).toString("hex")],
  ["in upper-case hex", (text) => Buffer.from(text).toString("hex").toUpperCase()],
  ["percent-encoded", (text) => encodeURIComponent(text)],
  ["as a form", (text) => new URLSearchParams({ x: text }).toString()],
  ["in JSON", (text) => JSON.stringify({ x: text })],
  ["in JSON in JSON", (text) => JSON.stringify({ x: JSON.stringify({ y: text }) })],
  ["gzipped", (text) => gzipSync(`before ${text} after`)],
])("finds a value %s", (_, form) => {
  for (const secret of [value, 'a "quoted" välue \\ with\nlines & 100 % of it']) {
    mkdirSync(join(dir, "deep", "er"), { recursive: true });
    writeFileSync(join(dir, "deep", "er", "file"), form(secret));
    expect(search, secret === value ? "canary" : odd).toThrow(/secrets were found[\s\S]*deep\/er\/file/);
    // What is thrown tells the place and not the value.
    expect(search).not.toThrow(secret);
  }
});

it("finds nothing where nothing is, and lets a declared place be", () => {
  writeFileSync(join(dir, "file"), `canary-test-${"0".repeat(36)}`);
  expect(search).not.toThrow();
  writeFileSync(join(dir, "key"), value);
  const allowed = new Map([[join(dir, "key"), new Set(["test"])]]);
  expect(() => expectNoSecrets({ what: "this test", dirs: [dir], allowed })).not.toThrow();
  expect(() => expectNoSecrets({ what: "this test", texts: [["argv", `x\0${value}`]], allowed })).toThrow("in argv");
});
