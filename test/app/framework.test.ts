import { describe, expect, it } from "vitest";
import { exportedApps, frameworkHint, frameworkKind } from "../../src/sdk/framework.ts";
import { App } from "../../src/sdk/index.ts";

/** Anything that is asked of it throws. */
const fail = (): never => {
  throw new Error("do not look");
};
const hostile = new Proxy<Record<string, unknown>>({}, { get: fail, getPrototypeOf: fail, ownKeys: fail });
const fetchApp = { fetch: (): Response => new Response() };

describe("frameworkKind", () => {
  it.each([
    ["fetch", fetchApp],
    ["fetch", Object.assign(() => 1, fetchApp)],
    ["node", (_: unknown, __: unknown) => 1],
    ["node", async () => 1],
    ["fastify", { ready: () => 1, routing: () => 1, fetch: () => 1 }],
    ["unknown", {}],
    ["unknown", "text"],
    ["unknown", null],
    ["unknown", undefined],
    ["unknown", class {}],
    ["unknown", { fetch: "no function" }],
    ["unknown", hostile],
  ])("%s", (kind, value) => {
    expect(frameworkKind(value)).toBe(kind);
  });

  it("has a hint for what is near", () => {
    expect(frameworkHint({ callback: () => 1 })).toContain("app.callback()");
    expect(frameworkHint({ listen: () => 1, close: () => 1 })).toContain("server");
    expect(frameworkHint({ handler: () => 1 })).toContain("toNodeListener");
    expect(frameworkHint(hostile)).toBeUndefined();
    expect(frameworkHint({})).toBeUndefined();
  });
});

it("exportedApps finds each App once, by brand, and not in arrays", () => {
  const one = new App({ name: "one", command: "x" });
  const foreign = Object.defineProperty({ name: "two", options: {} }, Symbol.for("appctl.sdk.App"), { value: true });
  const found = exportedApps({
    default: { one, three: 3 },
    again: one,
    foreign,
    list: [new App({ name: "no", command: "x" })],
  });
  expect(found.map(({ exports }) => exports)).toEqual([["one", "again"], ["foreign"]]);
});

it("exportedApps passes over what throws when it is looked at", () => {
  const one = new App({ name: "one", command: "x" });
  const two = new App({ name: "two", command: "x" });
  const members = Object.defineProperty({ two }, "bad", { get: () => hostile.bad, enumerable: true });
  const found = exportedApps({ default: members, hostile, one });
  expect(found.map(({ exports }) => exports)).toEqual([["two"], ["one"]]);
  expect(exportedApps({ default: hostile })).toEqual([]);
});
