import { expect, it } from "vitest";
import type { LogLine } from "../../src/contract/types.ts";
import { explainFailure, type FailureFacts } from "../../src/engine/explain-failure.ts";

const lines = (stream: LogLine["stream"], text: string): LogLine[] =>
  text.split("\n").map((line) => ({ time: "2026-03-01T12:00:00.000Z", replica: "r", revision: "v", stream, line }));
const explain = (output: LogLine[], more: Partial<FailureFacts> = {}) =>
  explainFailure({
    spec: { kind: "framework", startTimeout: 60, limits: {} },
    exit: { code: 1, signal: null, outOfMemory: false },
    wasReady: false,
    output,
    roots: ["/state/app"],
    ...more,
  });
const logsOf = (output: LogLine[], more?: Partial<FailureFacts>) => explain(output, more).logs?.map(({ line }) => line);

it("keeps the lines of both streams that say something else than the error", () => {
  const output = [
    ...lines("stdout", "starting"),
    ...lines("stderr", "warning\n\nError: no good\n    at f (/state/app/app.ts:3:7) {\n  code: 'X'\n}"),
    ...lines("stdout", "closing /state/app/x"),
    ...lines("stderr", "\nNode.js v24.21.0"),
  ];
  expect(logsOf(output)).toEqual(["starting", "warning", "closing x"]);
});

it("keeps an error that the program caught, with the frames of the user's code", () => {
  const printed =
    "bad: Error: no good\n    at f (/state/app/app.ts:3:7)\n    at async file:///state/app/serve.mjs:9:2205";
  const cause = explain(lines("stderr", printed), { exit: { code: 3, signal: null, outOfMemory: false } });
  expect(cause).toMatchObject({ code: "EXITED", location: { file: "app.ts", line: 3, column: 7 } });
  expect(cause.logs?.map(({ line }) => line)).toEqual(["bad: Error: no good", "    at f (app.ts:3:7)"]);
  expect(cause.stack).toBeUndefined();
});

it("does not repeat what the server shim said", () => {
  const cause = explain(lines("stderr", 'hello\nappctl: the file exports no App named "web"'), {
    exit: { code: 79, signal: null, outOfMemory: false },
  });
  expect(cause).toMatchObject({ code: "NO_SUCH_APP", message: 'the file exports no App named "web"' });
  expect(cause.logs?.map(({ line }) => line)).toEqual(["hello"]);
});

it("bounds a message in length and in lines", () => {
  const thrown = (message: string) =>
    explain(lines("stderr", `Error: ${message}\n    at /state/app/app.ts:1:1`)).message;
  expect(thrown("x".repeat(50_000))).toBe(`Error: ${"x".repeat(993)}…`);
  expect(thrown(Array(30).fill("line").join("\n")).split("\n")).toHaveLength(12);
});
