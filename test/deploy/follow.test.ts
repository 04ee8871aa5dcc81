import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Client } from "../../src/client/client.ts";
import type { DeploymentEvent, EventPage, FailureCause } from "../../src/contract/types.ts";
import { AppctlError } from "../../src/core/errors.ts";
import { follow } from "../../src/deploy/follow.ts";
import { temporaryDirectory } from "../engine/helpers.ts";

const ref = { project: "shop", domain: "development", name: "web" };
const cause: FailureCause = {
  code: "APP_THREW",
  message: "Error: outer\n  caused by Error: inner (lib/db.ts:2:9)",
  hint: "nothing in the app caught this error",
  stack: [
    "at connect (lib/db.ts:4:17)",
    "at call (../common.ts:1:41)",
    "at node_modules/pg/a.js:1:1",
    "at app.ts:3:12",
  ],
  location: { file: "lib/db.ts", line: 4, column: 17 },
  logs: [
    {
      time: "2026-03-01T12:00:00.000Z",
      replica: "r",
      revision: "web-00002",
      stream: "stdout",
      line: "    at app.ts:9:9",
    },
  ],
};

/** The error of a deployment that failed with `cause`. */
async function failure(project?: { root: string; cwd: string }, of = cause): Promise<AppctlError> {
  const event: DeploymentEvent = {
    ...{ v: 1, seq: 1, time: "2026-03-01T12:00:00.000Z", type: "failed" },
    ...{ revision: "web-00002", cause: of, serving: "web-00001" },
  };
  const page: EventPage = {
    deployment: {
      ...{ id: 2, project: "shop", domain: "development", app: "web", revision: "web-00002", unchanged: false },
      ...{ consoleUrl: "http://c", endpoint: "http://e" },
    },
    events: [event],
    done: true,
  };
  const client = {
    deploymentEvents: async () => page,
    follow: async function* () {
      yield* page.events;
    },
  } as unknown as Client;
  const signal = new AbortController().signal;
  const events = follow({ client, ref, deployment: 2, signal, ...(project ? { project } : {}) });
  const error = await events.next().catch((thrown: unknown) => thrown);
  if (!(error instanceof AppctlError)) throw new Error("it did not fail");
  return error;
}

describe("a deployment that failed", () => {
  it("is an error with the cause's words, what serves, and a command that can be pasted", async () => {
    expect(await failure()).toMatchObject({
      code: "APP_THREW",
      exit: 1,
      message: `web failed: ${cause.message}`,
      hint: cause.hint,
      frames: cause.stack,
      logs: cause.logs,
      next: ["appctl logs apps web --project shop"],
      deploy: {
        ...{ app: "web", project: "shop", domain: "development", revision: "web-00002", deployment: 2 },
        ...{ consoleUrl: "http://c", serving: "web-00001" },
      },
    });
  });

  it.each([
    ["the project's folder", ".", "src/"],
    ["the file's folder", "src", ""],
    ["a folder next to it", "deploy", "../src/"],
  ])("has every place relative to %s, where the command runs", async (_, folder, prefix) => {
    const dir = temporaryDirectory();
    for (const name of ["src", "deploy"]) mkdirSync(join(dir, name));
    const link = join(temporaryDirectory(), "link");
    symlinkSync(dir, link);
    const common = join(prefix, "../common.ts");
    for (const cwd of [join(dir, folder), join(link, folder)]) {
      const error = await failure({ root: join(dir, "src"), cwd });
      expect(error.location?.file).toBe(`${prefix}lib/db.ts`);
      expect(error.message).toContain(`(${prefix}lib/db.ts:2:9)`);
      expect(error.frames).toEqual([
        `at connect (${prefix}lib/db.ts:4:17)`,
        `at call (${common}:1:41)`,
        "at node_modules/pg/a.js:1:1",
        `at ${prefix}app.ts:3:12`,
      ]);
      expect(error.logs).toMatchObject([{ line: `    at ${prefix}app.ts:9:9`, stream: "stdout" }]);
    }
  });

  it("has an empty stack and no lines when the platform knows none", async () => {
    const error = await failure(undefined, { code: "FROM_A_LATER_PLATFORM", message: "it failed" });
    expect(error).toMatchObject({ code: "FROM_A_LATER_PLATFORM", exit: 1, frames: [], logs: [] });
  });
});
