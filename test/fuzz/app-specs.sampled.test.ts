import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Raw, RawApp } from "../../src/app/description.ts";
import { describeModule } from "../../src/app/to-raw.ts";
import { type Checked, validateApp } from "../../src/app/validate.ts";
import { checkAppSpec } from "../../src/contract/app-spec.ts";
import { App, type AppOptions, ImageSpec, Resources, Secret } from "../../src/sdk/index.ts";
import { expectShare, mutated, mutation, oddJson, runs, Tally } from "./support.ts";

const tally = new Tally();

/** What has to hold of every verdict on an App. */
function expectSound({ app, faults }: Checked): void {
  if (app === undefined) expect(faults.length).toBeGreaterThan(0);
  else expect(faults).toEqual([]);
  for (const fault of faults) {
    expect(fault.path, JSON.stringify(fault)).not.toBe("");
    expect(fault.message, JSON.stringify(fault)).not.toMatch(/^$|undefined|\[object/);
  }
  if (app === undefined) return;
  // Over the wire and through the platform's own check it is the same.
  const wire: unknown = JSON.parse(JSON.stringify(app.spec));
  const checked = checkAppSpec(wire);
  expect(checked.faults).toEqual([]);
  expect(JSON.stringify(checked.spec)).toBe(JSON.stringify(wire));
}

/** Options that are right, each alone. */
const rightOptions: Record<string, Raw> = {
  name: "web",
  port: 8080,
  requiresAuth: true,
  env: { A: "b", LONG_NAME_1: "" },
  secrets: [{ $sdk: "Secret", value: { key: "KEY", envVar: "KEY_VAR", mount: "env" } }],
  containerImage: { $sdk: "ImageSpec", value: { name: "org/web", packages: ["hono@4.13.19"], env: { C: "d" } } },
  limits: { $sdk: "Resources", value: { cpu: "1", mem: "512Mi" } },
  requests: { cpu: 0.5, mem: 1000 },
  include: ["public/**"],
  minReplicas: 0,
  maxReplicas: 2,
  scaledownAfter: "10m",
  scalingMetric: { type: "concurrency", target: 5 },
  inputs: [{ name: "n", value: "v", envVar: "INPUT" }],
  dependencies: [{ $sdk: "App", value: { index: 1, name: "other" } }],
  subdomain: "sub",
  customDomain: "a.example",
  links: [{ title: "Docs", path: "/docs" }],
  description: "d",
  type: "api",
  requestTimeout: "90s",
  startTimeout: 5,
};
const other: RawApp = { exports: ["other"], options: { name: "other" }, framework: { kind: "fetch" } };
const frameworks = fc.constantFrom<RawApp["framework"]>(
  ...[{ kind: "fetch" }, { kind: "fetch" }, { kind: "fetch" }, { kind: "unknown" }, undefined].map(
    (kind) => kind as never,
  ),
);
const rawOptions = fc
  .tuple(fc.subarray(Object.keys(rightOptions)), fc.array(mutation, { maxLength: 4 }))
  .map(([keys, changes]) => {
    const chosen = Object.fromEntries([...new Set(["name", ...keys])].map((key) => [key, rightOptions[key] as Raw]));
    const changed = changes.reduce<unknown>(mutated, chosen);
    return (typeof changed === "object" && changed !== null && !Array.isArray(changed) ? changed : chosen) as Record<
      string,
      Raw
    >;
  });

/** Values of JavaScript that no option can be, or that only look like one. */
const oddValue = fc.oneof(
  oddJson,
  fc.constantFrom<unknown>(
    ...[
      undefined,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      10n,
      Symbol("s"),
      () => 1,
      class A {},
      new Date(0),
      new Map(),
      /x/,
    ],
    ...[
      new Uint8Array(2),
      Promise.resolve(1),
      Object.create(null),
      new Secret({ key: "K" }),
      new Resources({ cpu: "1" }),
    ],
    ...[
      new ImageSpec({ name: "x" }),
      new App({ name: "inner" } as AppOptions),
      new String("boxed"),
      new Array(2),
      circle(),
    ],
  ),
);
function circle(): object {
  const value: Record<string, unknown> = {};
  value["self"] = value;
  return value;
}

describe("app specs of any shape", () => {
  it("give an app or faults with paths, when the description is changed", async () => {
    fc.assert(
      fc.property(rawOptions, frameworks, (options, framework) => {
        tally.add();
        const raw: RawApp = { exports: ["app"], options, ...(framework ? { framework } : {}) };
        expectSound(validateApp(raw, [raw, other]));
      }),
      runs(16_000),
    );
  });

  it("give an app or faults with paths, whatever a file's App was made of", () => {
    const keys = fc.constantFrom(
      ...Object.keys(rightOptions),
      "args",
      "command",
      "frameworkApp",
      "nmae",
      "__proto__",
      "",
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(keys, oddValue), { maxLength: 5 }), fc.boolean(), (given, named) => {
        tally.add();
        const options = Object.fromEntries([...(named ? [["name", "web"]] : []), ...given] as [string, unknown][]);
        const app = new App({ frameworkApp: { fetch: () => new Response() }, ...options } as unknown as AppOptions);
        const { apps } = describeModule({ app });
        expectSound(validateApp(apps[0] as RawApp, apps));
      }),
      runs(10_000),
    );
  });

  it("lose nothing that was given: every variable of an accepted App is in its spec", () => {
    const names = fc.oneof(
      fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/),
      fc.constantFrom("__proto__", "constructor", "toString"),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(names, fc.string({ unit: "binary" })), { maxLength: 4 }), (pairs) => {
        tally.add();
        const env = Object.fromEntries(pairs);
        const raw: RawApp = { exports: ["app"], options: { name: "web", env }, framework: { kind: "fetch" } };
        const checked = validateApp(raw, [raw]);
        expectSound(checked);
        if (checked.app) expect(Object.entries(checked.app.spec.env)).toEqual(Object.entries(env));
      }),
      runs(4000),
    );
  });

  it("are the same to the platform's check as to anybody: it never throws, and every fault has a path", () => {
    const valid = {
      ...{
        name: "web",
        kind: "framework",
        port: 8080,
        requiresAuth: true,
        env: { A: "b" },
        minReplicas: 0,
        maxReplicas: 1,
      },
      ...{
        secrets: [{ key: "K", envVar: "K", mount: "env" }],
        limits: { cpu: "1" },
        links: [{ title: "a", path: "/" }],
      },
      ...{ requestTimeout: 1, startTimeout: 1, subdomain: "a", inputs: [{ name: "a", value: "b" }] },
    };
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (changes) => {
        tally.add();
        const value = changes.reduce<unknown>(mutated, valid);
        const { spec, faults } = checkAppSpec(value);
        expect(spec === undefined).toBe(faults.length > 0);
        const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
        for (const { path, message } of faults) {
          expect(path === "").toBe(!isObject);
          expect(message).not.toMatch(/^$|undefined|\[object/);
        }
        if (spec) expect(checkAppSpec(JSON.parse(JSON.stringify(spec))).spec).toEqual(spec);
      }),
      runs(8000),
    );
  });
});

expectShare("app-specs", tally);
