import { describe, expect, it } from "vitest";
import { findPrintedError } from "../../src/engine/printed-error.ts";

const roots = ["/state/content/ab12/app"];
const find = (text: string) => findPrintedError(text.split("\n"), roots);

describe("an error in a program's output", () => {
  it("has its place in the user's own code, not in a package's or in Node's", () => {
    const found = find(`some line
TypeError: Invalid URL
    at new URL (node:internal/url:825:25)
    at parse (/state/content/ab12/app/node_modules/ky/source/index.ts:4:9)
    at external (file:///state/content/layers/cd34/app/node_modules/pg/lib/client.js:10:3)
    at connect (/state/content/ab12/app/db/connect.ts:12:9)
    at file:///state/content/ab12/app/app.ts:3:1
    at async ModuleLoader.import (node:internal/modules/esm/loader:647:26)
    at async file:///state/content/ab12/app/serve.mjs:1:1`);
    expect(found).toEqual({
      headline: "TypeError: Invalid URL",
      stack: [
        "TypeError: Invalid URL",
        "    at new URL (node:internal/url:825:25)",
        "    at parse (node_modules/ky/source/index.ts:4:9)",
        "    at external (node_modules/pg/lib/client.js:10:3)",
        "    at connect (db/connect.ts:12:9)",
        "    at app.ts:3:1",
      ],
      location: { file: "db/connect.ts", line: 12, column: 9 },
    });
  });

  it("may lie beside the entry's folder", () => {
    const found = find(
      "Error: x\n    at load (/state/content/ab12/lib/settings.ts:5:7)\n    at /state/content/common.ts:1:1",
    );
    expect(found?.location).toEqual({ file: "../lib/settings.ts", line: 5, column: 7 });
    expect(found?.stack[2]).toBe("    at ../../common.ts:1:1");
  });

  it("has no place when only the SDK and the bundle are in its stack", () => {
    expect(
      find("Error: x\n    at new App (/state/content/ab12/app/appctl/sdk.js:5:7)\n    at app.mjs:1:3000")?.location,
    ).toBeUndefined();
  });

  it("keeps a message of several lines with its first line as the headline", () => {
    const found = find("MongoServerError: no\nsecond line\n  third\n    at f (/state/content/ab12/app/app.ts:2:2)");
    expect(found).toMatchObject({ headline: "MongoServerError: no", location: { line: 2 } });
    expect(found?.stack).toHaveLength(4);
  });

  it("knows names in brackets, and properties behind the stack", () => {
    const found =
      find(`Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x' imported from /state/content/ab12/app/app.mjs
    at packageResolve (node:internal/modules/esm/resolve:873:9) {
  code: 'ERR_MODULE_NOT_FOUND'
}`);
    expect(found).toEqual({
      headline: "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x' imported from app.mjs",
      stack: ["Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x' imported from app.mjs"],
    });
  });

  it("is the last of several, unless a value that is no error was thrown after it", () => {
    const two =
      "Error: one\n    at f (/state/content/ab12/app/app.ts:1:1)\nError: two\n    at g (/state/content/ab12/app/app.ts:2:2)";
    expect(find(two)?.headline).toBe("Error: two");
    expect(find(`${two}\nUncaught 'later'`)).toEqual({ headline: "Uncaught 'later'", stack: [] });
    expect(find(`${two}\nUncaught:\n{ a: 1 }`)).toEqual({ headline: "Uncaught { a: 1 }", stack: [] });
  });

  it("is not found in ordinary output", () => {
    expect(find("listening\nat your service\nError: but no stack")).toBeUndefined();
    expect(findPrintedError([], roots)).toBeUndefined();
  });
});
