import { describe, expect, it } from "vitest";
import { findPrintedError } from "../../src/engine/printed-error.ts";
import { withProjectPaths } from "../../src/engine/project-paths.ts";

const roots = ["/state/content/ab12/app"];
const find = (text: string) => findPrintedError(text.split("\n").map((line) => withProjectPaths(line, roots)));

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
      more: [],
      frames: [
        "at parse (node_modules/ky/source/index.ts:4:9)",
        "at external (node_modules/pg/lib/client.js:10:3)",
        "at connect (db/connect.ts:12:9)",
        "at app.ts:3:1",
      ],
      location: { file: "db/connect.ts", line: 12, column: 9 },
      from: 1,
      to: 9,
    });
  });

  it("may lie beside the entry's folder", () => {
    const found = find(
      "Error: x\n    at load (/state/content/ab12/lib/settings.ts:5:7)\n    at /state/content/common.ts:1:1",
    );
    expect(found?.location).toEqual({ file: "../lib/settings.ts", line: 5, column: 7 });
    expect(found?.frames[1]).toBe("at ../../common.ts:1:1");
  });

  it("has neither frames nor a place when only the SDK, the bundle and Node are in its stack", () => {
    const found = find(`Error: x
    at new App (/state/content/ab12/app/appctl/sdk.js:5:7)
    at file:///state/content/ab12/app/app.mjs:1:3000
    at new Promise (<anonymous>)
    at async Promise.all (index 0)
    at async main (file:///state/content/ab12/app/serve.mjs:9:1683)
    at process.processTicksAndRejections (node:internal/process/task_queues:104:5)`);
    expect(found).toEqual({ headline: "Error: x", more: [], frames: [], from: 0, to: 7 });
  });

  it("keeps a message of several lines with its first line as the headline", () => {
    const found = find("MongoServerError: no\nsecond line\n  third\n    at f (/state/content/ab12/app/app.ts:2:2)");
    expect(found).toMatchObject({
      headline: "MongoServerError: no",
      more: ["second line", "  third"],
      frames: ["at f (app.ts:2:2)"],
      location: { line: 2 },
    });
  });

  it("names what caused it and what it is made of, each with its place", () => {
    const caused = find(`Error: outer
    at file:///state/content/ab12/app/app.ts:4:17
    ... 4 lines matching cause stack trace ...
    at async main (file:///state/content/ab12/app/serve.mjs:9:1683) {
  code: 'E_OUTER',
  [cause]: TypeError: inner
      at inner (file:///state/content/ab12/app/app.ts:3:27)
      at async main (file:///state/content/ab12/app/serve.mjs:9:1683) {
    [cause]: 'the root'
  }
}`);
    expect(caused).toMatchObject({
      headline: "Error: outer",
      more: ["  caused by TypeError: inner (app.ts:3:27)", "  caused by 'the root'"],
      frames: ["at app.ts:4:17"],
      location: { line: 4, column: 17 },
      to: 11,
    });
    const made = find(`[AggregateError: All promises were rejected] {
  [errors]: [
    Error: one
        at file:///state/content/ab12/app/app.ts:3:45
        at async main (file:///state/content/ab12/app/serve.mjs:9:1683) {
      code: 'ONE'
    },
    [RangeError: two]
  ]
}`);
    expect(made).toEqual({
      headline: "AggregateError: All promises were rejected",
      more: ["  Error: one (app.ts:3:45)", "  RangeError: two"],
      frames: [],
      location: { file: "app.ts", line: 3, column: 45 },
      from: 0,
      to: 10,
    });
  });

  it("has the place of a value that is no error in Node's excerpt, and is one line", () => {
    const thrown = (value: string) => `before
/state/content/ab12/app/server.cjs:3
  throw it;
  ^
${value}

Node.js v24.21.0`;
    const location = { file: "server.cjs", line: 3, column: 3 };
    expect(find(thrown("text\n(Use `node --trace-uncaught ...` to show where the exception was thrown)"))).toEqual({
      ...{ headline: "Uncaught text", more: [], frames: [], location },
      ...{ from: 1, to: 6 },
    });
    expect(find(thrown("{\n  a: 1,\n  b: 2\n}"))).toMatchObject({ headline: "Uncaught { a: 1, b: 2 }", location });
  });

  it("says of a rejection that is no error what was rejected", () => {
    const unhandled = (reason: string) =>
      `[UnhandledPromiseRejection: This error originated either by throwing inside of an async function without a catch block, or by rejecting a promise which was not handled with .catch(). The promise rejected with the reason "${reason}".] {
  code: 'ERR_UNHANDLED_REJECTION'
}`;
    expect(find(unhandled("undefined"))?.headline).toBe("Uncaught (in promise) undefined");
    const framed = unhandled("#<Object>")
      .replace(/^\[|\](?= \{)/g, "")
      .replace(" {\n", "\n    at f (node:internal/x:1:1) {\n");
    expect(find(framed)?.headline).toBe("Uncaught (in promise) #<Object>");
  });

  it("begins with the excerpt of the source and ends with the last property", () => {
    const found = find(`listening
file:///state/content/ab12/app/app.mjs:1
import{createRequire as a}from"node:module";${"x".repeat(3000)}
            ^

Error: late
    at Server.emit (node:events:519:28)
Emitted 'error' event on Server instance at:
    at emitErrorNT (node:net:1976:8) {
  code: 'EADDRINUSE'
}

Node.js v24.21.0`);
    expect(found).toMatchObject({ headline: "Error: late", frames: [], from: 1, to: 11 });
    expect(found?.location).toBeUndefined();
  });

  it("knows names in brackets, and properties behind the stack", () => {
    const found =
      find(`Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x' imported from /state/content/ab12/app/app.mjs
    at packageResolve (node:internal/modules/esm/resolve:873:9) {
  code: 'ERR_MODULE_NOT_FOUND'
}`);
    expect(found).toEqual({
      headline: "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x'",
      more: [],
      frames: [],
      from: 0,
      to: 4,
    });
  });

  it("is the last of several, unless a value that is no error was thrown after it", () => {
    const two =
      "Error: one\n    at f (/state/content/ab12/app/app.ts:1:1)\nError: two\n    at g (/state/content/ab12/app/app.ts:2:2)";
    expect(find(two)?.headline).toBe("Error: two");
    expect(find(`${two}\nUncaught 'later'`)).toMatchObject({ headline: "Uncaught 'later'", frames: [], from: 4 });
  });

  it("is not found in ordinary output", () => {
    expect(find("listening\nat your service\nError: but no stack")).toBeUndefined();
    expect(findPrintedError([])).toBeUndefined();
  });
});
