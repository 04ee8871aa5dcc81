import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { AppctlError, type ErrorDetails, ExitCode, usageError, withDeployFacts } from "../../src/core/errors.ts";
import { exitCodeOf, failureLines, failureObject } from "../../src/ui/failure.ts";
import { reportFailure } from "../../src/ui/report-failure.ts";
import { PLAIN } from "../../src/ui/style.ts";
import { temporaryDirectory } from "../engine/helpers.ts";
import { fakeIo } from "./fake-io.ts";

const lines = (error: unknown, cwd = "/nowhere", verbose = false) =>
  failureLines(error, { style: PLAIN, cwd, verbose });

describe("a failure for a person", () => {
  it("says what, where, why and what to type next", () => {
    const dir = temporaryDirectory();
    writeFileSync(join(dir, "app.ts"), ["one", "two", "\tconst x = boom();", "four"].join("\r\n"));
    const error = new AppctlError({
      code: "APP_THREW",
      exit: ExitCode.failed,
      message: "web failed: TypeError: boom is not a function",
      hint: "the file threw this while it was loaded",
      next: ["appctl logs apps web"],
      location: { file: "app.ts", line: 3, column: 12 },
      frames: ["at boom (app.ts:3:12)", "at app.ts:7:1"],
      logs: [{ line: "\x1b[31mred\x1b[0m" }],
    });
    expect(lines(error, dir)).toEqual([
      "Error: web failed: TypeError: boom is not a function",
      " --> app.ts:3:12",
      "  |",
      "3 |   const x = boom();",
      "  |             ^",
      "",
      "    at boom (app.ts:3:12)",
      "    at app.ts:7:1",
      "",
      "  Last lines of its output:",
      "    red",
      "",
      "hint: the file threw this while it was loaded",
      "next:",
      "  appctl logs apps web",
    ]);
  });

  const failed = (more: Partial<ErrorDetails>, serving?: string | null) =>
    withDeployFacts(
      new AppctlError({ code: "EXITED", exit: ExitCode.failed, message: "web failed: it exited", ...more }),
      { app: "web", revision: "web-00002", serving },
    );

  it("says what serves after a deploy that failed, and what to type next", () => {
    const next = ["appctl logs apps web"];
    const end = (serving?: string | null) => lines(failed({ hint: "look", next }, serving)).slice(1);
    expect(end("web-00001")).toEqual([
      "hint: look",
      "now: revision web-00001 still serves",
      "next:",
      "  appctl logs apps web",
    ]);
    expect(end(null)[1]).toBe("now: nothing serves");
    // A start of the revision that has the traffic, or a platform that does not say.
    for (const serving of ["web-00002", undefined]) expect(end(serving).join("\n")).not.toContain("now:");
  });

  it("leaves out a stack that is only the place that is shown", () => {
    const location = { file: "gone.ts", line: 3, column: 12 };
    expect(lines(failed({ location, frames: ["at boom (gone.ts:3:12)"], logs: [] }))).toEqual([
      "Error: web failed: it exited",
      " --> gone.ts:3:12",
    ]);
    expect(lines(failed({ location, frames: ["at boom (other.ts:3:12)"] })).at(-1)).toBe("    at boom (other.ts:3:12)");
  });

  it("cuts long lines of a message and of output", () => {
    const long = "x".repeat(5000);
    const shown = lines(failed({ message: `web failed: ${long}\n  caused by it`, logs: [{ line: long }] }));
    for (const line of shown) expect(line.length).toBeLessThan(600);
    expect(shown[1]).toBe("  caused by it");
  });

  it("gives commands the flags that this command line had", () => {
    const next = [
      "appctl logs apps web --project shop",
      "appctl platform logs",
      "appctl create api-key admin --name NAME   # on the platform's machine",
      "systemctl start docker",
    ];
    const target = [
      ["--project", "shop"],
      ["--port", "7700"],
      ["--config", "my file"],
    ] as const;
    expect(failureObject(failed({ next }), target).next).toEqual([
      "appctl logs apps web --project shop --port 7700 --config 'my file'",
      "appctl platform logs --port 7700 --config 'my file'",
      ...next.slice(2),
    ]);
    expect(failureObject(failed({ next: ["appctl get --help"] }), target).next).toEqual(["appctl get --help"]);
  });

  it.each([
    ["appctl create secret --name A", "appctl create secret --name A --project shop --port 7700"],
    [
      "to change its value: appctl update secret A",
      "to change its value: appctl update secret A --project shop --port 7700",
    ],
    ["copy it, or type appctl open again", "copy it, or type appctl open again"],
    ["a newer appctl wrote this", "a newer appctl wrote this"],
  ])("gives the command that a hint ends in the flags, too: %s", (hint, expected) => {
    const target = [
      ["--project", "shop"],
      ["--port", "7700"],
    ] as const;
    const faults = [{ path: "secrets.A", message: "does not exist", hint }];
    expect(failureObject(failed({ hint, faults }), target)).toMatchObject({
      hint: expected,
      faults: [{ hint: expected }],
    });
  });

  it("lists every fault with its path and its place", () => {
    const error = usageError("app.ts has 2 faults", {
      location: { file: "app.ts", line: 7, column: 3, lineText: "  secrts: []," },
      faults: [
        {
          path: "secrts",
          message: "is not an option of App",
          hint: 'did you mean "secrets"?',
          location: { file: "app.ts", line: 7, column: 3, lineText: "  secrts: []," },
        },
        { path: "limits.mem", message: 'must be such as "1Gi"' },
      ],
    });
    expect(lines(error)).toEqual([
      "Error: app.ts has 2 faults",
      "",
      "  secrts: is not an option of App",
      "   --> app.ts:7:3",
      "    |",
      "  7 |   secrts: [],",
      "    |   ^",
      '  hint: did you mean "secrets"?',
      "",
      '  limits.mem: must be such as "1Gi"',
    ]);
  });

  it("says a hint once that is the error's and its only fault's", () => {
    const hint = "name another one";
    const fault = { path: "name", message: "is taken", hint };
    expect(
      lines(usageError("App is not valid: name is taken", { hint, faults: [fault], next: ["appctl get apps"] })),
    ).toEqual([
      "Error: App is not valid: name is taken",
      "",
      "  hint: name another one",
      "",
      "next:",
      "  appctl get apps",
    ]);
  });

  it("says what its only fault says once, and where", () => {
    const fault = { path: "containerImage.requirements", message: "it does not exist" };
    const placed = { path: "name", message: "is taken", hint: "name another one" };
    expect(lines(usageError("it does not exist", { faults: [fault] }))).toEqual([
      "Error: it does not exist",
      "",
      "  containerImage.requirements",
    ]);
    expect(lines(usageError("is taken", { faults: [placed, fault] })).slice(2, 4)).toEqual([
      "  name: is taken",
      "  hint: name another one",
    ]);
  });

  it("does not repeat the message of the only fault, nor the place that its path is", () => {
    const location = { file: "app.ts", line: 2, column: 11, lineText: "const a = ;" };
    const fault = { path: "app.ts:2:11", message: 'Unexpected ";"', location };
    expect(lines(usageError('app.ts cannot be bundled: Unexpected ";"', { faults: [fault], location }))).toEqual([
      'Error: app.ts cannot be bundled: Unexpected ";"',
      "",
      "   --> app.ts:2:11",
      "    |",
      "  2 | const a = ;",
      "    |           ^",
    ]);
  });

  it("shows a piece of a minified line, with the caret below its column", () => {
    const lineText = `${"a".repeat(5000)}BOOM${"b".repeat(5000)}`;
    const [, , , text = "", caret = ""] = lines(
      usageError("x", { location: { file: "dist.js", line: 1, column: 5001, lineText } }),
    );
    expect(text.length).toBeLessThan(120);
    expect(text.slice(caret.indexOf("^"), caret.indexOf("^") + 4)).toBe("BOOM");
  });

  it("keeps the caret below its character behind tabs and wide characters", () => {
    const lineText = "\t漢字(x)";
    const [, , , text, caret] = lines(usageError("x", { location: { file: "a.ts", line: 1, column: 4, lineText } }));
    expect([text, caret]).toEqual(["1 |   漢字(x)", "  |       ^"]);
  });

  it("does not fail over a file that is gone", () => {
    expect(lines(usageError("x", { location: { file: "gone.ts", line: 12, column: 1 } }))).toEqual([
      "Error: x",
      "  --> gone.ts:12:1",
    ]);
  });

  it("shows the stack and the cause only for a bug, or when asked", () => {
    const cause = new Error("inner");
    const error = usageError("outer", { cause });
    expect(lines(error)).toEqual(["Error: outer"]);
    expect(lines(error, "/nowhere", true).join("\n")).toMatch(/at .*failure\.test[\s\S]*caused by Error: inner/);
    const bug = lines(new TypeError("undefined is not a function")).join("\n");
    expect(bug).toContain("appctl failed unexpectedly: undefined is not a function");
    expect(bug).toMatch(/at .*failure\.test/);
    expect(bug).toContain("bug in appctl");
  });

  it("does not call Ctrl-C an error", () => {
    const error = new AppctlError({ code: "INTERRUPTED", exit: ExitCode.interrupted, message: "Interrupted." });
    expect(lines(error)).toEqual(["Interrupted."]);
  });
});

it("maps every error to its exit code", () => {
  for (const exit of Object.values(ExitCode)) {
    expect(exitCodeOf(new AppctlError({ code: "X", exit, message: "x" }))).toBe(exit);
  }
  expect(exitCodeOf(new Error("x"))).toBe(70);
  expect(exitCodeOf("thrown text")).toBe(70);
  expect(failureObject("thrown text")).toMatchObject({ code: "BUG", exitCode: 70 });
});

it("knows an AppctlError of another copy of the package", () => {
  const foreign = Object.assign(new Error("from elsewhere"), {
    code: "NOT_FOUND",
    exit: 4,
    hint: undefined,
    next: [],
    faults: [],
    location: undefined,
    details: [],
    [Symbol.for("appctl.error")]: true,
  });
  expect([exitCodeOf(foreign), failureObject(foreign).message]).toEqual([4, "from elsewhere"]);
});

describe("reportFailure", () => {
  const error = usageError("no such thing", { code: "NOPE", hint: "try another", next: ["appctl get apps"] });
  const modes = { color: "auto", verbose: false, target: [] } as const;
  const words = "Error: no such thing\nhint: try another\nnext:\n  appctl get apps\n";

  it("prints one JSON object on stdout, and the error in words on stderr", async () => {
    const { io, stdout, stderr } = fakeIo();
    await reportFailure(io, error, { ...modes, output: "json" });
    expect(stderr()).toBe(words);
    expect(JSON.parse(stdout())).toEqual({
      error: {
        code: "NOPE",
        message: "no such thing",
        hint: "try another",
        next: ["appctl get apps"],
        exitCode: 2,
      },
    });
  });

  it("has what is known of a deploy as data", async () => {
    const log = {
      time: "2026-03-01T12:00:00.000Z",
      replica: "r",
      revision: "web-00002",
      stream: "stderr",
      line: "bye",
    };
    const failure = new AppctlError({
      ...{ code: "APP_THREW", exit: ExitCode.failed, message: "web failed" },
      ...{ frames: ["at app.ts:3:12"], logs: [log] },
    });
    const facts = {
      app: "web",
      project: "p",
      domain: "d",
      revision: "web-00002",
      deployment: 2,
      consoleUrl: "http://c",
    };
    withDeployFacts(failure, { ...facts, serving: null });
    // What is known closer to the error wins.
    withDeployFacts(failure, { app: "other" });
    const { io, stdout } = fakeIo();
    await reportFailure(io, failure, { ...modes, output: "json" });
    expect(JSON.parse(stdout()).error).toEqual({
      ...{ code: "APP_THREW", message: "web failed", hint: null, next: [], exitCode: 1 },
      ...facts,
      ...{ serving: null, stack: ["at app.ts:3:12"], logs: [log] },
    });
  });

  it("ends the lines of ndjson, with the next number, and says it in words on stderr", async () => {
    const { io, stdout, stderr } = fakeIo();
    io.lines.write({ type: "status" });
    await reportFailure(io, error, { ...modes, output: "ndjson" });
    const last = JSON.parse(stdout().trimEnd().split("\n").at(-1) ?? "");
    expect(last).toMatchObject({ v: 1, seq: 2, type: "failed", error: { code: "NOPE" } });
    expect(stderr()).toBe(words);
  });

  it.each(["text", "url"] as const)("is text on stderr with -o %s", async (output) => {
    const { io, stdout, stderr } = fakeIo();
    await reportFailure(io, error, { ...modes, output });
    expect([stdout(), stderr()]).toEqual(["", words]);
  });
});
