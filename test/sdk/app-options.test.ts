import { expectTypeOf, it } from "vitest";
import type { AppOptions } from "../../src/sdk/index.ts";

const frameworkApp = { fetch: () => new Response("x") };

it("an App runs exactly one program, by its type", () => {
  expectTypeOf({ name: "x", frameworkApp }).toExtend<AppOptions>();
  expectTypeOf({ name: "x", args: ["node", "server.js"] }).toExtend<AppOptions>();
  expectTypeOf({ name: "x", command: "node server.js" }).toExtend<AppOptions>();
  expectTypeOf({ name: "x" }).not.toExtend<AppOptions>();
  expectTypeOf({ name: "x", args: ["a"], command: "b" }).not.toExtend<AppOptions>();
  expectTypeOf({ name: "x", frameworkApp, args: ["a"] }).not.toExtend<AppOptions>();
  expectTypeOf({ name: "x", frameworkApp, port: "8080" }).not.toExtend<AppOptions>();
  expectTypeOf({ frameworkApp }).not.toExtend<AppOptions>();
});
