/** One test for each entry of the catalogue of causes, each with a real process. */
import { createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { AppSpec, FailureCause } from "../../src/contract/types.ts";
import type { PinnedSecret } from "../../src/engine/engine.ts";
import { Cgroups } from "../../src/engine/local/process/cgroup.ts";
import { call, fetchApp, type ImageSource, ref, startEngine } from "./helpers.ts";
import type { ProcessEngineOptions } from "./process-engine.ts";

interface Case {
  source?: ImageSource;
  spec?: Partial<AppSpec>;
  env?: Record<string, string>;
  secrets?: PinnedSecret[];
  engine?: Partial<ProcessEngineOptions>;
}

async function causeOf({ source = {}, spec, env, secrets, engine }: Case): Promise<FailureCause> {
  const harness = await startEngine(engine);
  const revision = await harness.revision("web-00001", source, {
    ...(spec ? { spec } : {}),
    ...(env ? { env } : {}),
    ...(secrets ? { secrets } : {}),
  });
  const last = (await harness.deploy(revision)).at(-1);
  expect(last).toMatchObject({ ready: "False", reason: "RevisionFailed" });
  expect(last?.message).toBe(`Revision "web-00001" failed with message: ${last?.cause?.message}.`);
  expect(harness.engine.lease(ref)).toBeNull();
  expect(harness.engine.replicas(ref)).toEqual([]);
  if (!last?.cause) throw new Error("no cause");
  return last.cause;
}

describe("the cause of a failed start", () => {
  it("APP_THREW: an error at the top level, at the line of the user's file", async () => {
    const app = `import { App } from "appctl";
interface Settings { url?: string }
function connect(settings: Settings): string {
  if (!settings.url) throw new TypeError("no url in the settings");
  return settings.url;
}
console.log("about to connect");
const url = connect({});
export default new App({ name: "web", frameworkApp: { fetch: () => new Response(url) } });
`;
    const cause = await causeOf({ source: { app } });
    expect(cause).toMatchObject({
      code: "APP_THREW",
      message: "TypeError: no url in the settings",
      exitCode: 1,
      location: { file: "app.ts", line: 4, column: 28 },
    });
    expect(cause.stack).toEqual(["at connect (app.ts:4:28)", "at app.ts:8:13"]);
    // The error is in the message and the stack: the lines that print it say nothing else.
    expect(cause.logs).toMatchObject([{ stream: "stdout", line: "about to connect", revision: "web-00001" }]);
  });

  it("APP_THREW: with its cause, the outer error is the one that counts", async () => {
    const source = fetchApp(
      "return new Response();",
      'function inner() { return new Error("inner"); }\nthrow new Error("outer", { cause: inner() });',
    );
    expect(await causeOf({ source: { app: source } })).toMatchObject({
      message: "Error: outer\n  caused by Error: inner (app.ts:2:27)",
      location: { file: "app.ts", line: 3 },
      logs: [],
    });
  });

  it("APP_THREW: a thrown value that is no error", async () => {
    const cause = await causeOf({ source: { app: fetchApp("return new Response();", 'throw "just text";') } });
    expect(cause).toMatchObject({ code: "APP_THREW", message: "Uncaught 'just text'" });
    expect(cause.location).toBeUndefined();
  });

  it.each([
    ["thrown later", 'throw new Error("late");', "Error: late"],
    ["rejected and not handled", 'Promise.reject(new Error("late"));', "Error: late"],
    ["rejected with no error", "Promise.reject(undefined);", "Uncaught (in promise) undefined"],
    [
      "with a path of the content",
      'const dir = import.meta.dirname; throw new Error("no " + dir + "/x, no file://" + dir + "/y, no " + process.env.HOME);',
      "Error: no x, no y, no $HOME",
    ],
  ])(
    "APP_THREW: an error that is %s, without a line of the bundle or a path of the platform",
    async (_, code, message) => {
      const late = `setTimeout(() => { ${code} }, 20);\nawait new Promise((resolve) => setTimeout(resolve, 60_000));`;
      const cause = await causeOf({ source: { app: fetchApp("return new Response();", late) } });
      expect(cause).toMatchObject({ code: "APP_THREW", message, logs: [] });
      expect(JSON.stringify(cause)).not.toMatch(/file:|app\.mjs|serve\.mjs|node:|"\/|[( ']\//);
    },
  );

  it.each([
    ["text", '"no luck"', "Uncaught no luck"],
    [
      "an object",
      '{ status: 500, reason: "a long text, so that Node prints it on several lines, one for each field" }',
      "Uncaught { status: 500, reason: 'a long text, so that Node prints it on several lines, one for each field' }",
    ],
  ])("APP_THREW: in a program of args, %s that is no error", async (_, value, message) => {
    const files = { "server.cjs": `const x = 1;\n  throw ${value};\n` };
    const cause = await causeOf({ source: { files }, spec: { kind: "args", args: ["node", "server.cjs"] } });
    const location = { file: "server.cjs", line: 2, column: 3 };
    expect(cause).toMatchObject({ code: "APP_THREW", message, location, logs: [] });
  });

  it("APP_THREW: a file that is not in the image", async () => {
    const files = { "server.cjs": 'require("./lib/db.js");' };
    const cause = await causeOf({ source: { files }, spec: { kind: "args", args: ["node", "server.cjs"] } });
    expect(cause).toMatchObject({
      message: "Error: Cannot find module './lib/db.js'",
      hint: `"./lib/db.js" is not in the image: list it in the App's include`,
      stack: ["at server.cjs:1:1"],
    });
  });

  it("APP_THREW: a package that is not in the image", async () => {
    const cause = await causeOf({ source: { app: `import "not-installed";\n${fetchApp("return new Response();")}` } });
    expect(cause.code).toBe("APP_THREW");
    expect(cause.message).toContain("Cannot find package 'not-installed'");
    expect(cause.hint).toContain('"not-installed" is not in the image');
  });

  it("APP_THREW: in a program of args, with the place of a syntax error", async () => {
    const cause = await causeOf({
      source: { files: { "server.mjs": "const a = 1;\nconst b = a +* 2;\n" } },
      spec: { kind: "args", args: ["node", "server.mjs"] },
    });
    expect(cause).toMatchObject({
      code: "APP_THREW",
      message: "SyntaxError: Unexpected token '*'",
      location: { file: "server.mjs", line: 2, column: 14 },
    });
  });

  it("APP_THREW: an own port that is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    const cause = await causeOf({
      source: {
        app: fetchApp(
          "return new Response();",
          `import { createServer } from "node:http";\ncreateServer().listen(${port}, "127.0.0.1");\nawait new Promise((resolve) => setTimeout(resolve, 60_000));`,
        ),
      },
    });
    expect(cause).toMatchObject({ code: "APP_THREW" });
    expect(cause.hint).toContain("export the web app as frameworkApp");
  });

  it("EXITED: an exit code", async () => {
    const cause = await causeOf({
      source: { app: fetchApp("return new Response();", 'console.error("giving up"); process.exit(7);') },
    });
    expect(cause).toMatchObject({
      code: "EXITED",
      message: "it exited with code 7 before it was ready",
      exitCode: 7,
      logs: [{ stream: "stderr", line: "giving up" }],
    });
  });

  it("EXITED: without a word, at the first request", async () => {
    expect(await causeOf({ source: { app: fetchApp("process.exit(3);") } })).toMatchObject({
      code: "EXITED",
      message: "it exited with code 3 before it was ready",
      hint: expect.stringContaining("it printed nothing"),
    });
  });

  it("EXITED: a top-level await that never settles", async () => {
    const cause = await causeOf({
      source: { app: fetchApp("return new Response();", "await new Promise(() => {});") },
    });
    expect(cause).toMatchObject({ code: "EXITED", exitCode: 13 });
    expect(cause.message).toContain("top-level await");
  });

  it("EXITED_ZERO: the program ends by itself", async () => {
    expect(await causeOf({ source: { app: fetchApp("return new Response();", "process.exit(0);") } })).toMatchObject({
      code: "EXITED_ZERO",
      message: "it exited with code 0 before it was ready",
      exitCode: 0,
    });
    expect(await causeOf({ spec: { kind: "command", command: "echo done" } })).toMatchObject({
      code: "EXITED_ZERO",
      logs: [{ stream: "stdout", line: "done" }],
    });
  });

  it("KILLED: a signal", async () => {
    expect(
      await causeOf({ source: { app: fetchApp("return new Response();", 'process.kill(process.pid, "SIGKILL");') } }),
    ).toMatchObject({ code: "KILLED", message: "it was killed by SIGKILL before it was ready", signal: "SIGKILL" });
  });

  it("OUT_OF_MEMORY: by control group", async ({ skip }) => {
    const held = Cgroups.detect("appctl-test-detect");
    const how = held.holds("memory");
    held.close();
    if (!how) skip("no control group can be written here");
    const cause = await causeOf({
      source: { app: fetchApp("return new Response();", HOG) },
      spec: { limits: { mem: "120Mi" } },
    });
    expect(cause).toMatchObject({
      code: "OUT_OF_MEMORY",
      message: "out of memory: it used more than its limit of 120Mi",
      hint: expect.stringContaining("limits.mem (now 120Mi)"),
    });
  });

  it("OUT_OF_MEMORY: by looking, where there is no control group", async () => {
    const cause = await causeOf({
      source: { app: fetchApp("return new Response();", HOG) },
      spec: { limits: { mem: "120Mi" } },
      engine: { cgroups: Cgroups.none() },
    });
    expect(cause).toMatchObject({ code: "OUT_OF_MEMORY", signal: "SIGKILL" });
  });

  it("OUT_OF_MEMORY: the JavaScript heap", async () => {
    const cause = await causeOf({
      source: { files: { "hog.cjs": "const kept = []; for (;;) kept.push({ more: [1, 2, 3] });" } },
      spec: { kind: "args", args: ["node", "--max-old-space-size=16", "hog.cjs"] },
    });
    expect(cause).toMatchObject({ code: "OUT_OF_MEMORY", message: "out of memory: the JavaScript heap is full" });
  });

  it("NEVER_LISTENED: at the end of startTimeout", async () => {
    const cause = await causeOf({ spec: { kind: "command", command: "exec sleep 600", startTimeout: 0.3 } });
    expect(cause).toMatchObject({ code: "NEVER_LISTENED" });
    expect(cause.message).toMatch(/^it did not answer within 0\.3 s on \$PORT \(\d+\)$/);
  });

  it("OTHER_PORT: names the port", async () => {
    const server = `require("node:http").createServer((req, res) => res.end()).listen(0, () => console.log("ready"));`;
    const cause = await causeOf({
      source: { files: { "server.cjs": server } },
      spec: { kind: "args", args: ["node", "server.cjs"] },
      engine: { otherPortMs: 300 },
    });
    expect(cause).toMatchObject({ code: "OTHER_PORT" });
    expect(cause.message).toMatch(/^it listens on port \d+, not on \$PORT \(\d+\)$/);
    expect(cause.hint).toContain("environment variable PORT");
  });

  it("OTHER_PORT: of a framework app that listens by itself and never finishes loading", async () => {
    const cause = await causeOf({
      source: {
        app: fetchApp(
          "return new Response();",
          `import { createServer } from "node:http";\nawait new Promise(() => createServer().listen(0));`,
        ),
      },
      engine: { otherPortMs: 300 },
    });
    expect(cause).toMatchObject({ code: "OTHER_PORT" });
    expect(cause.hint).toContain("do not call listen()");
  });

  it("MISSING_SECRET: before the file is loaded", async () => {
    const cause = await causeOf({
      source: {
        app: fetchApp("return new Response();", 'console.log("loaded");'),
        secrets: [{ key: "db-password", envVar: "DB_PASSWORD" }],
      },
    });
    expect(cause).toMatchObject({
      code: "MISSING_SECRET",
      message: "the app's environment lacks the secret db-password (environment variable DB_PASSWORD)",
    });
    expect(cause.logs?.map(({ line }) => line)).not.toContain("loaded");
  });

  it("NO_SUCH_APP: the file exports another one", async () => {
    const cause = await causeOf({ source: { app: fetchApp("return new Response();").replace('"web"', '"shop"') } });
    expect(cause).toMatchObject({
      code: "NO_SUCH_APP",
      message: 'the file exports no App named "web"; it exports shop',
    });
  });

  it("NOT_SERVABLE: a frameworkApp that is nothing of the kind", async () => {
    const app = `import { App } from "appctl"; export default new App({ name: "web", frameworkApp: 42 as never });`;
    expect(await causeOf({ source: { app } })).toMatchObject({
      code: "NOT_SERVABLE",
      message: 'the frameworkApp of "web" cannot answer HTTP',
    });
  });

  it("NO_SUCH_PROGRAM: in args, in a command, not executable", async () => {
    expect(await causeOf({ spec: { kind: "args", args: ["no-such-program-here"] } })).toMatchObject({
      code: "NO_SUCH_PROGRAM",
      message: 'the program "no-such-program-here" was not found',
    });
    const command = await causeOf({ spec: { kind: "command", command: "no-such-program-here --now" } });
    expect(command.code).toBe("NO_SUCH_PROGRAM");
    expect(command.message).toContain('the command "no-such-program-here --now" was not found');
    expect(
      await causeOf({ source: { files: { "run.txt": "text" } }, spec: { kind: "args", args: ["./run.txt"] } }),
    ).toMatchObject({ code: "NO_SUCH_PROGRAM", message: 'the program "./run.txt" cannot be executed (EACCES)' });
  });

  it("ENVIRONMENT_TOO_LARGE: a variable that the system refuses", async () => {
    expect(
      await causeOf({ spec: { kind: "command", command: "true" }, env: { LARGE: "x".repeat(200_000) } }),
    ).toMatchObject({ code: "ENVIRONMENT_TOO_LARGE" });
  });

  it("IMAGE_UNREADABLE: the image cannot be unpacked", async () => {
    const prepare = () => Promise.reject(new Error("blob sha256:abc is damaged"));
    expect(await causeOf({ engine: { prepare } })).toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: expect.stringMatching(/^the image \w+ cannot be unpacked: blob sha256:abc is damaged$/),
    });
  });

  it("SECRET_UNREADABLE and SECRET_NOT_TEXT: a secret that cannot be given", async () => {
    const secrets: PinnedSecret[] = [{ key: "token", envVar: "TOKEN", mount: "env", id: "s1", version: 3 }];
    const spec = { kind: "command", command: "true" } as const;
    expect(await causeOf({ spec, secrets })).toMatchObject({
      code: "SECRET_UNREADABLE",
      message: "version 3 of the secret token cannot be read: no secret s1 of version 3",
    });
    const harness = await startEngine();
    harness.secrets.set("s1@3", Buffer.from([0x61, 0xff]));
    const last = (await harness.deploy(await harness.revision("web-00001", {}, { spec, secrets }))).at(-1);
    expect(last?.cause?.code).toBe("SECRET_NOT_TEXT");
  });
});

describe("time", () => {
  it("fails within 2 s of a crash", async () => {
    const { deploy, revision } = await startEngine();
    const bad = await revision("web-00001", {
      app: fetchApp(
        "return new Response();",
        "await new Promise((resolve) => setTimeout(resolve, 200));\nconsole.error(Date.now());\nprocess.exit(1);",
      ),
    });
    const last = (await deploy(bad)).at(-1);
    expect(Date.now() - Number(last?.cause?.logs?.[0]?.line)).toBeLessThan(2000);
  });

  it("takes a slow start for a success", async () => {
    const { engine, deploy, revision } = await startEngine({ otherPortMs: 60_000 });
    const slow = await revision("web-00001", {
      app: fetchApp('return new Response("late");', "await new Promise((resolve) => setTimeout(resolve, 1500));"),
    });
    expect((await deploy(slow)).at(-1)?.ready).toBe("True");
    expect(await call(engine.lease(ref))).toMatchObject({ body: "late" });
  });
});

const HOG = `
const kept: Buffer[] = [];
for (let i = 0; i < 400; i++) {
  kept.push(Buffer.alloc(1024 * 1024, 1));
  await new Promise((resolve) => setTimeout(resolve, 5));
}
console.log("held", kept.length);
`;
