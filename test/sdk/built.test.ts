import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

it("the built SDK brings nothing into a user's bundle that looks like the user's own", () => {
  const sdk = readFileSync(join(import.meta.dirname, "..", "..", "dist", "sdk", "index.js"), "utf8");
  expect(sdk).toContain("App");
  // A file that asks for import.meta is described beside links to everything in its folder.
  expect(sdk).not.toMatch(/import\.meta|createRequire|\brequire\(/);
});
